package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// busy bounds how often another loop device is asked for, when somebody else
// has taken it.
const busy = 64

// openControl opens what hands out loop devices.
func openControl() (*os.File, error) {
	f, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, unable("it needs loop devices, and %w; run modprobe loop, and in a container give it /dev", err)
	}
	return f, nil
}

// attach opens, for reading, the loop device of an image, which has no other
// as long as the caller holds the lock. It goes from the image with whoever
// has it open or mounted last.
func attach(image *os.File) (*os.File, error) {
	if loop, err := attached(image); loop != nil || err != nil {
		return loop, err
	}
	control, err := openControl()
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(image.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], image.Name())
	for range busy {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, unable("no loop device is to be had: %w", err)
		}
		name := fmt.Sprintf("/dev/loop%d", n)
		device, err := openLoop(name, unix.O_RDWR)
		if err != nil {
			return nil, unable("a loop device cannot be opened: %w", err)
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == unix.EBUSY {
			_ = device.Close()
			continue
		}
		if err != nil {
			_ = device.Close()
			return nil, unable("%s cannot be given %s: LOOP_CONFIGURE (Linux 5.8): %w", name, image.Name(), err)
		}
		// Some kernels mount nothing that is open for writing.
		loop, err := openLoop(name, unix.O_RDONLY)
		_ = device.Close()
		return loop, err
	}
	return nil, fmt.Errorf("others have taken %d loop devices before us", busy)
}

// attached opens, for reading, the loop device that an image has already; it
// may be nil. Its file is told by its identity: names are others in other mount
// namespaces.
func attached(image *os.File) (*os.File, error) {
	if _, err := os.Stat("/sys/block"); err != nil {
		return nil, unable("whether a loop device has the image already cannot be seen: %w", err)
	}
	found, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(image.Fd()), &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	for _, p := range found {
		name := "/dev/" + filepath.Base(filepath.Dir(p))
		loop, err := openLoop(name, unix.O_RDONLY)
		if _, there := os.Lstat(p); err != nil && (there != nil || errors.Is(err, unix.ENXIO)) {
			continue // it has gone since
		}
		if err != nil {
			return nil, unable("whether a loop device has the image already cannot be seen: %w", err)
		}
		info, err := unix.IoctlLoopGetStatus64(int(loop.Fd()))
		if err == nil && info.Device == uint64(st.Dev) && info.Inode == st.Ino {
			if info.Offset != 0 || info.Sizelimit != 0 || info.Flags&unix.LO_FLAGS_READ_ONLY != 0 {
				_ = loop.Close()
				return nil, fmt.Errorf("somebody else has a part of %s in %s, or has it for reading; run losetup -d %[2]s", image.Name(), name)
			}
			return loop, nil
		}
		_ = loop.Close()
		if err != nil && err != unix.ENXIO {
			return nil, &fs.PathError{Op: "LOOP_GET_STATUS64", Path: name, Err: err}
		}
	}
	return nil, nil
}

func openLoop(name string, how int) (*os.File, error) {
	fd, err := unix.Open(name, how|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
