//go:build e2e && linux

package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/authorities"
	"github.com/gatehouse-mcp/gatehouse/internal/injecttest"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// injected is a Runtime whose servers reach a service with a secret.
func injected(t *testing.T) (*Runtime, *injecttest.Service) {
	t.Helper()
	s := injecttest.NewService(t)
	r, err := New(t.TempDir(), &Options{Egress: s.Proxy, Events: s.Events})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, s
}

// TestSecretsWithoutHavingThem has a server use a secret, and looks for it in
// all that is the server's.
func TestSecretsWithoutHavingThem(t *testing.T) {
	r, s := injected(t)
	spec := probe()
	s.Use(&spec)
	i := started(t, r, spec)
	injecttest.Run(t, s, i, func() (pids []int) {
		all, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range all {
			if pid := filepath.Base(p); descends(pid, i.process.Pid) {
				var n int
				_, _ = fmt.Sscan(pid, &n)
				pids = append(pids, n)
			}
		}
		return pids
	})
}

// TestClientsAsTheyCome has curl, Python and Node.js use a placeholder.
func TestClientsAsTheyCome(t *testing.T) {
	r, s := injected(t)
	const url = "https://" + injecttest.Bound + "/echo"
	for name, text := range map[string]string{
		"curl":   `curl -sS -H "Authorization: Bearer $TOKEN" ` + url + ` >&2`,
		"python": `/usr/bin/python3 -c 'import os,urllib.request as u; print(u.urlopen(u.Request("` + url + `", headers={"Authorization": "Bearer "+os.environ["TOKEN"]})).read().decode())' >&2`,
		// As Python does by itself from 3.13 on.
		"python, strict": `/usr/bin/python3 -c 'import os,ssl,urllib.request as u; c=ssl.create_default_context(); c.verify_flags|=ssl.VERIFY_X509_STRICT; print(u.urlopen(u.Request("` + url + `", headers={"Authorization": "Bearer "+os.environ["TOKEN"]}), context=c).read().decode())' >&2`,
		"openssl":        `printf 'GET /echo HTTP/1.1\r\nHost: ` + injecttest.Bound + `\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n' $TOKEN | /usr/bin/openssl s_client -quiet -x509_strict -verify_return_error -servername ` + injecttest.Bound + ` -connect ` + injecttest.Bound + `:443 >&2`,
		"node":           `/usr/bin/node -e 'require("https").get("` + url + `", {headers: {Authorization: "Bearer "+process.env.TOKEN}}, r => { r.on("data", d => process.stderr.write(d)) }).on("error", console.error)'`,
	} {
		t.Run(name, func(t *testing.T) {
			program := map[string]string{"curl": "/usr/bin/curl", "python": "/usr/bin/python3", "python, strict": "/usr/bin/python3", "openssl": "/usr/bin/openssl", "node": "/usr/bin/node"}[name]
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			e := script(t, r, text, s.Use)
			if all := strings.Join(e.Stderr, " "); !strings.Contains(all, "Bearer ghplaceholder_") || !s.Served() {
				t.Errorf("it got %q", e.Stderr)
			}
		})
	}
	e := script(t, r, `curl -sS --pinnedpubkey sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= `+url+` >&2; sleep 0.2`, s.Use)
	if !strings.Contains(strings.Join(e.Stderr, " "), "pinned") || s.Served() || !s.Refused("it pins certificates") {
		t.Errorf("a client that pins got %q", e.Stderr)
	}
}

// TestAuthoritiesOfAServer: a server trusts the proxy that ends its TLS, and
// still the system's authorities; without such a proxy nothing changes.
func TestAuthoritiesOfAServer(t *testing.T) {
	r, s := injected(t)
	const system = "/etc/ssl/certs/ca-certificates.crt"
	count := fmt.Sprintf("for f in %s %s; do grep -c BEGIN $f; done >&2; cmp %[1]s %[2]s >&2; env | grep -c =%[2]s >&2", system, trusted)
	before, err := os.ReadFile(system)
	if err != nil {
		t.Fatal(err)
	}
	have := strings.Count(string(before), "BEGIN CERTIFICATE")
	if e := script(t, r, count, s.Use); strings.Join(e.Stderr, " ") != fmt.Sprintf("%d %[1]d %d", have+1, len(authorities.Variables())) {
		t.Errorf("of %d authorities it sees %q", have, e.Stderr)
	}
	for name, change := range map[string]func(*runtime.Spec){
		"without a network":          nil,
		"without a secret for hosts": func(spec *runtime.Spec) { s.Use(spec); spec.Secrets = nil },
	} {
		if e := script(t, r, "grep -c BEGIN "+system+" >&2; ls "+trusted+" >&2", change); len(e.Stderr) != 2 || e.Stderr[0] != fmt.Sprint(have) {
			t.Errorf("%s it sees %q", name, e.Stderr)
		}
	}
}

func TestAuthoritiesOfAnImage(t *testing.T) {
	r, s := injected(t)
	img := injecttest.WithAuthorities(t, testImages(t).Static(t, "internal/testimage/probe"))
	spec := runtime.Spec{
		Name: "probe", Image: "oci:" + testimage.Layout(t, img, "v1") + ":v1", Command: []string{"/server", runtimetest.ProbeArg},
		Env: map[string]secrets.Value{"SSL_CERT_FILE": secrets.Plain("")},
	}
	s.Use(&spec)
	injecttest.RunWithAuthorities(t, started(t, r, spec), true)
	spec.Secrets[0].File = "/etc/token"
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "such as below /run") {
		t.Errorf("a file in a folder that is read-only: %v", err)
	}
}

func TestRotation(t *testing.T) {
	injecttest.RunRotation(t, func(change func(*runtime.Spec)) runtime.Instance {
		spec := probe()
		change(&spec)
		return started(t, testRuntime(t), spec)
	})
}
