package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
)

// TestPipesInLayouts: a pipe in the place of a file of a layout keeps nobody
// waiting.
func TestPipesInLayouts(t *testing.T) {
	t.Parallel()
	digest, _, err := v1.SHA256(strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	blob := "blobs/sha256/" + digest.Hex
	for name, at := range map[string]string{"index": "index.json", "blob": blob, "layer": blob} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(dir, at), 0o644); err != nil {
			t.Fatal(err)
		}
		c := &content{path: layout.Path(dir)}
		failed := make(chan error, 1)
		go func() {
			var err error
			switch name {
			case "index":
				_, err = openLayout(layoutref.Ref{Path: dir})
			case "blob":
				_, err = c.blob(digest)
			case "layer":
				err = (&unpacker{}).blob(c, digest, digest, &progress{})
			}
			failed <- err
		}()
		select {
		case err := <-failed:
			if err == nil || !strings.Contains(err.Error(), at+" is no regular file") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: it waits for the pipe", name)
		}
	}
}

// TestPinnedImages: a digest names an image of a layout, also one in an index, and
// nothing else.
func TestPinnedImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	images := make([]v1.Image, 3)
	digests := make([]string, 3)
	for i := range images {
		img, err := random.Image(16, 1)
		if err == nil {
			images[i], err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: goruntime.GOARCH, RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		h, err := images[i].Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests[i] = h.String()
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: images[2]})
	if err := errors.Join(
		p.AppendImage(images[0], layout.WithAnnotations(map[string]string{tagAnnotation: "v1"})),
		p.AppendImage(images[1], layout.WithAnnotations(map[string]string{tagAnnotation: "v2"})),
		p.AppendIndex(index),
	); err != nil {
		t.Fatal(err)
	}
	inIndex, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[layoutref.Ref]string{
		{Digest: digests[1]}: digests[1], {Tag: "v2", Digest: digests[1]}: digests[1],
		{Digest: digests[2]}: digests[2], {Digest: inIndex.String()}: digests[2],
	} {
		at.Path = dir
		c, err := openLayout(at)
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else if got, err := c.image.Digest(); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", at, got, err, want)
		}
	}
	for at, want := range map[layoutref.Ref]string{
		{}: "it has 3 images; say which", {Digest: "sha256:" + strings.Repeat("00", 32)}: "it has nothing with the digest",
		{Tag: "v1", Digest: digests[1]}: "what it has of the tag v1, " + digests[0] + ", has nothing with the digest " + digests[1],
		{Tag: "v3", Digest: digests[1]}: "it has no image of the tag v3",
	} {
		at.Path = dir
		if _, err := openLayout(at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", at, err, want)
		}
	}
}
