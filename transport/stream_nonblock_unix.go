//go:build unix

package transport

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// nonblocking returns the raw file of w when a write to it never blocks, and
// nil otherwise. Pipes that package os made are such files; the standard
// output that a process was given usually is not.
func nonblocking(w io.Writer) syscall.RawConn {
	f, ok := w.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	never := false
	err = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		never = err == nil && flags&unix.O_NONBLOCK != 0
	})
	if err != nil || !never {
		return nil
	}
	return raw
}

// tryWrite writes as much of b as the file takes now.
func tryWrite(raw syscall.RawConn, b []byte) (n int, err error) {
	ctl := raw.Write(func(fd uintptr) bool {
		for n < len(b) && err == nil {
			var k int
			k, err = unix.Write(int(fd), b[n:])
			switch {
			case err == unix.EINTR:
				err = nil
			case err == nil:
				n += k
			}
		}
		return true
	})
	if ctl != nil {
		return n, ctl
	}
	if err == unix.EAGAIN {
		err = nil
	}
	return n, err
}
