//go:build unix

package safefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
	if err := os.WriteFile(path, make([]byte, safefile.MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Read(path, safefile.Anybody); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a large file: %v", err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "f"), filepath.Join(dir, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := safefile.Write(link, []byte("new"), func() error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("it was written against the answer: %q", b)
	}
	if err := safefile.Write(link, []byte("new"), nil); err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(path)
	if b, _ := os.ReadFile(path); err != nil || string(b) != "new" || st.Mode() != 0o600 {
		t.Errorf("%q, %v, %v", b, st.Mode(), err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}
