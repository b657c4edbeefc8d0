package sandbox

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// trusted is the file of the authorities that a server trusts whose
// connections may end in the proxy. It lies in the one folder that neither an
// image nor a mount can have.
const trusted = "/dev/gatehouse-ca.pem"

// maxBundle bounds the system's authorities, in bytes.
const maxBundle = 2 << 20

// bundles are where systems keep their authorities, in one file.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// trustVariables name the file to programs that do not read the system's.
var trustVariables = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"}

// trust has the server trust an authority beside those of the system, or of
// its image: in the place of their file, and by variables that the Spec does
// not have itself. A file that the Spec mounts stays as it is.
func (o *order) trust(authority []byte, spec runtime.Spec, img *image, mounts []shown) error {
	open := openBundle
	candidates := bundles
	if img != nil {
		open = img.openBundle
		if own := o.env["SSL_CERT_FILE"]; strings.HasPrefix(own, "/") {
			candidates = append([]string{own}, bundles...)
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
	for _, name := range trustVariables {
		if _, ok := spec.Env[name]; !ok {
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
	if !s.Mode().IsRegular() || s.Size() > maxBundle {
		return nil, fmt.Errorf("it is no regular file of at most %d bytes", maxBundle)
	}
	rest, err := io.ReadAll(io.LimitReader(f, maxBundle))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return out.Bytes(), nil
		}
		if b.Type == "CERTIFICATE" {
			if err := pem.Encode(&out, &pem.Block{Type: b.Type, Bytes: b.Bytes}); err != nil {
				return nil, err
			}
		}
	}
}
