//go:build unix

package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	r := h.run("version")
	r.want(t, 0)
	if !strings.HasPrefix(r.out, "gatehouse ") || !strings.Contains(r.out, "go1.") {
		t.Errorf("version: %q", r.out)
	}
	r = h.run("version", "--format", "json")
	r.want(t, 0)
	var v struct{ Version, Go, Platform string }
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || v.Version == "" || v.Go == "" || v.Platform == "" {
		t.Errorf("version: %s, %v", r.out, err)
	}
}

// Every command that does something has examples, and they are commands and
// flags that exist.
func TestHelp(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, args := range []string{"", "serve", "check", "ps", "stats", "version", "config", "config schema"} {
		command := strings.Fields(args)
		r := h.run(append(command, "--help")...)
		r.want(t, 0)
		_, examples, ok := strings.Cut(r.out, "\nExamples:\n")
		if !ok {
			t.Errorf("gatehouse %s --help has no examples:\n%s", args, r.out)
			continue
		}
		examples, _, _ = strings.Cut(examples, "\n\n")
		for line := range strings.Lines(examples) {
			example, ok := strings.CutPrefix(strings.TrimSpace(line), "gatehouse ")
			if !ok {
				continue
			}
			if i := strings.IndexAny(example, "#|>"); i >= 0 {
				example = example[:i]
			}
			// With --help it only has to be understood.
			h.run(append(strings.Fields(example), "--help")...).want(t, 0)
		}
	}
	r := h.run()
	r.want(t, 0)
	if !strings.Contains(r.out, "Available Commands:") {
		t.Errorf("without a command: %s", r.out)
	}
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.run("sevre").want(t, 2, `unknown command "sevre" for "gatehouse"; did you mean "serve"?`, "Run 'gatehouse --help' for usage.")
	h.run("config", "shema").want(t, 2, `did you mean "schema"?`)
	h.run("check", "--formt", "json").want(t, 2, "unknown flag: --formt", "Run 'gatehouse check --help' for usage.")
	h.run("check", "--format", "yaml").want(t, 2, "must be text or json")
	h.run("ps", "--config").want(t, 2, "flag needs an argument")
	for _, r := range []result{h.run("sevre"), h.run("check", "--formt")} {
		if r.out != "" {
			t.Errorf("bad usage writes to standard output: %s", r.out)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := h.run("completion", shell)
		r.want(t, 0)
		if !strings.Contains(r.out, "gatehouse") {
			t.Errorf("completion %s: %q", shell, r.out)
		}
	}
	for args, want := range map[string]string{
		"s":                  "serve\t",
		"check --format ":    "text\njson\n",
		"serve --log-level ": "debug\ninfo\n",
		"ps --config ":       "yaml\nyml\njson\n",
	} {
		command := strings.Split(args, " ")
		r := h.run(append([]string{"__complete"}, command...)...)
		r.want(t, 0)
		if !strings.Contains(r.out, want) {
			t.Errorf("completing %q: %q", args, r.out)
		}
	}
}

// The schema accepts what the program accepts, and says what it does not.
func TestConfigSchema(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	r := h.run("config", "schema")
	r.want(t, 0)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(r.out))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gatehouse.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("gatehouse.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		"{}":                              true,
		"version: 1\nlisten: 127.0.0.1:0": true,
		"servers: {a: {command: cat, args: [x]}}":     true,
		"servers: {a: {url: 'http://127.0.0.1/'}}":    true,
		"mcpServers: {a: {command: cat, timeout: 5}}": true,
		"servers: {a: {comand: cat}}":                 false,
		"servers: {a: {command: cat, timeout: 5}}":    false,
		"interceptors: [log]":                         false, // this program has no kinds of them
		"listen: 8811":                                false,
	} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != ok {
			t.Errorf("the schema on %q: %v", text, err)
		}
		code := 0
		if !ok {
			code = 2
		}
		h.run("check", "--config", h.write("gatehouse.yaml", text)).want(t, code)
	}
}
