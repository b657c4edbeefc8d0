package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sys/unix"
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
				_, err = openLayout(place{path: dir})
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
