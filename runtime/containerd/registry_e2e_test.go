//go:build e2e && linux

package containerd

import (
	"archive/tar"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// stranger is a host that wants a password, and notes what it is asked.
type stranger struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // the paths
	given []string // what authorized the requests
}

func newStranger(t *testing.T, challenge string, answer http.Handler) *stranger {
	s := &stranger{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, q.URL.Path)
		if a := q.Header.Get("Authorization"); a != "" {
			s.given = append(s.given, a)
		}
		s.mu.Unlock()
		if challenge != "" && q.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer.ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestCredentialsAreTheRegistrysAlone: a registry redirects to its store of
// layers, which gets the request without the password.
func TestCredentialsAreTheRegistrysAlone(t *testing.T) {
	reg := testimage.Registry(t)
	image := reg.Push(t, built.Static(t, probePackage), "private/probe")
	inner := reg.Config.Handler
	for challenge, ok := range map[string]bool{"": true, `Basic realm="x"`: false, `Bearer realm="http://` + reg.Host + `/token",service="x"`: false} {
		store := newStranger(t, challenge, inner)
		reg.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if u, p, ok := q.BasicAuth(); !ok || u != "me" || p != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
				http.Redirect(w, q, store.URL+q.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			inner.ServeHTTP(w, q)
		})
		r := newRuntime(t, bed.Containerd(t), func(o *Options) { // whose namespaces would share content
			o.Insecure = []string{reg.Host}
			o.Keychain = keychain{reg.Host, "me", "secret"}
		})
		i, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("challenge %q: %v", challenge, err)
		}
		if err == nil {
			initialize(t, i)
		}
		store.mu.Lock()
		if len(store.asked) == 0 || len(store.given) > 0 {
			t.Errorf("challenge %q: the store was asked for %v, and given %q", challenge, store.asked, store.given)
		}
		store.mu.Unlock()
	}
}

// TestLayersElsewhere: no URL that a manifest names is asked for.
func TestLayersElsewhere(t *testing.T) {
	d := bed.Containerd(t)
	reg := testimage.Registry(t)
	r := newRuntime(t, d, func(o *Options) { o.Insecure = []string{reg.Host} })
	inside := newStranger(t, "", http.NotFoundHandler())
	img, err := mutate.Append(built.Static(t, probePackage), mutate.Addendum{
		Layer: layerOf(t, tar.Header{Name: "x", Typeflag: tar.TypeDir, Mode: 0o755}),
		URLs:  []string{inside.URL + "/latest/meta-data/"}, MediaType: types.DockerForeignLayer,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Start(bounded(t), runtime.Spec{Name: "probe", Image: reg.Push(t, img, "elsewhere")})
	if err == nil || !strings.Contains(err.Error(), "URL outside of the registry") {
		t.Errorf("got %v", err)
	}
	if len(inside.asked) > 0 {
		t.Errorf("asked for %v", inside.asked)
	}
}

// TestNameWithAnotherDigest: what has the name of a digest in containerd, but
// another content, is refused.
func TestNameWithAnotherDigest(t *testing.T) {
	d := bed.Containerd(t)
	reg := testimage.Registry(t)
	r := newRuntime(t, d, func(o *Options) { o.Insecure = []string{reg.Host} })
	good := reg.Push(t, built.Static(t, probePackage), "good")
	initialize(t, start(t, r, runtime.Spec{Name: "probe", Image: good}))
	other, err := mutate.AppendLayers(built.Static(t, probePackage), layerOf(t, tar.Header{Name: "x", Typeflag: tar.TypeDir, Mode: 0o755}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := r.within(bounded(t))
	known, err := r.client.ImageService().Get(ctx, good)
	if err != nil {
		t.Fatal(err)
	}
	layout := "oci:" + testimage.Layout(t, other, "v1")
	archive := "docker-archive:" + testimage.Archive(t, other, "example.com/probe:v1")
	pushed := reg.Push(t, other, "other")
	ref, err := parseReference(archive)
	if err != nil {
		t.Fatal(err)
	}
	_, target, err := r.identify(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	for image, name := range map[string]string{
		pushed: pushed, layout: localName("oci", mustTarget(t, layout)), archive: localName("archive", target),
	} {
		if _, err := r.client.ImageService().Create(ctx, images.Image{Name: name, Target: known.Target}); err != nil {
			t.Fatal(err)
		}
		_, err := r.Start(bounded(t), runtime.Spec{Name: "probe", Image: image})
		if err == nil || !strings.Contains(err.Error(), "has the digest") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", image, err)
		}
		if err := r.client.ImageService().Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
		initialize(t, start(t, r, runtime.Spec{Name: "probe", Image: image}))
	}
}
