package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestHTTPStatus: status and headers leave with the first message, so that an
// error of the host can still be an HTTP one.
func TestHTTPStatus(t *testing.T) {
	t.Parallel()
	challenge := http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope", scope="x"`}, "Mcp-Session-Id": {"forged"}, "Content-Length": {"1"}}
	serve := func(_ context.Context, m *Message) (*Message, error) {
		switch m.Method {
		case "test/401":
			return nil, &Error{Status: 401, Header: challenge, Err: errors.New("the secret reason")}
		case "test/403":
			return nil, &Error{Status: 403, Header: challenge, Err: Errorf(CodeDenied, "the scope x is missing")}
		case "test/wrapped":
			return nil, fmt.Errorf("wrapped: %w", &Error{Status: 403, Header: challenge, Err: Errorf(CodeDenied, "the scope x is missing")})
		case "test/odd":
			return nil, &Error{Status: 99, Err: Errorf(CodeDenied, "no")}
		case "test/plain":
			return nil, errors.New("the secret reason")
		case "test/unknown":
			return nil, Errorf(CodeMethodNotFound, "no such method")
		case "test/params":
			return &Message{Error: json.RawMessage(`{"code":-32602,"message":"raw","data":[1.0],"more":1}`)}, nil
		case "test/nothing":
			return nil, nil
		case "test/panic":
			panic("the secret reason")
		case "test/202":
			return &Message{Status: 202, Result: json.RawMessage(`{}`)}, nil
		case "test/204":
			return &Message{Status: 204, Result: json.RawMessage(`{}`), Extra: json.RawMessage(`"x":1`)}, nil
		}
		return echo(m)
	}
	host := &testHost{
		session: func(ctx context.Context, _ Conn, m *Message) (*Message, error) { return serve(ctx, m) },
		stateless: func(ctx context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			return serve(ctx, m)
		},
	}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	for _, c := range []struct {
		method         string
		legacy, modern int
		body           string
		challenge      bool
	}{
		{"test/401", 401, 401, `{"jsonrpc":"2.0","id":7,"error":{"code":-31002,"message":"the server answered HTTP 401 Unauthorized"}}`, true},
		{"test/403", 403, 403, fault("7", CodeDenied, "the scope x is missing"), true},
		{"test/wrapped", 403, 403, fault("7", CodeDenied, "the scope x is missing"), true},
		{"test/odd", 200, 200, fault("7", CodeDenied, "no"), false},
		{"test/plain", 200, 200, fault("7", CodeInternal, "internal error"), false},
		{"test/unknown", 200, 404, fault("7", CodeMethodNotFound, "no such method"), false},
		{"test/params", 200, 400, `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"raw","data":[1.0],"more":1}}`, false},
		{"test/nothing", 200, 200, fault("7", CodeInternal, "internal error"), false},
		{"test/panic", 200, 200, fault("7", CodeInternal, "internal error"), false},
		{"test/202", 202, 202, `{"jsonrpc":"2.0","id":7,"result":{}}`, false},
		{"test/204", 200, 200, `{"jsonrpc":"2.0","id":7,"result":{},"x":1}`, false},
	} {
		t.Run(c.method, func(t *testing.T) {
			body, header := modern("7", c.method, "")
			for status, a := range map[int]answer{
				1000 + c.legacy: f.post(`{"jsonrpc":"2.0","id":7,"method":"`+c.method+`"}`, h...),
				2000 + c.modern: f.post(body, header...),
			} {
				a.want(t, status%1000, c.body)
				if got := a.header.Get("Www-Authenticate"); (got == challenge.Get("Www-Authenticate")) != c.challenge {
					t.Errorf("WWW-Authenticate is %q", got)
				}
				if a.header.Get("Mcp-Session-Id") != "" || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("headers %v", a.header)
				}
			}
		})
	}
	// A client that takes events only still gets an HTTP error as such.
	if a := f.post(`{"jsonrpc":"2.0","id":7,"method":"test/403"}`, append(h, "Accept", "", "Accept", "text/event-stream")...); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"test/echo"}`, append(h, "Accept", "", "Accept", "text/event-stream")...)
	s.next(`"id":7,"result"`)
	s.end()
	// Of a notification, only a status tells.
	note := `{"jsonrpc":"2.0","method":"test/%s","params":{"_meta":{"` + MetaVersion + `":"2026-07-28"}}}`
	f.post(fmt.Sprintf(note, "plain"), "Mcp-Protocol-Version", "2026-07-28").want(t, 202, "")
	f.post(fmt.Sprintf(note, "403"), "Mcp-Protocol-Version", "2026-07-28").want(t, 403, fault("", CodeDenied, "the scope x is missing"))
}

// TestHTTPStatusAfterMessage: what was sent cannot be taken back; a client that
// takes no events does without them.
func TestHTTPStatusAfterMessage(t *testing.T) {
	t.Parallel()
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		if err := c.Notify(ctx, numbered(1)); err != nil {
			return nil, err
		}
		if m.Method == "ask" {
			return c.Call(ctx, &Message{ID: json.RawMessage("1"), Method: "roots/list"}, nil)
		}
		return nil, &Error{Status: 403, Err: Errorf(CodeDenied, "no")}
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"x"}`, h...)
	s.next(`{"n":1}`)
	s.next(fault("7", CodeDenied, "no"))
	s.end()
	h = append(h, "Accept", "", "Accept", "application/json")
	f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, h...).want(t, 403, fault("7", CodeDenied, "no"))
	f.post(`{"jsonrpc":"2.0","id":7,"method":"ask"}`, h...).want(t, 200, fault("7", CodeUnavailable, "the client takes no event stream (its Accept header lacks text/event-stream), so nothing can be sent before the reply"))
	if d := f.http.Stats().Dropped; d != 2 {
		t.Errorf("%d messages were dropped", d)
	}
}

// TestHTTPLegacyOutlives: a legacy request runs on when its client's connection
// breaks; a modern one ends.
func TestHTTPLegacyOutlives(t *testing.T) {
	t.Parallel()
	running, goOn := make(chan context.Context, 1), make(chan struct{})
	ended := make(chan error, 1)
	host := &testHost{
		session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
			running <- ctx
			<-goOn
			ended <- ctx.Err()
			return echo(m)
		},
		stateless: func(ctx context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			running <- ctx
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		},
	}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	send := func(body string, header ...string) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := f.c.Do(f.request(ctx, http.MethodPost, body, header...)); err == nil {
				_ = resp.Body.Close()
				t.Errorf("%d before the client went away", resp.StatusCode)
			}
		}()
		<-running
		cancel()
		<-done
	}
	send(`{"jsonrpc":"2.0","id":7,"method":"x"}`, h...)
	close(goOn)
	if err := <-ended; err != nil {
		t.Errorf("the legacy request ended: %v", err)
	}
	body, header := modern("7", "tools/list", "")
	send(body, header...)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the modern request ended: %v", err)
	}
}

// TestHTTPShutdown: what runs is finished, nothing new begins.
func TestHTTPShutdown(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1)
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		running <- struct{}{}
		return c.Call(ctx, &Message{ID: json.RawMessage("1"), Method: "roots/list"}, nil)
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	get := f.stream(http.MethodGet, "", h...)
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"x"}`, h...)
	<-running
	var ask struct{ ID json.RawMessage }
	if err := json.Unmarshal(s.next("roots/list").Data, &ask); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.http.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- f.http.Shutdown(t.Context()) }()
	const down = "the gateway is shutting down"
	body, header := modern("7", "tools/list", "")
	for name, a := range map[string]answer{
		"a request":        f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, h...),
		"a modern request": f.post(body, header...),
		"initialize":       f.post(strings.Replace(startSession, `"id":0`, `"id":7`, 1)),
	} {
		a.want(t, 503, fault("7", CodeUnavailable, down))
		if a.header.Get("Retry-After") != "5" {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
	f.do(f.request(t.Context(), http.MethodGet, "", h...)).want(t, 503, fault("", CodeUnavailable, down))
	select {
	case err := <-closed:
		t.Fatalf("Shutdown returned %v before the request was answered", err)
	default:
	}
	// The answer to the host's request is still taken, and so a stream can be resumed.
	f.post(`{"jsonrpc":"2.0","id":`+string(ask.ID)+`,"result":{"roots":[]}}`, h...).want(t, 202, "")
	s.next(`{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}`)
	s.end()
	if err := <-closed; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if _, err := get.events.Next(); err != nil {
		t.Errorf("the first event: %v", err)
	}
	get.end()
	f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, h...).want(t, 503, fault("", CodeUnavailable, down))
	if s := f.http.Stats(); s != (HTTPStats{}) {
		t.Errorf("%+v", s)
	}
}

// TestHTTPClose: everything ends at once.
func TestHTTPClose(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 2)
	wait := func(ctx context.Context, m *Message) (*Message, error) {
		running <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	host := &testHost{
		session: func(ctx context.Context, _ Conn, m *Message) (*Message, error) { return wait(ctx, m) },
		stateless: func(ctx context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			return wait(ctx, m)
		},
	}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	get := f.stream(http.MethodGet, "", h...)
	answers := make(chan answer, 2)
	body, header := modern("7", "tools/list", "")
	go func() { answers <- f.post(`{"jsonrpc":"2.0","id":7,"method":"x"}`, h...) }()
	go func() { answers <- f.post(body, header...) }()
	<-running
	<-running
	if err := f.http.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if a := <-answers; a.status != 503 && a.status != 200 || !strings.Contains(a.body, `"id":7,"error"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if _, err := io.ReadAll(get.resp.Body); err != nil {
		t.Error(err)
	}
	if s := f.http.Stats(); s != (HTTPStats{}) {
		t.Errorf("%+v", s)
	}
}
