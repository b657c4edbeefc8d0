package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	lock, err := filelock.Take(filepath.Join(dir, lockFile), true)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	name := filepath.Join(dir, imageFile)
	image, err := openImage(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		if err := vacant(path); err != nil {
			return nil, err
		}
		image, err = makeImage(ctx, filepath.Join(dir, newFile), size, lock)
	}
	if err != nil {
		return nil, err
	}
	defer image.Close()
	defer func() {
		if err != nil && fresh {
			_ = os.Remove(image.Name())
		}
	}()
	st, err := image.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > size {
		return nil, fmt.Errorf("the volume has a size of %d bytes, and cannot shrink to %d: say size: %[1]d or more, or move %[3]s away to begin with an empty one", st.Size(), size, dir)
	}
	if err := grow(ctx, image, lock, size); err != nil {
		return nil, fmt.Errorf("letting the volume in %s grow to %d bytes: %w", name, size, err)
	}
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
		return nil, fmt.Errorf("mounting %s: %w; if its file system is broken, stop all servers that use it and run: e2fsck -f %[1]s", name, err)
	}
	v := &Sized{Root: os.NewFile(uintptr(root), name), Device: loop.Name()}
	defer func() {
		if err != nil {
			_ = v.Close()
		}
	}()
	if err := v.is(loop); err != nil {
		return nil, err
	}
	if fresh {
		// A server expects an empty folder; e2fsck makes another.
		if err := unix.Unlinkat(root, "lost+found", unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
			return nil, &fs.PathError{Op: "rmdir", Path: "lost+found", Err: err}
		}
	}
	if err := to.give(v.Root); err != nil {
		return nil, err
	}
	if fresh {
		if err := settle(v, image.Name(), name); err != nil {
			return nil, err
		}
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

// vacant fails when there is something in the folder of a volume without a
// size.
func vacant(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); err == nil {
		return fmt.Errorf("the volume has content, and was made without a size: leave the size out; or stop its servers, move what is in %s away, start one with the size, and let it have the content again", path)
	}
	return nil
}

// settle gives a new image its name, once all of it is on the disk.
func settle(v *Sized, from, to string) error {
	root, err := v.open()
	if err == nil {
		err = errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(root.Fd()))), root.Close())
	}
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// open opens the root so that more can be done with it than by Root.
func (s *Sized) open() (*os.File, error) {
	fd, err := unix.Openat(int(s.Root.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: s.Root.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), s.Root.Name()), nil
}
