//go:build !unix

package admin

import (
	"io/fs"
	"os"
)

// lock is a file that one process at a time holds open. Systems other than
// unix refuse to remove a file that is open: that is the test of life.
type lock struct{ f *os.File }

// acquire takes the lock of a file, or fails at once.
func acquire(path string) (*lock, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &lock{f}, nil
}

// guard does nothing here: a lock is made and held in one step.
func guard(string) (unguard func(), err error) { return func() {}, nil }

// held reports whether somebody holds the lock of a file: a file that is not
// held can be removed, and means nothing then.
func held(path string) bool {
	err := os.Remove(path)
	return err != nil && !os.IsNotExist(err)
}

// release gives the lock back and removes the file.
func (l *lock) release() {
	_ = l.f.Close()
	_ = os.Remove(l.f.Name())
}

// exposed says why a folder is not private. Access lists are not read: a
// folder in the user's profile is private by them.
func exposed(st fs.FileInfo) string {
	if !st.IsDir() {
		return "is no folder"
	}
	return ""
}
