//go:build unix

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	filippo "filippo.io/age"

	"github.com/gatehouse-mcp/gatehouse/internal/testvault"
)

// variables is the entry of a server with those variables.
func variables(name string, values map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    command: [%q]\n    env:\n      %s: say\n", name, os.Args[0], asServer)
	for k, v := range values {
		fmt.Fprintf(&b, "      %s: %q\n", k, v)
	}
	return b.String()
}

// program writes a script.
func (h *home) program(name, text string) {
	h.t.Helper()
	if err := os.Chmod(h.write(name, "#!/bin/sh\n"+text), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

// Every kind of provider that needs no desktop gives its secrets to a server,
// and a new value to the next instance.
func TestProviders(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.env = append(h.env, "SECRET_ID=of-the-role", "OP_TOKEN=of-the-program")
	h.write("conf/.env", "A='from .env'\n")
	h.write("conf/team.yaml", "github: {token: from yaml}\n")
	h.write("run/key", "from a folder\n")
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	h.write("conf/key.txt", id.String())
	var sealed bytes.Buffer
	w, err := filippo.Encrypt(&sealed, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write([]byte("A='from age'\n"))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	h.write("conf/prod.env.age", sealed.String())
	h.program("conf/tool", `echo "$OP_TOKEN $1"`)
	h.program("bin/docker-credential-test", `echo '{"ServerURL":"registry.test","Username":"u","Secret":"from docker"}'`)
	v := testvault.New()
	v.RoleID, v.SecretID = "role", "of-the-role"
	v.Put("secret/app", map[string]any{"token": "from vault"})
	address, ca := v.Start(t)

	cfg := h.write("conf/gatehouse.yaml", fmt.Sprintf(`
secrets:
  local: {kind: file, path: .env, ttl: 1ms}
  team: {kind: file, path: team.yaml}
  folder: {path: ../run}
  age: {path: prod.env.age, identity: key.txt}
  vault:
    address: %s
    caFile: %s
    appRole: {roleID: role, secretID: "${SECRET_ID}"}
  leases: {kind: vault, engine: dynamic, address: %[1]s, caFile: %[2]s, appRole: {roleID: role, secretID: "${SECRET_ID}"}}
  op: {kind: command, command: [./tool, "{path}"], env: {OP_TOKEN: "${OP_TOKEN}"}}
  docker: {helper: test, env: {PATH: "%[3]s/bin:${PATH}"}}
  any: {kind: chain, of: [folder, local]}
  se: {kind: chain, of: [age]}
servers:
%[4]s`, address, ca, h.dir, variables("a", map[string]string{
		"LOCAL": "secret://local/A", "TEAM": "secret://team/github#token", "FOLDER": "secret://folder/key", "AGE": "secret://age/A",
		"VAULT": "secret://vault/app#token", "PASSWORD": "secret://leases/database/creds/app#password",
		"PAIR": "${secret://leases/database/creds/app#username} ${secret://leases/database/creds/app#password}",
		"OP":   "secret://op/item", "DOCKER": "secret://docker/registry.test", "ANY": "secret://any/A", "SE": "se://A",
	})))
	h.run("check", "--config", cfg).want(t, 0)
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	c := s.connect(nil)
	for name, value := range map[string]string{
		"LOCAL": "from .env", "TEAM": "from yaml", "FOLDER": "from a folder", "AGE": "from age", "VAULT": "from vault",
		"OP": "of-the-program item", "DOCKER": "from docker", "ANY": "from .env", "SE": "from age",
	} {
		if got := call(t, c, "a__say", map[string]any{"variable": name, "digest": true}); got != digest(value) {
			t.Errorf("%s is not %q", name, value)
		}
	}
	pair := call(t, c, "a__say", map[string]any{"variable": "PAIR", "digest": true})
	fits := false
	for n := range 10 { // which credentials these are
		fits = fits || pair == digest(fmt.Sprintf("user-%d password-%d", n, n))
	}
	if !fits {
		t.Error("user and password do not fit")
	}
	if got := call(t, c, "a__say", map[string]any{"variable": "VAULT"}); strings.Contains(got, "vault") {
		t.Errorf("the client sees %q", got)
	}

	h.write("conf/.env", "A='rotated'\n")
	if got := call(t, s.connect(nil), "a__say", map[string]any{"variable": "LOCAL", "digest": true}); got != digest("rotated") {
		t.Error("a new instance has the old value")
	}
	s.stop()
	if tokens, leases := v.Living(); tokens != 0 || leases != 0 {
		t.Errorf("%d tokens and %d leases live on", tokens, leases)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range []string{"from .env", "of-the-role", "of-the-program", "from vault", "password-"} {
		if strings.Contains(strings.Join(s.log, "\n"), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// What is wrong with a provider, or missing in one, is said with its place.
func TestProviderFaults(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if err := os.Chmod(h.write("open.env", "A=hidden\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.write("key.txt", "hidden\n")
	h.write("x.env.age", "A=hidden\n")
	h.program("locked", "echo hidden\necho 'the vault is locked' >&2\nexit 1\n")
	v := testvault.New()
	v.Health(503)
	address, ca := v.Start(t)
	cfg := h.write("gatehouse.yaml", fmt.Sprintf(`
secrets:
  none: {kind: file, path: none.env}
  open: {kind: file, path: open.env}
  folder: {path: none}
  age: {path: x.env.age, identity: key.txt}
  vault: {address: %s, caFile: %s, token: "${TOKEN}"}
  op: {kind: command, command: [./locked, "{path}"]}
  docker: {helper: none}
  keyring: {timeout: 5s}
servers:
%s`, address, ca, variables("a", map[string]string{
		"A": "secret://none/A", "B": "secret://open/A", "C": "secret://folder/A", "D": "secret://age/A",
		"E": "secret://vault/A#b", "F": "secret://op/A", "G": "secret://docker/A",
	})))
	r := h.run("check", "--config", cfg)
	r.want(t, 1,
		"there is no file "+filepath.Join(h.dir, "none.env")+": make it, with a line A=VALUE in it",
		"everybody may read "+filepath.Join(h.dir, "open.env")+" (mode 0644): chmod o-r",
		"there is no file "+filepath.Join(h.dir, "none", "A")+": put the secret into it",
		"the identity "+filepath.Join(h.dir, "key.txt")+" holds no line AGE-SECRET-KEY-",
		"does not serve: it is sealed (503)",
		"./locked: it ended with code 1: the vault is locked",
		"docker-credential-none: it is not there: install it",
	)
	if strings.Contains(r.stderr+r.out, "hidden") || strings.Contains(r.stderr+r.out, "s3cret") {
		t.Errorf("a value is shown:\n%s%s", r.stderr, r.out)
	}

	for text, want := range map[string]string{
		`file: {}`:                      "path",
		`file: {path: x, format: toml}`: "toml",
		`folder: {path: ""}`:            "path of the folder is empty",
		`age: {path: x}`:                "identity",
		`age: {path: x, identity: y, recipients: [hidden]}`:                "recipient 1 is no public key",
		`vault: {address: "https://x"}`:                                    "one way to log in: token, tokenFile or appRole; it has none",
		`vault: {address: "https://x", token: a, tokenFile: b}`:            "it has tokenFile and token",
		`vault: {address: "http://vault.test", token: a, allowHTTP: true}`: "without TLS",
		`vault: {address: "https://x", token: "${NOT_SET}"}`:               "the environment variable NOT_SET is not set",
		`vault: {address: "https://x", token: "secret://env/X"}`:           "takes nothing from another",
		`vault: {address: "https://x", appRole: {secretID: a}}`:            "roleID",
		`command: {command: [op]}`:                                         "{path}",
		`docker: {helper: ""}`:                                             "not named",
		`keyring: {timeout: -1s}`:                                          "imeout",
		`team: {kind: valt}`:                                               `did you mean "vault"`,
	} {
		r := h.run("check", "--config", h.write("bad.yaml", "secrets:\n  "+text+"\n"))
		r.want(t, 2, want)
		if strings.Contains(r.stderr, "hidden") {
			t.Errorf("%s: a value is shown: %s", text, r.stderr)
		}
	}
}
