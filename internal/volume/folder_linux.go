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
func Open(state, path string, to Give) (*os.File, error) {
	if !strings.HasPrefix(path, state+"/") {
		return nil, fmt.Errorf("%s does not lie below the state folder %s", path, state)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	for dir := filepath.Dir(path); len(dir) > len(state); dir = filepath.Dir(dir) {
		if err := owner.Private(dir); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	fd, err := open(path)
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	var s unix.Stat_t
	err = os.NewSyscallError("fstat", unix.Fstat(fd, &s))
	if err == nil && !to.Keep && (int(s.Uid) != to.UID || int(s.Gid) != to.GID) {
		if err = unix.Fchownat(fd, "", to.UID, to.GID, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
			err = fmt.Errorf("giving %s to the user %d:%d: %w", path, to.UID, to.GID, err)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
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
