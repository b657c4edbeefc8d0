package sandbox

import (
	"log/slog"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// DefaultPath is the PATH of a server where none is given.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Options configures a Runtime. The zero value is useful.
type Options struct {
	// Cgroup is the control group below which those of the servers are made,
	// relative to the root of the hierarchies; empty: the gateway's own, or
	// with version 2 the next upwards that can have limited groups.
	Cgroup string

	// Logger gets the standard error of the servers, redacted, at the level
	// debug. Nil: it is not logged.
	Logger *slog.Logger

	// OnGarbage is told how many lines of a server's standard output were no
	// messages of the protocol. It must return fast.
	OnGarbage func(server string)

	// Egress is the way out for servers that have one; nil: one of the
	// Runtime's own, which tells Events of each connection. It stays the
	// caller's, to be closed after the Runtime.
	Egress *egress.Proxy

	// Events is told of placeholders and of what the driver removes.
	Events runtime.Events
}
