package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// full uses every key that this version knows.
const full = `
$schema: schema.json
version: 1
listen: "[::1]:0"
publicURL: https://mcp.example.com/mcp
auth: {keys: {file: keys.txt}}
servers:
  files:
    type: stdio
    command: [files, --root]
    args: [/srv]
    env: {TOKEN: "${FILES_TOKEN}", PLAIN: x, N: 1}
    cwd: /srv
    instance: principal
    interactive: true
    idleTimeout: never
    startTimeout: 1m30s
    maxLine: 16MiB
  docs:
    url: https://docs.example.com/mcp
    headers: {Authorization: "Bearer ${DOCS_TOKEN}", Key: "secret://corp/docs#key"}
    instance: shared
    idleTimeout: 10m
  query:
    image: docker.io/mcp/query@sha256:0
    command: query
    instance: call
    env: {KEY: "secret://vault/query"}
mcpServers:
  off: {command: off, disabled: true}
unprefixed: files
secrets:
  vault: {address: https://vault.example.com}
  corp: {kind: vault, address: https://corp.example.com}
runtime: {driver: box, namespace: mcp, memory: 1GiB}
interceptors: [log, {limit: {perMinute: 60}}]
admin: {disabled: true}
state: state
`

func TestLoad(t *testing.T) {
	t.Parallel()
	w := &world{env: map[string]string{"FILES_TOKEN": "one", "DOCS_TOKEN": "two", "OTHER": "three"}}
	cfg := load(t, w, full)
	o := cfg.Options

	if cfg.Listen != "[::1]:0" || !cfg.Admin.Disabled || cfg.State != filepath.Join(filepath.Dir(cfg.Path), "state") {
		t.Errorf("listen %q, admin %v, state %q", cfg.Listen, cfg.Admin, cfg.State)
	}
	if o.PublicURL != "https://mcp.example.com/mcp" || o.Unprefixed != "files" || o.Authenticator == nil || len(o.Interceptors) != 2 {
		t.Errorf("options: %+v", o)
	}
	if i, ok := o.Interceptors[1].(limit); !ok || i.perMinute != 60 {
		t.Errorf("the second interceptor is %#v", o.Interceptors[1])
	}
	want := []gateway.Server{
		{Name: "files", Instance: gateway.PerPrincipal, Interactive: true, IdleTimeout: -1, StartTimeout: 90 * time.Second, Secrets: []secrets.Ref{"FILES_TOKEN"}},
		{Name: "docs", Instance: gateway.Shared, IdleTimeout: 10 * time.Minute, Secrets: []secrets.Ref{"DOCS_TOKEN", "corp/docs#key"}},
		{Name: "query", Instance: gateway.PerCall, Secrets: []secrets.Ref{"vault/query"}},
	}
	if len(o.Servers) != len(want) {
		t.Fatalf("%d servers, want %d", len(o.Servers), len(want))
	}
	for i, got := range o.Servers {
		if got.Launcher == nil {
			t.Errorf("%s has no launcher", got.Name)
		}
		got.Launcher = nil
		if w := want[i]; got.Name != w.Name || got.Instance != w.Instance || got.Interactive != w.Interactive ||
			got.IdleTimeout != w.IdleTimeout || got.StartTimeout != w.StartTimeout || !slices.Equal(got.Secrets, w.Secrets) {
			t.Errorf("got  %+v\nwant %+v", got, w)
		}
	}
	if len(cfg.Servers) != 4 || !cfg.Servers[3].Disabled || cfg.Servers[0].Prefix != "" || cfg.Servers[2].Confined != "box" {
		t.Errorf("servers: %+v", cfg.Servers)
	}
	gw, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Close(); err != nil {
		t.Error(err)
	}
}

func TestEmptyFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "{}", "servers:\n", "version: 1\nmcpServers: {}\nadmin:\n"} {
		cfg := load(t, new(world), text)
		if len(cfg.Options.Servers) != 0 || cfg.State != "" {
			t.Errorf("%q: %+v", text, cfg)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := config.Load(t.Context(), filepath.Join(dir, "none.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	if _, err := config.Load(t.Context(), dir, nil); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := config.Load(t.Context(), write(t, "big.yaml", strings.Repeat("#", 5<<20)), nil); err == nil || !strings.Contains(err.Error(), "more than 4 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

// TestNoKinds loads with a program that brings nothing.
func TestNoKinds(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
servers:
  a: {command: a}
  b: {url: "https://b.example.com/mcp"}
  c: {image: c}
  d: {command: d, env: {A: "${B}"}}
runtime: {driver: x}
auth: x
interceptors: [x]
secrets: {x: {}}
`)
	_, err := config.Load(t.Context(), file, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+string(filepath.Separator), "")
	want := `f.yaml:3:16: servers.a.command: this program starts no commands
f.yaml:4:12: servers.b.url: this program reaches no remote servers
f.yaml:6:16: servers.d.command: this program starts no commands
f.yaml:6:28: servers.d.env.A: this program resolves no ${B}: it has no kind "env" of secrets
f.yaml:7:19: runtime.driver: this program has no kinds of runtime: remove the section
f.yaml:8:7: auth: this program has no kinds of auth: remove the section
f.yaml:9:16: interceptors[0]: there is no kind "x" of interceptors; this program has guard
f.yaml:10:11: secrets.x: this program has no kinds of secrets: remove the section`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestStateFolder gives each file a folder of its own, by its absolute path.
func TestStateFolder(t *testing.T) {
	t.Parallel()
	state := func(path string) string {
		k := new(world).kinds()
		k.StateHome = filepath.FromSlash("/state/home")
		cfg, err := config.Load(t.Context(), path, k)
		if err != nil {
			t.Fatal(err)
		}
		defer cfg.Close()
		return cfg.State
	}
	a, b := write(t, "a.yaml", ""), write(t, "a.yaml", "")
	if got := state(a); filepath.Dir(got) != filepath.FromSlash("/state/home/gatehouse") || len(filepath.Base(got)) != 16 || got != state(filepath.Join(filepath.Dir(a), ".", "a.yaml")) {
		t.Errorf("the state folder is %s", got)
	}
	if state(a) == state(b) {
		t.Error("two files have the same state folder")
	}
	if got := state(write(t, "c.yaml", "state: /srv/state")); got != "/srv/state" {
		t.Errorf("the state folder that the file names is %s", got)
	}
}

// TestEachServerSeesItsOwnSecrets has servers resolve what they name, when
// they start and not before, and refuses everything else.
func TestEachServerSeesItsOwnSecrets(t *testing.T) {
	t.Parallel()
	w := &world{env: map[string]string{"FILES_TOKEN": "one", "DOCS_TOKEN": "two", "OTHER": "three"}}
	cfg := load(t, w, full)
	for _, v := range w.providers {
		if len(v.asked) > 0 {
			t.Errorf("%s was asked for %v while loading", v.address, v.asked)
		}
	}
	p := cfg.Options.Secrets
	for ref, want := range map[secrets.Ref]string{
		"FILES_TOKEN":   "one",
		"corp/docs#key": "from https://corp.example.com: docs#key",
		"vault/query":   "from https://vault.example.com: query",
	} {
		if s, err := p.Resolve(t.Context(), ref); err != nil || s.Reveal() != want {
			t.Errorf("%s: %q, %v", ref, s.Reveal(), err)
		}
	}
	for _, ref := range []secrets.Ref{"OTHER", "vault/other", "corp/query", ""} {
		if s, err := p.Resolve(t.Context(), ref); !errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("%s is named nowhere and resolves to %q, %v", ref, s.Reveal(), err)
		}
	}
	// A start takes the value of the moment.
	files := cfg.Options.Servers[0].Launcher
	for _, value := range []string{"first", "second"} {
		w.env["FILES_TOKEN"] = value
		if _, err := files.Launch(t.Context(), runtime.Key{Server: "files", Secrets: p}); err == nil {
			t.Fatal("the recorder starts nothing")
		}
	}
	var tokens []string
	for _, r := range w.runtimes {
		for _, spec := range r.started {
			tokens = append(tokens, spec.Env["TOKEN"].Reveal())
		}
	}
	if !slices.Equal(tokens, []string{"first", "second"}) {
		t.Errorf("the instances got %q", tokens)
	}
}

func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	_, err := config.Load(t.Context(), write(t, "f.yaml", `
servers:
  a: {command: x, env: {A: "hunter2 ${", B: [hunter2], C: "${hunter 2}hunter2"}}
  b: {url: "https://u:hunter2@b.example.com/"}
  c: {url: "hunter2"}
  d: {url: "https://d.example.com/mcp", headers: {A: "hunter2 ${A:-hunter2}"}}
`), new(world).kinds())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// TestReload takes over the drivers of sections that are unchanged and closes
// a driver with the last configuration that uses it.
func TestReload(t *testing.T) {
	t.Parallel()
	const before = `
secrets: {vault: {address: one}}
runtime: {driver: box, namespace: one}
servers:
  a: {image: a, env: {K: "secret://vault/a"}}
  b: {url: "https://b.example.com/mcp"}
  c: {url: "https://c.example.com/mcp"}
`
	w := new(world)
	old := load(t, w, before)
	change := func(from *config.Config, text string) (*config.Config, error) {
		if err := os.WriteFile(from.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return from.Reload(t.Context())
	}
	if _, err := change(old, before+"servers: {}\n"); err == nil {
		t.Fatal("a bad file is accepted")
	}
	if len(w.runtimes) != 1 || w.runtimes[0].closed.Load() != 0 || w.providers[0].closed.Load() != 0 {
		t.Error("a bad file closes or makes drivers")
	}
	now, err := change(old, strings.NewReplacer("namespace: one", "namespace: two", "c.example.com", "d.example.com").Replace(before))
	if err != nil {
		t.Fatal(err)
	}
	if len(w.providers) != 1 {
		t.Error("the unchanged provider was made anew")
	}
	if len(w.runtimes) != 2 {
		t.Errorf("%d runtimes were made, want 2", len(w.runtimes))
	}
	if len(w.remotes) != 3 {
		t.Errorf("%d launchers of URLs were made, want 3: %v", len(w.remotes), w.remotes)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if w.runtimes[0].closed.Load() != 1 || w.runtimes[1].closed.Load() != 0 || w.providers[0].closed.Load() != 0 {
		t.Error("closing the old configuration closes what it alone uses, and nothing else")
	}
	if err := errors.Join(old.Close(), now.Close(), now.Close()); err != nil {
		t.Fatal(err)
	}
	if w.runtimes[0].closed.Load() != 1 || w.runtimes[1].closed.Load() != 1 || w.providers[0].closed.Load() != 1 {
		t.Error("the drivers are not closed once each")
	}
}

// TestReloadKeepsDefinitions checks that the gateway can tell which servers
// stayed the same.
func TestReloadKeepsDefinitions(t *testing.T) {
	t.Parallel()
	definition := func(cfg *config.Config, i int) string {
		return cfg.Options.Servers[i].Launcher.(interface{ Definition() string }).Definition()
	}
	cfg := load(t, new(world), "servers:\n  a: {command: a, env: {A: x}}\n  b: {command: b, env: {A: x}}\n")
	if err := os.WriteFile(cfg.Path, []byte("# moved\nservers:\n  b: {command: b, env: {A: y}}\n  a: {command: [a], env: {A: x}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	next, err := cfg.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if definition(cfg, 0) != definition(next, 1) {
		t.Error("a server that only moved has another definition")
	}
	if definition(cfg, 1) == definition(next, 0) {
		t.Error("a server with another environment has the same definition")
	}
}

// TestWhichProviderAnswers: ${NAME} is of the provider "default" where there is
// one, a reference of Docker's of the provider "se" or else of that.
func TestWhichProviderAnswers(t *testing.T) {
	t.Parallel()
	const servers = `
servers:
  a:
    command: a
    env: {A: "${NAME}", B: "${NAME:-none}", C: se://docker/mcp/NAME, D: "x ${secret://vault/p#f}", E: "${OTHER:-none}"}
`
	for section, want := range map[string]string{
		"":                               "",
		"secrets: {vault: {address: v}}": "A=env NAME B=env NAME C=env NAME D=x from v: p#f E=none",
		"secrets: {vault: {address: v}, default: {kind: chain, of: [env]}}":      "A=env NAME B=env NAME C=env NAME D=x from v: p#f E=none",
		"secrets: {vault: {address: v}, default: {kind: chain, of: [vault]}}":    "A=from v: NAME B=from v: NAME C=from v: NAME D=x from v: p#f E=from v: OTHER",
		"secrets: {vault: {address: v}, default: {kind: vault, address: w}}":     "A=from w: NAME B=from w: NAME C=from w: NAME D=x from v: p#f E=from w: OTHER",
		"secrets: {vault: {address: v, ttl: 5m}, se: {kind: vault, address: d}}": "A=env NAME B=env NAME C=from d: docker/mcp/NAME D=x from v: p#f E=none",
	} {
		w := &world{env: map[string]string{"NAME": "env NAME"}}
		cfg, err := config.Load(t.Context(), write(t, "f.yaml", section+servers), w.kinds())
		if section == "" {
			if err == nil || !strings.Contains(err.Error(), `the section secrets has no "vault"`) {
				t.Error(err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		var got []string
		for _, name := range sortedKeys(cfg.Servers[0].Env) {
			v, err := cfg.Servers[0].Env[name].Resolve(t.Context(), cfg.Options.Secrets)
			if err != nil {
				t.Errorf("%s: %s: %v", section, name, err)
			}
			got = append(got, name+"="+v.Reveal())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s", section, s)
		}
		if cfg.Secrets["env"] == nil || cfg.Secrets["vault"] == nil || len(cfg.Secrets) > 3 {
			t.Errorf("%s: providers %v", section, cfg.Secrets)
		}
		_ = cfg.Close()
	}
}
