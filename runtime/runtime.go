package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Launcher makes instances of one server; the gateway's pool knows nothing
// else of it. It is safe for concurrent use.
//
// A Launcher may have the method Definition() string: two launchers with the
// same definition make the same thing, so that a reload keeps the instances.
// Without it, only the same value is the same launcher.
type Launcher interface {
	// Launch makes one instance. ctx bounds the start alone; the instance
	// lives on until Stop.
	Launch(ctx context.Context, k Key) (Instance, error)
}

// LauncherFunc makes a [Launcher] of a function.
type LauncherFunc func(ctx context.Context, k Key) (Instance, error)

// Launch implements [Launcher].
func (f LauncherFunc) Launch(ctx context.Context, k Key) (Instance, error) { return f(ctx, k) }

// Key says for whom an instance is made.
type Key struct {
	Server    string              // the server's name
	Principal transport.Principal // zero when the instance is shared
	Session   string              // empty unless the instance is of one session or call
	Attempt   int                 // 1 for the first start, then counted up for restarts after a crash
	Secrets   secrets.Provider    // what this server declares, and nothing else; may be nil
}

// Runtime confines: it starts what a [Spec] describes. Each driver is a
// package of its own. It is safe for concurrent use.
type Runtime interface {
	// Start returns when the transport of the instance is connected. A
	// Spec that the driver cannot enforce in full is refused with an error
	// that matches [ErrCannotEnforce]. ctx bounds the start alone.
	Start(ctx context.Context, spec Spec) (Instance, error)
}

// Instance is one running copy of a server. It is safe for concurrent use.
type Instance interface {
	// Conn is the connection to the server; the same value every time. No
	// message has been exchanged on it.
	Conn() transport.Conn
	// Wait returns a channel that gets one Exit when the instance has ended,
	// by itself or by Stop, and is closed then.
	Wait() <-chan Exit
	// Stop ends the instance and everything it started: it asks, waits as
	// long as ctx allows, then kills. It returns when nothing is left, and
	// is idempotent.
	Stop(ctx context.Context) error
}

// Exit says how an instance ended.
type Exit struct {
	Reason Reason
	Code   int      // exit code; -1 when there is none
	Signal string   // name of the signal, such as "killed"; empty when there was none
	Stderr []string // the last lines of its standard error, oldest first
	Err    error    // a fault of the runtime or of the connection
}

// Reason is why an instance ended.
type Reason string

// The reasons.
const (
	Exited       Reason = "exited"        // it ended by itself
	Killed       Reason = "killed"        // by a signal that we did not send
	OutOfMemory  Reason = "out of memory" // it went over its memory limit
	Stopped      Reason = "stopped"       // by Stop
	Disconnected Reason = "disconnected"  // its connection broke
)

// String is one line for an error message: the reason, the code or signal,
// and the last line of standard error.
func (e Exit) String() string {
	var b strings.Builder
	b.WriteString(string(e.Reason))
	switch {
	case e.Signal != "":
		fmt.Fprintf(&b, " by signal %q", e.Signal)
	case e.Code >= 0 && e.Reason == Exited:
		fmt.Fprintf(&b, " with code %d", e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if len(e.Stderr) > 0 {
		b.WriteString("; last output: ")
		b.WriteString(strings.Join(e.Stderr, " | "))
	}
	return b.String()
}

// StopGrace is how long the drivers wait, after closing a server's input, for
// it to exit before they kill it, when the context of Stop allows more.
const StopGrace = 2 * time.Second

// Of makes a [Launcher] that starts spec on rt.
func Of(rt Runtime, spec Spec) Launcher { return &specLauncher{rt: rt, spec: spec} }

// OfFunc makes a [Launcher] whose Spec depends on the key. Its definition is
// its own: after a reload its instances are kept only if the same Launcher is
// listed again.
func OfFunc(rt Runtime, f func(Key) (Spec, error)) Launcher {
	return LauncherFunc(func(ctx context.Context, k Key) (Instance, error) {
		spec, err := f(k)
		if err != nil {
			return nil, err
		}
		return start(ctx, rt, spec, k)
	})
}

type specLauncher struct {
	rt   Runtime
	spec Spec
}

var _ Launcher = (*specLauncher)(nil)

func (l *specLauncher) Launch(ctx context.Context, k Key) (Instance, error) {
	return start(ctx, l.rt, l.spec, k)
}

// Description says what confines the instances, as the runtime tells it.
func (l *specLauncher) Description() string { return Describe(l.rt) }

// Uniform implements [Uniform]: named volumes are kept apart by the key.
func (l *specLauncher) Uniform() bool {
	return !slices.ContainsFunc(l.spec.Mounts, func(m Mount) bool { return m.Volume != "" })
}

// Definition implements the optional method of [Launcher].
func (l *specLauncher) Definition() string {
	rt := fmt.Sprintf("%p", l.rt)
	if d, ok := l.rt.(interface{ Definition() string }); ok {
		rt = d.Definition()
	}
	return rt + " " + l.spec.Definition()
}

// start resolves the secrets of spec and starts it.
func start(ctx context.Context, rt Runtime, spec Spec, k Key) (Instance, error) {
	spec, err := spec.settle(ctx, k.Secrets)
	if err != nil {
		return nil, err
	}
	if spec.Name == "" {
		spec.Name = k.Server
	}
	if spec.Owner == "" {
		spec.Owner = k.Principal.Key()
	}
	return rt.Start(ctx, spec)
}
