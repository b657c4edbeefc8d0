package sandbox

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of an unpacked image.
const (
	maxEntries   = 2_000_000
	maxImageSize = 16 << 30 // bytes
)

// Names by which a layer removes what is below it, see the OCI image
// specification, "Whiteouts".
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// unpacker unpacks layers into a folder. Every path is resolved by the kernel
// with that folder as its root, so that nothing can lead out of it.
type unpacker struct {
	fd      int
	owners  bool // files get the owners that the layers name
	entries int
	size    int64
	written map[string]bool // by the layer, with the folders above
}

// layer unpacks one layer on top of those before it.
func (u *unpacker) layer(r io.Reader) error {
	u.written = map[string]bool{}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if h.Size < 0 || h.Size > maxImageSize-u.size {
			return fmt.Errorf("it is larger than %d bytes", int64(maxImageSize))
		}
		if err := u.entry(h, in); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// entry unpacks one entry.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean("/" + h.Name)
	if name == "/" {
		return nil
	}
	dir, err := u.folder(path.Dir(name))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	base := path.Base(name)
	if base == opaque {
		return u.clear(dir, path.Dir(name))
	}
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		if hidden == "" || hidden == "." || hidden == ".." {
			return fmt.Errorf("it removes %q", hidden)
		}
		return remove(dir, hidden)
	}
	for p := name; p != "/" && !u.written[p]; p = path.Dir(p) {
		u.written[p] = true
	}
	mode := uint32(h.Mode) & 0o777 // no bits that give rights
	switch h.Typeflag {
	case tar.TypeDir:
		if !u.owners {
			mode |= 0o700
		}
		return u.makeDir(dir, base, mode, h)
	case tar.TypeReg:
		if err := remove(dir, base); err != nil {
			return err
		}
		u.size += h.Size
		return u.makeFile(dir, base, mode, h, content)
	case tar.TypeSymlink:
		if err := remove(dir, base); err != nil {
			return err
		}
		if err := unix.Symlinkat(h.Linkname, dir, base); err != nil {
			return err
		}
		return u.own(dir, base, h)
	case tar.TypeLink:
		to := path.Clean("/" + h.Linkname)
		if to == name {
			return nil
		}
		from, err := u.folder(path.Dir(to))
		if err != nil {
			return err
		}
		defer unix.Close(from)
		if err := remove(dir, base); err != nil {
			return err
		}
		return unix.Linkat(from, path.Base(to), dir, base, 0)
	}
	return nil // devices and the like cannot be used in a sandbox
}

func (u *unpacker) makeDir(dir int, base string, mode uint32, h *tar.Header) error {
	var s unix.Stat_t
	err := unix.Fstatat(dir, base, &s, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && s.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err = remove(dir, base); err == nil {
			err = unix.ENOENT
		}
	}
	if err == unix.ENOENT {
		err = unix.Mkdirat(dir, base, 0o755)
	}
	if err != nil {
		return err
	}
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if u.owners {
		if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, mode)
}

func (u *unpacker) makeFile(dir int, base string, mode uint32, h *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(dir, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, content)
	if err == nil && u.owners {
		err = unix.Fchown(fd, h.Uid, h.Gid)
	}
	if err == nil {
		err = unix.Fchmod(fd, mode)
	}
	return errors.Join(err, f.Close())
}

func (u *unpacker) own(dir int, base string, h *tar.Header) error {
	if !u.owners {
		return nil
	}
	return unix.Fchownat(dir, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW)
}

// rooted opens a path with the folder as its root.
func rooted(root int, p string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
	for {
		fd, err := unix.Openat2(root, p, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// folder opens a folder, which it makes with its parents.
func (u *unpacker) folder(p string) (int, error) {
	fd, err := rooted(u.fd, p, unix.O_PATH|unix.O_DIRECTORY)
	if err != unix.ENOENT || p == "/" {
		return fd, err
	}
	up, err := u.folder(path.Dir(p))
	if err != nil {
		return -1, err
	}
	defer unix.Close(up)
	if err := unix.Mkdirat(up, path.Base(p), 0o755); err != nil {
		return -1, err // also when a link is there that leads nowhere
	}
	return rooted(u.fd, p, unix.O_PATH|unix.O_DIRECTORY)
}

// clear removes what layers below have put into a folder.
func (u *unpacker) clear(dir int, p string) error {
	names, err := list(dir)
	for _, name := range names {
		if u.written[path.Join(p, name)] {
			continue
		}
		err = errors.Join(err, remove(dir, name))
	}
	return err
}

// list reads the names of a folder.
func list(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	return f.Readdirnames(-1)
}

// remove removes a name of a folder, with all that is below it. It is no
// error that it is not there.
func remove(dir int, name string) error {
	err := unix.Unlinkat(dir, name, 0)
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.EISDIR, unix.EPERM:
	default:
		return &fs.PathError{Op: "unlink", Path: name, Err: err}
	}
	below, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(below)
	names, err := list(below)
	for _, n := range names {
		err = errors.Join(err, remove(below, n))
	}
	return errors.Join(err, unix.Unlinkat(dir, name, unix.AT_REMOVEDIR))
}
