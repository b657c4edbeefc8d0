package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// maxMetadata bounds a manifest or configuration, in bytes; maxIndexes how
// deep indexes may lie in each other.
const (
	maxMetadata = 4 << 20
	maxIndexes  = 4
)

// tagAnnotation has the tag of an entry of an index.
const tagAnnotation = "org.opencontainers.image.ref.name"

func parsePlace(image string) (layoutref.Ref, error) {
	if !strings.HasPrefix(image, layoutref.Scheme) {
		return layoutref.Ref{}, fmt.Errorf("sandbox: image %q %w: only the OCI layout of a folder can be unpacked here, oci:PATH[:TAG][@DIGEST]; use a runtime for containers", image, runtime.ErrCannotEnforce)
	}
	at, err := layoutref.Parse(image)
	if err != nil {
		return layoutref.Ref{}, fmt.Errorf("sandbox: image %q: %w", image, err)
	}
	return at, nil
}

// content is an image in a layout, its metadata checked against the digests.
type content struct {
	path     layout.Path
	image    v1.Image // for its layers
	manifest *v1.Manifest
	config   *v1.ConfigFile
}

// openLayout finds the image of a place for this machine.
func openLayout(at layoutref.Ref) (*content, error) {
	if err := regular(filepath.Join(at.Path, "index.json")); err != nil {
		return nil, err
	}
	p, err := layout.FromPath(at.Path)
	if err != nil {
		return nil, err
	}
	c := &content{path: p}
	index, err := layout.ImageIndexFromPath(at.Path)
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var found v1.Descriptor
	if at.Digest == "" {
		found, err = choose(m, at.Tag)
	} else {
		index, found, err = c.pinned(index, m, at)
	}
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

// pinned finds what a layout has with a digest, and the index that it is in.
func (c *content) pinned(index v1.ImageIndex, m *v1.IndexManifest, at layoutref.Ref) (v1.ImageIndex, v1.Descriptor, error) {
	all, what := m.Manifests, "it"
	if at.Tag != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(d v1.Descriptor) bool { return d.Annotations[tagAnnotation] != at.Tag })
		if len(all) == 0 {
			return nil, v1.Descriptor{}, fmt.Errorf("it has no image of the tag %s", at.Tag)
		}
		what = fmt.Sprintf("what it has of the tag %s, %s,", at.Tag, all[0].Digest)
	}
	in, found, err := c.within(index, all, at.Digest, maxIndexes)
	if err == nil && in == nil {
		err = fmt.Errorf("%s has nothing with the digest %s", what, at.Digest)
	}
	return in, found, err
}

// within finds a digest among the entries of an index, and in the indexes that
// they are of. Without it the index is nil.
func (c *content) within(index v1.ImageIndex, all []v1.Descriptor, digest string, deeper int) (v1.ImageIndex, v1.Descriptor, error) {
	for _, d := range all {
		if d.Digest.String() == digest {
			return index, d, nil
		}
	}
	for _, d := range all {
		if !d.MediaType.IsIndex() || deeper == 0 {
			continue
		}
		raw, err := c.blob(d.Digest)
		if errors.Is(err, fs.ErrNotExist) {
			continue // of another platform, and not copied
		}
		if err != nil {
			return nil, v1.Descriptor{}, err
		}
		m, err := v1.ParseIndexManifest(strings.NewReader(string(raw)))
		if err != nil {
			return nil, v1.Descriptor{}, err
		}
		next, err := index.ImageIndex(d.Digest)
		if err != nil {
			return nil, v1.Descriptor{}, err
		}
		if in, found, err := c.within(next, m.Manifests, digest, deeper-1); err != nil || in != nil {
			return in, found, err
		}
	}
	return nil, v1.Descriptor{}, nil
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
		if !d.MediaType.IsImage() && !d.MediaType.IsIndex() || tag != "" && d.Annotations[tagAnnotation] != tag {
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
		return v1.Descriptor{}, fmt.Errorf("it has %d images; say which by a tag, oci:PATH:TAG, or a digest, oci:PATH@DIGEST", len(fit))
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
