package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// reach returns a path of the same socket that is short enough for the
// system's calls: one through a descriptor of its folder where the path itself
// is too long. It holds until done is called.
func reach(path string) (short string, done func(), err error) {
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	folder, err := os.OpenFile(filepath.Dir(path), syscall.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	if len(short) > maxPath {
		_ = folder.Close()
		return "", nil, tooLong(path)
	}
	return short, func() { _ = folder.Close() }, nil
}
