//go:build e2e && linux

package testimage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Images builds images, each once. It is safe for concurrent use.
type Images struct {
	dir  string
	mu   sync.Mutex
	done map[string]v1.Image
}

// New returns an empty Images. Its folder goes with Close.
func New() (*Images, error) {
	dir, err := os.MkdirTemp("", "gatehouse-images-")
	if err != nil {
		return nil, err
	}
	return &Images{dir: dir, done: map[string]v1.Image{}}, nil
}

// Close removes what was built.
func (i *Images) Close() error { return os.RemoveAll(i.dir) }

// once returns the image of a name, building it when it is not there yet.
func (i *Images) once(t testing.TB, name string, build func() (v1.Image, error)) v1.Image {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if img, ok := i.done[name]; ok {
		return img
	}
	img, err := build()
	if err != nil {
		t.Fatalf("building the image %s: %v", name, err)
	}
	i.done[name] = img
	return img
}

// Static is an image that holds one Go program, built without cgo, as /server,
// its entrypoint, and nothing else but /etc/passwd. The package is named
// relative to the module's root.
func (i *Images) Static(t testing.TB, pkg string) v1.Image {
	t.Helper()
	return i.once(t, pkg, func() (v1.Image, error) {
		bin := filepath.Join(i.dir, strings.ReplaceAll(pkg, "/", "-"))
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "github.com/gatehouse-mcp/gatehouse/"+pkg)
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		return i.image(filepath.Base(bin), []string{"/server"}, v1.Config{}, func(w *layer) error {
			return w.file(bin, "/server", 0o755)
		})
	})
}

// image makes an image of one layer.
func (i *Images) image(name string, entrypoint []string, c v1.Config, fill func(*layer) error) (v1.Image, error) {
	file := filepath.Join(i.dir, name+".tar")
	if err := writeLayer(file, func(w *layer) error {
		for _, d := range []string{"/etc", "/tmp"} {
			if err := w.folder(d); err != nil {
				return err
			}
		}
		passwd := "root:x:0:0:root:/root:/bin/sh\nserver:x:1234:1235:server:/home/server:/bin/sh\n"
		if err := w.text("/etc/passwd", passwd); err != nil {
			return err
		}
		return fill(w)
	}); err != nil {
		return nil, err
	}
	l, err := plainLayer(file)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", runtime.GOARCH
	cf.Config = c
	cf.Config.Entrypoint = entrypoint
	return mutate.ConfigFile(img, cf)
}

// WithConfig is img with another configuration: its user, entrypoint, working
// directory, environment.
func WithConfig(t testing.TB, img v1.Image, change func(*v1.Config)) v1.Image {
	t.Helper()
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	change(&cf.Config)
	out, err := mutate.ConfigFile(img, cf)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// layer is a tar being written.
type layer struct {
	*tar.Writer
	seen map[string]bool
}

func writeLayer(file string, fill func(*layer) error) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &layer{tar.NewWriter(f), map[string]bool{"/": true}}
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

// epoch makes the same files the same layer.
var epoch = time.Unix(1e9, 0)

func (l *layer) header(name string, typ byte, mode, size int64) *tar.Header {
	return &tar.Header{Name: strings.TrimPrefix(name, "/"), Typeflag: typ, Mode: mode, Size: size, ModTime: epoch, Format: tar.FormatPAX}
}

func (l *layer) folder(name string) error {
	if l.seen[name] {
		return nil
	}
	l.seen[name] = true
	if err := l.folder(path.Dir(name)); err != nil {
		return err
	}
	return l.WriteHeader(l.header(name+"/", tar.TypeDir, 0o755, 0))
}

func (l *layer) text(name, content string) error {
	return l.content(name, 0o644, int64(len(content)), bytes.NewBufferString(content))
}

func (l *layer) content(name string, mode, size int64, r io.Reader) error {
	if l.seen[name] {
		return nil
	}
	l.seen[name] = true
	if err := l.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := l.WriteHeader(l.header(name, tar.TypeReg, mode, size)); err != nil {
		return err
	}
	_, err := io.Copy(l, r)
	return err
}

// file puts a file of this machine into the layer, following links.
func (l *layer) file(from, to string, mode int64) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return l.content(to, mode, st.Size(), f)
}

// tree puts a folder of this machine into the layer, without the folders that
// skip names.
func (l *layer) tree(from, to string, skip func(rel string) bool) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		name := path.Join(to, filepath.ToSlash(rel))
		switch {
		case d.IsDir() && skip(rel):
			return fs.SkipDir
		case d.IsDir():
			return l.folder(name)
		case d.Type()&fs.ModeSymlink != 0:
			return nil // npm's .bin
		default:
			return l.file(p, name, 0o755)
		}
	})
}
