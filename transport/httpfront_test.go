package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testHost is a Host whose behaviour a test sets.
type testHost struct {
	accept    func(ctx context.Context, c Conn, p Principal) (string, Receiver, error)
	session   func(ctx context.Context, c Conn, m *Message) (*Message, error)
	stateless func(ctx context.Context, c Conn, p Principal, r *http.Request, m *Message) (*Message, error)

	ids   atomic.Int64
	mu    sync.Mutex
	conns []Conn
}

func (h *testHost) Accept(ctx context.Context, c Conn, p Principal) (string, Receiver, error) {
	if h.accept != nil {
		return h.accept(ctx, c, p)
	}
	h.mu.Lock()
	h.conns = append(h.conns, c)
	h.mu.Unlock()
	return fmt.Sprintf("session-%d", h.ids.Add(1)), ReceiverFunc(func(ctx context.Context, m *Message) (*Message, error) {
		if m.Method == "initialize" {
			return initializeReply(m)
		}
		if h.session != nil {
			return h.session(ctx, c, m)
		}
		return echo(m)
	}), nil
}

func (h *testHost) Stateless(ctx context.Context, c Conn, p Principal, r *http.Request, m *Message) (*Message, error) {
	if h.stateless != nil {
		return h.stateless(ctx, c, p, r, m)
	}
	return echo(m)
}

// initializeReply agrees to whatever version the client names.
func initializeReply(m *Message) (*Message, error) {
	var p struct{ ProtocolVersion string }
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return nil, Errorf(CodeInvalidParams, "bad params")
	}
	return &Message{Result: json.RawMessage(`{"protocolVersion":"` + p.ProtocolVersion + `","capabilities":{},"serverInfo":{"name":"t","version":"1"}}`)}, nil
}

// echo replies with the method and the params.
func echo(m *Message) (*Message, error) {
	params := m.Params
	if params == nil {
		params = json.RawMessage("null")
	}
	return &Message{Result: json.RawMessage(`{"method":"` + m.Method + `","params":` + string(params) + `}`)}, nil
}

// testFront is a front behind a real listener.
type testFront struct {
	t    testing.TB
	host *testHost
	http *HTTP
	url  string
	c    *http.Client
}

func newTestFront(t testing.TB, host *testHost, o *HTTPOptions) *testFront {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if host == nil {
		host = &testHost{}
	}
	h, err := NewHTTP(host, o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	if sse := h.SSEHandler(); sse != nil {
		mux.Handle("/old/sse", sse)
		mux.Handle("/old/messages", sse)
	}
	srv := h.Server(mux)
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	tr := &http.Transport{DisableCompression: true}
	f := &testFront{t: t, host: host, http: h, url: "http://" + l.Addr().String() + "/mcp", c: &http.Client{Transport: tr}}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		_ = srv.Close()
		<-served
		tr.CloseIdleConnections()
	})
	return f
}

// request makes a request with the headers that a client of revision
// 2025-11-25 sends; header gives others, or takes them away by "".
func (f *testFront) request(ctx context.Context, method, body string, header ...string) *http.Request {
	f.t.Helper()
	var r io.Reader
	if method == http.MethodPost {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url, r)
	if err != nil {
		f.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	if method == http.MethodGet {
		req.Header.Set("Accept", "text/event-stream")
	}
	setHeaders(req, header)
	return req
}

func setHeaders(req *http.Request, header []string) {
	for i := 0; i < len(header); i += 2 {
		switch {
		case header[i] == "Host":
			req.Host = header[i+1]
		case header[i+1] == "":
			req.Header.Del(header[i])
		default:
			req.Header.Add(header[i], header[i+1])
		}
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (f *testFront) do(req *http.Request) answer {
	f.t.Helper()
	resp, err := f.c.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (f *testFront) post(body string, header ...string) answer {
	f.t.Helper()
	return f.do(f.request(f.t.Context(), http.MethodPost, body, header...))
}

// open opens a session of a version and returns its headers.
func (f *testFront) open(version string, header ...string) []string {
	f.t.Helper()
	a := f.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+version+`","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, header...)
	id := a.header.Get("Mcp-Session-Id")
	if a.status != 200 || id == "" {
		f.t.Fatalf("initialize: %d %v %s", a.status, a.header, a.body)
	}
	return append([]string{"Mcp-Session-Id", id, "Mcp-Protocol-Version", version}, header...)
}

// stream is a stream of events being read.
type stream struct {
	t      testing.TB
	resp   *http.Response
	events *EventReader
	cancel context.CancelFunc
}

// stream sends a request whose answer must be a stream.
func (f *testFront) stream(method, body string, header ...string) *stream {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	resp, err := f.c.Do(f.request(ctx, method, body, header...))
	if err != nil {
		cancel()
		f.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		cancel()
		f.t.Fatalf("%s: %d %v %s", method, resp.StatusCode, resp.Header, b)
	}
	s := &stream{t: f.t, resp: resp, events: NewEventReader(resp.Body, 0), cancel: cancel}
	f.t.Cleanup(s.close)
	return s
}

func (s *stream) close() { s.cancel(); _ = s.resp.Body.Close() }

// next returns the next event with data; want must be part of it.
func (s *stream) next(want string) Event {
	s.t.Helper()
	for {
		e, err := s.events.Next()
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", want, err)
		}
		if len(e.Data) == 0 {
			continue
		}
		e.Data = bytes.Clone(e.Data)
		if !strings.Contains(string(e.Data), want) {
			s.t.Fatalf("event %s, want %s", e.Data, want)
		}
		return e
	}
}

// end makes sure that nothing more comes.
func (s *stream) end() {
	s.t.Helper()
	if e, err := s.events.Next(); err != io.EOF {
		s.t.Fatalf("got %q, %v; want the end of the stream", e.Data, err)
	}
}

// modern returns the body of a modern request and its headers.
func modern(id, method, params string, header ...string) (string, []string) {
	meta := `"_meta":{"` + MetaVersion + `":"2026-07-28","` + MetaCapabilities + `":{}}`
	if params != "" {
		meta = params + "," + meta
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + meta + `}}`,
		append([]string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}, header...)
}

func (a answer) want(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}

func TestHTTPModern(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	body, header := modern("7", "tools/list", "")
	a := f.post(body, header...)
	a.want(t, 200, `{"jsonrpc":"2.0","id":7,"result":{"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}}`)
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if a.header.Get("Mcp-Session-Id") != "" {
		t.Error("a modern reply has a session id")
	}
	body, header = modern("7", "tools/list", "", "Mcp-Session-Id", "whatever")
	if a := f.post(body, header...); a.status != 200 {
		t.Errorf("with a session id: %d %s", a.status, a.body)
	}
	note := `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"` + MetaVersion + `":"2026-07-28"}}}`
	f.post(note, "Mcp-Protocol-Version", "2026-07-28").want(t, 202, "")
}

func TestHTTPModernStream(t *testing.T) {
	t.Parallel()
	cancelled := make(chan error, 1)
	host := &testHost{stateless: func(ctx context.Context, c Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
		if err := c.Notify(ctx, &Message{Method: "notifications/progress", Params: json.RawMessage(`{"progressToken":1,"progress":1}`)}); err != nil {
			return nil, err
		}
		if m.Method == "subscriptions/listen" {
			<-ctx.Done()
			cancelled <- ctx.Err()
			return nil, ctx.Err()
		}
		if _, err := c.Call(ctx, &Message{ID: json.RawMessage("1"), Method: "roots/list"}, nil); err == nil {
			t.Error("a modern server could send a request")
		}
		return echo(m)
	}}
	f := newTestFront(t, host, nil)
	body, header := modern(`"a"`, "tools/call", `"name":"x"`, "Mcp-Name", "x")
	s := f.stream(http.MethodPost, body, header...)
	if got := s.resp.Header.Get("X-Accel-Buffering"); got != "no" {
		t.Errorf("X-Accel-Buffering %q", got)
	}
	if e := s.next("progressToken"); e.ID != "" {
		t.Errorf("a modern event has the id %q", e.ID)
	}
	s.next(`"id":"a","result"`)
	s.end()

	body, header = modern("1", "subscriptions/listen", "")
	s = f.stream(http.MethodPost, body, header...)
	s.next("progressToken")
	s.close()
	select {
	case <-cancelled:
	case <-time.After(10 * time.Second):
		t.Fatal("the host was not told that the client went away")
	}
}

func TestHTTPLegacy(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	h := f.open("2025-11-25")
	f.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, h...).want(t, 202, "")
	f.post(`{"jsonrpc":"2.0","id":"x","method":"tools/list"}`, h...).want(t, 200, `{"jsonrpc":"2.0","id":"x","result":{"method":"tools/list","params":null}}`)
	if n := f.http.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	if a := f.do(f.request(t.Context(), http.MethodDelete, "", h...)); a.status != 204 {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
	gone := `"error":{"code":-32600,"message":"the session is unknown or has ended: send initialize without Mcp-Session-Id to open another"}}`
	f.post(`{"jsonrpc":"2.0","id":"x","method":"tools/list"}`, h...).want(t, 404, `{"jsonrpc":"2.0","id":"x",`+gone)
	f.do(f.request(t.Context(), http.MethodGet, "", h...)).want(t, 404, `{"jsonrpc":"2.0",`+gone)
	if n := f.http.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestHTTPLegacyAsks(t *testing.T) {
	t.Parallel()
	host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
		if m.Method != "tools/call" {
			return nil, nil
		}
		if err := c.Notify(ctx, &Message{Method: "notifications/message", Params: json.RawMessage(`{"data":"hi"}`)}); err != nil {
			return nil, err
		}
		var progress []string
		reply, err := c.Call(ctx, &Message{ID: json.RawMessage(`"mine"`), Method: "elicitation/create", Params: json.RawMessage(`{"_meta":{"progressToken":"t"}}`)},
			ReceiverFunc(func(_ context.Context, m *Message) (*Message, error) {
				progress = append(progress, string(m.Params))
				return nil, nil
			}))
		if err != nil {
			return nil, err
		}
		if string(reply.ID) != `"mine"` {
			return nil, fmt.Errorf("reply has the id %s", reply.ID)
		}
		if len(progress) != 1 {
			return nil, fmt.Errorf("progress %v", progress)
		}
		return &Message{Result: reply.Result}, nil
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-11-25")
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{}}`, h...)
	first, err := s.events.Next()
	if err != nil || first.ID == "" || len(first.Data) != 0 || first.Retry <= 0 {
		t.Fatalf("first event %+v, %v: want one that primes", first, err)
	}
	if e := s.next(`notifications/message`); e.ID == "" || e.ID == first.ID {
		t.Errorf("event id %q", e.ID)
	}
	var ask struct{ ID json.RawMessage }
	if err := json.Unmarshal(s.next("elicitation/create").Data, &ask); err != nil {
		t.Fatal(err)
	}
	f.post(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}`, h...).want(t, 202, "")
	f.post(`{"jsonrpc":"2.0","id":99999,"result":{}}`, h...).want(t, 202, "")
	f.post(`{"jsonrpc":"2.0","id":`+string(ask.ID)+`,"result":{"action":"accept"}}`, h...).want(t, 202, "")
	s.next(`{"jsonrpc":"2.0","id":5,"result":{"action":"accept"}}`)
	s.end()
}
