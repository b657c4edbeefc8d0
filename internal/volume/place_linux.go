package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// placeFolder has the places of a volume with a size.
const placeFolder = "on"

// Place mounts the volume at a path of this mount namespace, for those who can
// only be told a path. Who names the place. The kernel does not remove it: [Displace]
// does, also for one that was killed.
func (s *Sized) Place(who string) (string, error) {
	place := filepath.Join(filepath.Dir(s.Root.Name()), placeFolder, who)
	if err := os.MkdirAll(place, 0o700); err != nil {
		return "", err
	}
	if err := unix.MoveMount(int(s.Root.Fd()), "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", fmt.Errorf("mounting the volume at %s: %w", place, err)
	}
	return place, nil
}

// Displace removes the places of volumes of a state folder whose names begin
// with who.
func Displace(state, who string) error {
	found, err := fs.Glob(os.DirFS(state), path.Join("volumes/*/*/@*", placeFolder, who+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, at := range found {
		if err := displace(filepath.Join(state, at)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func displace(place string) error {
	for { // until nothing is mounted there
		err := unix.Unmount(place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT {
			break
		}
		if err != nil {
			return &fs.PathError{Op: "umount", Path: place, Err: err}
		}
	}
	// Nothing but an empty folder is ever removed.
	if err := unix.Rmdir(place); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "rmdir", Path: place, Err: err}
	}
	return nil
}
