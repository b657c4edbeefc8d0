package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/authorities"
)

// trusted is the file of the authorities that a server trusts whose
// connections end in its gate.
const trusted = authorities.Inside

// trust has the server trust an authority beside those of the system, or of
// its image: in the place of their file, and by variables that it was not given
// otherwise. A file that the Spec mounts stays as it is.
func (o *order) trust(authority []byte, img *image, mounts []shown) error {
	open := openBundle
	candidates := authorities.Files()
	if img != nil {
		open = img.openBundle
		if own := o.env["SSL_CERT_FILE"]; strings.HasPrefix(own, "/") {
			candidates = append([]string{own}, candidates...)
		}
	}
	var all []byte
	var covered []string
	for _, name := range candidates {
		f, at, err := open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the authorities of %s: %w", name, err)
		}
		if slices.Contains(covered, at) {
			_ = f.Close()
			continue
		}
		more, err := certificates(f)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("the authorities of %s: %w", name, err)
		}
		if len(more) == 0 {
			continue
		}
		if len(covered) == 0 {
			all = more
		}
		covered = append(covered, at)
	}
	o.Steps = append(o.Steps, step{Kind: makeFile, Target: trusted, Source: string(all) + string(authority)})
	for _, at := range covered {
		mounted := slices.ContainsFunc(mounts, func(m shown) bool { return below(at, m.target) })
		visible := slices.ContainsFunc(o.Steps, func(s step) bool { return s.Kind == bind && below(at, s.Target) })
		if visible && !mounted {
			o.Steps = append(o.Steps, step{Kind: alias, Target: at, Source: trusted, File: true})
		}
	}
	for _, name := range authorities.Variables() {
		if _, ok := o.given[name]; !ok {
			o.env[name] = trusted
		}
	}
	return nil
}

// openBundle opens a file of the host, and tells where it lies without links.
func openBundle(name string) (*os.File, string, error) {
	at, err := host{}.real(name)
	if err != nil {
		return nil, "", err
	}
	f, err := os.OpenFile(at, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	return f, at, err
}

// openBundle opens a file of the image, and tells where it lies inside.
func (i *image) openBundle(name string) (*os.File, string, error) {
	fd, err := i.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err == unix.ENOTDIR || err == unix.ELOOP || err == unix.EXDEV {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil && !below(at, i.root) {
		err = errors.New("it was moved while it was opened")
	}
	if err != nil {
		_ = f.Close()
		return nil, "", err
	}
	return f, strings.TrimPrefix(at, i.root), nil
}

// certificates reads the certificates of a file, without what stands between
// them.
func certificates(f *os.File) ([]byte, error) {
	s, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !s.Mode().IsRegular() || s.Size() > authorities.MaxFile {
		return nil, fmt.Errorf("it is no regular file of at most %d bytes", authorities.MaxFile)
	}
	return authorities.Certificates(f)
}
