package lookpath_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/lookpath"
)

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := "tool"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	tool := filepath.Join(dir, "bin", name)
	for path, mode := range map[string]os.FileMode{tool: 0o755, filepath.Join(dir, "plain", name): 0o644, filepath.Join(dir, "folder", name, "x"): 0o644} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, mode)); err != nil {
			t.Fatal(err)
		}
	}
	in := func(folders ...string) string {
		for i, f := range folders {
			folders[i] = filepath.Join(dir, f)
		}
		return strings.Join(folders, string(filepath.ListSeparator))
	}
	for _, c := range []struct{ name, dir, path string }{
		{"tool", "", in("none", "folder", "bin")},
		{"." + string(filepath.Separator) + "tool", filepath.Join(dir, "bin"), ""},
		{filepath.Join("bin", "tool"), dir, ""},
		{filepath.Join(dir, "bin", "tool"), "elsewhere", ""},
	} {
		if got, err := lookpath.Find(c.name, c.dir, c.path); got != tool || err != nil {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
	for _, path := range []string{"", "bin", in("none")} {
		if _, err := lookpath.Find("tool", filepath.Join(dir, "bin"), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if runtime.GOOS != "windows" {
		if _, err := lookpath.Find("tool", "", in("plain", "none")); !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
	}
}
