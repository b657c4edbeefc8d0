package hostmount

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(in("plain/below"), 0o755))
	must(os.WriteFile(in("plain/file"), []byte("content"), 0o644))
	must(os.MkdirAll(in("user/.ssh"), 0o755))
	must(os.MkdirAll(in("cloud/.config/gcloud"), 0o755))
	must(os.MkdirAll(in("homes/alice/docs"), 0o755))
	must(os.MkdirAll(in("homes/bob/.local/share/keyrings"), 0o700))
	must(os.MkdirAll(in("deep/homes/bob/.ssh"), 0o755))
	must(os.MkdirAll(in("linked"), 0o755))
	must(os.Symlink(in("homes/bob"), in("linked/bob")))
	must(os.MkdirAll(in("git"), 0o755))
	must(os.WriteFile(in("git/.git-credentials"), nil, 0o600))
	must(os.MkdirAll(in("many"), 0o755))
	for n := range 2 * entries {
		must(os.Mkdir(in(fmt.Sprintf("many/%d", n)), 0o755))
	}
	must(os.WriteFile(in("netrc"), nil, 0o600))
	must(os.Mkdir(in("tokens"), 0o755))
	must(os.WriteFile(in("tokens/.netrc"), nil, 0o600))
	must(os.Symlink(in("plain"), in("link")))
	must(os.Symlink(in("nowhere"), in("broken")))
	must(unix.Mkfifo(in("fifo"), 0o600))
	l, err := net.Listen("unix", in("sock"))
	must(err)
	defer l.Close()

	for _, test := range []struct {
		source      string
		want        string // in the error; empty: none
		unlessForce bool
	}{
		{in("plain"), "", false},
		{in("plain/file"), "", false},
		{in("plain/../plain"), "", false},
		{in("none"), "does not exist", false},
		{in("link"), "write " + in("plain"), false},
		{in("link/below"), "write " + in("plain/below"), false},
		{in("broken"), "symbolic link", false},
		{"/proc/self/root/etc", "symbolic link", false},
		{"/etc/passwd", "/etc is a sensitive place; force: true", true},
		{"/", "sensitive", true},
		{"/proc/1", "/proc is a sensitive place", true},
		{in("user"), "it holds .ssh", true},
		{in("user/.ssh"), ".ssh is a sensitive place", true},
		{in("cloud"), "it holds .config/gcloud", true},
		{in("tokens"), "it holds .netrc", true},
		{in("git"), "it holds .git-credentials", true},
		{in("homes"), "it holds bob/.local/share/keyrings", true},
		{in("homes/alice"), "", false},
		{in("deep"), "", false}, // one level is looked at
		{in("linked"), "", false},
		{in("many"), "", false},
		{"/tmp", "/tmp is a sensitive place as a whole", true},
		{in("sock"), "socket", true},
		{in("fifo"), "neither", true},
		{"/dev/null", "/dev is a sensitive place", true},
	} {
		for _, force := range []bool{false, true} {
			f, err := Open(runtime.Mount{Source: test.source, Target: "/mnt/x", Force: force})
			if err == nil {
				_ = f.Close()
			}
			switch want := test.want; {
			case want == "" || force && test.unlessForce:
				if err != nil {
					t.Errorf("%s, force %t: %v", test.source, force, err)
				}
			case err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mount of "+test.source+" at /mnt/x"):
				t.Errorf("%s, force %t: got %v, want one with %q", test.source, force, err, want)
			}
		}
	}
}

// TestOpenedIsWhatWasChecked: what is put in the place of the source later is
// not what was opened, and nobody can read by the descriptor alone.
func TestOpenedIsWhatWasChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "a")
	if err := os.WriteFile(source, []byte("first"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(runtime.Mount{Source: source, Target: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(source, source+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", source); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("the descriptor can be read")
	}
	s, err := f.Stat()
	if err != nil || s.Size() != 5 {
		t.Errorf("the descriptor leads to something else: %v, %v", s, err)
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Error("the descriptor is not closed on exec")
	}
	if _, err := Open(runtime.Mount{Source: source, Target: "/x"}); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := Open(runtime.Mount{Volume: "v", Target: "/x"}); err == nil {
		t.Error("a volume was opened as a place of the host")
	}
}
