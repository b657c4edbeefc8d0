package volume

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// mkfs makes file systems.
const mkfs = "mkfs.ext4"

// The layout of the file systems, in bytes.
const (
	blockSize  = 4096
	groupSize  = 8 * blockSize * blockSize
	inodeRatio = 16 << 10
)

// openImage opens the image of a volume.
func openImage(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", name))
	}
	return f, nil
}

// find finds a program of e2fsprogs.
func find(name string) (string, error) {
	p, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} { // which not every PATH has
		if err == nil {
			break
		}
		p, err = exec.LookPath(filepath.Join(dir, name))
	}
	if err != nil {
		return "", unable("there is no %s, which is for file systems of that kind; install the package e2fsprogs", name)
	}
	return p, nil
}

// run runs a program of e2fsprogs on an image. It gets the open file, whatever
// has that name, and with it the lock: it may outlive this process.
func run(ctx context.Context, image, lock *os.File, name string, args ...string) error {
	program, err := find(name)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, program, append(args, "/proc/self/fd/3")...)
	c.Env, c.ExtraFiles = []string{}, []*os.File{image, lock}
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s on %s: %w: %s", program, image.Name(), err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// makeImage makes a file with an empty file system.
func makeImage(ctx context.Context, name string, size int64, lock *os.File) (_ *os.File, err error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody was killed here
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(name)
		}
	}()
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	// A small one has as many inodes in a group as a big one, since it may grow.
	inodes := max(size, groupSize) / inodeRatio
	err = run(ctx, f, lock, mkfs, "-q", "-F", "-b", fmt.Sprint(blockSize), "-N", fmt.Sprint(inodes), "-m", "0",
		"-O", "has_journal", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1")
	return f, err
}

// blocks reads how many blocks the file system of an image has.
func blocks(image *os.File) (int64, error) {
	var sb [1024]byte // see ext4's Documentation/filesystems/ext4/super.rst
	if _, err := image.ReadAt(sb[:], 1024); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if le.Uint16(sb[0x38:]) != 0xef53 || le.Uint32(sb[0x18:]) != 2 {
		return 0, fmt.Errorf("it holds no ext4 with blocks of %d bytes", blockSize)
	}
	const is64bit = 0x80
	n := int64(le.Uint32(sb[0x4:]))
	if le.Uint32(sb[0x60:])&is64bit != 0 {
		n |= int64(le.Uint32(sb[0x150:])) << 32
	}
	return n, nil
}

// grow lets a file system that nobody uses grow to the size of its volume. One
// that was stopped in the midst of that goes on.
func grow(ctx context.Context, image, lock *os.File, size int64) error {
	have, err := blocks(image)
	if err != nil || have >= size/blockSize {
		return err
	}
	if err := unused(ctx, image); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // half of it would be a broken file system
	err = run(ctx, image, lock, "e2fsck", "-f", "-p")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // it has mended something
	}
	if err != nil {
		return err
	}
	if err := image.Truncate(size); err != nil {
		return err
	}
	return run(ctx, image, lock, "resize2fs")
}

// endGrace is how long the kernel may take to let go of an image.
const endGrace = 2 * time.Second

// unused waits until an image has no loop device.
func unused(ctx context.Context, image *os.File) error {
	for end := time.Now().Add(endGrace); ; {
		loop, err := attached(image)
		if err != nil || loop == nil {
			return err
		}
		_ = loop.Close()
		if time.Now().After(end) {
			return fmt.Errorf("it is in use, by %s: stop the servers that use it first", loop.Name())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(endGrace / 40):
		}
	}
}
