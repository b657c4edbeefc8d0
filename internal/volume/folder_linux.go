package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/owner"
)

// Give says to whom a volume is given: nobody, when the gateway is not root
// and the server runs as its user.
type Give struct {
	UID, GID int
	Keep     bool
}

// Open makes the folder of a volume below the state folder, gives it to the
// user of the server, and opens it (O_PATH). Nobody else can put another in
// its place: what leads to it belongs to us, and no link is followed.
//
// A volume that has a size is refused.
func Open(state, path string, to Give) (*os.File, error) {
	if err := private(state, filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := unsized(path); err != nil {
		return nil, err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	if err := unsized(path); err != nil { // see vacate
		_ = unix.Rmdir(path)
		return nil, err
	}
	fd, err := open(path)
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if err := to.give(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// unsized fails when a volume has a size.
func unsized(path string) error {
	if st, err := os.Lstat(filepath.Join(sized(path), imageFile)); err == nil {
		return fmt.Errorf("the volume has a size, of %d bytes, and cannot be used without: say size: %[1]d, or move %s away to begin with an empty one", st.Size(), sized(path))
	}
	return nil
}

// private makes a folder below the state folder, and sees that nobody else can
// write to what leads to it.
func private(state, dir string) error {
	if !strings.HasPrefix(dir, state+"/") {
		return fmt.Errorf("%s does not lie below the state folder %s", dir, state)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for ; len(dir) > len(state); dir = filepath.Dir(dir) {
		if err := owner.Private(dir); err != nil {
			return err
		}
	}
	return nil
}

// give gives an open folder to the user of the server.
func (to Give) give(f *os.File) error {
	fd := int(f.Fd())
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if to.Keep || int(s.Uid) == to.UID && int(s.Gid) == to.GID {
		return nil
	}
	if err := unix.Fchownat(fd, "", to.UID, to.GID, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("giving %s to the user %d:%d: %w", f.Name(), to.UID, to.GID, err)
	}
	return nil
}

func open(path string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | unix.O_DIRECTORY,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}
