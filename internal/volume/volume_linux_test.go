package volume_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/volume"
)

func TestPath(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range []struct{ name, owner string }{
		{"a", "x"}, {"a", "y"}, {"a", ""}, {"b", "x"}, {"../a", "x"}, {".", ""},
		{"..", ""}, {"", ""}, {"a/shared", ""}, {"a", "shared"}, {strings.Repeat("n", 100), ""}, {"=a", ""},
	} {
		p := volume.Path("/state", s.name, s.owner, "v")
		if rel, err := filepath.Rel("/state/volumes", p); err != nil || filepath.Clean(p) != p || strings.Count(rel, "/") != 2 || strings.Contains(rel, "..") {
			t.Errorf("%q of %q: %s", s.name, s.owner, p)
		}
		if other, ok := seen[p]; ok {
			t.Errorf("%q of %q has the folder of %s", s.name, s.owner, other)
		}
		seen[p] = s.name + " of " + s.owner
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	me := volume.Give{UID: os.Geteuid(), GID: os.Getegid()}
	p := volume.Path(state, "a", "", "v")
	open := func() error {
		f, err := volume.Open(state, p, me)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	for range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	// Its server may open it as it likes.
	if err := os.Chmod(p, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Error(err)
	}
	for dir := filepath.Dir(p); dir != state; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), dir+" can be written to by others") {
			t.Errorf("others can write to %s: %v", dir, err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), p); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil {
		t.Error("a link was taken for a volume")
	}
	if _, err := volume.Open(state, filepath.Join(t.TempDir(), "v"), me); err == nil || !strings.Contains(err.Error(), "does not lie below the state folder") {
		t.Errorf("another folder: %v", err)
	}
}
