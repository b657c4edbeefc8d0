//go:build e2e && linux

package sandbox

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func testImages(t *testing.T) *testimage.Images {
	t.Helper()
	images, err := testimage.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = images.Close() })
	return images
}

// TestRuntimeWithImages runs the suite with a program of an unpacked image.
func TestRuntimeWithImages(t *testing.T) {
	image := "oci:" + testimage.Layout(t, testImages(t).Static(t, "internal/testimage/probe"), "v1") + ":v1"
	runtimetest.Runtime(t, runtimetest.Config{
		Runtime: testRuntime(t),
		Probe: func(*testing.T) runtime.Spec {
			return runtime.Spec{Name: "probe", Image: image, Command: []string{"/server", runtimetest.ProbeArg}}
		},
		Alive:    func(i runtime.Instance, pid int) bool { return alive(i.(*instance), pid) },
		Detached: true,
		Minimum:  []string{"PATH", "HOME"},
	})
}

func TestImages(t *testing.T) {
	images := testImages(t)
	static := images.Static(t, "internal/testimage/probe")
	var mu sync.Mutex
	var pulls []runtime.Pull
	r, err := New(t.TempDir(), &Options{Events: runtime.Events{Pull: func(p runtime.Pull) {
		mu.Lock()
		defer mu.Unlock()
		pulls = append(pulls, p)
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	img := testimage.WithConfig(t, static, func(c *v1.Config) {
		c.Entrypoint = []string{"server"}
		c.Cmd = []string{runtimetest.ProbeArg}
		c.Env = []string{"PATH=/:/bin", "FROM=the image"}
		c.User = "server"
		c.WorkingDir = "/etc"
	})
	spec := runtime.Spec{Name: "image", Image: "oci:" + testimage.Layout(t, img, "v1"), Mounts: []runtime.Mount{{Volume: "v", Target: "/data/v"}}}
	var running []*instance
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			i, err := r.Start(bounded(t), spec)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			running = append(running, i.(*instance))
		})
	}
	starting.Wait()
	if len(pulls) != 3 || !pulls[2].Ended || pulls[2].Err != nil || pulls[2].Done != pulls[2].Total || pulls[2].Total == 0 {
		t.Errorf("it was told %+v", pulls)
	}
	if len(running) != 4 {
		t.FailNow()
	}
	i := running[0]
	for method, want := range map[string]string{"probe/user": "1234", "probe/dir": `"/etc"`, "probe/env": `"FROM=the image"`} {
		if got, err := ask(t, i, method, nil); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v, want %s", method, got, err, want)
		}
	}
	for name, want := range map[string]string{"/etc/passwd": "server:x:1234", resolvConf: "# no network", "/etc/hosts": "localhost sandbox", "/etc/hostname": hostname} {
		if got, err := ask(t, i, "probe/read", name); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, want := range map[string]bool{"/data/v/x": true, "/tmp/x": true, "/etc/x": false, "/x": false, resolvConf: false, "/server": false} {
		if _, err := ask(t, i, "probe/write", name); (err == nil) != want {
			t.Errorf("writing %s: %v", name, err)
		}
	}
	for _, name := range []string{"/usr", "/root", "/cover", "/etc/shadow", "/sys"} {
		if _, err := ask(t, i, "probe/read", name); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("of the host it sees %s: %v", name, err)
		}
	}
	if removed, err := r.Prune(t.Context(), nil); err != nil || len(removed) != 0 {
		t.Errorf("of images in use Prune removed %q, %v", removed, err)
	}
	for _, i := range running {
		if err := i.Stop(bounded(t)); err != nil {
			t.Error(err)
		}
	}
	if removed, err := r.Prune(t.Context(), []string{spec.Image}); err != nil || len(removed) != 0 {
		t.Errorf("of images to be kept Prune removed %q, %v", removed, err)
	}
	if removed, err := r.Prune(t.Context(), nil); err != nil || len(removed) != 1 || !strings.HasPrefix(removed[0], "sha256:") {
		t.Errorf("of unused images Prune removed %q, %v", removed, err)
	}
	again := started(t, r, spec)
	if got, err := ask(t, again, "probe/user", nil); err != nil || got != "1234" {
		t.Errorf("unpacked again: %s, %v", got, err)
	}

	for name, test := range map[string]struct {
		change func(*runtime.Spec)
		want   string
	}{
		"tag":     {func(s *runtime.Spec) { s.Image += ":none" }, "no image of the tag none"},
		"program": {func(s *runtime.Spec) { s.Command = []string{"none"} }, "no program none"},
		"target":  {func(s *runtime.Spec) { s.Mounts[0].Target = "/etc/none" }, "etc/none is no folder there"},
		"folder":  {func(s *runtime.Spec) { s.Image = "oci:/none" }, "/none"},
	} {
		bad := spec
		bad.Mounts = append([]runtime.Mount(nil), spec.Mounts...)
		test.change(&bad)
		if _, err := r.Start(bounded(t), bad); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	bad := spec
	bad.Image = "docker.io/library/x:latest"
	if _, err := r.Start(bounded(t), bad); !errors.Is(err, runtime.ErrCannotEnforce) {
		t.Errorf("an image of a registry: %v", err)
	}
}

// TestChangedImageIsRefused: a layout whose files are not what their digests
// say is not unpacked.
func TestChangedImageIsRefused(t *testing.T) {
	r := testRuntime(t)
	static := testImages(t).Static(t, "internal/testimage/probe")
	manifest, err := static.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	other, err := testimage.WithConfig(t, static, func(c *v1.Config) { c.User = "0" }).RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(dir string) (blob string, content []byte){
		"config": func(string) (string, []byte) { return manifest.Config.Digest.Hex, other },
		"layer": func(dir string) (string, []byte) {
			name := manifest.Layers[0].Digest.Hex
			b, err := os.ReadFile(filepath.Join(dir, "blobs/sha256", name))
			if err != nil {
				t.Fatal(err)
			}
			return name, append(b[:len(b)-2000], b[len(b)-1990:]...)
		},
	} {
		dir := testimage.Layout(t, static, "v1")
		blob, content := change(dir)
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", blob), content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := r.Start(bounded(t), runtime.Spec{Name: "x", Image: "oci:" + dir})
		if err == nil {
			t.Errorf("%s: it was started", name)
		}
		t.Logf("%s: %v", name, err)
	}
	if left, err := filepath.Glob(filepath.Join(r.owner.State, imageFolder, "*")); err != nil || len(left) > 0 {
		t.Errorf("there are the images %q, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(r.run(r.owner.ID), "unpack-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestImageOfAPublishedServer runs a server of the npm registry from an image.
func TestImageOfAPublishedServer(t *testing.T) {
	r := testRuntime(t)
	image := testImages(t).Node(t, testbed(t, "bin/node"), testbed(t, "npm/node_modules"))
	i := started(t, r, runtime.Spec{Name: "everything", Image: "oci:" + testimage.Layout(t, image, "v1"), Args: []string{testimage.Everything}})
	i.Conn().Listen(transport.ReceiverFunc(refuseAll))
	if raw, err := call(t, i, "initialize", map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "test", "version": "1"},
	}); err != nil {
		t.Fatalf("initialize: %s, %v", raw, err)
	}
	if err := i.Conn().Notify(t.Context(), &transport.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatal(err)
	}
	if raw, err := call(t, i, "tools/list", map[string]any{}); err != nil || !strings.Contains(string(raw), `"echo"`) {
		t.Errorf("tools/list: %s, %v", raw, err)
	}
}

// withFolders adds a layer of folders to an image.
func withFolders(t *testing.T, img v1.Image, names ...string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
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
	if img, err = mutate.AppendLayers(img, l); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestImageOfRootsGroup: an image's own user has not root's group, of which
// a ceiling without root could not know.
func TestImageOfRootsGroup(t *testing.T) {
	r := runtime.Within(testRuntime(t), runtime.Ceiling{NoRoot: true})
	static := testImages(t).Static(t, "internal/testimage/probe")
	for user, want := range map[string]string{"1000:0": "1000", "1234:0": "1234", "server:0": "1234", "1000:7": "7", "0:0": "65532", "": "65532"} {
		img := testimage.WithConfig(t, static, func(c *v1.Config) { c.User = user })
		i, err := r.Start(bounded(t), runtime.Spec{
			Name: "group", Image: "oci:" + testimage.Layout(t, img, "v1"), Command: []string{"/server", runtimetest.ProbeArg},
		})
		if err != nil {
			t.Fatalf("%q: %v", user, err)
		}
		got, err := ask(t, i, "probe/read", "/proc/self/status")
		if err != nil || !strings.Contains(got, `Gid:\t`+want+`\t`+want+`\t`+want+`\t`+want) {
			t.Errorf("%q: %v, not the group %s in %s", user, err, want, got)
		}
		_ = i.Stop(bounded(t))
	}
}

// TestImageWithAnyFolders: no name of an image collides with one of ours.
func TestImageWithAnyFolders(t *testing.T) {
	r := testRuntime(t)
	img := withFolders(t, testImages(t).Static(t, "internal/testimage/probe"), "etc", "cover", ".cover", "run")
	i := started(t, r, runtime.Spec{Image: "oci:" + testimage.Layout(t, img, "v1"), Command: []string{"/server", runtimetest.ProbeArg}})
	if got, err := ask(t, i, "probe/read", "/etc/hosts"); err != nil || !strings.Contains(got, "localhost sandbox") {
		t.Errorf("/etc/hosts: %s, %v", got, err)
	}
}
