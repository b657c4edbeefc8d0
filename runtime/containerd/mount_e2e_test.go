//go:build e2e && linux

package containerd

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// tool calls a tool, and returns its text.
func tool(t *testing.T, i runtime.Instance, name string, arguments map[string]any) string {
	t.Helper()
	result, err := call(t, i, "tools/call", map[string]any{"name": name, "arguments": arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var b strings.Builder
	for _, c := range result["content"].([]any) {
		text, _ := c.(map[string]any)["text"].(string)
		b.WriteString(text)
	}
	return b.String()
}

// TestPublishedServers runs servers from npm.
func TestPublishedServers(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	image := "oci:" + testimage.Layout(t, built.Node(t, bed.Program("node"), bed.Modules()), "v1")
	for _, class := range []string{"", "gvisor"} {
		t.Run("class "+class, func(t *testing.T) {
			i := start(t, r, runtime.Spec{Name: "everything", Image: image, Class: class, Args: []string{testimage.Everything, "stdio"}})
			if info := initialize(t, i)["serverInfo"]; info == nil {
				t.Error("no serverInfo")
			}
			result, err := call(t, i, "tools/list", nil)
			if err != nil || len(result["tools"].([]any)) < 5 {
				t.Errorf("tools/list: %v, %v", result, err)
			}
			if got := tool(t, i, "echo", map[string]any{"message": "hello"}); got != "Echo: hello" {
				t.Errorf("echo said %q", got)
			}

			docs := filepath.Join(t.TempDir(), "docs")
			if err := os.Mkdir(docs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(docs, "a.txt"), []byte("the content"), 0o644); err != nil {
				t.Fatal(err)
			}
			i = start(t, r, runtime.Spec{
				Name: "files", Image: image, Class: class, Args: []string{testimage.Filesystem, "/docs"},
				Mounts: []runtime.Mount{{Source: docs, Target: "/docs"}},
			})
			initialize(t, i)
			if got := tool(t, i, "read_text_file", map[string]any{"path": "/docs/a.txt"}); got != "the content" {
				t.Errorf("the file is %q", got)
			}
			if got := tool(t, i, "write_file", map[string]any{"path": "/docs/b.txt", "content": "x"}); !strings.Contains(got, "EROFS") && !strings.Contains(got, "read-only") && !strings.Contains(got, "EACCES") {
				t.Errorf("writing said %q", got)
			}
			if _, err := os.Stat(filepath.Join(docs, "b.txt")); err == nil {
				t.Error("a file was written to a mount that is not writable")
			}
		})
	}
}

// message asks the probe to do something with a text.
func message(t *testing.T, method, arg string) *transport.Message {
	t.Helper()
	raw, err := json.Marshal(map[string]string{"arg": arg})
	if err != nil {
		t.Fatal(err)
	}
	return &transport.Message{ID: json.RawMessage("1"), Method: method, Params: raw}
}

// ask has the probe do something with a text.
func ask(t *testing.T, i runtime.Instance, method, arg string) (string, error) {
	t.Helper()
	reply, err := i.Conn().Call(bounded(t), message(t, method, arg), nil)
	if err != nil {
		return "", err
	}
	if reply.Error != nil {
		return "", transport.ParseRPCError(reply.Error)
	}
	var text string
	_ = json.Unmarshal(reply.Result, &text)
	return text, nil
}

// TestVolumes: what a server writes to a volume is there for its next
// instance, and for no other owner and no other server.
func TestVolumes(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := func(server, owner string) runtime.Spec {
		s := probe(t)
		s.Name, s.Owner, s.Args = server, owner, []string{runtimetest.ProbeArg}
		s.Mounts = []runtime.Mount{{Volume: "state", Target: "/data"}}
		return s
	}
	first := start(t, r, spec("notes", "alice"))
	if _, err := ask(t, first, "probe/write", "/data/new"); err != nil {
		t.Errorf("writing to a volume: %v", err)
	}
	folder := volume.Path(r.owner.State, "notes", "alice", "state")
	if err := os.WriteFile(filepath.Join(folder, "kept"), []byte("alice's"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, first, "probe/read", "/data/kept"); err != nil || got != "alice's" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := first.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, start(t, r, spec("notes", "alice")), "probe/read", "/data/kept"); err != nil || got != "alice's" {
		t.Errorf("the next instance: got %q, %v", got, err)
	}
	for _, other := range []runtime.Spec{spec("notes", "bob"), spec("notes", ""), spec("other", "alice"), spec("=notes", "alice")} {
		if got, err := ask(t, start(t, r, other), "probe/read", "/data/kept"); err == nil {
			t.Errorf("%s of %q sees %q", other.Name, other.Owner, got)
		}
	}
	other := spec("notes", "alice")
	other.User = "4321:4321"
	if _, err := ask(t, start(t, r, other), "probe/write", "/data/new"); err != nil {
		t.Errorf("as another user: %v", err)
	}
}

func TestMountsThatAreRefused(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	dir := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"/etc": "sensitive", d.Address: "socket", filepath.Join(dir, "link"): "symbolic link", dir + "/none": "does not exist",
		r.owner.State: "state folder", filepath.Dir(r.owner.State): "state folder", r.owner.State + "/owners": "state folder",
	} {
		spec := probe(t)
		spec.Mounts = []runtime.Mount{{Source: source, Target: "/mnt/x"}}
		if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mount of "+source) {
			t.Errorf("%s: got %v, want one with %q", source, err, want)
		}
	}
}

// TestMountThatWasSwapped: what runc mounts by its name is compared with what
// was checked, before the server runs.
func TestMountThatWasSwapped(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	dir := t.TempDir()
	source, secret := filepath.Join(dir, "source"), filepath.Join(dir, "secret")
	for _, f := range []string{source, secret} {
		if err := os.Mkdir(f, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	spec := probe(t)
	spec.Mounts = []runtime.Mount{{Source: source, Target: "/mnt/x"}}
	i := start(t, r, spec)
	m := &mounts{}
	defer m.close()
	for _, test := range []struct {
		path string
		ok   bool
	}{{source, true}, {secret, false}} {
		f, err := hostmount.Open(runtime.Mount{Source: test.path, Target: "/mnt/x"})
		if err != nil {
			t.Fatal(err)
		}
		m.sources = append(m.sources, hostSource{spec.Mounts[0], f})
		err = m.verify(i.roots())
		if test.ok && err != nil || !test.ok && !errors.Is(err, runtime.ErrCannotEnforce) {
			t.Errorf("%s: %v", test.path, err)
		}
	}
}
