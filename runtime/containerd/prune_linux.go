package containerd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
)

// Prune removes the images that gateways have brought into the namespace and
// that no container of any of them uses, except those in keep, which are
// written as in Spec.Image. It returns the names of the removed, whose disk space
// is free then. A container
// that another gateway is just starting from one of them is not harmed: a
// lease protects its content until that gateway closes.
func (r *Runtime) Prune(ctx context.Context, keep []string) (removed []string, err error) {
	if _, err := r.ready(ctx); err != nil {
		return nil, err
	}
	r.used.Store(true)
	kept := map[string]bool{}
	for _, text := range keep {
		ref, err := parseReference(text)
		if err != nil {
			return nil, err
		}
		name := ref.name
		if ref.source == fromLayout || ref.source == fromArchive {
			if name, _, err = r.identify(ctx, ref); err != nil {
				continue // it is not there to be kept
			}
		}
		kept[name] = true
	}
	nctx := r.within(ctx)
	boxes, err := r.client.ContainerService().List(nctx)
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", r.native(err))
	}
	for _, c := range boxes {
		kept[c.Image] = true
	}
	all, err := r.client.ImageService().List(nctx, "labels."+strconv.Quote(labelImage))
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", r.native(err))
	}
	all = slices.DeleteFunc(all, func(i images.Image) bool { return kept[i.Name] })
	var errs []error
	for n, img := range all {
		r.forgetName(img.Name)
		id := "gatehouse-" + r.owner.ID + "-" + digest(img.Name)
		if err := absent(r.client.LeasesService().Delete(nctx, leases.Lease{ID: id})); err != nil {
			errs = append(errs, fmt.Errorf("removing a lease: %w", r.native(err)))
		}
		var how []images.DeleteOpt
		if n == len(all)-1 { // what they took is free when we return
			how = append(how, images.SynchronousDelete())
		}
		if err := absent(r.client.ImageService().Delete(nctx, img.Name, how...)); err != nil {
			errs = append(errs, fmt.Errorf("removing image %s: %w", img.Name, r.native(err)))
			continue
		}
		removed = append(removed, img.Name)
	}
	return removed, errors.Join(errs...)
}

// forgetName has the image with a name in containerd looked for again.
func (r *Runtime) forgetName(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, f := range r.images {
		select {
		case <-f.done:
			if f.img != nil && f.img.name == name {
				delete(r.images, key)
			}
		default:
		}
	}
}
