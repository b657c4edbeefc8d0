package gateway_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// walled is a launcher whose instances are refused connections.
type walled struct {
	*testserver.Server
	mu      sync.Mutex
	refused []runtime.Refusal
}

type walledInstance struct {
	runtime.Instance
	w *walled
}

func (w *walled) Launch(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
	i, err := w.Server.Launch(ctx, k)
	if err != nil {
		return nil, err
	}
	return &walledInstance{i, w}, nil
}

func (w *walled) refuse(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, runtime.Refusal{Target: target, Reason: "not on the list", Allow: target, Count: 1, Last: time.Now()})
}

func (i *walledInstance) Refusals() []runtime.Refusal {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	return append([]runtime.Refusal(nil), i.w.refused...)
}

func (i *walledInstance) Usage(context.Context) (runtime.Usage, error) {
	return runtime.Usage{CPU: time.Second, Memory: 1 << 20, PIDs: 3}, nil
}

// TestRefusedConnectionsAreNamed: a call that fails since its server was
// refused a connection says so, with the line that would allow it; one that
// succeeds, or failed for another reason, says nothing of it.
func TestRefusedConnectionsAreNamed(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		t.Run(era.String(), func(t *testing.T) {
			t.Parallel()
			w := &walled{Server: testserver.New("a", era)}
			const failed = `{"content":[{"type":"text","text":"fetch failed"}],"isError":true}`
			w.Tool("fetch", func(_ context.Context, c *testserver.Call) (string, error) {
				w.refuse(strings.Trim(c.Arg("target"), `"`))
				return failed, nil
			})
			w.Tool("error", func(_ context.Context, c *testserver.Call) (string, error) {
				w.refuse(strings.Trim(c.Arg("target"), `"`))
				return "", transport.Errorf(-32000, "no route")
			})
			w.Tool("mend", func(_ context.Context, c *testserver.Call) (string, error) {
				w.refuse(strings.Trim(c.Arg("target"), `"`))
				return testserver.Text("from the cache"), nil
			})
			w.Tool("fail", func(context.Context, *testserver.Call) (string, error) { return failed, nil })
			gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: w}}})
			p := legacyClient(t, gw, "{}", nil)

			const line = `the connection to api.example:443 was refused: not on the list; to allow it: network: {allow: ["api.example:443"]}`
			got := p.must("tools/call", `{"name":"a__fetch","arguments":{"target":"api.example:443"}}`)
			if get(got, "isError") != "true" || !strings.Contains(got, `"text":"fetch failed"`) || !strings.Contains(got, strings.ReplaceAll(line, `"`, `\"`)) {
				t.Errorf("fetch: %s", got)
			}
			if e := p.fails("tools/call", `{"name":"a__error","arguments":{"target":"api.example:443"}}`); e.Message != "no route ("+line+")" {
				t.Errorf("error: %v", e)
			}
			if got := p.must("tools/call", `{"name":"a__mend","arguments":{"target":"api.example:443"}}`); strings.Contains(got, "refused") {
				t.Errorf("a success speaks of refusals: %s", got)
			}
			time.Sleep(time.Millisecond) // so that the next call begins later than the last refusal
			if got := p.must("tools/call", `{"name":"a__fail"}`); strings.Contains(got, "refused") {
				t.Errorf("another call's refusal is named: %s", got)
			}
			st := gw.Status().Servers[0].Instances
			if len(st) != 1 || len(st[0].Refused) != 3 {
				t.Fatalf("status: %+v", st)
			}
			if u := gw.Usage(t.Context())[st[0].ID]; u.Memory != 1<<20 || u.PIDs != 3 {
				t.Errorf("usage: %+v", u)
			}
		})
	}
}

// TestRefusalsAreNotTold where they may be of another client's call.
func TestRefusalsAreNotTold(t *testing.T) {
	t.Parallel()
	w := &walled{Server: testserver.New("a", transport.Legacy)}
	began, end := make(chan struct{}), make(chan struct{})
	w.Tool("slow", func(context.Context, *testserver.Call) (string, error) {
		close(began)
		<-end
		return `{"content":[{"type":"text","text":"failed"}],"isError":true}`, nil
	})
	w.Tool("fetch", func(context.Context, *testserver.Call) (string, error) {
		w.refuse("project-of-b.example:443")
		return testserver.Text("done"), nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: w, Instance: gateway.Shared}}})
	a, b := legacyClient(t, gw, "{}", nil), legacyClient(t, gw, "{}", nil)
	got := make(chan string, 1)
	go func() { got <- a.must("tools/call", `{"name":"a__slow"}`) }()
	<-began
	b.must("tools/call", `{"name":"a__fetch"}`)
	close(end)
	if text := <-got; strings.Contains(text, "project-of-b") {
		t.Errorf("a client is told of another's call: %s", text)
	}
}
