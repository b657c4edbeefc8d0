//go:build unix

package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/file"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// want checks what a reference resolves to, or the text of its error.
func want(t *testing.T, p secrets.Provider, ref secrets.Ref, value, fault string, missing bool) {
	t.Helper()
	s, err := p.Resolve(t.Context(), ref)
	switch {
	case fault == "" && (err != nil || s.Reveal() != value):
		t.Errorf("%s is %q, %v", ref, s.Reveal(), err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || errors.Is(err, secrets.ErrNotFound) != missing || strings.Contains(err.Error(), "hidden")):
		t.Errorf("%s: %v", ref, err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name, format, text string
		ref                secrets.Ref
		missing            string
	}{
		{".env", "", "TOKEN='a b'\nOTHER=hidden\n", "TOKEN", "put a line NONE=VALUE into it"},
		{"tokens", "dotenv", "TOKEN='a b'\n", "TOKEN", "put a line NONE=VALUE into it"},
		{"a.json", "", `{"github":{"token":"a b"}}`, "github#token", "put a value at NONE into it"},
		{"a.yaml", "", "github:\n  token: a b\n", "github/token", "put a value at NONE into it"},
		{"deploy-key", "", "a b\n", "deploy-key", "goes by the name deploy-key, not NONE"},
	} {
		path := filepath.Join(dir, c.name)
		f, err := file.New(path, &file.Options{Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		want(t, f, c.ref, "", "there is no file "+path+": make it", true)
		if refs, err := f.List(t.Context()); len(refs) != 0 || err != nil {
			t.Error(refs, err)
		}
		write(t, path, c.text, 0o600)
		want(t, f, c.ref, "a b", "", false)
		want(t, f, "NONE", "", c.missing, true)

		// A new value is seen at once.
		if err := f.Set(t.Context(), c.ref, secrets.NewSecret("rotated\n")); err != nil {
			t.Error(err)
		}
		want(t, f, c.ref, "rotated\n", "", false)

		write(t, path, c.text, 0o644)
		want(t, f, c.ref, "", "everybody may read "+path+" (mode 0644): chmod o-r", false)
		open, err := file.New(path, &file.Options{Format: c.format, WorldReadable: true})
		if err != nil {
			t.Fatal(err)
		}
		want(t, open, c.ref, "a b", "", false)
		write(t, path, c.text, 0o662)
		want(t, open, c.ref, "", "may write to "+path, false)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.Resolve(ctx, c.ref); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	path := filepath.Join(dir, ".env")
	write(t, path, "TOKEN hidden\n", 0o600)
	f, err := file.New(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, f, "TOKEN", "", path+": line 1: there is no =", false)
	write(t, path, strings.Repeat("x", 2<<20), 0o600)
	want(t, f, "TOKEN", "", "is larger than", false)
	for _, o := range []*file.Options{{Format: "toml"}} {
		if _, err := file.New(path, o); err == nil {
			t.Error("the format toml is known")
		}
	}
	if _, err := file.New("", nil); err == nil {
		t.Error("a file without a path")
	}
}

func TestFileRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	f, err := file.New(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(t.Context(), "A"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	write(t, path, "# mine\nA=1\nB=2\n", 0o600)
	if err := f.Remove(t.Context(), "A"); err != nil {
		t.Error(err)
	}
	if err := f.Remove(t.Context(), "A"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); string(b) != "# mine\nB=2\n" || err != nil {
		t.Errorf("%q %v", b, err)
	}
}

// Many set and read at once: no value is lost, none is read in part.
func TestFileConcurrent(t *testing.T) {
	t.Parallel()
	f, err := file.New(filepath.Join(t.TempDir(), "a.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 10 {
		ref := secrets.Ref(fmt.Sprint("n", n))
		all.Go(func() {
			if err := f.Set(t.Context(), ref, secrets.NewSecret(string(ref))); err != nil {
				t.Error(err)
			}
			if s, err := f.Resolve(t.Context(), ref); err != nil || s.Reveal() != string(ref) {
				t.Error(ref, err)
			}
		})
	}
	all.Wait()
	if refs, err := f.List(t.Context()); len(refs) != 10 || err != nil {
		t.Error(refs, err)
	}
}

// kubernetes lays a volume as the kubelet does: each change is a new folder
// that a link is turned to.
func kubernetes(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		write(t, filepath.Join(dir, version, name), text, 0o644)
		link := filepath.Join(dir, strings.Split(name, "/")[0])
		if _, err := os.Lstat(link); err != nil {
			if err := os.Symlink(filepath.Join("..data", strings.Split(name, "/")[0]), link); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.Symlink(version, filepath.Join(dir, "..new")), os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data"))); err != nil {
		t.Fatal(err)
	}
}

func TestFolderOfKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := file.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	kubernetes(t, dir, "..2026_01", map[string]string{"password": "first\n", ".dockerconfigjson": `{"auths":{"x":"y"}}`, "db/user": "u"})
	want(t, d, "password", "first", "", false)
	want(t, d, ".dockerconfigjson#auths/x", "y", "", false)
	want(t, d, "db/user", "u", "", false)
	want(t, d, "password#x", "", "no JSON, YAML or .env file", false)
	want(t, d, ".dockerconfigjson#nothing", "", "has no field nothing", true)
	if refs, err := d.List(t.Context()); fmt.Sprint(refs) != "[.dockerconfigjson db/user password]" || err != nil {
		t.Error(refs, err)
	}
	kubernetes(t, dir, "..2026_02", map[string]string{"password": "second"})
	want(t, d, "password", "second", "", false)
	if err := d.Set(t.Context(), "password", secrets.NewSecret("x")); err == nil || !strings.Contains(err.Error(), "is a link") {
		t.Error(err)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := filepath.Join(top, "secrets")
	d, err := file.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	want(t, d, "a", "", "there is no file "+filepath.Join(dir, "a")+": put the secret into it", true)
	if refs, err := d.List(t.Context()); len(refs) != 0 || err != nil {
		t.Error(refs, err)
	}
	if err := d.Set(t.Context(), "a", secrets.NewSecret("x")); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("there is no folder: %v", err)
	}
	write(t, filepath.Join(top, "outside"), "hidden", 0o600)
	write(t, filepath.Join(dir, "a"), "one\ntwo\r\n", 0o444)
	write(t, filepath.Join(dir, "open"), "hidden", 0o666)
	write(t, filepath.Join(dir, "large"), strings.Repeat("hidden", 1<<20), 0o400)
	if err := errors.Join(os.Symlink("../outside", filepath.Join(dir, "link")), os.Symlink(".", filepath.Join(dir, "loop")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	want(t, d, "a", "one\ntwo", "", false)
	want(t, d, "loop/a", "one\ntwo", "", false)
	if refs, err := d.List(t.Context()); fmt.Sprint(refs) != "[a large loop/a loop/large loop/open open]" || err != nil {
		t.Error(refs, err)
	}
	want(t, d, "open", "", "may write to", false)
	want(t, d, "large", "", "is larger than", false)
	want(t, d, "link", "", "escapes", false)
	want(t, d, "pipe", "", "is no plain file", false)
	for _, name := range []secrets.Ref{"../outside", "/etc/passwd", "", ".", "x/../a", "a/"} {
		want(t, d, name, "", "is no name of a file below", false)
	}

	for _, v := range []string{"new", "ends\n", "\x00\xff"} {
		if err := d.Set(t.Context(), "b", secrets.NewSecret(v)); err != nil {
			t.Error(err)
		}
		want(t, d, "b", v, "", false)
	}
	if st, err := os.Stat(filepath.Join(dir, "b")); err != nil || st.Mode() != 0o600 {
		t.Error(st, err)
	}
	if err := d.Remove(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if err := d.Remove(t.Context(), "b"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	for _, ref := range []secrets.Ref{"loop/b", "link", "a#x", "../x", ".x.lock"} {
		if d.Set(t.Context(), ref, secrets.NewSecret("x")) == nil || d.Remove(t.Context(), ref) == nil {
			t.Errorf("%s was written", ref)
		}
	}
	if _, err := file.NewFolder(""); err == nil {
		t.Error("a folder without a path")
	}
}
