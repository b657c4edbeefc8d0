package containerd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// origin is where an image comes from.
type origin int

const (
	fromRegistry origin = iota // REPOSITORY[:TAG][@DIGEST]
	fromLayout                 // oci:PATH[:TAG], an OCI layout folder
	fromArchive                // docker-archive:PATH, what `docker save` writes
	inContainerd               // containerd:REF, in containerd already
)

// reference is a parsed Spec.Image.
type reference struct {
	source origin
	name   string // of a registry or of containerd: the full name
	path   string // of a layout or archive
	tag    string // in a layout; empty: there is only one image
	digest string // empty: a tag says which
	repo   name.Repository
}

// parseReference reads Spec.Image.
func parseReference(image string) (reference, error) {
	scheme, rest, ok := strings.Cut(image, ":")
	if !ok {
		scheme = ""
	}
	switch scheme {
	case "oci", "docker-archive":
		r := reference{source: fromArchive, path: rest}
		if scheme == "oci" {
			r.source = fromLayout
			if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
				r.path, r.tag = rest[:i], rest[i+1:]
				if r.tag == "" {
					return reference{}, fmt.Errorf("image %q: the tag is empty", image)
				}
			}
		}
		if r.path == "" || strings.ContainsRune(r.path, 0) {
			return reference{}, fmt.Errorf("image %q: no path is given", image)
		}
		if !filepath.IsAbs(r.path) {
			return reference{}, fmt.Errorf("image %q: the path is not absolute", image)
		}
		return r, nil
	case "containerd":
		if rest == "" {
			return reference{}, fmt.Errorf("image %q: no name is given", image)
		}
		return reference{source: inContainerd, name: rest}, nil
	}
	if image == "" {
		return reference{}, errors.New("no image is given")
	}
	ref, err := name.ParseReference(image, name.WeakValidation)
	if err != nil {
		return reference{}, fmt.Errorf("image %q: it is neither REPOSITORY@DIGEST, REPOSITORY:TAG, oci:PATH, docker-archive:PATH nor containerd:NAME: %w", image, err)
	}
	r := reference{source: fromRegistry, repo: ref.Context()}
	if d, ok := ref.(name.Digest); ok {
		r.digest = d.DigestStr()
	}
	// containerd has its own name for Docker's registry.
	repository := ref.Context().Name()
	if rest, ok := strings.CutPrefix(repository, name.DefaultRegistry+"/"); ok {
		repository = "docker.io/" + rest
	}
	r.name = repository + ":" + ref.Identifier()
	if r.digest != "" {
		r.name = repository + "@" + r.digest
	}
	return r, nil
}
