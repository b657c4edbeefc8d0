package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/owner"
)

// runFolder is where the folders of owners are, below a state folder.
const runFolder = "containerd"

// noteFile tells, in the folder of an owner, its boot and its process.
const noteFile = "owner"

// makeFolder makes the folder of this Runtime. Nobody else can write to it, or
// to what it lies in: root executes what is there.
func (r *Runtime) makeFolder() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.housed {
		return nil
	}
	all := filepath.Dir(r.folder)
	err := os.MkdirAll(r.folder, 0o700)
	if errors.Is(err, fs.ErrNotExist) { // the last other owner has just removed it
		err = os.MkdirAll(r.folder, 0o700)
	}
	if err == nil {
		err = errors.Join(owner.Private(all), owner.Private(r.folder))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(r.folder, noteFile), []byte(r.owner.Boot+"\n"+r.owner.Process+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("making the folder of the driver: %w", err)
	}
	r.housed = true
	return nil
}

// folderLabels are the labels of an owner of which there is a folder.
func folderLabels(state, id string) map[string]string {
	l := map[string]string{labelOwner: id, labelState: state}
	if b, err := os.ReadFile(filepath.Join(state, runFolder, id, noteFile)); err == nil {
		if f := strings.Split(string(b), "\n"); len(f) == 3 { // else it was not written to its end
			l[labelBoot], l[labelProcess] = f[0], f[1]
		}
	}
	return l
}

// removeFolder removes the folder of an owner, and that of all owners when it
// was the last.
func removeFolder(state, id string) error {
	err := os.RemoveAll(filepath.Join(state, runFolder, id))
	_ = os.Remove(filepath.Join(state, runFolder))
	return err
}

// script writes a program that starts another with further arguments.
func (r *Runtime) script(class Class) (string, error) {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	words := []string{"exec", quote(class.Binary)}
	for _, a := range class.Args {
		words = append(words, quote(a))
	}
	content := []byte("#!/bin/sh\n" + strings.Join(words, " ") + ` "$@"` + "\n")
	path := filepath.Join(r.folder, "run-"+digest(string(content)))
	r.mu.Lock()
	defer r.mu.Unlock()
	if isProgram(path, content) {
		return path, nil
	}
	if err := writeProgram(path, content); err != nil {
		return "", fmt.Errorf("writing the program of its class: %w", err)
	}
	return path, nil
}

// isProgram tells whether a file is this user's own program with a content.
func isProgram(path string, content []byte) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return false
	}
	if s.Mode != unix.S_IFREG|0o700 || int(s.Uid) != os.Geteuid() || s.Size != int64(len(content)) {
		return false
	}
	b := make([]byte, len(content))
	n, err := f.Read(b)
	return err == nil && n == len(b) && bytes.Equal(b, content)
}

// writeProgram puts a program at a path, whatever is there. Nobody runs half
// of it.
func writeProgram(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "run-*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o700), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
