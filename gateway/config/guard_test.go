package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
)

// TestUses shows what a server gets of its secrets, and what is kept of them.
func TestUses(t *testing.T) {
	t.Parallel()
	w := &world{env: map[string]string{"GITHUB_TOKEN": "of GitHub"}}
	file := write(t, "gatehouse.yaml", `
servers:
  a:
    image: x
    env: {LEVEL: "${LEVEL:-info}"}
    secrets:
      GITHUB_TOKEN: {hosts: [{host: api.github.com}, {host: "*.example.com", query: key, methods: [GET], paths: ["/v1/*"]}], placeholder: "ghp_{36}"}
      db: {from: "secret://vault/db#password", file: /run/secrets/db, optional: true}
      PLAIN: {}
  b: {url: "https://example.com/mcp", query: {key: "${B_KEY}"}}
secrets: {vault: {address: "https://vault.example.com"}}
`)
	cfg, err := config.Load(t.Context(), file, w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Close()
	want := `line 4: a: image x, session, confined "box", tools a__*, refs [GITHUB_TOKEN LEVEL PLAIN vault/db#password]
line 10: b: url https://example.com/mcp, session, confined "", tools b__*, refs [B_KEY]
box  starts "x" [] in "" LEVEL="resolved LEVEL" PLAIN="resolved PLAIN" secret GITHUB_TOKEN from ${GITHUB_TOKEN} in env "GITHUB_TOKEN", file "", hosts [{Host:api.github.com Header: Basic:false Query: Form: Methods:[] Paths:[]} {Host:*.example.com Header: Basic:false Query:key Form: Methods:[GET] Paths:[/v1/*]}], like "ghp_{36}", optional false secret db from secret://vault/db#password in env "", file "/run/secrets/db", hosts [], like "", optional true
remote https://example.com/mcp ?key=${B_KEY}
`
	if got := summary(t, w, cfg); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if v, err := cfg.Options.Secrets.Resolve(t.Context(), "GITHUB_TOKEN"); err != nil || v.Reveal() != "of GitHub" {
		t.Errorf("a secret that is named by its entry alone: %v", err)
	}
	var uses []string
	for _, u := range cfg.Servers[0].Uses {
		uses = append(uses, fmt.Sprint(u.Key, " ", u.Value, " ", u.Optional))
	}
	if got, want := strings.Join(uses, ", "), "env.LEVEL ${LEVEL:-info} false, secrets.GITHUB_TOKEN ${GITHUB_TOKEN} false, secrets.PLAIN ${PLAIN} false, secrets.db secret://vault/db#password true"; got != want {
		t.Errorf("uses: %s", got)
	}
}

// TestGuard shows that a file sets up the guard, and that a reload takes over
// one that is unchanged.
func TestGuard(t *testing.T) {
	t.Parallel()
	w := new(world)
	file := write(t, "gatehouse.yaml", `
servers: {a: {command: x}}
interceptors:
  - log
  - guard:
      calls: report
      choices: [{servers: [a], direction: results, rules: ["jwt*"], action: "off"}]
      rules: {password: redact}
      allow: [{rule: token, path: "$.arguments.id"}]
`)
	cfg, err := config.Load(t.Context(), file, w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Close()
	g := cfg.Options.Guard
	if g == nil || len(cfg.Options.Interceptors) != 1 {
		t.Fatalf("guard %v, interceptors %v", g, cfg.Options.Interceptors)
	}
	if got := fmt.Sprint(g.Calls, " ", g.Results, " ", g.Choices); got != "report  [{{[] [a] [] [] [] [] [] <nil>} results [jwt*] off}]" {
		t.Errorf("got %s", got)
	}
	again, err := cfg.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Options.Guard != g {
		t.Error("a reload made another guard of the same lines")
	}
	rules := write(t, "more.toml", "[[rules]]\nid = 'acme'\n")
	bad := write(t, "bad.yaml", "interceptors: [{guard: {files: ["+rules+"]}}]\n")
	if _, err := config.Load(t.Context(), bad, w.kinds()); err == nil || !strings.Contains(err.Error(), "more.toml: rules: rule 1 (acme): it has neither regex nor keys") {
		t.Errorf("a bad file of rules: %v", err)
	}
}
