package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// maxMetadata bounds a manifest or configuration, in bytes; maxIndexes how
// deep indexes may lie in each other.
const (
	maxMetadata = 4 << 20
	maxIndexes  = 4
)

// place is a parsed Spec.Image: oci:PATH[:TAG].
type place struct{ path, tag string }

func parsePlace(image string) (place, error) {
	p, ok := strings.CutPrefix(image, "oci:")
	if !ok {
		return place{}, fmt.Errorf("sandbox: image %q %w: only the OCI layout of a folder can be unpacked here, oci:PATH[:TAG]; use a runtime for containers", image, runtime.ErrCannotEnforce)
	}
	r := place{path: p}
	if n := strings.LastIndexByte(p, ':'); n > strings.LastIndexByte(p, '/') {
		if r.path, r.tag = p[:n], p[n+1:]; r.tag == "" {
			return place{}, fmt.Errorf("sandbox: image %q: the tag is empty", image)
		}
	}
	if !filepath.IsAbs(r.path) || strings.ContainsRune(image, 0) {
		return place{}, fmt.Errorf("sandbox: image %q: the path is not absolute", image)
	}
	return r, nil
}

// content is an image in a layout, its metadata checked against the digests.
type content struct {
	path     layout.Path
	image    v1.Image // for its layers
	manifest *v1.Manifest
	config   *v1.ConfigFile
}

// openLayout finds the image of a place for this machine.
func openLayout(at place) (*content, error) {
	if err := regular(filepath.Join(at.path, "index.json")); err != nil {
		return nil, err
	}
	p, err := layout.FromPath(at.path)
	if err != nil {
		return nil, err
	}
	c := &content{path: p}
	index, err := layout.ImageIndexFromPath(at.path)
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	found, err := choose(m, at.tag)
	for depth := 0; err == nil && found.MediaType.IsIndex(); depth++ {
		if depth == maxIndexes {
			return nil, errors.New("its indexes lie too deep in each other")
		}
		raw, rerr := c.blob(found.Digest)
		if rerr != nil {
			return nil, rerr
		}
		if index, err = index.ImageIndex(found.Digest); err != nil {
			return nil, err
		}
		if m, err = v1.ParseIndexManifest(strings.NewReader(string(raw))); err == nil {
			found, err = choose(m, "")
		}
	}
	if err != nil {
		return nil, err
	}
	raw, err := c.blob(found.Digest)
	if err != nil {
		return nil, err
	}
	if c.image, err = index.Image(found.Digest); err != nil {
		return nil, err
	}
	if c.manifest, err = v1.ParseManifest(strings.NewReader(string(raw))); err != nil {
		return nil, err
	}
	if raw, err = c.blob(c.manifest.Config.Digest); err != nil {
		return nil, err
	}
	if c.config, err = v1.ParseConfigFile(strings.NewReader(string(raw))); err != nil {
		return nil, err
	}
	if len(c.config.RootFS.DiffIDs) != len(c.manifest.Layers) {
		return nil, errors.New("its configuration and its manifest have not the same layers")
	}
	if c.config.OS != "" && c.config.OS != "linux" || c.config.Architecture != "" && c.config.Architecture != goruntime.GOARCH {
		return nil, fmt.Errorf("it is for %s/%s, not for linux/%s", c.config.OS, c.config.Architecture, goruntime.GOARCH)
	}
	return c, nil
}

// regular refuses what is no regular file: a pipe or a device could keep its
// reader for ever.
func regular(p string) error {
	s, err := os.Stat(p)
	if err == nil && !s.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", p)
	}
	return err
}

// regular is that of a blob.
func (c *content) regular(h v1.Hash) error {
	return regular(filepath.Join(string(c.path), "blobs", h.Algorithm, h.Hex))
}

// choose picks an entry of an index: by its tag, or the one for this machine.
func choose(m *v1.IndexManifest, tag string) (v1.Descriptor, error) {
	var fit []v1.Descriptor
	for _, d := range m.Manifests {
		if !d.MediaType.IsImage() && !d.MediaType.IsIndex() || tag != "" && d.Annotations["org.opencontainers.image.ref.name"] != tag {
			continue
		}
		if p := d.Platform; p != nil && p.OS != "" && (p.OS != "linux" || p.Architecture != goruntime.GOARCH) {
			continue
		}
		fit = append(fit, d)
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1 && tag == "":
		return v1.Descriptor{}, fmt.Errorf("it has %d images; say which by a tag, oci:PATH:TAG", len(fit))
	case len(fit) > 1:
		return v1.Descriptor{}, fmt.Errorf("it has %d images of the tag %s", len(fit), tag)
	case tag != "":
		return v1.Descriptor{}, fmt.Errorf("it has no image of the tag %s for linux/%s", tag, goruntime.GOARCH)
	}
	return v1.Descriptor{}, fmt.Errorf("it has no image for linux/%s", goruntime.GOARCH)
}

// blob reads metadata, and refuses what does not have its digest.
func (c *content) blob(h v1.Hash) ([]byte, error) {
	if err := c.regular(h); err != nil {
		return nil, err
	}
	f, err := c.path.Blob(h)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxMetadata {
		return nil, fmt.Errorf("the blob %s is larger than %d bytes", h, maxMetadata)
	}
	got, _, err := v1.SHA256(strings.NewReader(string(raw)))
	if err == nil && got != h {
		err = fmt.Errorf("the blob %s has another digest, %s", h, got)
	}
	return raw, err
}
