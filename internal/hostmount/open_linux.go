package hostmount

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// busy bounds how often an open is tried again that raced with a rename.
const busy = 32

// Open opens the source of m for a bind mount (O_PATH, closed on exec). It
// refuses a path with a symbolic link in it, and, unless m.Force is set, the
// places of [runtime.Sensitive], a folder that holds one of
// [runtime.HiddenNames], a folder of such folders, as far as its first 1,000
// entries tell, and what is neither a folder nor a regular file. A link is
// refused with force as well. The caller closes the file.
//
// The checks are made on what was opened: the name of it is the one that the
// kernel has for the descriptor, not the one that was asked for.
func Open(m runtime.Mount) (*os.File, error) {
	if err := check(m); err != nil {
		return nil, fault(m, "%w", err)
	}
	if m.Volume != "" {
		return nil, fault(m, "a volume is a folder of the runtime, not one of the host")
	}
	fd, err := open(m.Source)
	if err != nil {
		return nil, fault(m, "%w", err)
	}
	f := os.NewFile(uintptr(fd), m.Source)
	if err := inspect(fd, m.Force); err != nil {
		_ = f.Close()
		return nil, fault(m, "%w", err)
	}
	return f, nil
}

func open(source string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for n := 0; ; n++ {
		fd, err := unix.Openat2(unix.AT_FDCWD, source, &how)
		switch {
		case err == nil:
			return fd, nil
		case (err == unix.EAGAIN || err == unix.EINTR) && n < busy:
		case err == unix.ELOOP:
			if to, err := filepath.EvalSymlinks(source); err == nil {
				return -1, errors.New("there is a symbolic link in the source, which is never followed; write " + to)
			}
			return -1, errors.New("there is a symbolic link in the source, which is never followed; write the path that it leads to")
		case err == unix.ENOSYS || err == unix.EPERM:
			return -1, fmt.Errorf("opening a path without its links %w: it needs openat2 (Linux 5.6), which this system does not have or allow", runtime.ErrCannotEnforce)
		case err == unix.ENOENT:
			return -1, errors.New("the source does not exist on this host")
		default:
			return -1, os.NewSyscallError("openat2", err)
		}
	}
}

// inspect refuses what must not be mounted.
func inspect(fd int, force bool) error {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	real, err := name(fd, &s)
	if err != nil {
		return err
	}
	if force {
		return nil
	}
	const allow = "; force: true allows it"
	if why := runtime.Sensitive(real); why != "" {
		return errors.New(why + allow)
	}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
	case unix.S_IFSOCK:
		return errors.New("it is a socket: who can connect to it can do what its owner lets them" + allow)
	case unix.S_IFCHR, unix.S_IFBLK:
		return errors.New("it is a device" + allow)
	default:
		return errors.New("it is neither a folder nor a regular file" + allow)
	}
	why, err := holds(fd)
	if why == "" && err == nil {
		why, err = below(fd)
	}
	switch {
	case err != nil: // what cannot be looked into may hold anything
		return fmt.Errorf("cannot look whether it holds a sensitive place (%w)%s", err, allow)
	case why != "":
		return errors.New("it holds " + why + ", a sensitive place; mount a folder below it, or " + strings.TrimPrefix(allow, "; "))
	}
	return nil
}

// holds finds a hidden name in a folder.
func holds(fd int) (string, error) {
	for _, hidden := range runtime.HiddenNames() {
		var in unix.Stat_t
		switch err := unix.Fstatat(fd, hidden, &in, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); err {
		case nil:
			return hidden, nil
		case unix.ENOENT, unix.ENOTDIR:
		default:
			return "", fmt.Errorf("%s: %w", hidden, err)
		}
	}
	return "", nil
}

// entries bounds how many of a folder's entries are looked at.
const entries = 1000

// below finds a hidden name in the folders of a folder, as one of homes has.
func below(fd int) (string, error) {
	readable, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", skip(err)
	}
	f := os.NewFile(uintptr(readable), ".")
	defer f.Close()
	all, err := f.ReadDir(entries)
	if err != nil && err != io.EOF {
		return "", err
	}
	for _, e := range all {
		if !e.IsDir() {
			continue
		}
		in, err := unix.Openat(readable, e.Name(), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP {
			continue // it was replaced or removed just now
		}
		var why string
		if err == nil {
			why, err = holds(in)
			_ = unix.Close(in)
		}
		if err = skip(err); err != nil {
			return "", fmt.Errorf("%s: %w", e.Name(), err)
		}
		if why != "" {
			return path.Join(e.Name(), why), nil
		}
	}
	return "", nil
}

// skip drops the error of a folder that is closed to the user of this
// process, unless that is root: a server has no more rights then.
func skip(err error) error {
	if errors.Is(err, unix.EACCES) && os.Geteuid() != 0 {
		return nil
	}
	return err
}

// name returns the name that the kernel has for a descriptor, if it still
// leads there.
func name(fd int, s *unix.Stat_t) (string, error) {
	real, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	var by unix.Stat_t
	if err := unix.Lstat(real, &by); err != nil || by.Dev != s.Dev || by.Ino != s.Ino {
		return "", errors.New("the source was moved or removed while it was opened")
	}
	return real, nil
}
