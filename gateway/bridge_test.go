package gateway_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

const question = `{"message":"who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}`

// asker is a server that asks its client for a name, in its own era's way.
func asker(eras ...transport.Era) *testserver.Server {
	s := testserver.New("asker", eras...)
	return s.Tool("ask", func(ctx context.Context, c *testserver.Call) (string, error) {
		if c.Era == transport.Legacy {
			res, err := c.Ask(ctx, "elicitation/create", question)
			if err != nil {
				return "", err
			}
			return testserver.Text("hello " + get(res, "content", "name")), nil
		}
		if in, ok := rawjson.Get(c.Params, "inputResponses", "who"); ok {
			state, _ := rawjson.Get(c.Params, "requestState")
			return testserver.Text("hello " + get(string(in), "content", "name") + " " + get(`{"s":`+string(state)+`}`, "s")), nil
		}
		return `{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":` + question + `}},"requestState":"the state"}`, nil
	})
}

func answerName(name string) func(context.Context, *transport.Message) (string, error) {
	return func(_ context.Context, m *transport.Message) (string, error) {
		if m.Method != "elicitation/create" || get(string(m.Params), "message") != "who?" {
			return "", transport.Errorf(transport.CodeMethodNotFound, "unexpected %s %s", m.Method, m.Params)
		}
		return `{"action":"accept","content":{"name":"` + name + `"}}`, nil
	}
}

// retry answers every question of an input_required result and makes the
// call again, until there is a result.
func retry(t *testing.T, p *peer, params, answer string) string {
	t.Helper()
	res := p.must("tools/call", params)
	for range 5 {
		if get(res, "resultType") != "input_required" {
			return res
		}
		in, _ := rawjson.Get(json.RawMessage(res), "inputRequests")
		next := rawjson.Set(json.RawMessage(params), rawjson.Quote(get(res, "requestState")), "requestState")
		rawjson.Each(in, func(key, v []byte) bool {
			name, _ := rawjson.String(key)
			if get(string(v), "method") != "elicitation/create" || get(string(v), "params", "message") != "who?" {
				t.Errorf("asked %s", v)
			}
			next = rawjson.Set(next, json.RawMessage(answer), "inputResponses", name)
			return true
		})
		res = p.must("tools/call", string(next))
	}
	t.Fatalf("still asking: %s", res)
	return ""
}

func TestElicitationAcrossEras(t *testing.T) {
	t.Parallel()
	pass := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		return next(ctx, c)
	})
	for _, chain := range [][]interceptor.Interceptor{nil, {pass}} {
		for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
			srv := asker(era)
			gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "asker", Launcher: srv}}, Interceptors: chain})
			want := "hello ann"
			if era == transport.Modern {
				want += " the state"
			}
			p := legacyClient(t, gw, allCaps, answerName("ann"))
			if got := textOf(p.must("tools/call", `{"name":"asker__ask"}`)); got != want {
				t.Errorf("legacy client, %v server: %q", era, got)
			}
			m := modernClient(t, gw, allCaps)
			if got := textOf(retry(t, m, `{"name":"asker__ask"}`, `{"action":"accept","content":{"name":"ann"}}`)); got != want {
				t.Errorf("modern client, %v server: %q", era, got)
			}
			none := modernClient(t, gw, `{}`)
			if era == transport.Legacy {
				if e := none.fails("tools/call", `{"name":"asker__ask"}`); !strings.Contains(e.Message, "does not support") {
					t.Errorf("client without the ability: %v", e)
				}
			}
		}
	}
}

func TestRequestStateIsOfOneRequestAndOnePrincipal(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "asker", Launcher: asker(era)}}})
		m := modernClient(t, gw, allCaps)
		res := m.must("tools/call", `{"name":"asker__ask","arguments":{"a":1}}`)
		state := get(res, "requestState")
		if state == "" || strings.Contains(state, "the state") {
			t.Fatalf("state %q", state)
		}
		for name, params := range map[string]string{
			"tampered":        `{"name":"asker__ask","arguments":{"a":1},"requestState":"` + state + `x"}`,
			"other arguments": `{"name":"asker__ask","arguments":{"a":2},"requestState":"` + state + `"}`,
			"other tool":      `{"name":"asker__other","arguments":{"a":1},"requestState":"` + state + `"}`,
		} {
			if e := m.fails("tools/call", params); e.Code != transport.CodeInvalidParams || !strings.Contains(e.Message, "requestState is unknown or expired") {
				t.Errorf("%v server, %s: %v", era, name, e)
			}
		}
		conn, err := gw.Connect(transport.Principal{Subject: "eve", Issuer: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		eve := &peer{t: t, conn: conn, caps: allCaps, modern: true, came: make(chan struct{}, 1)}
		if e := eve.fails("tools/call", `{"name":"asker__ask","arguments":{"a":1},"requestState":"`+state+`"}`); e.Code != transport.CodeInvalidParams {
			t.Errorf("%v server, other principal: %v", era, e)
		}
	}
}

func TestParkedCallEndsInTime(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	srv := testserver.New("asker", transport.Legacy)
	srv.Tool("ask", func(ctx context.Context, c *testserver.Call) (string, error) {
		_, err := c.Ask(ctx, "elicitation/create", question)
		ended <- ctx.Err()
		return "", err
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "asker", Launcher: srv}}, Timeouts: gateway.Timeouts{Parked: 50 * time.Millisecond}})
	m := modernClient(t, gw, allCaps)
	res := m.must("tools/call", `{"name":"asker__ask"}`)
	<-ended
	e := m.fails("tools/call", `{"name":"asker__ask","requestState":"`+get(res, "requestState")+`","inputResponses":{"q1":{"action":"accept"}}}`)
	if e.Code != transport.CodeInvalidParams {
		t.Errorf("got %v", e)
	}
}

func TestProgressLogAndCancelAcrossEras(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		cancelled := make(chan struct{}, 2)
		srv := testserver.New("s", era)
		srv.Tool("work", func(ctx context.Context, c *testserver.Call) (string, error) {
			for n := range 3 {
				if err := c.Progress(ctx, n); err != nil {
					return "", err
				}
			}
			if err := c.Notify(ctx, "notifications/message", `{"level":"error","data":"x"}`); err != nil {
				return "", err
			}
			return testserver.Text("done"), nil
		})
		srv.Tool("hang", func(ctx context.Context, c *testserver.Call) (string, error) {
			if err := c.Progress(ctx, 1); err != nil {
				return "", err
			}
			<-ctx.Done()
			cancelled <- struct{}{}
			return "", ctx.Err()
		})
		gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
		legacy := legacyClient(t, gw, "{}", nil)
		modern := modernClient(t, gw, "{}")
		modern.level = "debug"
		for _, p := range []*peer{legacy, modern} {
			if got := textOf(p.must("tools/call", `{"name":"s__work","_meta":{"progressToken":"tok"}}`)); got != "done" {
				t.Fatalf("got %q", got)
			}
			p.mu.Lock()
			var seen []string
			for _, m := range p.notes {
				seen = append(seen, m.Method+get(string(m.Params), "progressToken")+get(string(m.Params), "progress"))
			}
			p.notes = nil
			p.mu.Unlock()
			want := "notifications/progresstok0 notifications/progresstok1 notifications/progresstok2 notifications/message"
			if got := strings.Join(seen, " "); got != want {
				t.Errorf("server %v, modern client %v: got %q", era, p.modern, got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				p.note(method("notifications/progress"))
				cancel()
			}()
			if _, err := p.call(ctx, "tools/call", `{"name":"s__hang","_meta":{"progressToken":7}}`); err == nil {
				t.Error("a cancelled call succeeded")
			}
			select {
			case <-cancelled:
			case <-time.After(5 * time.Second):
				t.Errorf("server %v, modern client %v: the server was not told", era, p.modern)
			}
		}
	}
}

func TestSubscriptionsAcrossEras(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		srv := testserver.New("s", era)
		srv.List("resources/list", func(string) string { return `{"resources":[{"uri":"test://a","name":"a"}]}` })
		gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
		fire := func() {
			i := srv.Live()[0]
			var err error
			if era == transport.Legacy {
				err = i.Notify("notifications/resources/updated", `{"uri":"test://a"}`)
			} else {
				err = i.NotifyListeners("notifications/resources/updated", `{"uri":"test://a"}`)
			}
			if err != nil {
				t.Error(err)
			}
		}
		p := legacyClient(t, gw, "{}", nil)
		p.must("resources/subscribe", `{"uri":"test://a"}`)
		if !srv.Live()[0].Subscribed("test://a") {
			t.Errorf("%v server is not subscribed to", era)
		}
		fire()
		m := p.note(method("notifications/resources/updated"))
		if string(m.Params) != `{"uri":"test://a"}` && get(string(m.Params), "uri") != "test://a" {
			t.Errorf("got %s", m.Params)
		}
		_ = p.conn.Close()
		waitFor(t, func() bool { return len(srv.Live()) == 0 })

		c := modernClient(t, gw, "{}")
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			_, err := c.call(ctx, "subscriptions/listen", `{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}}`)
			over <- err
		}()
		ack := c.note(method("notifications/subscriptions/acknowledged"))
		if got := get(string(ack.Params), "notifications"); got != `{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}` {
			t.Errorf("acknowledged %s", got)
		}
		fire()
		n := c.note(method("notifications/resources/updated"))
		if got, want := get(string(n.Params), "_meta", "io.modelcontextprotocol/subscriptionId"), get(string(ack.Params), "_meta", "io.modelcontextprotocol/subscriptionId"); got != want || got == "" {
			t.Errorf("subscription id %q, acknowledged as %q", got, want)
		}
		cancel()
		<-over
	}
}

// waitFor polls for what happens soon in another goroutine.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	limit := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(limit) {
			t.Fatal("it did not happen")
		}
		time.Sleep(time.Millisecond)
	}
}

// What a legacy server asks at the same time leaves in one result.
func TestQuestionsAskedTogetherLeaveTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := testserver.New("a", transport.Legacy)
		a.Tool("many", func(ctx context.Context, c *testserver.Call) (string, error) {
			var all sync.WaitGroup
			for i := range 3 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 20 * time.Millisecond) // as servers do that prepare their questions
					_, _ = c.Ask(ctx, "elicitation/create", question)
				})
			}
			all.Wait()
			return testserver.Text("done"), nil
		})
		p := modernClient(t, open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}}), `{"elicitation":{}}`)
		res := p.must("tools/call", `{"name":"a__many"}`)
		if n := strings.Count(res, `"method":"elicitation/create"`); n != 3 {
			t.Fatalf("%d questions: %s", n, res)
		}
		res = p.must("tools/call", `{"name":"a__many","requestState":`+strconv.Quote(get(res, "requestState"))+`,"inputResponses":{"q1":{"action":"accept"},"q2":{"action":"accept"},"q3":{"action":"accept"}}}`)
		if textOf(res) != "done" {
			t.Errorf("got %s", res)
		}
	})
}
