package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// trace attaches to a process, and lets it go at once.
func trace(a arguments) (string, error) {
	runtime.LockOSThread()
	pid := a.number("pid")
	if err := unix.PtraceSeize(pid); err != nil {
		return "", err
	}
	return fmt.Sprintf("process %d is traced", pid), nil
}

// sibling has one child trace another one: both are its own.
func sibling(arguments) (string, error) {
	c := exec.Command("/proc/self/exe", "wait", "1")
	if err := c.Start(); err != nil {
		return "", err
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	return attempt("trace", arguments{"pid": strconv.Itoa(c.Process.Pid)})
}

func peek(a arguments) (string, error) {
	pid := a.number("pid")
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)); err == nil && len(b) > 0 {
		return "read its map of memory", nil
	}
	b := make([]byte, 8)
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	remote := unix.RemoteIovec{Base: 0x400000, Len: len(b)}
	_, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	if err == unix.EFAULT {
		err = nil // it was let in, and nothing is there
	}
	return "read its memory", err
}

func steal(a arguments) (string, error) {
	fd, err := unix.PidfdOpen(a.number("pid"), 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	got, err := unix.PidfdGetfd(fd, a.number("fd"), 0)
	if err != nil {
		return "", err
	}
	return "taken", unix.Close(got)
}

func signal(a arguments) (string, error) {
	return "sent", unix.Kill(a.number("pid"), unix.SIGKILL)
}

// killAll never runs outside of a process namespace of its own.
func killAll(arguments) (string, error) {
	if err := unix.Kill(-1, unix.SIGKILL); err != nil {
		return "", err
	}
	return "sent", nil
}

// detach leaves a grandchild behind that has nothing to do with the server any
// more: its parent is gone, its session and group are its own, it hears no
// signal and holds no pipe.
func detach(a arguments) (string, error) {
	c := exec.Command("/proc/self/exe", "heartbeat", "leave", a["path"])
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Run(); err != nil {
		return "", err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(a["path"]); err == nil && len(b) > 0 {
			return "left process " + string(b), nil
		}
	}
	return "", errors.New("it does not write")
}

func heartbeat(how, file string) error {
	if how == "leave" {
		c := exec.Command("/proc/self/exe", "heartbeat", "stay", file)
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return c.Start() // and nobody waits for it
	}
	ossignal.Ignore()
	for {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o666); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// terminal types on every terminal that it finds: the standard streams, the
// controlling one and the machine's. One that it makes itself does not count.
func terminal(arguments) (string, error) {
	var errs []error
	c := byte('x')
	for _, name := range []string{"/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0", "/dev/pts/0"} {
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
		_ = unix.Close(fd)
		if e == 0 {
			return "typed on " + name, nil
		}
		errs = append(errs, fmt.Errorf("%s: TIOCSTI: %w", name, e))
	}
	return "", errors.Join(errs...)
}

// descriptors are those that the program had when it began.
func descriptors(arguments) (string, error) {
	if len(inherited) == 0 {
		return "", errors.New("nothing but the standard streams")
	}
	return strings.Join(inherited, ", "), nil
}

// inherited is filled before the runtime of Go opens files of its own, or
// anything else of this program does.
var inherited = open()

func open() (found []string) {
	for fd := 3; fd < 1024; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // Go's own are closed on exec, and so cannot have been inherited
		}
		to, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)))
		if err != nil {
			to = err.Error()
		}
		found = append(found, fmt.Sprintf("%d leads to %s", fd, to))
	}
	return found
}
