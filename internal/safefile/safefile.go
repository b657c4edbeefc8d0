// Package safefile reads and writes small files that hold secrets: it refuses
// those that the wrong people may read or write, and replaces them whole.
//
//	data, err := safefile.Read(path, safefile.UserOrGroup)
//	err = safefile.Update(ctx, path, safefile.UserOrGroup, func(old []byte) ([]byte, error) { … })
package safefile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// MaxSize bounds a file in bytes.
const MaxSize = 1 << 20

// Rule says whom a file must be kept from. On Windows, where modes say
// nothing, it is not looked at.
type Rule int

// The rules.
const (
	Anybody     Rule = iota // may read; nobody beside its user and group may write
	UserWrites              // and the group may not write either
	UserOrGroup             // and nobody beside them may read
)

// Read reads a file. Its error matches [fs.ErrNotExist] when there is none.
func Read(path string, rule Rule) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := regular(path, st); err != nil { // before it is opened: a pipe would wait
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpen(f, path, rule)
}

// ReadOpen reads an open file, which errors call by a name.
func ReadOpen(f fs.File, name string, rule Rule) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := regular(name, st); err != nil {
		return nil, err
	}
	if err := check(name, st.Mode().Perm(), rule); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(b) > MaxSize {
		return nil, tooLarge(name)
	}
	return b, nil
}

func tooLarge(name string) error {
	return fmt.Errorf("%s is larger than %d bytes: it holds something else than secrets", name, MaxSize)
}

func regular(name string, st fs.FileInfo) error {
	switch {
	case st.IsDir():
		return fmt.Errorf("%s is a folder: name a file", name)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file", name)
	}
	return nil
}

func check(name string, mode fs.FileMode, rule Rule) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	bad := fs.FileMode(0o002)
	if rule >= UserWrites {
		bad = 0o022
	}
	switch {
	case mode&bad != 0:
		return fmt.Errorf("others than its user may write to %s (mode %04o), and could put secrets of their own there: chmod go-w %[1]s", name, mode)
	case rule >= UserOrGroup && mode&0o004 != 0:
		return fmt.Errorf("everybody may read %s (mode %04o): chmod o-r %[1]s", name, mode)
	}
	return nil
}
