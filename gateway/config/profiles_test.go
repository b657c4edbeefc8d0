package config_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
)

const profiled = `
servers:
  files: {command: files}
  docs: {url: "https://docs.example.com/mcp"}
  off: {command: off, disabled: true}
unprefixed: docs
interceptors: [log]
profiles:
  review:
    servers:
      files: {tools: {allow: ["read_*"], deny: ["read_secret*"]}}
      off:
  all:
    servers: {docs: {}, files: {tools: {}}}
`

func TestProfiles(t *testing.T) {
	t.Parallel()
	cfg := load(t, new(world), profiled)
	o, err := cfg.Profile("review")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Servers) != 1 || o.Servers[0].Name != "files" || o.Unprefixed != "" || o.Profile != "review" || len(o.Interceptors) != 2 {
		t.Fatalf("review: %+v", o)
	}
	filter, ok := o.Interceptors[0].(interceptor.ItemFilter)
	if !ok {
		t.Fatalf("the outermost interceptor is %T", o.Interceptors[0])
	}
	for name, shown := range map[string]bool{"read_file": true, "write_file": false, "read_secrets": false} {
		i := &interceptor.Item{Kind: interceptor.ItemTool, Server: "files", Name: "files__" + name, Original: name}
		if err := filter.Item(t.Context(), new(interceptor.Call), i); err != nil || i.Dropped() == shown {
			t.Errorf("%s: hidden %v, %v", name, i.Dropped(), err)
		}
	}
	prompt := &interceptor.Item{Kind: interceptor.ItemPrompt, Server: "files", Original: "write"}
	if err := filter.Item(t.Context(), new(interceptor.Call), prompt); err != nil || prompt.Dropped() {
		t.Error("a prompt is hidden by patterns of tools")
	}

	all, err := cfg.Profile("all")
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Servers) != 2 || all.Unprefixed != "docs" || len(all.Interceptors) != 1 {
		t.Errorf("all: %+v", all)
	}
	if none, err := cfg.Profile(""); err != nil || none != cfg.Options {
		t.Errorf("no profile: %+v, %v", none, err)
	}
	if _, err := cfg.Profile("revew"); err == nil || err.Error() != `there is no profile "revew"; did you mean "review"?; the file has review, all` {
		t.Errorf("an unknown profile: %v", err)
	}
}

func TestProfileFaults(t *testing.T) {
	t.Parallel()
	_, err := config.Load(t.Context(), write(t, "gatehouse.yaml", `
servers: {files: {command: files}}
profiles:
  a b: {servers: {}}
  ok: {servers: {fils: {}, files: {tools: {allow: [""]}}}}
  none: {}
  odd: {servers: {files: {tool: x}}, server: {}}
`), new(world).kinds())
	for _, want := range []string{
		`:4:8: profiles."a b": "a b" is no name of a profile`,
		`there is no server "fils"; did you mean "files"?`,
		"an empty pattern matches no tool",
		`the key "servers" is missing`,
		"profiles.odd.servers.files.tool: unknown key",
		"profiles.odd.server: unknown key",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
