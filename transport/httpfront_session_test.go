package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const startSession = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`

// byUser authenticates whoever says a name.
var byUser = AuthenticatorFunc(func(r *http.Request) (Principal, error) {
	if r.Header.Get("Authorization") == "" {
		return Principal{}, errors.New("nobody")
	}
	return Principal{Subject: r.Header.Get("Authorization"), Issuer: "test"}, nil
})

// overLimit is the answer when a bound was reached.
func overLimit(id, text, name string) string {
	if id != "" {
		id = `,"id":` + id
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0"%s,"error":{"code":-31003,"message":"%s (%s)","data":{"limit":"%s"}}}`, id, text, name, name)
}

// TestHTTPSessionBounds: sessions are bounded, those being opened included,
// in all and by principal.
func TestHTTPSessionBounds(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}, 100), make(chan struct{})
	host := &testHost{}
	host.accept = func(ctx context.Context, c Conn, p Principal) (string, Receiver, error) {
		arrived <- struct{}{}
		<-goOn
		return fmt.Sprintf("session-%d", host.ids.Add(1)), ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) { return initializeReply(m) }), nil
	}
	f := newTestFront(t, host, &HTTPOptions{Authenticator: byUser, MaxSessions: 5, MaxSessionsPerPrincipal: 3})
	const n = 20
	answers := make(chan answer, n)
	for range n {
		go func() { answers <- f.post(startSession, "Authorization", "a") }()
	}
	for range 3 {
		<-arrived
	}
	for range n - 3 {
		a := <-answers
		a.want(t, 429, overLimit("0", "the caller has 3 sessions, the limit", "MaxSessionsPerPrincipal"))
		if a.header.Get("Retry-After") != "5" || a.header.Get("Mcp-Session-Id") != "" {
			t.Errorf("headers %v", a.header)
		}
	}
	close(goOn)
	var id string
	for range 3 {
		a := <-answers
		if id = a.header.Get("Mcp-Session-Id"); a.status != 200 || id == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	for _, want := range []int{200, 200, 503} {
		a := f.post(startSession, "Authorization", "b")
		if a.status != want {
			t.Errorf("%d %s, want %d", a.status, a.body, want)
		}
		if want == 503 {
			a.want(t, 503, overLimit("0", "the gateway has 5 sessions, its limit", "MaxSessions"))
		}
	}
	// Whoever ends one may open another.
	f.do(f.request(t.Context(), http.MethodDelete, "", "Authorization", "a", "Mcp-Session-Id", id)).want(t, 204, "")
	if a := f.post(startSession, "Authorization", "b"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := f.http.Stats().Sessions; n != 5 {
		t.Errorf("%d sessions", n)
	}
}

// TestHTTPInitializeFails: a session of which the host wants nothing leaves
// nothing behind.
func TestHTTPInitializeFails(t *testing.T) {
	t.Parallel()
	var opened, closed []string
	var mu sync.Mutex
	host := &testHost{}
	host.accept = func(_ context.Context, c Conn, p Principal) (string, Receiver, error) {
		return "same", ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) {
			if strings.Contains(string(m.Params), "no") {
				return nil, &Error{Status: 403, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Err: Errorf(CodeDenied, "not you")}
			}
			return initializeReply(m)
		}), nil
	}
	f := newTestFront(t, host, &HTTPOptions{
		MaxSessions:   1,
		SessionOpened: func(id string, _ Principal) { mu.Lock(); opened = append(opened, id); mu.Unlock() },
		SessionClosed: func(id string, _ Principal, _ error) { mu.Lock(); closed = append(closed, id); mu.Unlock() },
	})
	for range 3 {
		a := f.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"no":1}}`)
		a.want(t, 403, fault("0", CodeDenied, "not you"))
		if a.header.Get("Www-Authenticate") != "Bearer" || a.header["Mcp-Session-Id"] != nil {
			t.Errorf("headers %v", a.header)
		}
	}
	h := f.open("2025-11-25")
	f.do(f.request(t.Context(), http.MethodDelete, "", h...)).want(t, 204, "")
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(opened, closed) != "[same] [same]" {
		t.Errorf("opened %v, closed %v", opened, closed)
	}
}

// TestHTTPForeignSession: to anybody else a session is not there.
func TestHTTPForeignSession(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, &HTTPOptions{Authenticator: byUser, LegacySSE: true})
	h := f.open("2025-11-25", "Authorization", "a")
	const body = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	const gone = "the session is unknown or has ended: send initialize without Mcp-Session-Id to open another"
	for _, other := range [][]string{
		{"Authorization", "b", "Mcp-Session-Id", h[1]},
		{"Authorization", "a", "Mcp-Session-Id", h[1] + "x"},
		{"Authorization", "a", "Mcp-Session-Id", strings.ToUpper(h[1])},
	} {
		f.post(body, other...).want(t, 404, fault("7", CodeInvalidRequest, gone))
		f.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, other...).want(t, 404, fault("", CodeInvalidRequest, gone))
		f.post(`{"jsonrpc":"2.0","id":1,"result":{}}`, other...).want(t, 404, fault("", CodeInvalidRequest, gone))
		for _, m := range []string{http.MethodGet, http.MethodDelete} {
			f.do(f.request(t.Context(), m, "", other...)).want(t, 404, fault("", CodeInvalidRequest, gone))
		}
		old := f.request(t.Context(), http.MethodPost, body, other[:2]...)
		old.URL.Path, old.URL.RawQuery = "/old/messages", "session_id="+other[3]
		f.do(old).want(t, 404, fault("", CodeInvalidRequest, "the session is unknown or has ended: open another by GET"))
	}
	f.post(body, "Mcp-Session-Id", h[1]).want(t, 401, fault("", CodeDenied, "authentication is required"))
	if a := f.post(body, h...); a.status != 200 {
		t.Errorf("its owner: %d %s", a.status, a.body)
	}
}

// conn is the host's end of the session that was opened last.
func (f *testFront) conn(t *testing.T) *frontSession {
	t.Helper()
	f.host.mu.Lock()
	defer f.host.mu.Unlock()
	s, ok := f.host.conns[len(f.host.conns)-1].(*frontSession)
	if !ok {
		t.Fatal("the host's end is no session")
	}
	return s
}

// TestHTTPSessionIdle: a session ends that nobody uses; one with a stream or a
// request is used.
func TestHTTPSessionIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type end struct {
			id     string
			reason error
		}
		ended := make(chan end, 1)
		goOn := make(chan struct{})
		host := &testHost{session: func(_ context.Context, _ Conn, m *Message) (*Message, error) {
			if m.Method == "wait" {
				<-goOn
			}
			return echo(m)
		}}
		f := newPipeFront(t, host, &HTTPOptions{SessionIdle: time.Minute, SessionClosed: func(id string, _ Principal, reason error) {
			ended <- end{id, reason}
		}})
		h := f.open("2025-11-25")
		s := f.stream(http.MethodGet, "", h...)
		none := func() {
			t.Helper()
			time.Sleep(10 * time.Minute) // of the bubble
			select {
			case e := <-ended:
				t.Fatalf("the session ended: %+v", e)
			default:
			}
		}
		read := make(chan struct{})
		go func() { // comments only
			defer close(read)
			if e, err := s.events.Next(); err == nil && len(e.Data) > 0 {
				t.Errorf("got %s", e.Data)
			}
			_, _ = s.events.Next()
		}()
		none()
		waited := make(chan answer, 1)
		go func() {
			waited <- f.post(`{"jsonrpc":"2.0","id":1,"method":"wait"}`, append(h, "Accept", "", "Accept", "application/json")...)
		}()
		synctest.Wait()
		s.close()
		<-read
		none()
		close(goOn)
		if a := <-waited; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		start := time.Now()
		e := <-ended
		if e.id != h[1] || !errors.Is(e.reason, errIdle) || time.Since(start) < time.Minute || time.Since(start) > 90*time.Second {
			t.Errorf("%+v after %s", e, time.Since(start))
		}
		select {
		case <-f.conn(t).Done():
		default:
			t.Error("the host's end has not ended")
		}
		if a := f.post(`{"jsonrpc":"2.0","id":1,"method":"x"}`, h...); a.status != 404 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestHTTPDelete: DELETE ends what runs in the session, and its streams.
func TestHTTPDelete(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1)
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		running <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	s := f.stream(http.MethodGet, "", h...)
	answered := make(chan answer, 1)
	go func() { answered <- f.post(`{"jsonrpc":"2.0","id":1,"method":"wait"}`, h...) }()
	<-running
	f.do(f.request(t.Context(), http.MethodDelete, "", h...)).want(t, 204, "")
	(<-answered).want(t, 404, fault("1", CodeInvalidRequest, "the session is unknown or has ended: send initialize without Mcp-Session-Id to open another"))
	for {
		e, err := s.events.Next()
		if err != nil {
			break
		}
		if len(e.Data) > 0 {
			t.Errorf("got %s", e.Data)
		}
	}
	f.do(f.request(t.Context(), http.MethodDelete, "", h...)).want(t, 404, fault("", CodeInvalidRequest, "the session is unknown or has ended: send initialize without Mcp-Session-Id to open another"))
	c := f.conn(t)
	<-c.Done()
	if err := c.Err(); !errors.Is(err, errDeleted) {
		t.Errorf("Err is %v", err)
	}
	if _, err := c.Call(t.Context(), &Message{ID: []byte("1"), Method: "ping"}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Call returned %v", err)
	}
	if err := c.Notify(t.Context(), &Message{Method: "notifications/x"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Notify returned %v", err)
	}
}

// TestHTTPCancel: notifications/cancelled ends the request it names, in its
// own session only; an id is not used twice at once.
func TestHTTPCancel(t *testing.T) {
	t.Parallel()
	running, ended := make(chan struct{}, 2), make(chan error, 2)
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		if m.IsNotification() {
			t.Errorf("the host was given %s", m.Method)
			return nil, nil
		}
		running <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	f := newTestFront(t, host, nil)
	h, other := f.open("2025-11-25"), f.open("2025-11-25")
	answered := make(chan answer, 1)
	go func() { answered <- f.post(`{"jsonrpc":"2.0","id":"a","method":"wait"}`, h...) }()
	<-running
	f.post(`{"jsonrpc":"2.0","id":"a","method":"wait"}`, h...).want(t, 400, fault(`"a"`, CodeInvalidRequest, "a request with this id is still running in the session"))
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}`
	f.post(cancel, other...).want(t, 202, "")
	f.post(strings.Replace(cancel, `"a"`, `"b"`, 1), h...).want(t, 202, "")
	select {
	case <-ended:
		t.Error("the request was cancelled by another")
	default:
	}
	f.post(cancel, h...).want(t, 202, "")
	(<-answered).want(t, 200, fault(`"a"`, CodeCancelled, "cancelled"))
}
