//go:build !unix

package transport

import (
	"io"
	"syscall"
)

// nonblocking returns nil: every write is left to the writing goroutine.
func nonblocking(io.Writer) syscall.RawConn { return nil }

// tryWrite is never called.
func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, nil }
