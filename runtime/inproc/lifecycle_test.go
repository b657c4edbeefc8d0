package inproc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// hang is a handler that waits for the end of its context, and tells of both.
func hang(started, ended chan<- struct{}) handler {
	return func(ctx context.Context, _ *server.MCPServer) (string, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return "", ctx.Err()
	}
}

func TestCancelledCall(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		started, ended := make(chan struct{}, 1), make(chan struct{}, 1)
		c := open(t, newServer(hang(started, ended)), era, newInbox(""))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		if _, err := do(ctx, c, era, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		<-ended
		if _, err := do(ctx, c, era, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a call with an ended context: %v", err)
		}
		if reply, err := c.Call(t.Context(), request(era, "tools/list", `{}`), nil); err != nil || reply.Error != nil {
			t.Errorf("the connection does not live on: %v, %v", reply, err)
		}
	})
}

// A call returns at its deadline, whatever its handler does.
func TestDeadlineOfCall(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		release := make(chan struct{})
		defer close(release)
		c := open(t, newServer(func(ctx context.Context, _ *server.MCPServer) (string, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the handler does not see the deadline")
			}
			<-release
			return "", nil
		}), era, newInbox(""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := do(ctx, c, era, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A handler that fails badly costs its own call an error that says nothing of
// the inside; the log says more.
func TestPanicCostsItsCallAlone(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		var log bytes.Buffer
		l := inproc.New(newServer(func(context.Context, *server.MCPServer) (string, error) { panic("out of cheese") }),
			&inproc.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := greet(t, launch(t, l), era, newInbox(""))
		if _, err := do(t.Context(), c, era, nil); err == nil || strings.Contains(err.Error(), "cheese") {
			t.Errorf("got %v", err)
		}
		if s := log.String(); !strings.Contains(s, "out of cheese") || !strings.Contains(s, "lifecycle_test.go") || !strings.Contains(s, "method=tools/call") {
			t.Errorf("the log is %s", s)
		}
		if reply, err := c.Call(t.Context(), request(era, "tools/list", `{}`), nil); err != nil || reply.Error != nil {
			t.Errorf("the connection does not live on: %v, %v", reply, err)
		}
	})
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		c := open(t, newServer(func(context.Context, *server.MCPServer) (string, error) {
			goruntime.Goexit()
			return "", nil
		}), era, newInbox(""))
		if _, err := do(t.Context(), c, era, nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestContextOfTheHost(t *testing.T) {
	t.Parallel()
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		l := inproc.New(newServer(func(ctx context.Context, _ *server.MCPServer) (string, error) {
			return ctx.Value(key{}).(string), nil
		}), &inproc.Options{Context: func(ctx context.Context, k runtime.Key) context.Context {
			return context.WithValue(ctx, key{}, "for "+k.Server)
		}})
		c := greet(t, launch(t, l), transport.Legacy, newInbox(""))
		if text, err := do(t.Context(), c, transport.Legacy, nil); err != nil || text != "for test" {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// Stop cancels the handlers and joins them; their calls end.
func TestStopJoinsHandlers(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		const n = 5
		started, ended := make(chan struct{}, n), make(chan struct{}, n)
		i := launch(t, inproc.New(newServer(hang(started, ended)), nil))
		c := greet(t, i, era, newInbox(""))
		returned := make(chan error, n)
		for range n {
			go func() {
				_, err := do(t.Context(), c, era, nil)
				returned <- err
			}()
		}
		for range n {
			<-started
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if len(ended) != n {
			t.Errorf("%d of %d handlers have ended", len(ended), n)
		}
		for range n {
			var e *transport.Error
			if err := <-returned; !errors.Is(err, transport.ErrClosed) || !errors.As(err, &e) || !e.Sent {
				t.Errorf("a call in flight: %v", err)
			}
		}
		if err := c.Notify(t.Context(), &transport.Message{Method: "notifications/x"}); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Notify: %v", err)
		}
	})
}

// Stop joins the handlers of notifications too.
func TestStopJoinsNotifications(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil)
		started, ended := make(chan struct{}), make(chan struct{}, 1)
		s.AddNotificationHandler("notifications/x", func(ctx context.Context, _ mcp.JSONRPCNotification) {
			close(started)
			<-ctx.Done()
			ended <- struct{}{}
		})
		i := launch(t, inproc.New(s, nil))
		c := greet(t, i, transport.Legacy, newInbox(""))
		returned := make(chan error, 1)
		go func() { returned <- c.Notify(t.Context(), &transport.Message{Method: "notifications/x"}) }()
		<-started
		if err := i.Stop(t.Context()); err != nil || len(ended) != 1 {
			t.Errorf("Stop: %v, %d ended", err, len(ended))
		}
		<-returned
	})
}

// A handler that waits because nobody takes what it sends is freed by Stop.
func TestStopFreesAHandlerThatWaits(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		i := launch(t, inproc.New(newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			for n := 0; ctx.Err() == nil; n++ {
				if err := progress(ctx, s, n); err != nil {
					return "", err
				}
			}
			return "", ctx.Err()
		}), nil))
		c := greet(t, i, era, newInbox(""))
		release, returned := make(chan struct{}), make(chan error)
		go func() {
			_, err := do(t.Context(), c, era, transport.ReceiverFunc(func(context.Context, *transport.Message) (*transport.Message, error) {
				<-release
				return nil, nil
			}))
			returned <- err
		}()
		synctest.Wait()
		if err := i.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
		close(release)
		if err := <-returned; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("the call: %v", err)
		}
	})
}

// A handler that does not heed its context is an error of Stop, in time.
func TestStopOfAStubbornHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started, release := make(chan struct{}), make(chan struct{})
		i, err := inproc.New(newServer(func(context.Context, *server.MCPServer) (string, error) {
			close(started)
			<-release
			return "", nil
		}), nil).Launch(t.Context(), runtime.Key{})
		if err != nil {
			t.Fatal(err)
		}
		c := greet(t, i, transport.Legacy, newInbox(""))
		returned := make(chan error)
		go func() {
			_, err := do(t.Context(), c, transport.Legacy, nil)
			returned <- err
		}()
		<-started
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := i.Stop(ctx); err == nil || time.Since(begin) != time.Minute {
			t.Errorf("Stop returned %v after %v", err, time.Since(begin))
		}
		if err := <-returned; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("the call: %v", err)
		}
		if e := <-i.Wait(); e.Reason != runtime.Stopped {
			t.Errorf("the reason is %q", e.Reason)
		}
		if err := c.Close(); err == nil {
			t.Error("Close of a conn whose handler still runs is no error")
		}
		close(release)
		if err := i.Stop(t.Context()); err != nil {
			t.Errorf("Stop when the handler has ended: %v", err)
		}
	})
}

// The server knows a session exactly as long as its instance lives.
func TestRegistration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hooks := new(server.Hooks)
		known := map[string]bool{}
		hooks.AddOnRegisterSession(func(_ context.Context, s server.ClientSession) { known[s.SessionID()] = true })
		hooks.AddOnUnregisterSession(func(_ context.Context, s server.ClientSession) { delete(known, s.SessionID()) })
		l := inproc.New(server.NewMCPServer("test", "1", server.WithHooks(hooks)), nil)
		one, two := launch(t, l), launch(t, l)
		if len(known) != 2 {
			t.Errorf("the server knows %d sessions", len(known))
		}
		if err := one.Stop(t.Context()); err != nil || len(known) != 1 {
			t.Errorf("after Stop, %v, the server knows %d", err, len(known))
		}
		if err := two.Conn().Close(); err != nil || len(known) != 0 {
			t.Errorf("after Close, %v, the server knows %d", err, len(known))
		}
	})
}

func TestLaunchErrors(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		ctx  context.Context
		l    runtime.Launcher
		want error // nil: any
	}{
		"nil server":    {t.Context(), inproc.New(nil, nil), nil},
		"nil of a func": {t.Context(), inproc.NewFunc(func(runtime.Key) (*server.MCPServer, error) { return nil, nil }, nil), nil},
		"error of func": {t.Context(), inproc.NewFunc(func(runtime.Key) (*server.MCPServer, error) { return nil, refused }, nil), refused},
		"ended context": {ended, inproc.New(newServer(nil), nil), context.Canceled},
	} {
		i, err := c.l.Launch(c.ctx, runtime.Key{})
		if err == nil || i != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, i, err)
		}
	}
}

// A reload keeps the instances of a server that is listed again as it was.
func TestDefinition(t *testing.T) {
	t.Parallel()
	definition := func(l runtime.Launcher) string { return l.(interface{ Definition() string }).Definition() }
	s := newServer(nil)
	one, other := inproc.New(s, nil), inproc.New(s, nil)
	if definition(one) != definition(other) {
		t.Error("the same server has two definitions")
	}
	if definition(one) == definition(inproc.New(newServer(nil), nil)) {
		t.Error("two servers have one definition")
	}
	if definition(one) == definition(inproc.New(s, &inproc.Options{Logger: slog.New(slog.DiscardHandler)})) {
		t.Error("two loggers have one definition")
	}
}

// A result that holds raw JSON keeps every digit.
func TestResultsKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil)
		s.AddTool(mcp.NewTool("big"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{StructuredContent: json.RawMessage(`{"n":12345678901234567890}`)}, nil
		})
		c := open(t, s, transport.Legacy, newInbox(""))
		reply, err := c.Call(t.Context(), request(transport.Legacy, "tools/call", `{"name":"big"}`), nil)
		if err != nil || !strings.Contains(string(reply.Result), `:12345678901234567890}`) {
			t.Errorf("%s %s, %v", reply.Result, reply.Error, err)
		}
	})
}
