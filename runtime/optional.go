package runtime

import (
	"context"
	"fmt"
	"time"
)

// Describer is the optional method of a [Runtime] and of a [Launcher] that
// says, in one sentence for an operator, what confines their instances.
type Describer interface {
	Description() string
}

// Describe returns what v says of itself as a [Describer], else the name of
// its type.
func Describe(v any) string {
	if d, ok := v.(Describer); ok {
		return d.Description()
	}
	return fmt.Sprintf("%T", v)
}

// Checker is the optional method of a [Runtime] that tells, without starting
// anything, why it would refuse a Spec. What it returns is an error of Start
// too, with the same text; nil promises nothing.
type Checker interface {
	Check(spec Spec) error
}

// Chooser is the optional method of a [Runtime] that hands over to one of
// several others: it tells to which, such as "containerd".
type Chooser interface {
	Chosen() string
}

// Uniform is the optional method of a [Launcher] that tells whether it makes
// the same instance for every key, but for the attempt, so that instances can
// be started before it is known for whom.
type Uniform interface {
	Uniform() bool
}

// Meter is the optional method of an [Instance] whose driver knows what it
// uses.
type Meter interface {
	Usage(ctx context.Context) (Usage, error)
}

// Usage is what an instance uses.
type Usage struct {
	CPU    time.Duration // since its start
	Memory int64         // bytes now, without what the kernel can drop at once
	PIDs   int64         // processes and threads now
}

// Refuser is the optional method of an [Instance] whose connections are
// decided by a list: it tells those that were refused.
type Refuser interface {
	// Refusals returns the refused targets, the newest last, at most 32, each
	// once. It is cheap enough to be asked before and after every call.
	Refusals() []Refusal
}

// Refusal is a connection that an instance was refused.
type Refusal struct {
	Target string    // HOST:PORT, as the server named it
	Reason string    // such as "not on the list", "a private address"
	Allow  string    // the entry of network.allow that would allow it; empty: none does
	Count  int64     // how often
	Last   time.Time // when it was refused last
}

// String says it in one sentence, with the line that would allow it.
func (r Refusal) String() string {
	if r.Allow == "" {
		return fmt.Sprintf("the connection to %s was refused: %s", r.Target, r.Reason)
	}
	return fmt.Sprintf("the connection to %s was refused: %s; to allow it: network: {allow: [%q]}", r.Target, r.Reason, r.Allow)
}

// Reaper is the optional method of a [Runtime] that leaves things behind when
// its process is killed: containers, control groups, sockets.
type Reaper interface {
	// Reap removes what dead gateways of the same state folder left, and
	// tells what it removed, a line each. It touches nothing of a living one.
	Reap(ctx context.Context) ([]string, error)
}

// Pull is the progress of fetching an image.
type Pull struct {
	Image string
	Done  int64 // bytes
	Total int64 // bytes; 0 when it is not known yet
	Ended bool
	Err   error // how it failed
}

// Connection is one decision on a connection of an instance.
type Connection struct {
	Server   string
	Target   string // HOST:PORT
	Protocol string // "connect", "http", "tcp" or "dns"
	Allowed  bool
	Reason   string // of a refusal
	Sent     int64  // bytes to the target; with Ended
	Received int64  // bytes from the target; with Ended
	Ended    bool   // the connection has ended; it was reported before
}

// Injection is what became of the placeholder of a secret in requests of an
// instance, or of a file of a secret that could not be refreshed. Those that are
// all alike are told once a second.
type Injection struct {
	Server   string
	Secret   string // its name
	Target   string // HOST:PORT, or the path of the file
	Injected bool   // the value took its place
	Reason   string // why it did not: the placeholder was sent
	Count    int    // of requests since the last one that was told, this one included
}

// Events is told what drivers do. Its functions are called without locks and
// must not block. Every field may be nil.
type Events struct {
	Pull       func(Pull)
	Connection func(Connection)
	Injection  func(Injection)
	Removed    func(what string) // something that a dead gateway had left
}
