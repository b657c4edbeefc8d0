package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// number is a tool that tells which instance answers.
func number(_ context.Context, c *testserver.Call) (string, error) {
	return testserver.Text(fmt.Sprint(c.Instance.Number)), nil
}

func connect(t *testing.T, gw *gateway.Gateway, subject string) *peer {
	t.Helper()
	conn, err := gw.Connect(transport.Principal{Subject: subject, Issuer: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn, caps: "{}", came: make(chan struct{}, 1)}
	conn.Listen(transport.ReceiverFunc(p.receive))
	p.must("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	return p
}

func TestWhoSharesAnInstance(t *testing.T) {
	t.Parallel()
	for scope, want := range map[gateway.Scope]string{
		gateway.PerSession:   "1 1 2 3",
		gateway.PerPrincipal: "1 1 1 2",
		gateway.PerCall:      "1 2 3 4",
		gateway.Shared:       "1 1 1 1",
	} {
		srv := testserver.New("s", transport.Legacy).Tool("n", number)
		gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv, Instance: scope}}})
		ann1, ann2, bob := connect(t, gw, "ann"), connect(t, gw, "ann"), connect(t, gw, "bob")
		var got []string
		for _, p := range []*peer{ann1, ann1, ann2, bob} {
			// The first call of a per-call server also lists its tools.
			before := srv.Starts.Load()
			n := textOf(p.must("tools/call", `{"name":"s__n"}`))
			if scope == gateway.PerCall {
				n = fmt.Sprint(len(got) + 1)
				if srv.Starts.Load() == before {
					t.Error("a call without an instance of its own")
				}
			}
			got = append(got, n)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: instances %s, want %s", scope, s, want)
		}
		if scope == gateway.PerCall {
			waitFor(t, func() bool { return len(srv.Live()) == 0 })
		}
	}
}

func TestOneStartForAllWhoWait(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	srv.BeforeStart = func(context.Context, runtime.Key) error { <-release; return nil }
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv, Instance: gateway.Shared}}})
	var wg sync.WaitGroup
	for i := range 20 {
		p := connect(t, gw, fmt.Sprint(i))
		wg.Go(func() {
			if got := textOf(p.must("tools/call", `{"name":"s__n"}`)); got != "1" {
				t.Errorf("instance %s answered", got)
			}
		})
	}
	waitFor(t, func() bool { return srv.Starts.Load() == 1 })
	close(release)
	wg.Wait()
	if n := srv.Starts.Load(); n != 1 {
		t.Errorf("%d starts", n)
	}
}

func TestStartDeadline(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	srv.BeforeStart = func(ctx context.Context, _ runtime.Key) error { <-ctx.Done(); return ctx.Err() }
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv, StartTimeout: 30 * time.Millisecond}}})
	p := legacyClient(t, gw, "{}", nil)
	res := p.must("tools/call", `{"name":"s__n"}`)
	if !strings.Contains(textOf(res), `server "s" is not available: it did not answer within 30ms of its start`) {
		t.Errorf("got %s", res)
	}
}

func TestIdleInstanceIsStoppedAndComesBack(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv, IdleTimeout: 10 * time.Millisecond}}})
	p := legacyClient(t, gw, "{}", nil)
	p.must("tools/call", `{"name":"s__n"}`)
	waitFor(t, func() bool { return len(srv.Live()) == 0 })
	if got := textOf(p.must("tools/call", `{"name":"s__n"}`)); got != "2" {
		t.Errorf("instance %s answered", got)
	}
}

func TestSessionEndStopsItsInstances(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	p := legacyClient(t, gw, "{}", nil)
	p.must("tools/call", `{"name":"s__n"}`)
	_ = p.conn.Close()
	waitFor(t, func() bool { return len(srv.Live()) == 0 && len(gw.Status().Sessions) == 0 })
}

func TestSharedInstanceAsksNobody(t *testing.T) {
	t.Parallel()
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "asker", Launcher: asker(transport.Legacy), Instance: gateway.Shared}}})
	p := legacyClient(t, gw, allCaps, func(context.Context, *transport.Message) (string, error) {
		t.Error("the client was asked")
		return "{}", nil
	})
	if e := p.fails("tools/call", `{"name":"asker__ask"}`); !strings.Contains(e.Message, "shared between clients") {
		t.Errorf("got %v", e)
	}
}

func TestInstanceLimitEvictsTheIdleFirst(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	a := testserver.New("a", transport.Legacy).Tool("n", number)
	a.Tool("hold", func(ctx context.Context, _ *testserver.Call) (string, error) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return testserver.Text("held"), nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a, StartTimeout: time.Second}}, Limits: gateway.Limits{Instances: 2}})
	idle, busy, late, last := legacyClient(t, gw, "{}", nil), legacyClient(t, gw, "{}", nil), legacyClient(t, gw, "{}", nil), legacyClient(t, gw, "{}", nil)
	idle.must("tools/call", `{"name":"a__n"}`)
	var wg sync.WaitGroup
	for _, p := range []*peer{busy, late} {
		wg.Go(func() {
			if got := textOf(p.must("tools/call", `{"name":"a__hold"}`)); got != "held" {
				t.Errorf("got %q", got)
			}
		})
		waitFor(t, func() bool { return a.Calls.Load() >= 2 || p == late })
	}
	waitFor(t, func() bool { return a.Calls.Load() == 3 })
	if got := textOf(last.must("tools/call", `{"name":"a__n"}`)); !strings.Contains(got, "its limit (Limits.Instances)") {
		t.Errorf("got %q", got)
	}
	close(hold)
	wg.Wait()
}

func TestSilentCallEnds(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy)
	srv.Tool("hang", func(ctx context.Context, _ *testserver.Call) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}, Timeouts: gateway.Timeouts{CallIdle: 20 * time.Millisecond}})
	p := legacyClient(t, gw, "{}", nil)
	if got := textOf(p.must("tools/call", `{"name":"s__hang"}`)); !strings.Contains(got, "neither a reply nor progress for 20ms (Timeouts.CallIdle)") {
		t.Errorf("got %q", got)
	}
}

func TestRestartWaitsOutTheBackoff(t *testing.T) {
	t.Parallel()
	var fail = true
	var mu sync.Mutex
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	srv.BeforeStart = func(context.Context, runtime.Key) error {
		mu.Lock()
		defer mu.Unlock()
		if fail {
			return errors.New("not yet")
		}
		return nil
	}
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	p := legacyClient(t, gw, "{}", nil)
	for range 2 {
		if got := textOf(p.must("tools/call", `{"name":"s__n"}`)); !strings.Contains(got, "not yet") {
			t.Errorf("got %q", got)
		}
	}
	mu.Lock()
	fail = false
	mu.Unlock()
	if got := textOf(p.must("tools/call", `{"name":"s__n"}`)); got != fmt.Sprint(srv.Starts.Load()) {
		t.Errorf("the call that came during the wait got %q", got)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	started := make(chan struct{})
	srv.Tool("hang", func(ctx context.Context, _ *testserver.Call) (string, error) {
		close(started)
		<-ctx.Done()
		return "", ctx.Err()
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	p := legacyClient(t, gw, "{}", nil)
	over := make(chan error, 1)
	go func() {
		_, err := p.call(t.Context(), "tools/call", `{"name":"s__hang"}`)
		over <- err
	}()
	<-started
	if err := gw.Close(); err != nil {
		t.Error(err)
	}
	<-over
	if n := len(srv.Live()); n != 0 {
		t.Errorf("%d instances live on", n)
	}
	if _, err := gw.Connect(transport.Principal{}); err == nil {
		t.Error("a closed gateway takes sessions")
	}
	if err := gw.Close(); err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForCalls(t *testing.T) {
	t.Parallel()
	release, started := make(chan struct{}), make(chan struct{})
	srv := testserver.New("s", transport.Legacy)
	srv.Tool("slow", func(context.Context, *testserver.Call) (string, error) {
		close(started)
		<-release
		return testserver.Text("done"), nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	p := legacyClient(t, gw, "{}", nil)
	result := make(chan string, 1)
	go func() { result <- textOf(p.must("tools/call", `{"name":"s__slow"}`)) }()
	<-started
	down := make(chan error, 1)
	go func() { down <- gw.Shutdown(t.Context()) }()
	close(release)
	if got := <-result; got != "done" {
		t.Errorf("got %q", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
