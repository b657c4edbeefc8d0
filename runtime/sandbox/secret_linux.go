package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// planSecrets plans the files of secrets.
func (o *order) planSecrets(img *image) error {
	for _, f := range o.set.Files() {
		s := step{Kind: secret, Target: f.Path, File: true, Content: []byte(f.Content.Reveal())}
		for _, b := range o.Steps {
			if b.Kind == bind && below(f.Path, b.Target) {
				s.Present = true
			}
		}
		if s.Present {
			open := openBundle
			if img != nil {
				open = img.openBundle
			}
			there, _, err := open(f.Path)
			if err != nil {
				return fmt.Errorf("the file %s of a secret lies in a folder that is read-only, and is not there; choose another place, such as below /run: %w", f.Path, err)
			}
			_ = there.Close()
		}
		o.Steps = append(o.Steps, s)
	}
	return nil
}

// hidden is where the file system of a secret has its place while it is built,
// and above where the root has its own then.
const (
	hidden = ".gatehouse-secret"
	above  = "/proc"
)

// secret shows a file in memory that the server's user alone can read. Its file
// system has no other place.
func (r *root) secret(s step) (err error) {
	attributes := unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	options := []string{"mode", "700", "size", strconv.Itoa(len(s.Content) + 1<<12), "nr_inodes", "4"}
	// Memory that is never written to a swap, where the kernel can promise that.
	fd, err := newMount("tmpfs", attributes, append(options, "noswap", "")...)
	if err != nil {
		fd, err = newMount("tmpfs", attributes, options...)
	}
	if err != nil {
		return err
	}
	file, err := unix.Openat(fd, "f", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o400)
	if err == nil {
		f := os.NewFile(uintptr(file), s.Target)
		_, err = f.Write(s.Content)
		err = errors.Join(err, f.Chown(r.uid, r.gid), f.Chmod(0o400), f.Close())
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	if err := r.place(fd, step{Target: "/" + hidden}); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, unix.Unmount(above+"/"+hidden, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW),
			unix.Unlinkat(r.fd, hidden, unix.AT_REMOVEDIR))
	}()
	own, err := r.clone("/" + hidden + "/f")
	if err != nil {
		return err
	}
	if err := setattr(own, "", unix.AT_EMPTY_PATH, uint64(attributes)|unix.MOUNT_ATTR_RDONLY); err != nil {
		_ = unix.Close(own)
		return err
	}
	return r.place(own, s)
}
