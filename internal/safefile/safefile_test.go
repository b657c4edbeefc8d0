//go:build unix

package safefile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
)

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode fs.FileMode
		rule safefile.Rule
		want string
	}{
		{0o600, safefile.UserOrGroup, ""},
		{0o640, safefile.UserOrGroup, ""},
		{0o644, safefile.UserOrGroup, "everybody may read " + path + " (mode 0644): chmod o-r " + path},
		{0o660, safefile.UserOrGroup, "others than its user may write to " + path + " (mode 0660)"},
		{0o644, safefile.UserWrites, ""},
		{0o664, safefile.UserWrites, "may write to"},
		{0o664, safefile.Anybody, ""},
		{0o646, safefile.Anybody, "may write to"},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		b, err := safefile.Read(path, c.rule)
		if c.want == "" && (err != nil || string(b) != "x") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%04o by rule %d: %v", c.mode, c.rule, err)
		}
	}

	pipe := path + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(pipe, safefile.Anybody); err == nil || !strings.Contains(err.Error(), "is no plain file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := safefile.Read(t.TempDir(), safefile.Anybody); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := safefile.Read(path+".none", safefile.Anybody); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, make([]byte, safefile.MaxSize+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(path, safefile.Anybody); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a large file: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "f"), filepath.Join(dir, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	appends := func(more string) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return append(b, more...), nil }
	}
	holds := func(text string, mode fs.FileMode) {
		t.Helper()
		st, err := os.Lstat(path)
		if b, _ := os.ReadFile(path); err != nil || string(b) != text || st.Mode() != mode {
			t.Errorf("it is %q, %v, %v", b, st.Mode(), err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("left behind: %v", left)
		}
	}
	if err := safefile.Update(t.Context(), link, safefile.Anybody, appends("one")); err != nil {
		t.Fatal(err)
	}
	holds("one", 0o600) // made where the link points to
	for _, mode := range []struct{ given, kept fs.FileMode }{{0o644, 0o640}, {0o660, 0o640}, {0o400, 0o600}} {
		if err := errors.Join(os.Chmod(path, mode.given), safefile.Update(t.Context(), path, safefile.Anybody, appends(""))); err != nil {
			t.Fatal(err)
		}
		holds("one", mode.kept)
	}
	if err := safefile.Update(t.Context(), link, safefile.Anybody, appends(" two")); err != nil {
		t.Fatal(err)
	}
	holds("one two", 0o600)
	if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}

	stop := errors.New("stop")
	if err := safefile.Update(t.Context(), path, safefile.Anybody, func([]byte) ([]byte, error) { return nil, stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	// An editor, which knows no lock, is not overwritten.
	err := safefile.Update(t.Context(), path, safefile.Anybody, func([]byte) ([]byte, error) {
		return nil, os.WriteFile(path, []byte("edited"), 0o600)
	})
	if err == nil || !strings.Contains(err.Error(), "was changed by somebody else") {
		t.Error(err)
	}
	holds("edited", 0o600)

	held, err := filelock.Take(filepath.Join(dir, ".f.lock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := safefile.Update(ctx, path, safefile.Anybody, appends("")); !errors.Is(err, context.Canceled) {
		t.Errorf("a held lock: %v", err)
	}
}

// Nobody's change is lost when many make one at once.
func TestUpdateMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := safefile.Update(t.Context(), path, safefile.Anybody, func(b []byte) ([]byte, error) { return append(b, 'x'), nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if b, err := os.ReadFile(path); err != nil || len(b) != 20 {
		t.Errorf("%d changes are in it, %v", len(b), err)
	}
}
