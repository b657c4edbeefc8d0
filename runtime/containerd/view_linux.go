package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Bounds of what is read of an image.
const (
	maxUsers = 1 << 20 // bytes of /etc/passwd and of /etc/group
	maxLinks = 40      // symbolic links on the way of one path
)

// inRoot keeps a path of an image inside of the image.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// inspect has f look at the files of an image, below the folder root. What it
// mounts for that is gone when it returns.
func (r *Runtime) inspect(ctx context.Context, img *image, f func(root int) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	// What is made is removed, whoever gives up.
	ctx, cancel := context.WithTimeout(r.within(context.WithoutCancel(ctx)), finish)
	defer cancel()
	id := "gh-view-" + newID()
	mine := labels(r.owner)
	mine[gcRoot] = time.Now().UTC().Format(time.RFC3339)
	service := r.client.SnapshotService(r.snapshotter)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeGrace)
		defer cancel()
		if e := absent(service.Remove(ctx, id)); e != nil {
			r.owe(id, e)
		}
	}()
	mounts, err := service.View(ctx, id, img.parent, snapshots.WithLabels(mine))
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", errParent, err)
	}
	if err != nil {
		return fmt.Errorf("preparing a view of the image: %w", r.native(err))
	}
	var failed error
	err = mount.WithReadonlyTempMount(ctx, mounts, func(root string) error {
		fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: root, Err: err}
		}
		defer unix.Close(fd)
		failed = f(fd)
		return nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("looking at the files of the image: %w", err)
	}
	return nil
}

// readIn reads a small regular file of an image. Nothing else is opened: a
// FIFO would block, and a device could do anything.
func readIn(root int, name string) ([]byte, error) { return readUpTo(root, name, maxUsers) }

func readUpTo(root int, name string, most int64) ([]byte, error) {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	switch {
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s of the image is no regular file", name)
	case s.Size > most:
		return nil, fmt.Errorf("%s of the image has %d bytes, and no more than %d are read", name, s.Size, most)
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// resolveIn follows the symbolic links of an image on the way of a path, of
// which the end need not be there.
func resolveIn(root int, p string) (string, error) {
	done, rest := "/", strings.Split(p, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, name)
		to, err := linkIn(root, next)
		if err != nil {
			return "", err
		}
		if to == "" {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s of the image: %w", p, unix.ELOOP)
		}
		if path.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return done, nil
}

// linkIn is where a symbolic link of an image leads to; empty for what is none
// or is not there.
func linkIn(root int, name string) (string, error) {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: inRoot})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", &os.PathError{Op: "openat2", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return "", os.NewSyscallError("fstat", err)
	}
	if s.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", nil
	}
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", b)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(b[:n]), nil
}
