//go:build e2e && linux

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// script runs a shell script in a sandbox until its end.
func script(t *testing.T, r runtime.Runtime, text string, change func(*runtime.Spec)) runtime.Exit {
	t.Helper()
	spec := runtime.Spec{Name: "script", Command: []string{"/bin/sh", "-c", text}}
	if change != nil {
		change(&spec)
	}
	i, err := r.Start(bounded(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Stop(bounded(t))
	select {
	case e := <-i.Wait():
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("the script does not end")
	}
	return runtime.Exit{}
}

// TestNoPrivilegedFiles: in what it may write of the host, not even the user
// 0 leaves a file that others would run as its owner.
func TestNoPrivilegedFiles(t *testing.T) {
	r := testRuntime(t)
	dir := t.TempDir()
	const text = `cd /work; cp /bin/true x
chmod 4755 x && echo setuid; chmod 2755 x && echo setgid; chmod u+s x && echo symbolic
chmod 755 x || echo no plain mode; mkdir -m 2755 d && echo folder; mkdir plain || echo no plain folder
grep " /work " /proc/self/mountinfo
true`
	e := script(t, r, "("+text+") >&2", func(s *runtime.Spec) {
		s.User = "0"
		s.Mounts = []runtime.Mount{{Source: dir, Target: "/work", Writable: true}}
	})
	all := strings.Join(e.Stderr, "\n")
	for _, line := range e.Stderr {
		switch line {
		case "setuid", "setgid", "symbolic", "folder", "no plain mode", "no plain folder":
			t.Errorf("it says %q: %s", line, all)
		}
	}
	if !strings.Contains(all, "nosuid,nodev") {
		t.Errorf("the mount obeys setuid or devices: %s", all)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) < 2 {
		t.Errorf("it left %v, %v", left, err)
	}
	for _, l := range left {
		var s unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, l.Name()), &s); err != nil || s.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			t.Errorf("%s has the mode %o, %v", l.Name(), s.Mode, err)
		}
	}
}

// file writes a file of a test.
func file(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestProgramIsShownAlone: the command of a Spec is no way around a ceiling
// that allows no mounts.
func TestProgramIsShownAlone(t *testing.T) {
	r := testRuntime(t)
	bounding := runtime.Within(r, runtime.Ceiling{Mounts: []string{}})
	dir := filepath.Join(t.TempDir(), "project")
	file(t, filepath.Join(dir, "secret"), "nobody's business", 0o644)
	file(t, filepath.Join(dir, ".git", "config"), "nobody's business", 0o644)
	program := file(t, filepath.Join(dir, "build.sh"), "#!/bin/sh\n(echo I am $0; cat $(dirname $0)/secret; ls -a $(dirname $0)) >&2\n", 0o755)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{program, link} {
		e := script(t, bounding, "", func(s *runtime.Spec) { s.Command = []string{name} })
		all := strings.Join(e.Stderr, "\n")
		if !strings.Contains(all, "I am "+name) || strings.Contains(all, "business") || strings.Contains(all, ".git") {
			t.Errorf("%s: %s", name, all)
		}
	}
	// Without a ceiling it is the operator who names the program, and its
	// folder is shown, read-only.
	e0 := script(t, r, "", func(s *runtime.Spec) { s.Command = []string{program} })
	if all := strings.Join(e0.Stderr, "\n"); !strings.Contains(all, "nobody's business") {
		t.Errorf("without a ceiling: %s", all)
	}
	// What it needs beside itself is for a mount to show.
	e := script(t, r, "", func(s *runtime.Spec) {
		s.Command = []string{program}
		s.Mounts = []runtime.Mount{{Source: dir, Target: dir}}
	})
	if all := strings.Join(e.Stderr, "\n"); !strings.Contains(all, "nobody's business") {
		t.Errorf("with a mount of its folder: %s", all)
	}
}

// TestRefusals: an error of the start tells what stands in the way.
func TestRefusals(t *testing.T) {
	r := testRuntime(t)
	dir := t.TempDir()
	private := filepath.Join(dir, "private")
	file(t, filepath.Join(private, "tool"), "#!/bin/sh\n", 0o755)
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	mounted := []runtime.Mount{{Source: private, Target: "/x/private"}}
	for name, test := range map[string]struct {
		spec runtime.Spec
		want string
	}{
		"folder": {
			runtime.Spec{Command: []string{"/x/private/tool"}, Mounts: mounted},
			"user 65532 cannot enter /x/private (mode 0700, of user 0, group 0); open it to others (chmod o+x)",
		},
		"dir": {
			runtime.Spec{Command: []string{"true"}, Dir: "/x/private", Mounts: mounted},
			"user 65532 cannot enter /x/private",
		},
		"mode": {
			runtime.Spec{Command: []string{file(t, filepath.Join(dir, "mine"), "#!/bin/sh\n", 0o700)}, User: "1234"},
			"user 1234 may not execute " + filepath.Join(dir, "mine") + " (mode 0700, of user 0, group 0)",
		},
		"interpreter": {
			runtime.Spec{Command: []string{file(t, filepath.Join(dir, "venv"), "#! /srv/venv/bin/python -u\n", 0o755)}},
			"its interpreter /srv/venv/bin/python is not shown inside; mount the folder",
		},
		"no dir": {runtime.Spec{Command: []string{"true"}, Dir: "/none"}, "the working directory /none cannot be entered inside"},
	} {
		i, err := r.Start(bounded(t), test.spec)
		if err == nil {
			_ = i.Stop(bounded(t))
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
