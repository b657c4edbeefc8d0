//go:build unix

package filelock

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ErrHeld tells that somebody holds the lock.
var ErrHeld = errors.New("its lock is held")

// Take takes the lock of a file, which is made for this user alone when it is
// missing, and is no link. It waits for the lock, or fails at once with
// [ErrHeld]. The lock is held until the file is closed.
func Take(path string, wait bool) (*os.File, error) {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, how); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Somebody may have removed the file between open and flock.
		here, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return f, nil
		}
		_ = f.Close()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// Free reports whether nobody holds the lock of an open file. Those who ask at
// the same time do not see each other. The answer leaves no trace once the
// file is closed.
func Free(f *os.File) bool { return flock(f, syscall.LOCK_SH|syscall.LOCK_NB) == nil }

// Remove removes a file whose lock nobody holds, while holding it. It leaves
// one that is held, and one that somebody has put in its place meanwhile.
func Remove(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	here, err1 := f.Stat()
	if flock(f, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	there, err2 := os.Lstat(path)
	if err1 != nil || err2 != nil || !os.SameFile(here, there) {
		return nil
	}
	return os.Remove(path)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrHeld
		default:
			return err
		}
	}
}
