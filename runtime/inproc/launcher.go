package inproc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Options configures a launcher. The zero value is useful.
type Options struct {
	// Context makes the context that handlers get out of that of the call,
	// so that it can carry values of the host. Nil: it is the call's.
	Context func(ctx context.Context, k runtime.Key) context.Context

	// Logger is told of handlers that panic, with the stack. Nil: nobody is.
	Logger *slog.Logger
}

// New returns a launcher whose instances are sessions of s.
func New(s *server.MCPServer, o *Options) runtime.Launcher {
	l := &launcher{server: s}
	if o != nil {
		l.o = *o
	}
	return l
}

// NewFunc returns a launcher that asks f for the server of each instance. f is
// called from several goroutines; it may return the same server for several
// keys.
func NewFunc(f func(runtime.Key) (*server.MCPServer, error), o *Options) runtime.Launcher {
	var c Options
	if o != nil {
		c = *o
	}
	return runtime.LauncherFunc(func(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
		s, err := f(k)
		if err != nil {
			return nil, err
		}
		return launch(ctx, s, c, k)
	})
}

type launcher struct {
	server *server.MCPServer
	o      Options
}

// Launch implements [runtime.Launcher].
func (l *launcher) Launch(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
	return launch(ctx, l.server, l.o, k)
}

// Definition implements the optional method of [runtime.Launcher]: launchers
// of one MCPServer with the same options make the same thing.
func (l *launcher) Definition() string {
	return fmt.Sprintf("inproc %p %p %p", l.server, l.o.Context, l.o.Logger)
}

func launch(ctx context.Context, s *server.MCPServer, o Options, k runtime.Key) (runtime.Instance, error) {
	if s == nil {
		return nil, errors.New("inproc: the MCPServer is nil")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := newConn(s, o, k)
	if err := s.RegisterSession(ctx, c.session); err != nil {
		c.end(err)
		<-c.joined
		return nil, fmt.Errorf("inproc: registering the session: %w", err)
	}
	i := &instance{conn: c, exit: make(chan runtime.Exit, 1)}
	go i.watch()
	return i, nil
}

// newSessionID makes an id that no other session of the server has.
func newSessionID() string { return "gatehouse-" + rand.Text() }

// instance is a session of a server.
type instance struct {
	conn *conn
	exit chan runtime.Exit

	mu      sync.Mutex
	stopped bool
}

var _ runtime.Instance = (*instance)(nil)

// watch ends with the conn.
func (i *instance) watch() {
	<-i.conn.done
	i.conn.server.UnregisterSession(context.Background(), i.conn.session.SessionID())
	i.mu.Lock()
	e := runtime.Exit{Reason: runtime.Stopped, Code: -1}
	if !i.stopped {
		e.Reason, e.Err = runtime.Disconnected, i.conn.Err()
	}
	i.mu.Unlock()
	i.exit <- e
	close(i.exit)
	close(i.conn.unregistered)
}

// Conn implements [runtime.Instance].
func (i *instance) Conn() transport.Conn { return i.conn }

// Wait implements [runtime.Instance].
func (i *instance) Wait() <-chan runtime.Exit { return i.exit }

// Stop implements [runtime.Instance]. Handlers that run have their contexts
// cancelled; Stop waits for them as long as ctx allows. One that does not
// heed its context cannot be killed, and is an error.
func (i *instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	i.stopped = true
	i.mu.Unlock()
	i.conn.end(transport.ErrClosed)
	return i.conn.join(ctx)
}
