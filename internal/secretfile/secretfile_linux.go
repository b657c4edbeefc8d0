package secretfile

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
)

// Attributes are those of the mount of a file.
const Attributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// Name is that of the file in its file system.
const Name = "secret"

// New makes a file system in memory with one file, of mode 0400, which belongs
// to a user, and returns the descriptor of its mount, which has no place yet, and
// the file, for [Rewrite].
func New(content []byte, uid, gid int) (int, *os.File, error) {
	const attributes = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	options := []string{"mode", "700", "size", strconv.Itoa(Largest), "nr_inodes", "4"}
	// Memory that is never written to a swap, where the kernel can promise that.
	fd, err := hostmount.New("tmpfs", attributes, append(options, "noswap", "")...)
	if err != nil {
		fd, err = hostmount.New("tmpfs", attributes, options...)
	}
	if err != nil {
		return -1, nil, fmt.Errorf("making a file system in memory: %w", err)
	}
	var f *os.File
	file, err := unix.Openat(fd, Name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o400)
	if err == nil {
		f = os.NewFile(uintptr(file), Name)
		_, err = f.Write(content)
		err = errors.Join(err, f.Chown(uid, gid), f.Chmod(0o400))
	}
	if err != nil {
		_ = f.Close() // of nil too
		_ = unix.Close(fd)
		return -1, nil, fmt.Errorf("making a file in memory: %w", err)
	}
	return fd, f, nil
}

// Rewrite gives a file another content, for all who see it. Who reads it in
// several pieces meanwhile may get some of both.
func Rewrite(f *os.File, content []byte) error {
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(content)))
}

// Clone returns the descriptor of a mount, without a place, of the file alone,
// which is read-only. The file system that New made must have a place.
func Clone(fd int) (int, error) {
	f, err := unix.Openat(fd, Name, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, os.NewSyscallError("openat", err)
	}
	defer unix.Close(f)
	own, err := unix.OpenTree(f, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, os.NewSyscallError("open_tree", err)
	}
	if err := unix.MountSetattr(own, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: Attributes}); err != nil {
		_ = unix.Close(own)
		return -1, os.NewSyscallError("mount_setattr", err)
	}
	return own, nil
}
