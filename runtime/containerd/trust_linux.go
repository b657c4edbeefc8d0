package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/authorities"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// trusted are the authorities of TLS that an image trusts.
type trusted struct {
	pem []byte   // the certificates of the first file
	at  []string // where files of them are, without links
}

// trust has a server trust the authority of its gate beside those of its image:
// in the place of their file, and by variables that it was not given otherwise.
func (i *instance) trust(ctx context.Context, p *plan, img *image, authority []byte) error {
	own, err := i.r.trusted(ctx, img)
	if err != nil {
		return err
	}
	file, err := write(i.folder, "authorities.pem", string(own.pem)+string(authority))
	if err != nil {
		return err
	}
	p.mounts = append(p.mounts, bind(file, authorities.Inside, false, p.class))
	for _, at := range own.at {
		if !slices.ContainsFunc(p.spec.Mounts, func(m runtime.Mount) bool { return inside(at, path.Clean(m.Target)) }) {
			p.mounts = append(p.mounts, bind(file, at, false, p.class))
		}
	}
	for _, name := range authorities.Variables() {
		p.env[name] = authorities.Inside // those of the Spec go first
	}
	return nil
}

// trusted looks up the authorities of an image, once.
func (r *Runtime) trusted(ctx context.Context, img *image) (*trusted, error) {
	select {
	case img.looking <- struct{}{}:
		defer func() { <-img.looking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if img.trusted != nil {
		return img.trusted, nil
	}
	candidates := authorities.Files()
	for _, kv := range img.config.Env {
		if own, ok := strings.CutPrefix(kv, "SSL_CERT_FILE="); ok && path.IsAbs(own) {
			candidates = append([]string{own}, candidates...)
		}
	}
	t := &trusted{}
	err := r.inspect(ctx, img, func(root int) error {
		for _, name := range candidates {
			b, err := readUpTo(root, name, authorities.MaxFile)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
				continue
			}
			if err != nil {
				return fmt.Errorf("the authorities of %s: %w", name, err)
			}
			more, err := authorities.Certificates(bytes.NewReader(b))
			if err != nil || len(more) == 0 {
				continue
			}
			at, err := resolveIn(root, name)
			if err != nil {
				return err
			}
			if len(t.at) == 0 {
				t.pem = more
			}
			if !slices.Contains(t.at, at) {
				t.at = append(t.at, at)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	img.trusted = t
	return t, nil
}
