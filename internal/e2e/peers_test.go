//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// published is a configuration of six published servers, one of them over
// HTTP, whose files are in folder.
func published(t *testing.T, folder string) string {
	t.Helper()
	number := port(t)
	cmd := exec.Command(bed.node, npm(t, "@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp")
	cmd.Env = environ(t.TempDir(), fmt.Sprintf("PORT=%d", number))
	spawn(t, cmd).listening(t, fmt.Sprintf("localhost:%d", number))
	if err := os.WriteFile(filepath.Join(folder, "hello.txt"), []byte("hello from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := func(script string, args ...string) string {
		list, err := json.Marshal(append([]string{bed.node, npm(t, script)}, args...))
		if err != nil {
			t.Fatal(err)
		}
		return string(list)
	}
	return fmt.Sprintf(`version: 1
servers:
  everything:
    command: %s
  everything-http:
    url: http://localhost:%d/mcp
  files:
    command: %s
  memory:
    command: %s
    env: {MEMORY_FILE_PATH: %q}
    instance: shared
  thinking:
    command: %s
  sqlite:
    command: %s
    instance: shared
`,
		node("@modelcontextprotocol/server-everything/dist/index.js", "stdio"), number,
		node("@modelcontextprotocol/server-filesystem/dist/index.js", folder),
		node("@modelcontextprotocol/server-memory/dist/index.js"), filepath.Join(folder, "memory.jsonl"),
		node("@modelcontextprotocol/server-sequential-thinking/dist/index.js"),
		node("mcp-server-sqlite-npx/dist/index.js", filepath.Join(folder, "e2e.db")))
}

// tools are some of the names that clients must see, one at least of each
// server.
var tools = []string{
	"everything__echo", "everything-http__get-sum", "files__read_text_file",
	"memory__create_entities", "thinking__sequentialthinking", "sqlite__list_tables",
}

// TestPublishedServers puts six published servers behind one gateway and
// drives them with four published clients at once.
func TestPublishedServers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := serve(t, published(t, folder))

	t.Run("clients", func(t *testing.T) {
		t.Run("inspector", func(t *testing.T) { t.Parallel(); inspector(t, g, folder) })
		t.Run("mcpc", func(t *testing.T) { t.Parallel(); mcpc(t, g, folder) })
		for kind, version := range map[string]string{"v1": "2025-11-25", "v2": "2026-07-28"} {
			t.Run("sdk-"+kind, func(t *testing.T) {
				t.Parallel()
				sdk(t, g, folder, kind, version)
			})
		}
	})
}

// holds fails when text lacks one of the wanted parts.
func holds(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is not in:\n%.3000s", what, w, text)
		}
	}
}

// inspector drives the gateway with the Inspector's command line.
func inspector(t *testing.T, g *gatehouse, folder string) {
	home := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{npm(t, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"), "--cli", g.url, "--transport", "http"}, args...)
		out, errs, err := runProgram(t, time.Minute, environ(home), home, bed.node, args...)
		if err != nil {
			t.Errorf("inspector %v: %v\n%s%s", args[2:], err, tail(out, 20), tail(errs, 20))
		}
		return out
	}
	list := run("--method", "tools/list")
	for _, name := range tools {
		holds(t, "tools/list", list, fmt.Sprintf("%q", name))
	}
	holds(t, "echo", run("--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=hi"), "Echo: hi")
	holds(t, "get-sum", run("--method", "tools/call", "--tool-name", "everything-http__get-sum", "--tool-arg", "a=2", "--tool-arg", "b=40"), "42")
	holds(t, "files", run("--method", "tools/call", "--tool-name", "files__read_text_file", "--tool-arg", "path="+filepath.Join(folder, "hello.txt")), "hello from a file")
	holds(t, "sqlite", run("--method", "tools/call", "--tool-name", "sqlite__list_tables"), "content")
	holds(t, "resources/list", run("--method", "resources/list"), "demo://resource/static/document/features.md", "gatehouse://")
	holds(t, "resources/read", run("--method", "resources/read", "--uri", "demo://resource/static/document/features.md"), "Features")
	holds(t, "prompts/list", run("--method", "prompts/list"), "everything__simple-prompt", "everything-http__simple-prompt")
	holds(t, "prompts/get", run("--method", "prompts/get", "--prompt-name", "everything__args-prompt", "--prompt-args", "city=Paris"), "Paris")
}

// mcpc drives the gateway with Apify's command-line client, which keeps a
// process of its own for a session.
func mcpc(t *testing.T, g *gatehouse, folder string) {
	home := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{npm(t, "@apify/mcpc/bin/mcpc")}, args...)
		out, errs, err := runProgram(t, time.Minute, environ(home), home, bed.node, all...)
		if err != nil {
			t.Errorf("mcpc %v: %v\n%s%s", args, err, tail(out, 20), tail(errs, 20))
		}
		return out
	}
	run("connect", g.url, "@e2e")
	defer run("close", "@e2e")
	list := run("--json", "@e2e", "tools-list")
	for _, name := range tools {
		holds(t, "tools-list", list, fmt.Sprintf("%q", name))
	}
	holds(t, "echo", run("--json", "@e2e", "tools-call", "everything-http__echo", "message:=hello"), "Echo: hello")
	holds(t, "files", run("--json", "@e2e", "tools-call", "files__list_directory", "path:="+folder), "hello.txt")
	holds(t, "resources-list", run("--json", "@e2e", "resources-list"), "demo://resource/static/document/features.md")
	holds(t, "resources-read", run("--json", "@e2e", "resources-read", "demo://resource/static/document/features.md"), "Features")
	holds(t, "prompts-get", run("--json", "@e2e", "prompts-get", "everything__simple-prompt"), "simple prompt")
}

// sdk drives the gateway with the TypeScript SDK: lists, calls, resources,
// prompts, completion, and what servers ask of clients.
func sdk(t *testing.T, g *gatehouse, folder, kind, version string) {
	dynamic := "gatehouse://everything/demo://resource/dynamic/text/7"
	tr := act(t, kind, g.url, []expectation{
		{step: step{Do: "server"}, want: []string{`"tools"`, `"prompts"`, `"resources"`, `"completions"`}},
		{step: step{Do: "tools"}, want: quoted(tools)},
		{step: step{Do: "resources"}, want: []string{"demo://resource/static/document/features.md", "gatehouse://"}},
		{step: step{Do: "templates"}, want: []string{"demo://resource/dynamic/text/{resourceId}"}},
		{step: step{Do: "prompts"}, want: []string{`"everything__args-prompt"`, `"everything-http__args-prompt"`}},
		{step: step{Do: "call", Name: "everything__echo", Arguments: map[string]any{"message": "hi"}}, want: []string{"Echo: hi"}},
		{step: step{Do: "call", Name: "everything-http__get-sum", Arguments: map[string]any{"a": 2, "b": 40}}, want: []string{"42"}},
		{step: step{Do: "call", Name: "everything__get-structured-content", Arguments: map[string]any{"location": "Chicago"}}, want: []string{"structuredContent"}},
		{step: step{Do: "call", Name: "files__write_file", Arguments: map[string]any{"path": filepath.Join(folder, kind+".txt"), "content": "by " + kind}}, want: []string{"Successfully"}},
		{step: step{Do: "call", Name: "files__read_text_file", Arguments: map[string]any{"path": filepath.Join(folder, kind+".txt")}}, want: []string{"by " + kind}},
		{step: step{Do: "call", Name: "files__read_text_file", Arguments: map[string]any{"path": "/etc/passwd"}}, want: []string{`"isError":true`, "denied"}},
		{step: step{Do: "call", Name: "memory__create_entities", Arguments: map[string]any{"entities": []any{map[string]any{"name": "Ada-" + kind, "entityType": "person", "observations": []string{"wrote notes"}}}}}, want: []string{"Ada-" + kind}},
		{step: step{Do: "call", Name: "memory__search_nodes", Arguments: map[string]any{"query": "Ada-" + kind}}, want: []string{"wrote notes"}},
		{step: step{Do: "call", Name: "thinking__sequentialthinking", Arguments: map[string]any{"thought": "one", "nextThoughtNeeded": false, "thoughtNumber": 1, "totalThoughts": 1}}, want: []string{"thoughtHistoryLength"}},
		{step: step{Do: "call", Name: "sqlite__create_table", Arguments: map[string]any{"query": "CREATE TABLE t_" + kind + " (n INTEGER)"}}, want: []string{"content"}},
		{step: step{Do: "call", Name: "sqlite__list_tables"}, want: []string{"t_" + kind}},
		{step: step{Do: "read", URI: "demo://resource/static/document/features.md"}, want: []string{"Features"}},
		{step: step{Do: "read", URI: dynamic}, want: []string{"Resource 7", dynamic}},
		{step: step{Do: "prompt", Name: "everything-http__args-prompt", Arguments: map[string]any{"city": "Paris"}}, want: []string{"Paris"}},
		{step: step{Do: "complete", Ref: map[string]any{"type": "ref/prompt", "name": "everything__completable-prompt"}, Argument: map[string]any{"name": "department", "value": "E"}}, want: []string{"Engineering"}},

		// What servers ask of the client, over both kinds of upstream.
		{step: step{Do: "answer", Content: map[string]any{"name": "Ada", "check": true}}},
		{step: step{Do: "call", Name: "everything__trigger-elicitation-request"}, want: []string{"User provided", "Ada"}},
		{step: step{Do: "call", Name: "everything-http__trigger-elicitation-request"}, want: []string{"User provided", "Ada"}},
		{step: step{Do: "call", Name: "everything__trigger-sampling-request", Arguments: map[string]any{"prompt": "say", "maxTokens": 5}}, want: []string{"sampled by the client"}},
		{step: step{Do: "call", Name: "everything-http__trigger-sampling-request", Arguments: map[string]any{"prompt": "say", "maxTokens": 5}}, want: []string{"sampled by the client"}},
		{step: step{Do: "call", Name: "everything__get-roots-list"}, want: []string{"file:///srv/e2e"}},

		// Progress and cancellation.
		{step: step{Do: "call", Name: "everything__trigger-long-running-operation", Arguments: map[string]any{"duration": 0.4, "steps": 4}, Progress: true}, want: []string{"completed", `"progress":4`}},
		{step: step{Do: "call", Name: "everything-http__trigger-long-running-operation", Arguments: map[string]any{"duration": 0.4, "steps": 4}, Progress: true}, want: []string{"completed", `"progress":4`}},
		{step: step{Do: "call", Name: "everything__trigger-long-running-operation", Arguments: map[string]any{"duration": 60, "steps": 600}, Cancel: true}, fail: "enough"},
		{step: step{Do: "call", Name: "everything__echo", Arguments: map[string]any{"message": "still there"}}, want: []string{"Echo: still there"}},

		// Subscriptions.
		{step: step{Do: "subscribe", URI: dynamic}},
		{step: step{Do: "call", Name: "everything__toggle-subscriber-updates"}, want: []string{"Started"}},
		{step: step{Do: "await", Method: "notifications/resources/updated", URI: dynamic}, want: []string{dynamic}},
		{step: step{Do: "call", Name: "everything__no-such-tool"}, want: []string{`"isError":true`}},
	})
	if tr.Version != version {
		t.Errorf("client %s negotiated %s, want %s", kind, tr.Version, version)
	}
	if got := tr.methods(); !slices.Contains(got, "elicitation/create") || !slices.Contains(got, "sampling/createMessage") || !slices.Contains(got, "roots/list") {
		t.Errorf("client %s was asked %v, want elicitation, sampling and roots", kind, got)
	}
}

func quoted(names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = fmt.Sprintf("%q", n)
	}
	return all
}

// TestStdioFront has the Inspector start the gateway itself, as an editor
// would, and talk to it over its pipes.
func TestStdioFront(t *testing.T) {
	t.Parallel()
	folder, home := t.TempDir(), t.TempDir()
	// The Inspector takes --config for its own, so the file is where the
	// program looks for it.
	file := filepath.Join(home, ".config", "gatehouse", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(published(t, folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := runProgram(t, time.Minute, environ(home), home, bed.node,
		npm(t, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"), "--cli",
		program(t, "examples/gatehouse"), "serve", "--stdio",
		"--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=piped")
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	holds(t, "echo", out, "Echo: piped")
}
