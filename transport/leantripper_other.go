//go:build !unix

package transport

import (
	"net"
	"time"
)

// quiet reports whether an idle connection can be used again. It cannot be
// examined here, so that only a young one is.
func quiet(_ net.Conn, age time.Duration) bool { return age < unexaminedIdle }
