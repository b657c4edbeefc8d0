package age_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	filippo "filippo.io/age"
	"filippo.io/age/armor"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/age"
)

func x25519(t *testing.T) *filippo.X25519Identity {
	t.Helper()
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// encrypt makes a file as the program age does.
func encrypt(t *testing.T, text string, armoured bool, to ...filippo.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	dst := io.WriteCloser(nopCloser{&b})
	if armoured {
		dst = armor.NewWriter(&b)
	}
	w, err := filippo.Encrypt(dst, to...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), dst.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// decrypt reads a file as the program age does.
func decrypt(t *testing.T, path string, id filippo.Identity) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := io.Reader(bytes.NewReader(data))
	if bytes.HasPrefix(data, []byte(armor.Header)) {
		r = armor.NewReader(r)
	}
	r, err = filippo.Decrypt(r, id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func open(t *testing.T, path, key string, o *age.Options) *age.File {
	t.Helper()
	f, err := age.New(path, key, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// want checks what a reference resolves to, or the text of its error.
func want(t *testing.T, p secrets.Provider, ref secrets.Ref, value, fault string) {
	t.Helper()
	s, err := p.Resolve(t.Context(), ref)
	switch {
	case fault == "" && (err != nil || s.Reveal() != value):
		t.Errorf("%s is %q, %v", ref, s.Reveal(), err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "hidden")):
		t.Errorf("%s: %v", ref, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := x25519(t)
	hybrid, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, filepath.Join(dir, "key.txt"), []byte("# created: today\n"+hybrid.String()+"\n"+id.String()+"\n"))
	for _, c := range []struct {
		name, format, text string
		ref                secrets.Ref
	}{
		{"prod.env.age", "", "TOKEN='a b'\n", "TOKEN"},
		{"prod.yaml.age", "", "github:\n  token: a b\n", "github#token"},
		{"prod.json", "", `{"github":{"token":"a b"}}`, "github/token"},
		{"deploy.age", "", "a b\n", "deploy"},
		{"tokens.age", "dotenv", "TOKEN='a b'\n", "TOKEN"},
	} {
		path := filepath.Join(dir, c.name)
		f := open(t, path, key, &age.Options{Format: c.format})
		if _, err := f.Resolve(t.Context(), c.ref); !errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("no file: %v", err)
		}
		for _, to := range []filippo.Recipient{id.Recipient(), hybrid.Recipient()} {
			for _, armoured := range []bool{false, true} {
				write(t, path, encrypt(t, c.text, armoured, to))
				want(t, f, c.ref, "a b", "")
				// A rotated value is seen at once.
				write(t, path, encrypt(t, strings.Replace(c.text, "a b", "c d", 1), armoured, to))
				want(t, f, c.ref, "c d", "")
			}
		}
		if refs, err := f.List(t.Context()); len(refs) != 1 || err != nil {
			t.Error(refs, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, other := x25519(t), x25519(t)
	key, path := filepath.Join(dir, "key.txt"), filepath.Join(dir, "prod.env.age")
	f := open(t, path, key, nil)
	sealed := encrypt(t, "TOKEN=hidden\n", false, id.Recipient())
	write(t, path, sealed)

	want(t, f, "TOKEN", "", "there is no identity "+key+": make one with age-keygen -o "+key)
	for in, fault := range map[string]string{
		"hidden\n":                              "holds no line AGE-SECRET-KEY-…",
		"":                                      "holds no line AGE-SECRET-KEY-…",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n": "is a key of SSH or TLS",
		string(encrypt(t, "", true, id.Recipient())): "is encrypted itself",
		string(sealed): "is encrypted itself",
		other.String(): path + ": it is encrypted for others than " + key,
	} {
		write(t, key, []byte(in))
		want(t, f, "TOKEN", "", fault)
	}
	write(t, key, []byte(id.String()))
	want(t, f, "TOKEN", "hidden", "")
	want(t, f, "NONE", "", path+" has no NONE: put a line NONE=VALUE into it: secret not found")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(key, 0o644); err != nil {
			t.Fatal(err)
		}
		want(t, f, "TOKEN", "", "everybody may read "+key)
		want(t, open(t, path, key, &age.Options{WorldReadable: true}), "TOKEN", "hidden", "")
		write(t, key, []byte(id.String()))
	}
	write(t, path, sealed[:len(sealed)-1])
	want(t, f, "TOKEN", "", path+": it is damaged")
	write(t, path, []byte("TOKEN=hidden\n"))
	want(t, f, "TOKEN", "", path+": it is no file of age")
	write(t, path, encrypt(t, "hidden\n", false, id.Recipient()))
	want(t, f, "TOKEN", "", path+": line 1: there is no =")
	write(t, path, encrypt(t, strings.Repeat("x", 1<<20+1), false, id.Recipient()))
	want(t, f, "TOKEN", "", "is larger than")

	for _, o := range []*age.Options{
		{Format: "toml"}, {Recipients: []string{""}}, {Recipients: []string{id.Recipient().String() + "\n" + id.Recipient().String()}}, {Recipients: []string{id.String()}},
	} {
		if _, err := age.New(path, key, o); err == nil || strings.Contains(err.Error(), id.String()) {
			t.Errorf("%+v: %v", *o, err)
		}
	}
	for _, paths := range [][2]string{{"", key}, {path, ""}} {
		if _, err := age.New(paths[0], paths[1], nil); err == nil {
			t.Errorf("%q was taken", paths)
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, mine, team := x25519(t), x25519(t), x25519(t)
	key := write(t, filepath.Join(dir, "key.txt"), []byte(old.String()+"\n"+mine.String()+"\n"))
	path := filepath.Join(dir, "prod.env.age")
	write(t, path, encrypt(t, "# tokens\nA=1 # first\nB=2\n", true, mine.Recipient(), team.Recipient()))
	alone := open(t, path, key, nil)
	if err := alone.Set(t.Context(), "A", secrets.NewSecret("x")); err == nil || !strings.Contains(err.Error(), "it is encrypted for 2 recipients, and 1 are known") {
		t.Errorf("the team was locked out: %v", err)
	}
	f := open(t, path, key, &age.Options{Recipients: []string{team.Recipient().String(), mine.Recipient().String()}})
	if err := errors.Join(f.Set(t.Context(), "A", secrets.NewSecret("new")), f.Set(t.Context(), "C", secrets.NewSecret("3")), f.Remove(t.Context(), "B")); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(t.Context(), "B"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	for _, id := range []filippo.Identity{mine, team} {
		if text := decrypt(t, path, id); text != "# tokens\nA=new # first\nC=3\n" {
			t.Errorf("it holds %q", text)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(data, []byte(armor.Header)) {
		t.Errorf("it was armoured: %v", err)
	}
	if _, err := filippo.Decrypt(armor.NewReader(bytes.NewReader(data)), old); err == nil {
		t.Error("an identity that it was not for can open it now")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
	write(t, path, []byte("damaged"))
	if err := f.Set(t.Context(), "A", secrets.NewSecret("x")); err == nil {
		t.Error("a damaged file was replaced")
	}
}

// Many set at once in a new file: none is lost.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := write(t, filepath.Join(dir, "key.txt"), []byte(x25519(t).String()))
	f := open(t, filepath.Join(dir, "a.yaml.age"), key, nil)
	var all sync.WaitGroup
	for n := range 8 {
		ref := secrets.Ref(fmt.Sprint("n/", n))
		all.Go(func() {
			if err := f.Set(t.Context(), ref, secrets.NewSecret(string(ref))); err != nil && runtime.GOOS != "windows" {
				t.Error(err)
			}
			if s, err := f.Resolve(t.Context(), ref); (err != nil || s.Reveal() != string(ref)) && runtime.GOOS != "windows" {
				t.Error(ref, err)
			}
		})
	}
	all.Wait()
	if refs, err := f.List(t.Context()); (len(refs) != 8 || err != nil) && runtime.GOOS != "windows" {
		t.Error(refs, err)
	}
}
