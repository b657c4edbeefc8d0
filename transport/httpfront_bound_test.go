package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// TestHTTPInitializeFlood: sessions are bounded, in all and for each
// principal, those that are being opened included.
func TestHTTPInitializeFlood(t *testing.T) {
	t.Parallel()
	closed := make(chan string, 10)
	f := newTestFront(t, nil, &HTTPOptions{
		Authenticator: byUser, MaxSessions: 3, MaxSessionsPerPrincipal: 2,
		SessionClosed: func(id string, p Principal, reason error) { closed <- fmt.Sprintf("%s of %s: %v", id, p, reason) },
	})
	all := fault("0", CodeLimit, "the gateway has 3 sessions, its limit (MaxSessions)", `{"limit":"MaxSessions"}`)
	own := fault("0", CodeLimit, "the caller has 2 sessions, the limit (MaxSessionsPerPrincipal)", `{"limit":"MaxSessionsPerPrincipal"}`)
	first := f.open("2025-11-25", "Authorization", "a")
	f.open("2025-11-25", "Authorization", "a")
	for range 20 {
		a := f.post(startSession, "Authorization", "a")
		a.want(t, 429, own)
		if a.header.Get("Retry-After") == "" || a.header.Get("Mcp-Session-Id") != "" {
			t.Fatalf("refused with %v", a.header)
		}
	}
	f.open("2025-11-25", "Authorization", "b")
	f.post(startSession, "Authorization", "c").want(t, 503, all)
	if n := f.http.Stats().Sessions; n != 3 {
		t.Errorf("%d sessions", n)
	}
	if a := f.do(f.request(t.Context(), http.MethodDelete, "", first...)); a.status != 204 {
		t.Fatalf("DELETE: %d %s", a.status, a.body)
	}
	if got, want := <-closed, "session-1 of a@test: the client ended the session"; got != want {
		t.Errorf("SessionClosed got %q, want %q", got, want)
	}
	f.open("2025-11-25", "Authorization", "c")

	// One that the host does not take, or whose initialize fails, is none.
	f.host.accept = func(context.Context, Conn, Principal) (string, Receiver, error) {
		return "", nil, &Error{Status: 403, Header: http.Header{"Www-Authenticate": {"Bearer error=x"}}, Err: Errorf(CodeDenied, "not you")}
	}
	f.do(f.request(t.Context(), http.MethodDelete, "", "Mcp-Session-Id", "session-4", "Authorization", "c"))
	a := f.post(startSession, "Authorization", "c")
	a.want(t, 403, fault("0", CodeDenied, "not you"))
	if a.header.Get("Www-Authenticate") != "Bearer error=x" {
		t.Errorf("403 with %v", a.header)
	}
	f.host.accept = func(context.Context, Conn, Principal) (string, Receiver, error) { panic("a bug") }
	f.post(startSession, "Authorization", "c").want(t, 200, fault("0", CodeInternal, "internal error"))
	for _, id := range []string{"", "session-3", "a b", strings.Repeat("x", maxSessionID+1)} {
		f.host.accept = func(context.Context, Conn, Principal) (string, Receiver, error) {
			return id, ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) { return initializeReply(m) }), nil
		}
		if a := f.post(startSession, "Authorization", "c"); a.header.Get("Mcp-Session-Id") != "" || !strings.Contains(a.body, `"error"`) {
			t.Errorf("the id %.20q: %d %s", id, a.status, a.body)
		}
	}
	if n := f.http.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestHTTPCalls: calls in flight are bounded, in all and for each principal,
// in both eras and in batches.
func TestHTTPCalls(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	wait := func(m *Message) (*Message, error) {
		entered <- struct{}{}
		<-leave
		return echo(m)
	}
	host := &testHost{
		session: func(_ context.Context, _ Conn, m *Message) (*Message, error) {
			if m.IsNotification() {
				return nil, nil
			}
			return wait(m)
		},
		stateless: func(_ context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			return wait(m)
		},
	}
	f := newTestFront(t, host, &HTTPOptions{Authenticator: byUser, MaxCalls: 3, MaxCallsPerPrincipal: 2})
	a, b := f.open("2025-03-26", "Authorization", "a"), f.open("2025-11-25", "Authorization", "b")
	done := make(chan answer, 3)
	start := func(req *http.Request) {
		go func() { done <- f.do(req) }()
		<-entered
	}
	body, header := modern("7", "tools/list", "", "Authorization", "a")
	start(f.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"x"}`, a...))
	start(f.request(t.Context(), http.MethodPost, body, header...))
	own := fault("7", CodeLimit, "the caller has 2 requests running, the limit (MaxCallsPerPrincipal)", `{"limit":"MaxCallsPerPrincipal"}`)
	f.post(body, header...).want(t, 429, own)
	f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, a...).want(t, 429, own)
	f.post(`[{"jsonrpc":"2.0","id":7,"method":"x"}]`, a...).want(t, 429, strings.Replace(own, `"id":7`, `"id":null`, 1))
	f.post(`{"jsonrpc":"2.0","method":"notifications/x"}`, a...).want(t, 202, "")
	start(f.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"x"}`, b...))
	all := f.post(`{"jsonrpc":"2.0","id":8,"method":"x"}`, b...)
	all.want(t, 503, fault("8", CodeLimit, "the gateway works on 3 requests, its limit (MaxCalls)", `{"limit":"MaxCalls"}`))
	if all.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	f.post(startSession, "Authorization", "c").want(t, 503, fault("0", CodeLimit, "the gateway works on 3 requests, its limit (MaxCalls)", `{"limit":"MaxCalls"}`))
	if n := f.http.Stats().Calls; n != 3 {
		t.Errorf("%d calls", n)
	}
	close(leave)
	for range 3 {
		if a := <-done; a.status != 200 {
			t.Errorf("a call got %d %s", a.status, a.body)
		}
	}
	// An id is used for one request at a time.
	leave = make(chan struct{})
	start(f.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"x"}`, b...))
	f.post(`{"jsonrpc":"2.0","id":1,"method":"x"}`, b...).want(t, 400, fault("1", CodeInvalidRequest, "a request with this id is still running in the session"))
	close(leave)
	<-done
	if err := f.http.Shutdown(t.Context()); err != nil { // which waits for the counts
		t.Error(err)
	}
	f.http.mu.Lock()
	defer f.http.mu.Unlock()
	if f.http.calls != 0 || f.http.opened != 0 || len(f.http.owners) != 0 {
		t.Errorf("%d calls, %d sessions and %d principals are left", f.http.calls, f.http.opened, len(f.http.owners))
	}
}

func TestHTTPStreams(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, &HTTPOptions{MaxStreams: 2})
	session := f.open("2025-11-25")
	one, _ := f.stream(http.MethodGet, "", session...), f.stream(http.MethodGet, "", session...)
	limit := fault("", CodeLimit, "the session has 2 streams open, its limit (MaxStreams)", `{"limit":"MaxStreams"}`)
	f.do(f.request(t.Context(), http.MethodGet, "", session...)).want(t, 429, limit)
	f.stream(http.MethodGet, "", f.open("2025-11-25")...)
	// Taking up a stream that is still open replaces its connection.
	e, err := one.events.Next()
	if err != nil {
		t.Fatal(err)
	}
	again := f.stream(http.MethodGet, "", append([]string{"Last-Event-Id", e.ID}, session...)...)
	one.end()
	again.close()
}

// TestHTTPNobodyListens: what belongs to no call waits, within bounds, for a
// client that opens no stream or does not read it; nothing of it is lost.
func TestHTTPNobodyListens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pad := strings.Repeat("x", 1000)
		plain := func(i int) *Message {
			return &Message{Method: "notifications/resources/updated", Params: json.RawMessage(fmt.Sprintf(`{"uri":"x:%d%s"}`, i, pad))}
		}
		conns := make(chan Conn, 1)
		host := &testHost{}
		host.accept = func(_ context.Context, c Conn, _ Principal) (string, Receiver, error) {
			conns <- c
			return "id", ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) { return initializeReply(m) }), nil
		}
		f := newPipeFront(t, host, &HTTPOptions{Queue: 64 << 10})
		session := f.open("2025-11-25")
		conn := <-conns
		c := f.raw(t)
		c.request(http.MethodGet, "", append([]string{"Accept", "text/event-stream"}, session...)...)
		synctest.Wait()
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			err = conn.Notify(t.Context(), plain(n))
		}
		var e *RPCError
		if !errors.As(err, &e) || e.Code != CodeLimit || string(e.Data) != `{"limit":"Queue"}` ||
			e.Message != "the client has no stream open (GET), and what waits for it already takes the 65536 bytes that may, or ResumeTotal (Queue)" {
			t.Errorf("message %d: %v", n, err)
		}
		if n < 50 || n > 60 { // what the stream was not given fills the backlog when it is closed
			t.Errorf("%d messages were queued", n)
		}
		if err := conn.Notify(t.Context(), progressOf("a", 1, 10)); err != nil || f.http.Stats().Dropped != 1 {
			t.Errorf("progress: %v, %+v", err, f.http.Stats())
		}
		_ = c.Close()
		synctest.Wait()
		if s := f.http.Stats(); s.Streams != 0 || s.Kept < 64<<10 || s.Kept > 256<<10 {
			t.Errorf("while it waits: %+v", s)
		}
		again := f.stream(http.MethodGet, "", session...)
		for i := range n - 1 {
			again.next(fmt.Sprintf(`{"uri":"x:%dx`, i))
		}
		_ = conn.Close()
		again.end()
		if s := f.http.Stats(); s.Kept != 0 || s.Sessions != 0 {
			t.Errorf("after the end: %+v", s)
		}
	})
}
