package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// httpMemListener is a network in memory, so that tests run in a bubble of
// synctest.
type httpMemListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	dials atomic.Int32
}

func newHTTPMemListener() *httpMemListener {
	return &httpMemListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *httpMemListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *httpMemListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *httpMemListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *httpMemListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.dials.Add(1)
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// eachWay runs a test in a bubble, over both kinds of connections.
func eachWay(t *testing.T, f func(t *testing.T)) {
	for _, way := range []string{"lean", "net-http"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, f)
		})
	}
}

// httpPeer is a server in memory. Each POST goes to post with its message, other
// requests to other.
type httpPeer struct {
	t     *testing.T
	post  func(w http.ResponseWriter, r *http.Request, m *Message)
	other http.HandlerFunc
	l     *httpMemListener

	mu  sync.Mutex
	log []string
}

// connect serves p and returns a client of it.
func (p *httpPeer) connect(t *testing.T, o HTTPClientOptions) *HTTPClient {
	t.Helper()
	p.t, p.l = t, newHTTPMemListener()
	srv := &http.Server{Handler: p}
	go func() { _ = srv.Serve(p.l) }()
	var rt http.RoundTripper = &leanTripper{dial: p.l.Dial, keep: time.Minute, perHost: 10, now: time.Now}
	if strings.HasSuffix(t.Name(), "net-http") {
		rt = &http.Transport{DialContext: p.l.Dial, DisableCompression: true}
	}
	o.RoundTripper = rt
	c, err := NewHTTPClient("http://user.test/mcp?key=hidden", &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		closeIdle(rt)
		_ = srv.Close()
	})
	return c
}

func (p *httpPeer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		p.note(r.Method + " " + r.Header.Get("Last-Event-Id"))
		if p.other == nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		p.other(w, r)
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m, err := Parse(b, Limits{})
	if err != nil {
		p.t.Errorf("the client sent %s: %v", b, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.note("POST " + m.Method)
	if m.IsNotification() && p.post == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	p.post(w, r, m)
}

func (p *httpPeer) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, strings.TrimSpace(s))
}

func (p *httpPeer) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, ", ")
}

func httpReply(w http.ResponseWriter, m *Message, result string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(m.Reply(json.RawMessage(result)).Append(nil))
}

// httpEvents starts a stream and returns how to send on it.
func httpEvents(w http.ResponseWriter) func(id string, retry int, data string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return func(id string, retry int, data string) {
		_, _ = w.Write(AppendEvent(nil, id, "", retry, []byte(data)))
		w.(http.Flusher).Flush()
	}
}

// httpLegacyPeer answers the handshake and passes the rest on.
func httpLegacyPeer(rest func(w http.ResponseWriter, r *http.Request, m *Message)) *httpPeer {
	return &httpPeer{post: func(w http.ResponseWriter, r *http.Request, m *Message) {
		switch {
		case m.Method == "initialize":
			w.Header().Set("Mcp-Session-Id", "s1")
			httpReply(w, m, `{"protocolVersion":"2025-11-25","capabilities":{}}`)
		case m.Method == "notifications/initialized":
			w.WriteHeader(http.StatusAccepted)
		default:
			rest(w, r, m)
		}
	}}
}

// standby makes p offer the standalone stream, and returns how to send on it.
func (p *httpPeer) standby() func(data string) {
	queue := make(chan string)
	p.other = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		send := httpEvents(w)
		send("", 0, "")
		for {
			select {
			case data := <-queue:
				send("", 0, data)
			case <-r.Context().Done():
				return
			}
		}
	}
	return func(data string) { queue <- data }
}

func httpGreet(t *testing.T, c *HTTPClient, prefer Era) {
	t.Helper()
	if _, err := Handshake(t.Context(), c, HandshakeOptions{Prefer: prefer}); err != nil {
		t.Fatal(err)
	}
}

func httpAsk(method, params string) *Message {
	return &Message{ID: json.RawMessage(`"caller-1"`), Method: method, Params: json.RawMessage(params)}
}

// httpInbox is a Receiver that keeps what comes.
type httpInbox struct {
	mu  sync.Mutex
	got []string
	on  func(ctx context.Context, m *Message) (*Message, error)
}

func (i *httpInbox) Receive(ctx context.Context, m *Message) (*Message, error) {
	i.mu.Lock()
	i.got = append(i.got, m.Method+" "+string(m.Params))
	i.mu.Unlock()
	if i.on != nil && m.ID != nil {
		return i.on(ctx, m)
	}
	return nil, nil
}

func (i *httpInbox) String() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return strings.Join(i.got, ", ")
}

func TestHTTPClientModern(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{post: func(w http.ResponseWriter, r *http.Request, m *Message) {
			h := r.Header
			for k, want := range map[string]string{
				"Accept": "application/json, text/event-stream", "Content-Type": "application/json",
				"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": m.Method, "Mcp-Session-Id": "",
				"Authorization": "Bearer x", "X-Dynamic": "d",
			} {
				if got := h.Get(k); got != want {
					p := fmt.Sprintf("%s: the header %s is %q, want %q", m.Method, k, got, want)
					t.Error(p)
				}
			}
			w.Header().Set("Mcp-Session-Id", "ignored")
			if m.Method == "server/discover" {
				httpReply(w, m, discoverOK)
				return
			}
			httpReply(w, m, fmt.Sprintf(`{"name":%q,"param":%q,"n":12345678901234567890}`, h.Get("Mcp-Name"), h.Get("Mcp-Param-Region")))
		}}
		c := p.connect(t, HTTPClientOptions{
			Header:     http.Header{"Authorization": {"Bearer x"}},
			HeaderFunc: func(context.Context) (http.Header, error) { return http.Header{"X-Dynamic": {"d"}}, nil },
		})
		c.Listen(nil)
		httpGreet(t, c, Modern)
		for _, tt := range []struct{ method, params, name string }{
			{"tools/call", `{"name":"echo"}`, "echo"},
			{"tools/call", `{"name":"größe"}`, "=?base64?Z3LDtsOfZQ==?="},
			{"tools/call", `{"name":" x"}`, "=?base64?IHg=?="},
			{"tools/call", `{"name":"=?base64?x?="}`, "=?base64?PT9iYXNlNjQ/eD89?="},
			{"prompts/get", `{"name":"p"}`, "p"},
			{"resources/read", `{"uri":"file:///a b"}`, "file:///a b"},
			{"tasks/get", `{"taskId":"7"}`, "7"},
			{"tools/list", `{"name":"no"}`, ""},
		} {
			m := httpAsk(tt.method, tt.params)
			m.Params = ModernMeta(m.Params, VersionModern, nil, nil)
			m.Header = http.Header{"Mcp-Param-Region": {"eu"}, "Mcp-Session-Id": {"forged"}, "Mcp-Name": {"forged"}}
			got, err := c.Call(t.Context(), m, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"name":%q,"param":"eu","n":12345678901234567890}`, tt.name)
			if string(got.Result) != want || string(got.ID) != `"caller-1"` || got.Status != 200 {
				t.Errorf("%s: got %+v, want %s", tt.method, got, want)
			}
		}
		if strings.Contains(p.seen(), "GET") {
			t.Errorf("a modern client opened a stream: %s", p.seen())
		}
		_ = c.Close()
		if strings.Contains(p.seen(), "DELETE") {
			t.Errorf("a modern client ended a session: %s", p.seen())
		}
	})
}

func TestHTTPClientModernStream(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{post: func(w http.ResponseWriter, _ *http.Request, m *Message) {
			send := httpEvents(w)
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1}}`)
			send("", 0, `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`) // not allowed, and so not delivered
			send("", 0, `not JSON`)
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":2}}`)
			send("", 0, string(m.Reply(json.RawMessage(`{"big":"`+strings.Repeat("x", 100_000)+`"}`)).Append(nil)))
		}}
		c := p.connect(t, HTTPClientOptions{})
		c.SetProtocolVersion(VersionModern)
		c.Listen(nil)
		in := &httpInbox{}
		for range 3 {
			got, err := c.Call(t.Context(), httpAsk("tools/call", `{"name":"x"}`), in)
			// What is not JSON may have been the reply.
			var e *Error
			if got != nil || !errors.As(err, &e) || !e.Sent {
				t.Fatalf("got %v and %v", got, err)
			}
		}
		if want := `notifications/progress {"n":1}`; !strings.HasPrefix(in.String(), want) {
			t.Errorf("got %s", in)
		}
	})
}

func TestHTTPClientListen(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{post: func(w http.ResponseWriter, _ *http.Request, m *Message) {
			send := httpEvents(w)
			meta := `"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(m.ID) + `}`
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{`+meta+`,"x":1}}`)
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+meta+`}}`)
			send("", 0, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{`+meta+`}}`)
		}}
		c := p.connect(t, HTTPClientOptions{})
		c.SetProtocolVersion(VersionModern)
		in := &httpInbox{}
		got, err := c.Call(t.Context(), httpAsk("subscriptions/listen", `{}`), in)
		if err != nil {
			t.Fatal(err)
		}
		const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":"caller-1"}`
		if want := `notifications/subscriptions/acknowledged {` + meta + `,"x":1}, notifications/tools/list_changed {` + meta + `}`; in.String() != want {
			t.Errorf("got %s\nwant %s", in, want)
		}
		if want := `{` + meta + `}`; string(got.Result) != want {
			t.Errorf("got %s, want %s", got.Result, want)
		}
	})
}

func TestHTTPClientModernCancel(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		gone := make(chan struct{})
		p := &httpPeer{post: func(w http.ResponseWriter, r *http.Request, _ *Message) {
			httpEvents(w)("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{}}`)
			<-r.Context().Done()
			close(gone)
		}}
		c := p.connect(t, HTTPClientOptions{})
		c.SetProtocolVersion(VersionModern)
		ctx, cancel := context.WithCancel(t.Context())
		in := ReceiverFunc(func(context.Context, *Message) (*Message, error) { cancel(); return nil, nil })
		if _, err := c.Call(ctx, httpAsk("tools/call", `{}`), in); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		<-gone
		if got := p.seen(); got != "POST tools/call" {
			t.Errorf("the client sent %s", got)
		}
	})
}

func TestHTTPClientLegacy(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		answers := make(chan string, 10)
		p := httpLegacyPeer(func(w http.ResponseWriter, r *http.Request, m *Message) {
			if r.Header.Get("Mcp-Session-Id") != "s1" || r.Header.Get("Mcp-Protocol-Version") != "2025-11-25" {
				t.Errorf("%s came with %v", m.Method, r.Header)
			}
			if m.IsResponse() {
				answers <- string(m.Append(nil))
				w.WriteHeader(http.StatusAccepted)
				return
			}
			send := httpEvents(w)
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1}}`)
			answers <- "asked"
			send("", 0, `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"n":2}}`)
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":3}}`)
			send("", 0, string(m.Reply(json.RawMessage(`{}`)).Append(nil)))
		})
		send := p.standby()
		c := p.connect(t, HTTPClientOptions{})
		idle := &httpInbox{on: func(context.Context, *Message) (*Message, error) { return nil, Errorf(-1, "no roots") }}
		c.Listen(idle)
		httpGreet(t, c, Legacy)
		in := &httpInbox{on: func(_ context.Context, m *Message) (*Message, error) {
			return m.Reply(json.RawMessage(`{"action":"accept"}`)), nil
		}}
		if _, err := c.Call(t.Context(), httpAsk("tools/call", `{"name":"x"}`), in); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := <-answers+" "+<-answers, `asked {"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := in.String(); !strings.HasPrefix(got, `notifications/progress {"n":1}, `) || !strings.Contains(got, `elicitation/create {"n":2}`) {
			t.Errorf("the call's receiver got %s", got)
		}
		send(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		send(`{"jsonrpc":"2.0","id":7,"method":"roots/list"}`)
		if got, want := <-answers, `{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no roots"}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := idle.String(), `notifications/tools/list_changed , roots/list `; got != want {
			t.Errorf("the idle receiver got %s, want %s", got, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if got := p.seen(); !strings.HasSuffix(got, "DELETE") {
			t.Errorf("the session was not ended: %s", got)
		}
		if _, err := c.Call(t.Context(), httpAsk("ping", `{}`), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a call after Close: %v", err)
		}
		<-c.Done()
		if !errors.Is(c.Err(), ErrClosed) {
			t.Errorf("Err is %v", c.Err())
		}
	})
}

func TestHTTPClientLegacyCancel(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		wire := make(chan string, 2)
		p := httpLegacyPeer(func(w http.ResponseWriter, r *http.Request, m *Message) {
			if m.Method == "notifications/cancelled" {
				wire <- string(m.Params)
				w.WriteHeader(http.StatusAccepted)
				return
			}
			wire <- string(m.ID)
			<-r.Context().Done()
		})
		c := p.connect(t, HTTPClientOptions{})
		c.Listen(nil)
		httpGreet(t, c, Legacy)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Call(ctx, httpAsk("tools/call", `{}`), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		id := <-wire
		if got, want := <-wire, `{"requestId":`+id+`,"reason":"the caller gave up"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestHTTPClientPeerCancels(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		started, over := make(chan struct{}), make(chan error, 1)
		p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) {
			if m.IsResponse() {
				t.Errorf("a cancelled request was answered: %s", m.Append(nil))
				return
			}
			send := httpEvents(w)
			send("", 0, `{"jsonrpc":"2.0","id":"q","method":"elicitation/create"}`)
			<-started
			send("", 0, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}`)
			<-over
			send("", 0, string(m.Reply(json.RawMessage(`{}`)).Append(nil)))
		})
		c := p.connect(t, HTTPClientOptions{})
		c.Listen(nil)
		httpGreet(t, c, Legacy)
		in := ReceiverFunc(func(ctx context.Context, _ *Message) (*Message, error) {
			close(started)
			<-ctx.Done()
			over <- ctx.Err()
			return nil, ctx.Err()
		})
		if _, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), in); err != nil {
			t.Fatal(err)
		}
	})
}

func TestHTTPClientResume(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		var id json.RawMessage
		p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) {
			id = m.ID
			httpEvents(w)("e1", 500, "")
		})
		polls := 0
		var at []time.Time
		p.other = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Last-Event-Id") == "" {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			at = append(at, time.Now())
			send := httpEvents(w)
			switch polls++; polls {
			case 1:
				send("e2", 2000, "")
			case 2:
				send("e3", 0, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1}}`)
			default:
				send("e4", 0, `{"jsonrpc":"2.0","id":`+string(id)+`,"result":{"done":true}}`)
			}
		}
		c := p.connect(t, HTTPClientOptions{})
		c.Listen(nil)
		httpGreet(t, c, Legacy)
		in := &httpInbox{}
		start := time.Now()
		got, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), in)
		if err != nil || string(got.Result) != `{"done":true}` {
			t.Fatalf("got %v and %v", got, err)
		}
		if want := "POST initialize, POST notifications/initialized, GET, POST tools/call, GET e1, GET e2, GET e3"; p.seen() != want {
			t.Errorf("got %s, want %s", p.seen(), want)
		}
		if in.String() != `notifications/progress {"n":1}` {
			t.Errorf("got %s", in)
		}
		if d := at[0].Sub(start); d < 500*time.Millisecond || d > 600*time.Millisecond {
			t.Errorf("the first poll came after %s, want 500ms", d)
		}
		if d := at[1].Sub(at[0]); d < 2*time.Second || d > 2400*time.Millisecond {
			t.Errorf("the second poll came after %s, want 2s", d)
		}
	})
}

func TestHTTPClientResumeFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, first string
		other       http.HandlerFunc
		want        string
	}{
		{"no event id", "", nil, "the server ended the stream before it replied"},
		{"refused", "e1", nil, "cannot be resumed"},
		{"down", "e1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "HTTP 502"},
		{"never more", "e1", func(w http.ResponseWriter, _ *http.Request) { httpEvents(w) }, "the server ended the stream before it replied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T) {
				p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) { httpEvents(w)(tt.first, 0, "") })
				p.other = tt.other
				c := p.connect(t, HTTPClientOptions{})
				c.Listen(nil)
				httpGreet(t, c, Legacy)
				_, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
				var e *Error
				if !errors.As(err, &e) || !e.Sent || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			})
		})
	}
}

func TestHTTPClientReplyElsewhere(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		var send func(string)
		p := httpLegacyPeer(func(w http.ResponseWriter, r *http.Request, m *Message) {
			httpEvents(w)("", 0, "")
			send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","n":1}}`)
			send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"other","n":2}}`)
			send(`{"jsonrpc":"2.0","id":99,"result":{}}`)
			send(string(m.Reply(json.RawMessage(`{"here":1}`)).Append(nil)))
			<-r.Context().Done()
		})
		send = p.standby()
		c := p.connect(t, HTTPClientOptions{})
		idle, in := &httpInbox{}, &httpInbox{}
		c.Listen(idle)
		httpGreet(t, c, Legacy)
		got, err := c.Call(t.Context(), httpAsk("tools/call", `{"_meta":{"progressToken":"tok"}}`), in)
		if err != nil || string(got.Result) != `{"here":1}` || string(got.ID) != `"caller-1"` {
			t.Fatalf("got %v and %v", got, err)
		}
		if got := in.String(); got != `notifications/progress {"progressToken":"tok","n":1}` {
			t.Errorf("the call's receiver got %s", got)
		}
		if got := idle.String(); got != `notifications/progress {"progressToken":"other","n":2}` {
			t.Errorf("the idle receiver got %s", got)
		}
	})
}
