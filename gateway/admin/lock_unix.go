//go:build unix

package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock is a file that one process at a time holds: the kernel gives it back
// when the process ends, however it ends.
type lock struct{ f *os.File }

var errHeld = errors.New("its lock is held")

// acquire takes the lock of a file, which is made when it is missing, or
// fails at once.
func acquire(path string) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Somebody may have removed the file between open and flock.
		here, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return &lock{f}, nil
		}
		_ = f.Close()
		if err2 != nil && !errors.Is(err2, fs.ErrNotExist) {
			return nil, err2
		}
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errHeld
		default:
			return err
		}
	}
}

// release removes the file and gives the lock back.
func (l *lock) release() {
	_ = os.Remove(l.f.Name())
	_ = l.f.Close()
}

// close gives the lock back and leaves the file.
func (l *lock) close() { _ = l.f.Close() }

// exposed says why a folder is not private; empty when it is.
func exposed(st fs.FileInfo) string {
	if !st.IsDir() {
		return "is no folder"
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if me := os.Geteuid(); ok && me != 0 && int(sys.Uid) != me {
		return fmt.Sprintf("belongs to the user with the id %d: choose another", sys.Uid)
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("can be opened by others (mode %#o): run chmod 700 on it, or choose another", mode)
	}
	return ""
}
