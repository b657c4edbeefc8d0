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
