package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep kills everybody in a folder of a hierarchy and in those below it, and
// removes them all. It refuses a folder that is none of control groups. It is
// no error that the folder is gone.
func Sweep(ctx context.Context, folder string) error {
	var s unix.Statfs_t
	switch err := unix.Statfs(folder, &s); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return &fs.PathError{Op: "statfs", Path: folder, Err: err}
	case s.Type != unix.CGROUP_SUPER_MAGIC && s.Type != unix.CGROUP2_SUPER_MAGIC:
		return fmt.Errorf("%s is no folder of control groups", folder)
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := sweep(folder)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func sweep(folder string) error {
	below, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range below {
		if e.IsDir() {
			errs = append(errs, sweep(filepath.Join(folder, e.Name())))
		}
	}
	pids, err := processes(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
		errs = append(errs, err)
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := unix.Rmdir(folder); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "rmdir", Path: folder, Err: err}
	}
	return nil
}
