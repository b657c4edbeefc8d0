//go:build e2e && linux

package containerd

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

// layerOf is a layer of empty files.
func layerOf(t *testing.T, headers ...tar.Header) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestUsersInAFIFO: an image of which the file of users is a FIFO fails to
// start, and holds up nobody.
func TestUsersInAFIFO(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	img, err := mutate.AppendLayers(built.Static(t, probePackage), layerOf(t,
		tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "etc/passwd", Typeflag: tar.TypeFifo, Mode: 0o644}))
	if err != nil {
		t.Fatal(err)
	}
	img = testimage.WithConfig(t, img, func(c *v1.Config) { c.User = "app" })
	bad := runtime.Spec{Name: "probe", Image: "oci:" + testimage.Layout(t, img, "v1")}
	var all sync.WaitGroup
	for range cap(r.slots) + 1 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := r.Start(ctx, bad); err == nil || !strings.Contains(err.Error(), "/etc/passwd of the image is no regular file") {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	initialize(t, start(t, r, probe(t)))
	bad.User = "1234"
	initialize(t, start(t, r, bad))
	if b, s, _ := belongings(t, r, r.owner.ID); b != 2 || s != 2 {
		t.Errorf("2 servers run, and there are %d containers and %d snapshots", b, s)
	}
}

// TestWorkingDirectoryInAMount: the runtime makes no folder of the host for a
// working directory that an image names.
func TestWorkingDirectoryInAMount(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	base, err := mutate.AppendLayers(built.Static(t, probePackage), layerOf(t,
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "data"},
		tar.Header{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "data/app/", Typeflag: tar.TypeDir, Mode: 0o755}))
	if err != nil {
		t.Fatal(err)
	}
	host := filepath.Join(t.TempDir(), "host")
	if err := os.MkdirAll(filepath.Join(host, "there"), 0o777); err != nil {
		t.Fatal(err)
	}
	spec := func(dir string) runtime.Spec {
		img := testimage.WithConfig(t, base, func(c *v1.Config) { c.WorkingDir = dir })
		return runtime.Spec{
			Name: "probe", Image: "oci:" + testimage.Layout(t, img, "v1"),
			Mounts: []runtime.Mount{{Source: host, Target: "/data", Writable: true}, {Volume: "v", Target: "/volume"}},
		}
	}
	for _, dir := range []string{"/data/made", "/data/app", "/link/made/deep", "/data/there/x", "/volume/made"} {
		_, err := r.Start(bounded(t), spec(dir))
		if err == nil || !strings.Contains(err.Error(), "the working directory "+dir+" is not in what is mounted at /") {
			t.Errorf("%s: got %v", dir, err)
		}
	}
	entries, err := os.ReadDir(host)
	if err != nil || len(entries) != 1 {
		t.Errorf("there is more in the folder of the host: %v, %v", entries, err)
	}
	for dir, want := range map[string]string{"/data/there": "/data/there", "/link/there": "/data/there", "/data": "/data", "/new/one": "/new/one"} {
		i := start(t, r, spec(dir))
		if got, err := os.Readlink(filepath.Join("/proc", itoa(i.pid), "cwd")); err != nil || got != want {
			t.Errorf("%s: the working directory is %s, %v", dir, got, err)
		}
	}
	s := spec("/data/made")
	s.Dir = "/tmp"
	s.Args = []string{runtimetest.ProbeArg}
	start(t, r, s)
}
