package containerd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
)

// origin is where an image comes from.
type origin int

const (
	fromRegistry origin = iota // REPOSITORY[:TAG][@DIGEST]
	fromLayout                 // oci:PATH[:TAG][@DIGEST], an OCI layout folder
	fromArchive                // docker-archive:PATH, what `docker save` writes
	inContainerd               // containerd:REF, in containerd already
)

// reference is a parsed Spec.Image.
type reference struct {
	source origin
	name   string // of a registry or of containerd: the full name
	layout layoutref.Ref
	path   string // of an archive
	digest string // in a registry; empty: a tag says which
	repo   name.Repository
}

// parseReference reads Spec.Image.
func parseReference(image string) (reference, error) {
	scheme, rest, ok := strings.Cut(image, ":")
	if !ok {
		scheme = ""
	}
	switch scheme {
	case "oci":
		at, err := layoutref.Parse(image)
		if err != nil {
			return reference{}, fmt.Errorf("image %q: %w", image, err)
		}
		return reference{source: fromLayout, layout: at}, nil
	case "docker-archive":
		if rest == "" || strings.ContainsRune(rest, 0) {
			return reference{}, fmt.Errorf("image %q: no path is given", image)
		}
		if !filepath.IsAbs(rest) {
			return reference{}, fmt.Errorf("image %q: the path is not absolute", image)
		}
		return reference{source: fromArchive, path: rest}, nil
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
