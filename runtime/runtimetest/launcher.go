package runtimetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// patience is how long the suites wait for what must happen.
const patience = 30 * time.Second

// LauncherConfig configures [Launcher].
type LauncherConfig struct {
	// Launcher makes instances of a legacy server that answers initialize
	// and ping.
	Launcher runtime.Launcher

	// Crash makes an instance end by itself. Nil: it cannot.
	Crash func(t *testing.T, i runtime.Instance)
}

// Launcher runs the suite for a launcher. Its tests run one after the other.
func Launcher(t *testing.T, c LauncherConfig) {
	t.Run("Start", func(t *testing.T) {
		ctx := bounded(t)
		i := launch(ctx, t, c.Launcher)
		if i.Conn() != i.Conn() {
			t.Error("Conn is another one each time")
		}
		handshake(ctx, t, i)
		select {
		case e := <-i.Wait():
			t.Errorf("it has ended: %v", e)
		default:
		}
		stop(ctx, t, i)
	})
	t.Run("ContextOfLaunch", func(t *testing.T) {
		ctx := bounded(t)
		start, cancel := context.WithCancel(ctx)
		i := launch(start, t, c.Launcher)
		cancel()
		handshake(ctx, t, i) // ctx bounds the start alone
		stop(ctx, t, i)
	})
	t.Run("Stop", func(t *testing.T) {
		ctx := bounded(t)
		i := launch(ctx, t, c.Launcher)
		handshake(ctx, t, i)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := i.Stop(ctx); err != nil {
					t.Errorf("Stop: %v", err)
				}
			})
		}
		all.Wait()
		e := oneExit(ctx, t, i)
		if e.Reason != runtime.Stopped {
			t.Errorf("after Stop the reason is %q, want %q", e.Reason, runtime.Stopped)
		}
		if err := i.Stop(ctx); err != nil {
			t.Errorf("Stop again: %v", err)
		}
		dead(ctx, t, i)
	})
	t.Run("StopWithoutTime", func(t *testing.T) {
		ctx := bounded(t)
		i := launch(ctx, t, c.Launcher)
		handshake(ctx, t, i)
		none, cancel := context.WithCancel(ctx)
		cancel()
		if err := i.Stop(none); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Stop: %v", err)
		}
		oneExit(ctx, t, i)
	})
	t.Run("StopUnused", func(t *testing.T) {
		ctx := bounded(t)
		i := launch(ctx, t, c.Launcher)
		stop(ctx, t, i)
		oneExit(ctx, t, i)
	})
	t.Run("Independent", func(t *testing.T) {
		ctx := bounded(t)
		a, b := launch(ctx, t, c.Launcher), launch(ctx, t, c.Launcher)
		handshake(ctx, t, a)
		handshake(ctx, t, b)
		stop(ctx, t, a)
		ping(ctx, t, b)
		stop(ctx, t, b)
	})
	t.Run("Concurrent", func(t *testing.T) {
		ctx := bounded(t)
		errs := make(chan error, 8)
		for range cap(errs) {
			go func() {
				i, err := c.Launcher.Launch(ctx, key())
				if err == nil {
					_, err = i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("1"), Method: "initialize", Params: initialize}, nil)
					err = errors.Join(err, i.Stop(ctx))
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("Crash", func(t *testing.T) {
		if c.Crash == nil {
			t.Skip("an instance of this launcher cannot end by itself")
		}
		ctx := bounded(t)
		i := launch(ctx, t, c.Launcher)
		handshake(ctx, t, i)
		c.Crash(t, i)
		e := oneExit(ctx, t, i)
		if e.Reason == runtime.Stopped || e.Reason == "" {
			t.Errorf("it crashed, but the reason is %q", e.Reason)
		}
		dead(ctx, t, i)
		if err := i.Stop(ctx); err != nil {
			t.Errorf("Stop after a crash: %v", err)
		}
	})
	t.Run("Leaks", func(t *testing.T) {
		once := func() {
			ctx := bounded(t)
			i := launch(ctx, t, c.Launcher)
			handshake(ctx, t, i)
			stop(ctx, t, i)
		}
		once() // what a driver keeps for all is there after it
		goroutines, files := goruntime.NumGoroutine(), descriptors()
		for range 5 {
			once()
		}
		eventually(t, func() string {
			if g, f := goruntime.NumGoroutine(), descriptors(); g > goroutines || f > files {
				return fmt.Sprintf("goroutines: %d before, %d after; files: %d before, %d after\n%s", goroutines, g, files, f, stacks())
			}
			return ""
		})
	})
}

func key() runtime.Key { return runtime.Key{Server: "suite", Attempt: 1} }

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func launch(ctx context.Context, t *testing.T, l runtime.Launcher) runtime.Instance {
	t.Helper()
	i, err := l.Launch(ctx, key())
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	stopAtEnd(t, i)
	return i
}

func stopAtEnd(t *testing.T, i runtime.Instance) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = i.Stop(ctx) // most tests have stopped it
	})
}

func stop(ctx context.Context, t *testing.T, i runtime.Instance) {
	t.Helper()
	if err := i.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

var initialize = json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"suite","version":"1"}}`)

func handshake(ctx context.Context, t *testing.T, i runtime.Instance) {
	t.Helper()
	i.Conn().Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "not here")
	}))
	reply, err := i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage(`"init"`), Method: "initialize", Params: initialize}, nil)
	if err != nil {
		t.Fatalf("initialize: %v", err)
	}
	var r struct{ ProtocolVersion string }
	if err := json.Unmarshal(reply.Result, &r); err != nil || r.ProtocolVersion != "2025-11-25" || string(reply.ID) != `"init"` {
		t.Fatalf("initialize: id %s, result %s, error %s", reply.ID, reply.Result, reply.Error)
	}
	if err := i.Conn().Notify(ctx, &transport.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatalf("notifications/initialized: %v", err)
	}
	ping(ctx, t, i)
}

func ping(ctx context.Context, t *testing.T, i runtime.Instance) {
	t.Helper()
	reply, err := i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("7"), Method: "ping", Params: json.RawMessage("{}")}, nil)
	if err != nil {
		t.Fatalf("ping: %v", err)
	}
	if string(reply.ID) != "7" || reply.Error != nil {
		t.Fatalf("ping: id %s, error %s", reply.ID, reply.Error)
	}
}

// oneExit reads the one Exit and checks that no other follows.
func oneExit(ctx context.Context, t *testing.T, i runtime.Instance) runtime.Exit {
	t.Helper()
	select {
	case e, ok := <-i.Wait():
		if !ok {
			t.Fatal("Wait was closed without an Exit")
		}
		select {
		case second, ok := <-i.Wait():
			if ok {
				t.Errorf("a second Exit: %v", second)
			}
		case <-ctx.Done():
			t.Error("Wait is not closed after the Exit")
		}
		return e
	case <-ctx.Done():
		t.Fatalf("no Exit came\n%s", stacks())
	}
	return runtime.Exit{}
}

// dead checks that the connection has ended.
func dead(ctx context.Context, t *testing.T, i runtime.Instance) {
	t.Helper()
	if _, err := i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("1"), Method: "ping"}, nil); err == nil {
		t.Error("a call succeeds after the end")
	}
	if d, ok := i.Conn().(transport.Done); ok {
		select {
		case <-d.Done():
		case <-ctx.Done():
			t.Error("the connection is not Done after the end")
		}
	}
}

// eventually waits until f has nothing to say.
func eventually(t *testing.T, f func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience / 3); ; {
		s := f()
		if s == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(s)
		}
		time.Sleep(2 * time.Millisecond) // what has ended need not show at once
	}
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:goruntime.Stack(buf, true)])
}

// descriptors counts the open files of this process where that can be known.
func descriptors() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range names {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			n++
		}
	}
	return n
}
