// Package lookpath finds the programs of commands, in a PATH that is given
// instead of that of this process.
package lookpath

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Find finds the file of a command as a shell does, in the PATH that it will
// have. A name with a separator is relative to dir. The current directory is
// not searched. A command that is not there is an error that matches
// [fs.ErrNotExist].
func Find(name, dir, path string) (string, error) {
	if filepath.Base(name) != name {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return executable(name)
	}
	var unfit error
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue
		}
		file, err := executable(filepath.Join(d, name))
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			unfit = cmp.Or(unfit, err)
		}
	}
	if unfit != nil {
		return "", unfit
	}
	return "", fmt.Errorf("no such command in the PATH %q: %w", path, fs.ErrNotExist)
}

// executable returns the file to execute, or why it cannot be.
func executable(file string) (string, error) {
	var first error
	for _, ext := range extensions {
		s, err := os.Stat(file + ext)
		switch {
		case err != nil:
		case s.IsDir():
			err = fmt.Errorf("%s is a directory", file)
		case runtime.GOOS != "windows" && s.Mode()&0o111 == 0:
			err = fmt.Errorf("%s is not executable: %w", file, fs.ErrPermission)
		default:
			return file + ext, nil
		}
		first = cmp.Or(first, err)
	}
	return "", first
}
