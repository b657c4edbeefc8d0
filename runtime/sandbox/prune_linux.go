package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hold opens the folder of an unpacked image so that nobody removes it, as
// long as the file is open. It fails with [fs.ErrNotExist] when the image is
// not there.
func hold(root string) (*os.File, error) {
	f, err := lock(root, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	here, err1 := f.Stat()
	there, err2 := os.Lstat(root)
	if err := errors.Join(err1, err2); err != nil {
		_ = f.Close()
		return nil, err
	}
	if !os.SameFile(here, there) { // it was removed since
		_ = f.Close()
		return nil, &fs.PathError{Op: "hold", Path: root, Err: fs.ErrNotExist}
	}
	return f, nil
}

// lock opens a folder and takes its lock, which others have for a moment at
// most, or not at all.
func lock(root string, how int) (*os.File, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	f := os.NewFile(uintptr(fd), root)
	for {
		if err = unix.Flock(fd, how); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "flock", Path: root, Err: err}
	}
	return f, nil
}

// Prune removes the unpacked images of the state folder that no instance of
// any gateway uses, except those in keep, which are written as in Spec.Image.
// It returns the digests of the configurations of those that were removed.
func (r *Runtime) Prune(ctx context.Context, keep []string) (removed []string, err error) {
	kept := map[string]bool{}
	for _, name := range keep {
		at, err := parsePlace(name)
		if err != nil {
			return nil, err
		}
		if c, err := openLayout(at); err == nil { // else it is not there to be kept
			kept[c.manifest.Config.Digest.Hex] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(r.owner.State, imageFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox: listing images: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		if kept[e.Name()] {
			continue
		}
		gone, err := r.removeImage(e.Name())
		if err != nil {
			errs = append(errs, fmt.Errorf("sandbox: removing the image %s: %w", e.Name(), err))
		} else if gone {
			removed = append(removed, "sha256:"+e.Name())
		}
	}
	return removed, errors.Join(errs...)
}

// removeImage removes an unpacked image unless it is held.
func (r *Runtime) removeImage(hex string) (bool, error) {
	root := filepath.Join(r.owner.State, imageFolder, hex)
	f, err := lock(root, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Whoever waits for the lock finds that it has no longer this name. What
	// a killed gateway leaves of it is removed with its notes.
	trash := filepath.Join(r.run(r.owner.ID), "removed-"+hex)
	err = os.Rename(root, trash)
	_ = f.Close()
	if err != nil {
		return false, err
	}
	return true, os.RemoveAll(trash)
}
