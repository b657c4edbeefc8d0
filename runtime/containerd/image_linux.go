package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// image is an image that is unpacked in containerd, and that a lease of this
// gateway protects there.
type image struct {
	name   string
	parent string // of a container's snapshot
	config imagespec.ImageConfig

	looking chan struct{}        // full while somebody looks at its files
	own     *user                // its own user, once it was looked up
	trusted *trusted             // its authorities, once they were looked up
	dirs    map[string]directory // by directoryKey
}

// fetching is an image on its way. It goes on when who wanted it first has
// given up.
type fetching struct {
	done chan struct{}
	img  *image
	err  error
	progress
}

// image returns the image of a reference, which it brings if it is not there.
func (r *Runtime) image(ctx context.Context, text string, ref reference) (*image, error) {
	key, target, err := r.identify(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", text, err)
	}
	r.mu.Lock()
	f := r.images[key]
	if f == nil {
		if r.closed {
			r.mu.Unlock()
			return nil, errClosed
		}
		f = &fetching{done: make(chan struct{})}
		f.image = text
		r.images[key] = f
		r.work.Go(func() {
			defer close(f.done)
			f.img, f.err = r.fetch(r.within(r.ctx), ref, target, &f.progress)
			if f.err != nil {
				r.forget(key, f)
			}
		})
	}
	r.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("image %s: %w while it is fetched (%s); that goes on, so that a later start finds it", text, ctx.Err(), &f.progress)
	}
	if f.err != nil {
		return nil, fmt.Errorf("image %s: %w", text, r.native(f.err))
	}
	return f.img, nil
}

// forget has an image looked for again.
func (r *Runtime) forget(key string, f *fetching) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.images[key] == f {
		delete(r.images, key)
	}
}

// forgetImage has an image looked for again that is not there any more.
func (r *Runtime) forgetImage(img *image) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, f := range r.images {
		select {
		case <-f.done:
			if f.img == img {
				delete(r.images, key)
			}
		default:
		}
	}
}

// identify returns what tells the image of a reference from others: its name,
// or what a file of this machine holds now.
func (r *Runtime) identify(ctx context.Context, ref reference) (key string, target imagespec.Descriptor, err error) {
	switch ref.source {
	case fromLayout:
		target, err = layoutTarget(ref.layout)
		return localName("oci", target), target, err
	case fromArchive:
		target, err = archiveTarget(ref.path)
		return localName("archive", target), target, err
	case inContainerd:
		i, err := r.client.ImageService().Get(r.within(ctx), ref.name)
		if errdefs.IsNotFound(err) {
			return "", target, fmt.Errorf("it is not in containerd's namespace %s; import it there, or pull it by its reference", r.o.Namespace)
		}
		return "containerd:" + ref.name + "@" + i.Target.Digest.String(), i.Target, r.native(err)
	default:
		return ref.name, target, nil
	}
}

// localName is the name in containerd of an image that comes from a file.
func localName(kind string, target imagespec.Descriptor) string {
	return "gatehouse.local/" + kind + "@" + target.Digest.String()
}

// fetch brings an image and protects it by a lease.
func (r *Runtime) fetch(ctx context.Context, ref reference, target imagespec.Descriptor, p *progress) (_ *image, err error) {
	name := ref.name
	switch ref.source {
	case fromLayout:
		name = localName("oci", target)
	case fromArchive:
		name = localName("archive", target)
	}
	lease, err := r.lease(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx = leases.WithLease(ctx, lease.ID)
	var img containerd.Image
	if ref.source != fromRegistry || ref.digest != "" { // a tag may have moved
		img, err = r.client.GetImage(ctx, name)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, err
		}
	}
	if img != nil {
		if err := r.complete(ctx, img); err != nil {
			img = nil
		}
	}
	if img == nil {
		p.begin(r.o.Events.Pull)
		switch ref.source {
		case fromRegistry:
			img, err = r.pull(ctx, ref.name, r.registry(ref), p)
		case fromLayout:
			img, err = r.pull(ctx, name, layout{ref.layout.Path, name, target}, p)
		case fromArchive:
			img, err = r.load(ctx, ref.path, name, target)
		default:
			err = errors.New("its content is not all there")
		}
		p.end(err)
		if err != nil {
			return nil, err
		}
	}
	if err := r.matches(ctx, img, ref, target); err != nil {
		return nil, err
	}
	return r.open(ctx, img, lease)
}

// matches fails unless an image that was found by its name is what the reference
// means: whoever can write to the namespace gives names.
func (r *Runtime) matches(ctx context.Context, img containerd.Image, ref reference, target imagespec.Descriptor) error {
	want, got := target.Digest.String(), img.Target().Digest.String()
	switch {
	case ref.source == fromRegistry && ref.digest == "":
		return nil
	case ref.source == fromRegistry:
		want = ref.digest
	case ref.source == fromArchive: // it is known by its configuration
		config, err := img.Config(ctx)
		if err != nil {
			return err
		}
		got = config.Digest.String()
	}
	if got != want {
		return fmt.Errorf("the image with the name %s in containerd's namespace %s has the digest %s, not %s; remove it there", img.Name(), r.o.Namespace, got, want)
	}
	return nil
}

// complete tells why an image that has a record is not all there.
func (r *Runtime) complete(ctx context.Context, img containerd.Image) error {
	ok, _, _, missing, err := images.Check(ctx, img.ContentStore(), img.Target(), img.Platform())
	switch {
	case err != nil:
		return err
	case !ok || len(missing) > 0:
		return errors.New("content is missing")
	}
	unpacked, err := img.IsUnpacked(ctx, r.snapshotter)
	if err != nil || unpacked {
		return err
	}
	return img.Unpack(ctx, r.snapshotter)
}

// open reads what is needed of an image, and has the lease protect it.
func (r *Runtime) open(ctx context.Context, img containerd.Image, lease leases.Lease) (*image, error) {
	desc, err := img.Config(ctx)
	if err != nil {
		return nil, fmt.Errorf("it has nothing for this platform: %w", err)
	}
	b, err := content.ReadBlob(ctx, img.ContentStore(), desc)
	if err != nil {
		return nil, fmt.Errorf("reading its configuration: %w", err)
	}
	var config imagespec.Image
	if err := json.Unmarshal(b, &config); err != nil {
		return nil, fmt.Errorf("reading its configuration: %w", err)
	}
	if config.OS != "" && config.OS != "linux" {
		return nil, fmt.Errorf("it is for %s, not for linux", config.OS)
	}
	parent := identity.ChainID(config.RootFS.DiffIDs).String()
	manager := r.client.LeasesService()
	for _, res := range []leases.Resource{
		{ID: img.Target().Digest.String(), Type: "content"},
		{ID: parent, Type: "snapshots/" + r.snapshotter},
	} {
		if parent == "" && res.ID == "" {
			continue // no layers
		}
		if err := manager.AddResource(ctx, lease, res); err != nil {
			return nil, fmt.Errorf("protecting it by a lease: %w", err)
		}
	}
	return &image{
		name: img.Name(), parent: parent, config: config.Config,
		looking: make(chan struct{}, 1), dirs: map[string]directory{},
	}, nil
}

// lease makes the lease of an image, unless there is one.
func (r *Runtime) lease(ctx context.Context, name string) (leases.Lease, error) {
	id := "gatehouse-" + r.owner.ID + "-" + digest(name)
	l, err := r.client.LeasesService().Create(ctx, leases.WithID(id), leases.WithLabels(labels(r.owner)))
	if errdefs.IsAlreadyExists(err) {
		return leases.Lease{ID: id}, nil
	}
	if err != nil {
		return leases.Lease{}, fmt.Errorf("making a lease: %w", err)
	}
	return l, nil
}
