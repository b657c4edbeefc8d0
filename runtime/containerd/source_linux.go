package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	imagearchive "github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	godigest "github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gatehouse-mcp/gatehouse/internal/layoutref"
)

// maxIndex bounds the index of a layout and of an archive.
const maxIndex = 4 << 20

// pull brings an image that a resolver knows, and unpacks it.
func (r *Runtime) pull(ctx context.Context, name string, from remotes.Resolver, p *progress) (containerd.Image, error) {
	stop := p.watch(r.client.ContentStore(), ctx)
	defer stop()
	return r.client.Pull(ctx, name,
		containerd.WithResolver(from),
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter(r.snapshotter),
		containerd.WithPullLabel(labelImage, p.image),
		containerd.WithImageHandlerWrapper(p.wrap),
	)
}

// layout resolves one image of an OCI layout folder.
type layout struct {
	path   string
	name   string
	target imagespec.Descriptor
}

// Resolve implements [remotes.Resolver].
func (l layout) Resolve(context.Context, string) (string, imagespec.Descriptor, error) {
	return l.name, l.target, nil
}

// Fetcher implements [remotes.Resolver].
func (l layout) Fetcher(context.Context, string) (remotes.Fetcher, error) {
	return remotes.FetcherFunc(func(_ context.Context, d imagespec.Descriptor) (io.ReadCloser, error) {
		if err := d.Digest.Validate(); err != nil { // it becomes a path
			return nil, err
		}
		return openRegular(filepath.Join(l.path, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
	}), nil
}

// Pusher implements [remotes.Resolver].
func (l layout) Pusher(context.Context, string) (remotes.Pusher, error) {
	return nil, fmt.Errorf("writing to a layout: %w", errdefs.ErrNotImplemented)
}

func openRegular(path string) (*os.File, error) {
	st, err := os.Stat(path) // a FIFO would block
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return os.Open(path)
}

// maxIndexes is how deep the indexes of a layout may lie in each other.
const maxIndexes = 4

// layoutTarget finds the image of a layout folder that a reference names, or the
// only one when it names none. What lies in the indexes of an image has a name only
// by its digest.
func layoutTarget(at layoutref.Ref) (imagespec.Descriptor, error) {
	index, err := layoutIndex(filepath.Join(at.Path, imagespec.ImageIndexFile))
	if err != nil {
		return imagespec.Descriptor{}, err
	}
	var found []imagespec.Descriptor
	var tags []string
	for _, d := range index.Manifests {
		t := d.Annotations[imagespec.AnnotationRefName]
		if t != "" {
			tags = append(tags, t)
		}
		if at.Tag == "" || t == at.Tag || d.Annotations[images.AnnotationImageName] == at.Tag {
			found = append(found, d)
		}
	}
	if at.Tag != "" && len(found) == 0 {
		return imagespec.Descriptor{}, fmt.Errorf("the layout has no image with the tag %q; it has %s", at.Tag, list(tags))
	}
	if at.Digest != "" {
		d, err := layoutDigest(at.Path, found, godigest.Digest(at.Digest), maxIndexes)
		if err == nil && d.Digest == "" {
			what := "the layout"
			if at.Tag != "" {
				what = fmt.Sprintf("what the layout has with the tag %q, %s,", at.Tag, found[0].Digest)
			}
			err = fmt.Errorf("%s has nothing with the digest %s", what, at.Digest)
		}
		return d, err
	}
	switch len(found) {
	case 1:
		d := found[0]
		d.Annotations = nil
		return d, d.Digest.Validate()
	case 0:
		return imagespec.Descriptor{}, errors.New("the layout has no image")
	default:
		return imagespec.Descriptor{}, fmt.Errorf("the layout has %d images; name one by its tag (%s) or its digest", len(found), list(tags))
	}
}

// layoutDigest finds a digest among descriptors, and in the indexes that they are
// of. Without it the descriptor is empty.
func layoutDigest(path string, all []imagespec.Descriptor, want godigest.Digest, deeper int) (imagespec.Descriptor, error) {
	for _, d := range all {
		if d.Digest == want {
			d.Annotations = nil
			return d, nil
		}
	}
	for _, d := range all {
		if !images.IsIndexType(d.MediaType) || deeper == 0 {
			continue
		}
		if err := d.Digest.Validate(); err != nil {
			return imagespec.Descriptor{}, err
		}
		index, err := layoutIndex(filepath.Join(path, imagespec.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // of another platform, and not copied
		}
		if err != nil {
			return imagespec.Descriptor{}, err
		}
		if found, err := layoutDigest(path, index.Manifests, want, deeper-1); err != nil || found.Digest != "" {
			return found, err
		}
	}
	return imagespec.Descriptor{}, nil
}

// layoutIndex reads an index of a layout.
func layoutIndex(name string) (index imagespec.Index, err error) {
	f, err := openRegular(name)
	if err != nil {
		return index, fmt.Errorf("it is no OCI layout folder: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return index, err
	}
	if err := json.Unmarshal(b, &index); err != nil {
		return index, fmt.Errorf("reading %s of the layout: %w", filepath.Base(name), err)
	}
	return index, nil
}

func list(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// archiveTarget names the only image of a tarball by its configuration, which
// names the content of all layers.
func archiveTarget(path string) (imagespec.Descriptor, error) {
	f, err := openRegular(path)
	if err != nil {
		return imagespec.Descriptor{}, err
	}
	_ = f.Close()
	img, err := tarball.ImageFromPath(path, (*name.Tag)(nil))
	if err != nil {
		return imagespec.Descriptor{}, fmt.Errorf("it is no tarball with one image: %w", err)
	}
	h, err := img.ConfigName()
	if err != nil {
		return imagespec.Descriptor{}, fmt.Errorf("reading the configuration in the tarball: %w", err)
	}
	return imagespec.Descriptor{Digest: godigest.Digest(h.String())}, nil
}

// load imports a tarball under a name, and unpacks it.
func (r *Runtime) load(ctx context.Context, path, name string, target imagespec.Descriptor) (containerd.Image, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cs := r.client.ContentStore()
	top, err := imagearchive.ImportIndex(ctx, cs, f)
	if err != nil {
		return nil, fmt.Errorf("importing the tarball: %w", err)
	}
	b, err := content.ReadBlob(ctx, cs, top)
	if err != nil {
		return nil, err
	}
	var index imagespec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, err
	}
	if len(index.Manifests) == 0 {
		return nil, errors.New("the tarball has no image")
	}
	manifest := index.Manifests[0]
	manifest.Annotations = nil
	if err := images.Walk(ctx, images.SetChildrenLabels(cs, images.ChildrenHandler(cs)), manifest); err != nil {
		return nil, fmt.Errorf("importing the tarball: %w", err)
	}
	record := images.Image{Name: name, Target: manifest, Labels: map[string]string{labelImage: "docker-archive:" + path}}
	store := r.client.ImageService()
	if _, err := store.Create(ctx, record); errdefs.IsAlreadyExists(err) {
		_, err = store.Update(ctx, record)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	img := containerd.NewImage(r.client, record)
	config, err := img.Config(ctx)
	if err != nil {
		return nil, err
	}
	if config.Digest != target.Digest {
		_ = store.Delete(ctx, name)
		return nil, errors.New("the tarball was changed while it was read")
	}
	return img, img.Unpack(ctx, r.snapshotter)
}
