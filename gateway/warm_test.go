package gateway_test

import (
	"context"
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

// uniform makes the same instance for everyone.
type uniform struct{ *testserver.Server }

func (uniform) Uniform() bool { return true }

func TestWarmInstances(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		t.Run(era.String(), func(t *testing.T) {
			t.Parallel()
			a := testserver.New("a", era).Tool("n", number)
			gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: uniform{a}, Warm: 2}}})
			waitFor(t, func() bool { return len(a.Live()) == 2 })
			waitFor(t, func() bool { return gw.Status().Servers[0].Warm == 2 })

			one, two := legacyClient(t, gw, allCaps, nil), legacyClient(t, gw, "{}", nil)
			for want, p := range map[string]*peer{"1": one, "2": two} {
				if got := textOf(p.must("tools/call", `{"name":"a__n"}`)); got != want && got != "1" && got != "2" {
					t.Errorf("a new instance %s answered, not a warm one", got)
				}
			}
			// Each has its own, and others are started in their place.
			waitFor(t, func() bool { return len(a.Live()) == 4 && gw.Status().Servers[0].Warm == 2 })
			if got := len(gw.Status().Servers[0].Instances); got != 2 {
				t.Errorf("%d instances in use, want 2", got)
			}
			// One that ends while it waits is replaced.
			for _, i := range a.Live() {
				if i.Number > 2 {
					i.Crash(1, "cold feet")
					break
				}
			}
			waitFor(t, func() bool { return len(a.Live()) == 3 })
			waitFor(t, func() bool { return len(a.Live()) == 4 && gw.Status().Servers[0].Warm == 2 })

			// Without Warm they go, and those in use with them, since the
			// server is another.
			if err := gw.Reload(t.Context(), &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: uniform{a}}}}); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return len(a.Live()) == 0 })
		})
	}
}

func TestWarmInstancesMakeRoom(t *testing.T) {
	t.Parallel()
	a, b := testserver.New("a", transport.Legacy).Tool("n", number), testserver.New("b", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{
		Servers: []gateway.Server{{Name: "a", Launcher: uniform{a}, Warm: 2}, {Name: "b", Launcher: b}},
		Limits:  gateway.Limits{Instances: 2},
	})
	waitFor(t, func() bool { return gw.Status().Servers[0].Warm == 2 })
	p := legacyClient(t, gw, "{}", nil)
	if got := textOf(p.must("tools/call", `{"name":"b__n"}`)); got != "1" {
		t.Errorf("got %q", got)
	}
	waitFor(t, func() bool { return len(a.Live()) == 1 })
}

func TestWarmFaults(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy)
	volume := runtime.Of(nil, runtime.Spec{Mounts: []runtime.Mount{{Volume: "v", Target: "/v"}}})
	_, err := gateway.New(&gateway.Options{Servers: []gateway.Server{
		{Name: "a", Launcher: a, Warm: 1}, {Name: "b", Launcher: uniform{a}, Warm: -1}, {Name: "c", Launcher: uniform{a}, Warm: 1, Instance: gateway.Shared},
		{Name: "d", Launcher: uniform{a}, Warm: 3, MaxInstances: 2}, {Name: "e", Launcher: volume, Warm: 1}, {Name: "f", Launcher: a, MaxInstances: -1},
	}})
	want := `Servers[0].Warm (a) needs a launcher whose instances are the same for everyone, without volumes
Servers[1].Warm (b) is negative
Servers[2].Warm (c) is for instances that come and go; for a shared one use Eager
Servers[3].Warm (d) is more than MaxInstances
Servers[4].Warm (e) needs a launcher whose instances are the same for everyone, without volumes
Servers[5].MaxInstances (f) is negative`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// TestMaxInstancesQueue: who comes when all instances of a server are in use
// waits for one, and gets it when another is free; who waits for too long is
// told why. Other servers are not concerned.
func TestMaxInstancesQueue(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	a := testserver.New("a", transport.Legacy).Tool("hold", func(ctx context.Context, _ *testserver.Call) (string, error) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return testserver.Text("held"), nil
	})
	b := testserver.New("b", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{
		{Name: "a", Launcher: a, MaxInstances: 2}, {Name: "b", Launcher: b},
	}})
	results := make(chan string, 20)
	var wg sync.WaitGroup
	for n := range 8 {
		p := legacyClient(t, gw, "{}", nil)
		wg.Go(func() {
			reply := p.must("tools/call", `{"name":"a__hold"}`)
			results <- fmt.Sprint(n, textOf(reply))
		})
	}
	waitFor(t, func() bool { return a.Calls.Load() >= 2 && len(a.Live()) == 2 })
	p := legacyClient(t, gw, "{}", nil)
	if got := textOf(p.must("tools/call", `{"name":"b__n"}`)); got != "1" {
		t.Errorf("another server: %q", got)
	}
	if n := len(a.Live()); n > 2 {
		t.Errorf("%d instances run, the limit is 2", n)
	}
	close(hold)
	wg.Wait()
	close(results)
	for r := range results {
		if !strings.HasSuffix(r, "held") {
			t.Errorf("got %q", r)
		}
	}
	if n := len(a.Live()); n > 2 {
		t.Errorf("%d instances run, the limit is 2", n)
	}
}

func TestMaxInstancesTooLong(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	a := testserver.New("a", transport.Legacy).Tool("hold", func(ctx context.Context, _ *testserver.Call) (string, error) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return testserver.Text("held"), nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a, MaxInstances: 1, StartTimeout: 300 * time.Millisecond}}})
	first, second := legacyClient(t, gw, "{}", nil), legacyClient(t, gw, "{}", nil)
	go func() {
		_, _ = first.conn.Call(t.Context(), &transport.Message{ID: []byte("9"), Method: "tools/call", Params: []byte(`{"name":"a__hold"}`)}, nil)
	}()
	waitFor(t, func() bool { return a.Calls.Load() >= 1 && len(a.Live()) == 1 })
	if got := textOf(second.must("tools/call", `{"name":"a__hold"}`)); !strings.Contains(got, "it runs 1 instances, its limit (MaxInstances), and all are in use") {
		t.Errorf("got %q", got)
	}
}

// booting makes an instance for everyone, after a while, which does not
// answer pings when it is silent.
type booting struct {
	*testserver.Server
	takes time.Duration
}

func (booting) Uniform() bool { return true }

func (b booting) Launch(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
	time.Sleep(b.takes)
	return b.Server.Launch(ctx, k)
}

// TestWarmInstanceGoesToWhoWaits: who waits for room gets the warm instance
// that takes it, as soon as it has booted, and another server's goes for it.
func TestWarmInstanceGoesToWhoWaits(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]gateway.Limits{"of its own": {}, "of another": {Instances: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := testserver.New("a", transport.Legacy).Tool("n", number), testserver.New("b", transport.Legacy).Tool("n", number)
			gw := open(t, &gateway.Options{Limits: limits, Servers: []gateway.Server{
				{Name: "a", Launcher: booting{a, 200 * time.Millisecond}, Warm: 1, MaxInstances: 1}, {Name: "b", Launcher: b},
			}})
			waitFor(t, func() bool { return gw.Status().Servers[0].Warm == 0 && a.Starts.Load() == 0 }) // it boots
			tool := "a__n"
			if limits.Instances > 0 {
				tool = "b__n"
			}
			p := legacyClient(t, gw, "{}", nil)
			began := time.Now()
			if got := textOf(p.must("tools/call", `{"name":"`+tool+`"}`)); got != "1" {
				t.Errorf("got %q", got)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it waited %v", took)
			}
		})
	}
}

// TestBootingTakesNoTurn: instances that have started and do not answer yet
// keep no other server from starting.
func TestBootingTakesNoTurn(t *testing.T) {
	t.Parallel()
	mute := testserver.New("mute", transport.Legacy).Method("ping", func(ctx context.Context, _ *testserver.Call) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	b := testserver.New("b", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Limits: gateway.Limits{Starts: 1}, Servers: []gateway.Server{
		{Name: "mute", Launcher: uniform{mute}, Warm: 2}, {Name: "b", Launcher: b},
	}})
	waitFor(t, func() bool { return len(mute.Live()) > 0 })
	p := legacyClient(t, gw, "{}", nil)
	began := time.Now()
	if got := textOf(p.must("tools/call", `{"name":"b__n"}`)); got != "1" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %v for a server that boots", took)
	}
}
