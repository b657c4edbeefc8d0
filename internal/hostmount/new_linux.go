package hostmount

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// New mounts a file system without a place and returns a descriptor of its
// root, with which it goes. Attributes are those of mount_setattr(2). Options
// are names and values; one without a value is a flag.
func New(kind string, attributes int, options ...string) (int, error) {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fd)
	for i := 0; i < len(options); i += 2 {
		if options[i+1] == "" {
			err = unix.FsconfigSetFlag(fd, options[i])
		} else {
			err = unix.FsconfigSetString(fd, options[i], options[i+1])
		}
		if err != nil {
			return -1, fmt.Errorf("fsconfig %s of %s: %w", options[i], kind, err)
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return -1, fmt.Errorf("fsconfig of %s: %w", kind, err)
	}
	m, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, attributes)
	return m, os.NewSyscallError("fsmount", err)
}
