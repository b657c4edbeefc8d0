package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/auto"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// confinement is what runs the server "peek".
type confinement struct {
	server gateway.Server
	how    string // in a sentence
	why    string // it is that
	close  func()
}

// confine puts this program, as the server "peek", into a container where
// containerd is there, else into the sandbox.
func confine(ctx context.Context, log *slog.Logger) (_ *confinement, err error) {
	folder, err := os.MkdirTemp("", "gatehouse-quickstart-")
	if err != nil {
		return nil, err
	}
	c := &confinement{close: func() { _ = os.RemoveAll(folder) }}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	// The copy lies where a confined server may see it.
	program, state := filepath.Join(folder, "bin", "quickstart"), filepath.Join(folder, "state")
	if err := copySelf(program); err != nil {
		return nil, err
	}
	rt, err := auto.New(ctx, state, &auto.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	spec := runtime.Spec{Command: []string{program, peekArg}}
	driver, why := rt.Driver(), rt.Why()
	if rt.Chosen() == auto.Containerd {
		if static(program) {
			spec.Image, err = image(program, filepath.Join(folder, "image"))
			spec.Command = []string{"/quickstart", peekArg}
		} else { // it needs libraries, which the sandbox shows
			_ = rt.Close()
			driver, err = sandbox.New(state, &sandbox.Options{Logger: log})
			why = "this program needs libraries, which a container of it would lack"
		}
		if err != nil {
			return nil, err
		}
	}
	c.how, c.why = runtime.Describe(driver), why
	c.close = func() {
		if d, ok := driver.(io.Closer); ok {
			_ = d.Close()
		}
		_ = os.RemoveAll(folder)
	}
	c.server = gateway.Server{Name: "peek", Launcher: runtime.Of(driver, spec)}
	return c, nil
}

func copySelf(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}

// static reports whether a program needs no libraries.
func static(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// image makes an image that holds the program alone.
func image(program, folder string) (ref string, err error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "quickstart", Mode: 0o755, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
		return "", err
	}
	if _, err := w.Write(b); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return "", err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return "", err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", goruntime.GOARCH
	config.Config.Entrypoint = []string{"/quickstart"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return "", err
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return "", err
	}
	if err := path.AppendImage(img); err != nil {
		return "", fmt.Errorf("writing the image: %w", err)
	}
	return "oci:" + folder, nil
}
