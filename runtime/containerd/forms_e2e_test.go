//go:build e2e && linux

package containerd

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

// TestImageForms starts a server from every form of an image, twice: the
// second time from what is there.
func TestImageForms(t *testing.T) {
	d := bed.Containerd(t)
	img := built.Static(t, probePackage)
	reg := testimage.Registry(t)
	var mu sync.Mutex
	var pulls []runtime.Pull
	r := newRuntime(t, d, func(o *Options) {
		o.Insecure = []string{reg.Host}
		o.Events.Pull = func(p runtime.Pull) { mu.Lock(); pulls = append(pulls, p); mu.Unlock() }
	})
	ended := func(image string) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range pulls {
			if p.Image == image && p.Ended {
				if n++; p.Err != nil || p.Done != p.Total {
					t.Errorf("the pull ended as %+v", p)
				}
			}
		}
		return n
	}
	digest := reg.Push(t, img, "probe")
	layout := testimage.Layout(t, img, "v1")
	forms := map[string]string{
		"digest":  digest,
		"tag":     reg.Host + "/probe:latest",
		"layout":  "oci:" + layout + ":v1",
		"pinned":  "oci:" + layout + digest[strings.LastIndexByte(digest, '@'):],
		"only":    "oci:" + testimage.Layout(t, img, "v2"),
		"archive": "docker-archive:" + testimage.Archive(t, img, "example.com/probe:v1"),
	}
	for _, name := range []string{"digest", "tag", "layout", "pinned", "only", "archive"} {
		image := forms[name]
		for range 2 {
			initialize(t, start(t, r, runtime.Spec{Name: "probe", Image: image}))
		}
		if n := ended(image); n != 1 && name != "only" && name != "pinned" { // which have the content of the other
			t.Errorf("%s: %d pulls", name, n)
		}
	}
	initialize(t, start(t, r, runtime.Spec{Name: "probe", Image: "containerd:" + digest}))
	if first := slices.IndexFunc(pulls, func(p runtime.Pull) bool { return p.Total > 1<<20 }); first < 0 {
		t.Errorf("no pull tells its size: %+v", pulls)
	}

	for image, want := range map[string]string{
		reg.Host + "/probe@sha256:" + strings.Repeat("00", 32):  "not found",
		reg.Host + "/nothing:latest":                            "not found",
		"127.0.0.1:1/probe:latest":                              "127.0.0.1:1",
		"oci:" + layout + "@sha256:" + strings.Repeat("00", 32): "the layout has nothing with the digest",
		"oci:/nonexistent":                                      "no OCI layout",
		forms["layout"] + "x":                                   `no image with the tag "v1x"; it has v1`,
		"docker-archive:/nonexistent.tar":                       "no such file",
		"containerd:example.com/none:v1":                        "namespace gatehouse",
	} {
		_, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "image "+image) {
			t.Errorf("%s: got %v, want one with %q", image, err, want)
		}
	}
}

// TestPullOutlivesItsStart: an image that takes longer than the start goes on
// being fetched.
func TestPullOutlivesItsStart(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.o.Events.Pull = func(runtime.Pull) { cancel() }
	if _, err := r.Start(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	initialize(t, start(t, r, spec))
}

func TestImageGoneFromContainerd(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	i := start(t, r, spec)
	name := localName("oci", mustTarget(t, spec.Image))
	removed, err := r.Prune(bounded(t), nil)
	if err != nil || len(removed) != 0 {
		t.Errorf("an image in use was pruned: %v, %v", removed, err)
	}
	if err := i.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if removed, err = r.Prune(bounded(t), []string{spec.Image}); err != nil || len(removed) != 0 {
		t.Errorf("an image to keep was pruned: %v, %v", removed, err)
	}
	parent := parentOf(t, r)
	if removed, err = r.Prune(bounded(t), nil); err != nil || !slices.Equal(removed, []string{name}) {
		t.Errorf("pruned %v, %v; want %s", removed, err, name)
	}
	if _, err := r.client.SnapshotService(r.snapshotter).Stat(r.within(bounded(t)), parent); err == nil {
		t.Error("after the image was pruned its files are still there")
	}
	initialize(t, start(t, r, spec))
	// Now behind the driver's back.
	for i := range r.instances {
		_ = r.instances[i].Stop(bounded(t))
	}
	ctx := r.within(bounded(t))
	if err := r.release(ctx, r.owner.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.client.ImageService().Delete(ctx, name, images.SynchronousDelete()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.SnapshotService(r.snapshotter).Stat(ctx, parentOf(t, r)); err == nil {
		t.Fatal("the content is still there, so that nothing is shown")
	}
	initialize(t, start(t, r, spec))
}

func parentOf(t *testing.T, r *Runtime) string {
	t.Helper()
	for _, f := range r.images {
		return f.img.parent
	}
	t.Fatal("no image is known")
	return ""
}

func TestProgramAndUserOfTheImage(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	base := built.Static(t, probePackage)
	image := func(change func(*v1.Config)) string {
		return "oci:" + testimage.Layout(t, testimage.WithConfig(t, base, change), "v1")
	}
	probeUser := func(t *testing.T, spec runtime.Spec) (uid, gid string) {
		t.Helper()
		spec.Name, spec.Args = "probe", []string{runtimetest.ProbeArg}
		i := start(t, r, spec)
		b, err := os.ReadFile(filepath.Join("/proc", itoa(i.pid), "status"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			switch f[0] {
			case "Uid:":
				uid = f[1]
			case "Gid:":
				gid = f[1]
			}
		}
		return uid, gid
	}
	for user, want := range map[string]string{
		"": "65532:65532", "server": "1234:1235", "1234": "1234:1235", "5555": "5555:5555", "77:88": "77:88",
		"root": "65532:65532", "0": "65532:65532", "0:5": "65532:65532", "1000:0": "1000:1000", "server:0": "1234:1234",
	} {
		uid, gid := probeUser(t, runtime.Spec{Image: image(func(c *v1.Config) { c.User = user })})
		if got := uid + ":" + gid; got != want {
			t.Errorf("the image's user %q: got %s, want %s", user, got, want)
		}
	}
	for user, want := range map[string]string{"0": "0:0", "0:0": "0:0", "7": "7:7", "7:8": "7:8"} {
		uid, gid := probeUser(t, runtime.Spec{User: user, Image: image(func(c *v1.Config) { c.User = "server" })})
		if got := uid + ":" + gid; got != want {
			t.Errorf("the Spec's user %q: got %s, want %s", user, got, want)
		}
	}
	_, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image(func(c *v1.Config) { c.User = "nobody-there" })})
	if err == nil || !strings.Contains(err.Error(), `"nobody-there"`) {
		t.Errorf("a user that does not exist: %v", err)
	}
	_, err = r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image(func(c *v1.Config) { c.Entrypoint = nil })})
	if err == nil || !strings.Contains(err.Error(), "give a command") {
		t.Errorf("an image without a program: %v", err)
	}

	// The entrypoint serves; what the image passes to it is replaced by Args.
	i := start(t, r, runtime.Spec{Name: "probe", Args: []string{"serve"}, Image: image(func(c *v1.Config) {
		c.Cmd, c.Env, c.WorkingDir = []string{"no-such-mode"}, []string{"FROM=image", "PATH=/own"}, "/tmp"
	})})
	result, err := call(t, i, "probe/env", nil)
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Join(slices.Sorted(slices.Values(texts(result["env"]))), " ")
	if env != "FROM=image HOME=/tmp PATH=/own" {
		t.Errorf("the environment is %q", env)
	}
	if dir, err := os.Readlink(filepath.Join("/proc", itoa(i.pid), "cwd")); err != nil || dir != "/tmp" {
		t.Errorf("the working directory is %q, %v", dir, err)
	}
}

// keychain has one pair for one registry.
type keychain struct{ host, user, password string }

func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}

// TestCredentials: a registry that wants a password gets the keychain's.
func TestCredentials(t *testing.T) {
	d := bed.Containerd(t)
	reg := testimage.Registry(t)
	image := reg.Push(t, built.Static(t, probePackage), "private/probe")
	inner := reg.Config.Handler
	reg.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != "me" || p != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	for password, ok := range map[string]bool{"": false, "wrong-password": false, "secret": true} {
		r := newRuntime(t, d, func(o *Options) {
			o.Namespace = "with-" + word("x"+password, 20)
			o.Insecure = []string{reg.Host}
			if password != "" {
				o.Keychain = keychain{reg.Host, "me", password}
			}
		})
		i, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image})
		if ok && err != nil || !ok && (err == nil || strings.Contains(err.Error(), "wrong-password")) {
			t.Errorf("password %q: %v", password, err)
		}
		if err == nil {
			initialize(t, i)
		}
	}
	// A registry is spoken to with TLS unless it is listed.
	r := newRuntime(t, d, func(o *Options) { o.Namespace = "strict"; o.Keychain = keychain{reg.Host, "me", "secret"} })
	if _, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image}); err == nil {
		t.Error("a password was sent without TLS")
	}
}
