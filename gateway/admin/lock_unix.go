//go:build unix

package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
)

// lock is a file that one process at a time holds: the kernel gives it back
// when the process ends, however it ends.
type lock struct{ f *os.File }

// acquire takes the lock of a file, which is made when it is missing, or
// fails at once.
func acquire(path string) (*lock, error) { return take(path, false) }

// guard makes the caller the only one who makes and removes locks in a
// folder. Others hold it as briefly.
func guard(folder string) (unguard func(), err error) {
	l, err := take(filepath.Join(folder, ".gateways"), true)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func take(path string, wait bool) (*lock, error) {
	f, err := filelock.Take(path, wait)
	if err != nil {
		return nil, err
	}
	return &lock{f}, nil
}

// held reports whether somebody holds the lock of a file. It leaves no trace,
// and those who ask at the same time do not see each other.
func held(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return !filelock.Free(f)
}

// release removes the file and gives the lock back.
func (l *lock) release() {
	_ = os.Remove(l.f.Name())
	_ = l.f.Close()
}

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
