package sandbox

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

var update = flag.Bool("update", false, "write the golden files")

// fakeHost is a small machine below a folder.
func fakeHost(t *testing.T) host {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{
		"usr/bin", "usr/lib", "usr/share/zoneinfo", "etc/ssl/certs", "etc/ssl/private", "etc/alternatives", "etc/ld.so.conf.d",
		"lib64", "opt/app/bin", "opt/app/.venv/bin", "home/me/bin", "home/me/.ssh", "srv/data/docs", "tmp", "usr/local/bin", "srv/bin", "nix/store/x-tool/bin",
	} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for f, mode := range map[string]os.FileMode{
		"usr/bin/node": 0o755, "usr/share/zoneinfo/UTC": 0o644, "etc/ld.so.cache": 0o644, "etc/shadow": 0o600, "etc/passwd": 0o644,
		"opt/app/bin/server": 0o755, "opt/app/bin/data": 0o644, "home/me/bin/tool": 0o755, "home/me/tool": 0o755, "srv/tool": 0o755, "opt/tool": 0o755,
		"nix/store/tool": 0o755, "nix/store/x-tool/bin/tool": 0o755,
		"srv/data/docs/run": 0o755, "srv/data/docs/text": 0o644,
	} {
		if err := os.WriteFile(filepath.Join(root, f), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"bin": "usr/bin", "lib": "usr/lib", "etc/localtime": "../usr/share/zoneinfo/UTC", "usr/local/bin/server": "../../../opt/app/bin/server",
		"opt/app/.venv/bin/python": "../../../../usr/bin/node", "usr/bin/loop": "loop",
		"srv/current": "data", "srv/bin/linked": "../current/docs/run", "srv/bin/nodelink": "/usr/bin/node",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root}
}

// TestPlan holds the plan of a server against a golden file.
func TestPlan(t *testing.T) {
	t.Parallel()
	h := fakeHost(t)
	steps, err := h.plan([]shown{
		{target: "/docs", source: "/srv/data/docs"},
		{target: "/opt/app/bin", source: "/opt/app/bin"},
		{target: "/data", source: "/srv/data", writable: true},
		{target: "/data/docs", source: "/srv/data/docs"},
		{target: "/home/x/tool", source: "/srv/tool", file: true},
	}, 65532, 65532, runtime.DefaultTmp)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
		if s.Present {
			b.WriteString("          which is there\n")
		}
	}
	const golden = "testdata/plan.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the plan is another one (-update writes it):\n%s", b.String())
	}
}

func TestNestedMountsMustBeThere(t *testing.T) {
	t.Parallel()
	h := fakeHost(t)
	for _, test := range []struct {
		all  []shown
		want string
	}{
		{[]shown{{target: "/data", source: "/srv/data"}, {target: "/data/none", source: "/srv"}}, "/srv/data/none is no folder"},
		{[]shown{{target: "/data", source: "/srv/data"}, {target: "/data/docs", source: "/srv/tool", file: true}}, "/srv/data/docs is no file"},
		{[]shown{{target: "/usr/new", source: "/srv"}}, "/usr/new is no folder"},
		{[]shown{{target: "/usr/local/bin", source: "/srv"}}, ""},
		{[]shown{{target: "/new/folder", source: "/srv"}}, ""},
	} {
		_, err := h.binds(test.all)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: %v, want %q", test.all, err, test.want)
		}
	}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	h := fakeHost(t)
	mounts := []shown{{target: "/mnt/docs", source: "/srv/data/docs"}, {target: "/mnt/one", source: "/srv/tool", file: true}, {target: "/opt/app/.venv", source: "/srv/data"}}
	const path = "/usr/local/bin:/usr/bin:relative"
	for _, test := range []struct {
		name, dir string
		exec      string
		shown     string // targets
		err       string
	}{
		{"node", "", "/usr/bin/node", "", ""},
		{"/bin/node", "", "/usr/bin/node", "", ""},
		{"/usr/bin/node", "", "/usr/bin/node", "", ""},
		{"server", "", "/usr/local/bin/server", "/opt/app/bin", ""}, // where its link leads is shown too
		{"/opt/app/bin/server", "", "/opt/app/bin/server", "/opt/app/bin", ""},
		{"./server", "/opt/app/bin", "/opt/app/bin/server", "/opt/app/bin", ""},
		{"./server", "", "", "", "relative"},
		{"/home/me/bin/tool", "", "/home/me/bin/tool", "/home/me/bin", ""},
		{"/srv/data/docs/run", "", "/srv/data/docs/run", "/srv/data/docs", ""},
		{"/opt/tool", "", "/opt/tool", "/opt/tool", ""},
		{"/nix/store/tool", "", "/nix/store/tool", "/nix/store/tool", ""},
		{"/nix/store/x-tool/bin/tool", "", "/nix/store/x-tool/bin/tool", "/nix/store/x-tool/bin", ""},
		{"/srv/bin/linked", "", "/srv/bin/linked", "/srv/bin /srv/data/docs", ""},
		{"/srv/bin/nodelink", "", "/srv/bin/nodelink", "/srv/bin", ""},
		{"/home/me/tool", "", "/home/me/tool", "/home/me/tool", ""}, // not the whole home
		{"/srv/tool", "", "/srv/tool", "/srv/tool", ""},
		{"/mnt/docs/run", "", "/mnt/docs/run", "", ""},
		{"/mnt/one", "", "/mnt/one", "", ""},
		{"/mnt/docs/text", "", "", "", "not executable"},
		{"/mnt/docs/none", "", "", "", "no such file"},
		{"/opt/app/bin/data", "", "", "", "not executable"},
		{"/opt/app/bin", "", "", "", "is a directory"},
		{"/no/such", "", "", "", "/no/such"},
		{"none", "", "", "", "no such command in the PATH"},
		{"/usr/bin/loop", "", "", "", "too many levels"},
	} {
		exec, more, err := h.program(test.name, test.dir, path, mounts)
		var targets []string
		for _, s := range more {
			if s.link != "" {
				s.target += " -> " + s.link
			}
			targets = append(targets, s.target)
		}
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.name, err, test.err)
			}
		case err != nil || exec != test.exec || strings.Join(targets, " ") != test.shown:
			t.Errorf("%s: %q, shown %q, %v; want %q, shown %q", test.name, exec, targets, err, test.exec, test.shown)
		}
	}
	h.private = "/opt/app/bin/state"
	if _, more, err := h.program("/opt/app/bin/server", "", path, nil); err != nil || len(more) != 1 || more[0].target != "/opt/app/bin/server" {
		t.Errorf("beside the state folder: %v, %v", more, err)
	}
	h.private = "/opt/app"
	if _, _, err := h.program("/opt/app/bin/server", "", path, nil); err == nil || !strings.Contains(err.Error(), "state folder") {
		t.Errorf("in the state folder: %v", err)
	}
	h.private = ""
	// What a link passes through is shown as well, as far as no mount is there.
	exec, more, err := h.program("/opt/app/.venv/bin/python", "", path, nil)
	if err != nil || exec != "/opt/app/.venv/bin/python" || len(more) != 1 || more[0].target != "/opt/app/.venv/bin" {
		t.Errorf("a virtual environment: %q, %v, %v", exec, more, err)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{
		"": {65532, 65532}, "1000": {1000, 1000}, "1000:50": {1000, 50}, "0": {0, 0}, "0:0": {0, 0}, "65534:0": {65534, 0},
	} {
		uid, gid, err := user(runtime.Spec{User: text})
		if err != nil || uid != want[0] || gid != want[1] {
			t.Errorf("%q: %d:%d, %v", text, uid, gid, err)
		}
	}
	for _, text := range []string{"root", "1000:", ":1", "-1", "1:2:3", "4294967295", "99999999999999999999", "1000 ", "0x0"} {
		if uid, gid, err := user(runtime.Spec{User: text}); err == nil {
			t.Errorf("%q: %d:%d", text, uid, gid)
		}
	}
}
