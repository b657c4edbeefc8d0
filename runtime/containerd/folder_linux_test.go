package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScript(t *testing.T) {
	t.Parallel()
	r := checker(t, nil)
	if err := r.makeFolder(); err != nil {
		t.Fatal(err)
	}
	class := Class{Binary: "/opt/it's", Args: []string{"--a", "b c"}}
	path, err := r.script(class)
	if err != nil {
		t.Fatal(err)
	}
	want := "#!/bin/sh\nexec '/opt/it'\\''s' '--a' 'b c' \"$@\"\n"
	stat := func() os.FileInfo {
		t.Helper()
		st, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	first := stat()
	if p, err := r.script(class); err != nil || p != path || !os.SameFile(first, stat()) {
		t.Errorf("it is written again: %s, %v", p, err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte(want), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"gone":            func() error { return os.Remove(path) },
		"another program": func() error { return os.WriteFile(path, []byte(strings.Replace(want, "opt", "tmp", 1)), 0o700) },
		"more of it":      func() error { return os.WriteFile(path, []byte(want+"x"), 0o700) },
		"open to others":  func() error { return os.Chmod(path, 0o777) },
		"a link":          func() error { return os.Symlink(other, path) },
		"of another user": func() error { return os.Chown(path, 1000, 1000) },
	} {
		if name == "of another user" && os.Geteuid() != 0 {
			continue
		}
		if name == "a link" {
			_ = os.Remove(path)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		p, err := r.script(class)
		if err != nil || p != path {
			t.Fatalf("%s: %s, %v", name, p, err)
		}
		b, err := os.ReadFile(path)
		if st := stat(); err != nil || string(b) != want || st.Mode() != 0o700 || !isProgram(path, []byte(want)) {
			t.Errorf("%s: it is %q of mode %v, %v", name, b, st.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(r.folder, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFolderOfOthers(t *testing.T) {
	t.Parallel()
	r := checker(t, nil)
	all := filepath.Dir(r.folder)
	if err := os.Mkdir(all, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(all, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := r.makeFolder(); err == nil || !strings.Contains(err.Error(), "can be written to by others") || !strings.Contains(err.Error(), all) {
		t.Errorf("a folder that others can write to: %v", err)
	}
	if err := os.Chmod(all, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.makeFolder(); err != nil {
		t.Error(err)
	}
	l := folderLabels(r.owner.State, r.owner.ID)
	for k, want := range labels(r.owner) {
		if l[k] != want {
			t.Errorf("by its folder, the owner has %s %q; want %q", k, l[k], want)
		}
	}
	if l := folderLabels(r.owner.State, "none"); l[labelProcess] != "" || l[labelOwner] != "none" {
		t.Errorf("a folder that is not there: %v", l)
	}
}
