package hostmount

import (
	"errors"
	"fmt"
	"os"
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
// [runtime.HiddenNames], and what is neither a folder nor a regular file. A
// link is refused with force as well. The caller closes the file.
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
	for _, hidden := range runtime.HiddenNames() {
		var in unix.Stat_t
		err := unix.Fstatat(fd, hidden, &in, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
		switch err {
		case nil:
			return errors.New("it holds " + hidden + ", a sensitive place; mount a folder below it, or " + strings.TrimPrefix(allow, "; "))
		case unix.ENOENT, unix.ENOTDIR:
		default: // what cannot be looked into may hold anything
			return errors.New("cannot look whether it holds " + hidden + " (" + err.Error() + ")" + allow)
		}
	}
	return nil
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
