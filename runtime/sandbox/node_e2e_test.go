//go:build e2e && linux

package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// testbed is the folder in which `make testbed` has installed what the
// end-to-end tests need.
func testbed(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("GATEHOUSE_CACHE")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(dir, "..", "..", ".cache", "testbed")
	}
	p, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		t.Fatalf("%v; run make testbed", err)
	}
	return p
}

// TestPublishedServers runs servers of the npm registry in the sandbox.
func TestPublishedServers(t *testing.T) {
	r := testRuntime(t)
	modules := testbed(t, "npm")
	node := testbed(t, "bin/node")
	docs := t.TempDir()
	if err := os.Chmod(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, "hello.txt"), []byte("hello from the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		tool string
		call map[string]any
		want string
	}{
		{"server-everything", nil, "echo", map[string]any{"message": "in a box"}, "in a box"},
		{"server-filesystem", []string{"/docs"}, "read_text_file", map[string]any{"path": "/docs/hello.txt"}, "hello from the host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := started(t, r, runtime.Spec{
				Name: test.name,
				Command: append([]string{node, "/srv/npm/node_modules/@modelcontextprotocol/" + test.name + "/dist/index.js"},
					test.args...),
				Mounts: []runtime.Mount{{Source: modules, Target: "/srv/npm"}, {Source: docs, Target: "/docs"}},
			})
			i.Conn().Listen(transport.ReceiverFunc(refuseAll))
			if _, err := call(t, i, "initialize", map[string]any{
				"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "test", "version": "1"},
			}); err != nil {
				t.Fatalf("initialize: %v; %q", err, i.stderr.Last())
			}
			if err := i.Conn().Notify(t.Context(), &transport.Message{Method: "notifications/initialized"}); err != nil {
				t.Fatal(err)
			}
			var list struct{ Tools []struct{ Name string } }
			raw, err := call(t, i, "tools/list", map[string]any{})
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &list); err != nil || len(list.Tools) < 5 {
				t.Errorf("tools/list: %s, %v", raw, err)
			}
			raw, err = call(t, i, "tools/call", map[string]any{"name": test.tool, "arguments": test.call})
			if err != nil || !strings.Contains(string(raw), test.want) {
				t.Errorf("%s: %s, %v", test.tool, raw, err)
			}
			if test.name == "server-filesystem" {
				raw, err = call(t, i, "tools/call", map[string]any{"name": "write_file", "arguments": map[string]any{"path": "/docs/new.txt", "content": "x"}})
				if err == nil && !strings.Contains(string(raw), `"isError":true`) {
					t.Errorf("it wrote to a mount that is not writable: %s", raw)
				}
			}
			u, err := i.Usage(t.Context())
			if err != nil {
				t.Error(err)
			}
			t.Logf("uses %d MiB, %d processes and threads", u.Memory>>20, u.PIDs)
		})
	}
}
