package volume

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
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

	// leastRoom is to what every one can grow, in blocks; the room is taken
	// from it when it is made, half a megabyte for each TiB.
	leastRoom = 1 << 40 / blockSize
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
// has that name, and with it the lock: it may outlive this process. What ends
// this process, a pipe or the keys of a terminal, does not end it half-way.
func run(ctx context.Context, image, lock *os.File, name string, args ...string) error {
	program, err := find(name)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	said := os.NewFile(uintptr(fd), name)
	defer said.Close()
	c := exec.CommandContext(ctx, program, append(args, "/proc/self/fd/3")...)
	c.Env, c.ExtraFiles = []string{}, []*os.File{image, lock}
	c.Stdout, c.Stderr = said, said
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Run(); err != nil {
		text, _ := io.ReadAll(io.NewSectionReader(said, 0, mostSaid))
		return fmt.Errorf("%s on %s: %w: %s", program, image.Name(), err, bytes.TrimSpace(text))
	}
	return nil
}

// mostSaid bounds what is told of what a program says, in bytes.
const mostSaid = 4 << 10

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
	extended := "nodiscard,lazy_itable_init=1,lazy_journal_init=1"
	if size < leastRoom*blockSize>>10 { // a bigger one gets the room for its size 1024 times by itself
		extended += fmt.Sprintf(",resize=%d", leastRoom)
	}
	err = run(ctx, f, lock, mkfs, "-q", "-F", "-b", fmt.Sprint(blockSize), "-N", fmt.Sprint(inodes), "-m", "0",
		"-O", "has_journal,resize_inode", "-E", extended)
	return f, err
}

// superblock is what is told of the file system of an image.
type superblock struct {
	// faulty: it is known to have errors. The kernel says so after it had to
	// stop writing, as when the disk of the host was full.
	faulty bool

	// most is to how many bytes it can grow. What resize2fs does with more
	// leaves it broken.
	most int64
}

// read reads the superblock of an image, see the kernel's
// Documentation/filesystems/ext4/super.rst.
func read(image *os.File) (s superblock, err error) {
	var sb [1024]byte
	if _, err := image.ReadAt(sb[:], 1024); err != nil {
		return s, fmt.Errorf("reading %s: %w", image.Name(), err)
	}
	le := binary.LittleEndian
	perGroup, descriptor := int64(le.Uint32(sb[0x20:])), int64(le.Uint16(sb[0xfe:]))
	if le.Uint16(sb[0x38:]) != 0xef53 || le.Uint32(sb[0x18:]) != 2 || perGroup == 0 {
		return s, fmt.Errorf("%s holds no ext4 with blocks of %d bytes", image.Name(), blockSize)
	}
	const errorsFound, is64bit = 2, 0x80
	s.faulty = le.Uint16(sb[0x3a:])&errorsFound != 0
	blocks := int64(le.Uint32(sb[0x4:]))
	if le.Uint32(sb[0x60:])&is64bit != 0 && descriptor >= 64 {
		blocks |= int64(le.Uint32(sb[0x150:])) << 32
	} else {
		descriptor = 32
	}
	ofBlock := blockSize / descriptor // descriptors
	groups := (blocks + perGroup - 1) / perGroup
	tables := (groups+ofBlock-1)/ofBlock + int64(le.Uint16(sb[0xce:])) // with those put aside
	s.most = tables * ofBlock * perGroup * blockSize
	return s, nil
}

// How much check mends: what loses nothing, or all.
const (
	safely = "-p"
	wholly = "-y"
)

// check mends the file system of an image that nobody uses.
func check(ctx context.Context, image, lock *os.File, how string) error {
	err := run(ctx, image, lock, "e2fsck", "-f", how)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // it has mended something
	}
	if err != nil {
		return fmt.Errorf("%w; if that is more than it may mend by itself, run: e2fsck -f %s", err, image.Name())
	}
	return nil
}

// grow lets the file system of an image that nobody uses grow to the size of its
// volume. The file at mark is there as long as that is not done.
func grow(ctx context.Context, image, lock *os.File, size int64, mark string) error {
	if err := unused(ctx, image); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // half of it would be a broken file system
	how := safely
	if _, err := os.Lstat(mark); err == nil {
		how = wholly // it was whole, and has the faults of being half-way alone
	}
	if err := check(ctx, image, lock, how); err != nil {
		return err
	}
	f, err := os.OpenFile(mark, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), syncFolder(mark)); err != nil {
		return err
	}
	if err := image.Truncate(size); err != nil {
		return err
	}
	if err := run(ctx, image, lock, "resize2fs"); err != nil {
		return err
	}
	if err := image.Truncate(size); err != nil { // which cuts off what is no whole block
		return err
	}
	if err := image.Sync(); err != nil {
		return err
	}
	return os.Remove(mark)
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

// syncFolder sees that the names in the folder of a file are on the disk.
func syncFolder(name string) error {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
