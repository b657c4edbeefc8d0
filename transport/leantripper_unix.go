//go:build unix

package transport

import (
	"net"
	"syscall"
	"time"
)

// quiet reports whether an idle connection is still open and nothing came on
// it, without waiting.
func quiet(c net.Conn, age time.Duration) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return age < unexaminedIdle
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, err := syscall.Read(int(fd), b[:]) // what is read is lost, and the connection with it
		alive = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && alive
}
