package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// oldSession opens a session of HTTP+SSE, and returns its stream and a func
// that posts.
func oldSession(t *testing.T, f *testFront, header ...string) (*stream, func(body string) answer) {
	t.Helper()
	mcp := f.url
	f.url = strings.TrimSuffix(mcp, "/mcp") + "/old/sse"
	s := f.stream(http.MethodGet, "", header...)
	f.url = mcp
	e := s.next("messages?session_id=")
	if e.Type != "endpoint" || e.ID != "" {
		t.Fatalf("first event %+v", e)
	}
	to, err := s.resp.Request.URL.Parse(string(e.Data))
	if err != nil {
		t.Fatal(err)
	}
	return s, func(body string) answer {
		t.Helper()
		req := f.request(t.Context(), http.MethodPost, body, header...)
		req.URL = to
		return f.do(req)
	}
}

func TestHTTPOldSSE(t *testing.T) {
	t.Parallel()
	if f := newTestFront(t, nil, nil); f.http.SSEHandler() != nil {
		t.Error("HTTP+SSE is served without being asked for")
	}
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		if m.Method != "tools/call" {
			return echo(m)
		}
		if err := c.Notify(ctx, numbered(1)); err != nil {
			return nil, err
		}
		return c.Call(ctx, &Message{ID: json.RawMessage(`"q"`), Method: "roots/list"}, nil)
	}}
	f := newTestFront(t, host, &HTTPOptions{LegacySSE: true, Authenticator: byUser})
	s, post := oldSession(t, f, "Authorization", "a")
	post(startSession).want(t, 202, "")
	if e := s.next(`"id":0,"result":{"protocolVersion"`); e.Type != "" || e.ID != "" {
		t.Errorf("event %+v", e)
	}
	post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`).want(t, 202, "")
	post(`{"jsonrpc":"2.0","id":"x","method":"tools/call"}`).want(t, 202, "")
	s.next(`{"n":1}`)
	var ask struct{ ID json.RawMessage }
	if err := json.Unmarshal(s.next("roots/list").Data, &ask); err != nil {
		t.Fatal(err)
	}
	post(`{"jsonrpc":"2.0","id":`+string(ask.ID)+`,"result":{"roots":[]}}`).want(t, 202, "")
	s.next(`{"jsonrpc":"2.0","id":"x","result":{"roots":[]}}`)

	post(`{"jsonrpc":"2.0","id":7,"method":`).want(t, 400, fault("7", CodeParse, "syntax: method (byte 33): the text ends within a value; send the whole value"))
	for header, want := range map[string]int{"b": 404, "": 401} {
		req := f.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"x"}`, "Authorization", header)
		req.URL.Path, req.URL.RawQuery = "/old/messages", "session_id="+f.conn(t).id
		if a := f.do(req); a.status != want {
			t.Errorf("as %q: %d %s", header, a.status, a.body)
		}
	}
	// The session is none of Streamable HTTP, nor the other way round.
	if a := f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, "Authorization", "a", "Mcp-Session-Id", f.conn(t).id); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// It ends with its stream.
	c := f.conn(t)
	s.close()
	<-c.Done()
	post(`{"jsonrpc":"2.0","id":7,"method":"x"}`).want(t, 404, fault("", CodeInvalidRequest, "the session is unknown or has ended: open another by GET"))
}

func TestHTTPOldSSEShutdown(t *testing.T) {
	t.Parallel()
	running, goOn := make(chan struct{}), make(chan struct{})
	host := &testHost{session: func(_ context.Context, _ Conn, m *Message) (*Message, error) {
		close(running)
		<-goOn
		return echo(m)
	}}
	f := newTestFront(t, host, &HTTPOptions{LegacySSE: true})
	s, post := oldSession(t, f)
	post(`{"jsonrpc":"2.0","id":7,"method":"x"}`).want(t, 202, "")
	<-running
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.http.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- f.http.Shutdown(t.Context()) }()
	if a := post(`{"jsonrpc":"2.0","id":8,"method":"x"}`); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	close(goOn)
	s.next(`"id":7,"result"`)
	s.end()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestHTTPOldSSESlowReader: there is no resumption, so that a client which does
// not take its replies loses the session.
func TestHTTPOldSSESlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		f := newPipeFront(t, nil, &HTTPOptions{LegacySSE: true, Queue: 32 << 10, SessionClosed: func(_ string, _ Principal, reason error) { ended <- reason }})
		_, post := oldSession(t, f.testFront)
		posted := 0
		for ; posted < 100; posted++ {
			a := post(`{"jsonrpc":"2.0","id":7,"method":"x","params":{"pad":"` + strings.Repeat("x", 4<<10) + `"}}`)
			synctest.Wait()
			if a.status == 404 {
				break
			}
		}
		if err := <-ended; err == nil || posted < 5 || posted > 40 {
			t.Errorf("the session ended after %d replies: %v", posted, err)
		}
	})
}
