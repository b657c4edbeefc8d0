package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/secretfile"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// placesOf has the runtime make places for the files of secrets, at which it
// shows /dev/null so far: it mounts by name, and the files have none.
func placesOf(files []inject.File) (all []specs.Mount) {
	for _, f := range files {
		all = append(all, specs.Mount{
			Destination: f.Path, Type: "bind", Source: "/dev/null",
			Options: []string{"bind", "rprivate", "nosuid", "noexec", "ro"},
		})
	}
	return all
}

// showFiles shows the files of secrets in a container that was made and does
// not run yet. Nothing of them is in the mount namespace of the host, on a disk,
// or in what containerd knows, and they are gone with the container.
func (i *instance) showFiles(files []inject.File, u user) error {
	if len(files) == 0 {
		return nil
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", i.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(root)
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", i.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(ns)
	return onLostThread(func() error {
		return enter(ns, func() error {
			for _, f := range files {
				file, err := showFile(root, f, u)
				if err != nil {
					return fmt.Errorf("the file %s of a secret: %w", f.Path, err)
				}
				i.files = append(i.files, file)
			}
			return nil
		})
	})
}

// onLostThread runs f on a thread that may go into another mount namespace,
// since it ends afterwards. It is not the main one, which would not end, and
// whose mounts are what /proc/self shows.
func onLostThread(f func() error) error {
	done := make(chan error, 1)
	var run func()
	run = func() {
		goruntime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While it is held here, the next goroutine runs on another one.
			next := make(chan struct{})
			go func() { defer close(next); run() }()
			<-next
			goruntime.UnlockOSThread()
			return
		}
		done <- f()
	}
	go run()
	return <-done
}

func enter(ns int, f func() error) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("setns", err)
	}
	return f()
}

// refresh rewrites the files of secrets that were rotated.
func (i *instance) refresh(ctx context.Context) {
	i.set.Refresh(ctx, func(n int, f inject.File) error {
		i.tail.Hide(f.Content)
		return secretfile.Rewrite(i.files[n], []byte(f.Content.Reveal()))
	})
}

// showFile mounts one file over its place, and returns it.
func showFile(root int, f inject.File, u user) (file *os.File, err error) {
	open := func(at int, p string, flags uint64) (int, error) {
		fd, err := unix.Openat2(at, p, &unix.OpenHow{Flags: flags | unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot})
		return fd, os.NewSyscallError("openat2", err)
	}
	move := func(fd, to int) error {
		return os.NewSyscallError("move_mount", unix.MoveMount(fd, "", to, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
	}
	target, err := open(root, f.Path, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(target)
	fd, file, err := secretfile.New([]byte(f.Content.Reveal()), int(u.uid), int(u.gid))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	// The file system needs a place while its file is taken out of it.
	dev, err := open(root, "/dev", unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dev)
	shm, err := open(root, "/dev/shm", unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(shm)
	if err := move(fd, shm); err != nil {
		return nil, err
	}
	defer func() {
		e := unix.Fchdir(dev)
		if e == nil {
			e = unix.Unmount("shm", unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		err = errors.Join(err, os.NewSyscallError("umount", e))
	}()
	own, err := secretfile.Clone(fd)
	if err != nil {
		return nil, err
	}
	defer unix.Close(own)
	return file, move(own, target)
}
