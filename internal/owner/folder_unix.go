//go:build unix

package owner

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Private fails unless a folder is safe to keep things in: it is no symbolic
// link, belongs to this user or to root, and nobody else can write to it.
func Private(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is no folder; remove it, or choose another state folder", dir)
	}
	return owned(dir, st)
}

func owned(path string, st fs.FileInfo) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: the system does not tell whom it belongs to", path)
	}
	if uid := os.Geteuid(); int(sys.Uid) != uid && sys.Uid != 0 {
		return fmt.Errorf("%s belongs to another user (uid %d), who could change what is in it: run chown %d on it, or choose another state folder", path, sys.Uid, uid)
	}
	if st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written to by others (mode %#o): run chmod go-w on it, or choose another state folder", path, st.Mode().Perm())
	}
	return nil
}
