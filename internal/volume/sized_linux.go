package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Kind and Attributes are what a volume with a size is mounted with, from its
// device.
const (
	Kind       = "ext4"
	Attributes = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
)

// Names in the folder of a volume with a size.
const (
	imageFile = "image"
	newFile   = "image.new" // until it is one
	growFile  = "growing"   // while it does
	lockFile  = "lock"
)

// sized is the folder of a volume with a size. No volume without one has its
// name.
func sized(path string) string {
	return filepath.Join(filepath.Dir(path), "@"+filepath.Base(path))
}

// Sized is an open volume with a size.
type Sized struct {
	// Root is its root (O_PATH), in a mount without a place.
	Root *os.File

	// Device is the path of its block device. As long as Root is open, the
	// device is the volume's, and who mounts it has the same file system.
	Device string
}

// Close closes Root. The volume goes from the kernel with its last mount.
func (s *Sized) Close() error { return s.Root.Close() }

// Able tells whether this process can open volumes with a size. The error
// matches [runtime.ErrCannotEnforce].
func Able() error {
	fd, err := unix.Fsopen(Kind, unix.FSOPEN_CLOEXEC)
	switch {
	case err == unix.ENODEV:
		return unable("this kernel has no ext4; run modprobe ext4")
	case err != nil:
		return unable("mounting a file system needs CAP_SYS_ADMIN on the host: run the gateway as root (fsopen: %w)", err)
	}
	_ = unix.Close(fd)
	control, err := openControl()
	if err != nil {
		return err
	}
	_ = control.Close()
	_, err = find(mkfs)
	return err
}

func unable(format string, args ...any) error {
	return fmt.Errorf("the size of a volume %w: %w", runtime.ErrCannotEnforce, fmt.Errorf(format, args...))
}

// OpenSized opens a volume that holds size bytes at most, with what its file
// system needs for itself. It makes a new one, and lets one that is smaller and
// that nobody uses grow, which ctx does not cut short. One that is bigger is
// refused, and so is one that has content and no size.
func OpenSized(ctx context.Context, state, path string, size int64, to Give) (_ *Sized, err error) {
	dir := sized(path)
	if err := private(state, dir); err != nil {
		return nil, err
	}
	lock, err := take(ctx, filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	name := filepath.Join(dir, imageFile)
	image, err := openImage(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, err
	}
	if err := vacate(path, fresh); err != nil {
		if image != nil {
			_ = image.Close()
		}
		return nil, err
	}
	if fresh {
		if image, err = makeImage(ctx, filepath.Join(dir, newFile), size, lock); err != nil {
			return nil, err
		}
	}
	defer image.Close()
	defer func() {
		if err != nil && fresh {
			_ = os.Remove(image.Name())
		}
	}()
	checked, err := fit(ctx, image, lock, size)
	if err != nil {
		return nil, err
	}
	v, err := mount(image)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = v.Close()
		}
	}()
	root, err := v.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if fresh || checked {
		// A server expects an empty folder. What was found again stays there.
		if err := unix.Unlinkat(int(root.Fd()), "lost+found", unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT && err != unix.ENOTEMPTY {
			return nil, &fs.PathError{Op: "rmdir", Path: "lost+found", Err: err}
		}
	}
	if err := to.give(v.Root); err != nil {
		return nil, err
	}
	if !fresh {
		return v, nil
	}
	if err := settle(root, image.Name(), name); err != nil {
		return nil, err
	}
	// Somebody may have opened it without a size meanwhile.
	if err := vacate(path, true); err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	return v, nil
}

// fit sees that the file system of an image has the size of its volume, and no
// errors that are known. It tells whether it was checked for that.
func fit(ctx context.Context, image, lock *os.File, size int64) (checked bool, err error) {
	st, err := image.Stat()
	if err != nil {
		return false, err
	}
	dir := filepath.Dir(image.Name())
	if st.Size() > size {
		return false, fmt.Errorf("the volume has a size of %d bytes, and cannot shrink to %d: say size: %[1]d or more, or move %[3]s away to begin with an empty one", st.Size(), size, dir)
	}
	sb, err := read(image)
	if err != nil {
		return false, err
	}
	if size > sb.most && size > st.Size() {
		return false, fmt.Errorf("the volume has a size of %d bytes, and can grow to %d at most, not to %d: move %s away to begin with an empty one", st.Size(), sb.most, size, dir)
	}
	mark := filepath.Join(dir, growFile)
	if _, err := os.Lstat(mark); st.Size() < size || err == nil {
		if err := grow(ctx, image, lock, size, mark); err != nil {
			return false, fmt.Errorf("letting the volume in %s grow to %d bytes: %w", dir, size, err)
		}
		return true, nil
	}
	if !sb.faulty {
		return false, nil
	}
	loop, err := attached(image)
	if err != nil {
		return false, err
	}
	if loop != nil { // it is in use, and stays as it is until it is not
		return false, loop.Close()
	}
	return true, check(ctx, image, lock, safely)
}

// turn is how often somebody who waits for a volume tries.
const turn = 10 * time.Millisecond

// take takes the lock of a volume, for which it waits until ctx ends.
func take(ctx context.Context, name string) (*os.File, error) {
	for {
		lock, err := filelock.Take(name, false)
		if !errors.Is(err, filelock.ErrHeld) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process makes or opens the volume, and holds %s: %w", name, ctx.Err())
		case <-time.After(turn):
		}
	}
}

// mount mounts an image without a place. The caller holds its lock.
func mount(image *os.File) (*Sized, error) {
	loop, err := attach(image)
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	// What the first who mounts it says counts for all. A broken file system
	// is not written to; what is removed gives its space back to the host; and
	// an image that is sparse needs nobody to write zeros to it.
	root, err := hostmount.New(Kind, Attributes, "source", loop.Name(), "errors", "remount-ro", "discard", "", "noinit_itable", "")
	if errors.Is(err, unix.EPERM) {
		return nil, unable("mounting a file system needs CAP_SYS_ADMIN on the host, not in a user namespace: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("mounting %s: %w; if its file system is broken, stop all servers that use it and run: e2fsck -f %[1]s", image.Name(), err)
	}
	v := &Sized{Root: os.NewFile(uintptr(root), image.Name()), Device: loop.Name()}
	if err := v.is(loop); err != nil {
		_ = v.Close()
		return nil, err
	}
	return v, nil
}

// is fails unless what was mounted is what a loop device holds.
func (s *Sized) is(loop *os.File) error {
	var have, want unix.Stat_t
	err := errors.Join(unix.Fstat(int(s.Root.Fd()), &have), unix.Fstat(int(loop.Fd()), &want))
	if err == nil && have.Dev != want.Rdev {
		err = fmt.Errorf("%s was replaced while it was mounted", loop.Name())
	}
	return err
}

// vacate removes the folder of a volume without a size, and fails when there is
// something in it. Who uses it all the same, since it was empty when it was
// opened, gets an error from then on, and loses nothing.
func vacate(path string, fresh bool) error {
	err := unix.Rmdir(path)
	switch {
	case err == nil || err == unix.ENOENT:
		return nil
	case err != unix.ENOTEMPTY && err != unix.EEXIST:
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	case fresh:
		return fmt.Errorf("the volume has content, and was made without a size: leave the size out; or stop its servers, move what is in %s away, start one with the size, and let it have the content again", path)
	}
	return fmt.Errorf("the volume is there twice: move %s away, or %s, which has a size", path, sized(path))
}

// settle gives a new image its name, once all of it is on the disk.
func settle(root *os.File, from, to string) error {
	if err := unix.Syncfs(int(root.Fd())); err != nil {
		return os.NewSyscallError("syncfs", err)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(to)
}

// open opens the root so that more can be done with it than by Root.
func (s *Sized) open() (*os.File, error) {
	fd, err := unix.Openat(int(s.Root.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: s.Root.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), s.Root.Name()), nil
}
