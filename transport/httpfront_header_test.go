package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHTTPModernHeaders: what the headers of a modern request say is what the
// body says.
func TestHTTPModernHeaders(t *testing.T) {
	t.Parallel()
	host, got := recorded()
	f := newTestFront(t, host, nil)
	call, _ := modern("7", "tools/call", `"name":"read"`)
	read, _ := modern("7", "resources/read", `"uri":"file:///é"`)
	list, _ := modern("7", "tools/list", "")
	const version, method, name = "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name"
	with := func(version string) string { return strings.Replace(list, "2026-07-28", version, 1) }
	supported := func(v string) string {
		return `{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"unsupported protocol version \"` + v +
			`\"","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"` + v + `"}}}`
	}
	mismatch := func(text string) string { return fault("7", CodeHeaderMismatch, text) }
	for _, c := range []struct {
		name, body string
		header     []string
		want       string
	}{
		{"no version", list, []string{method, "tools/list"}, mismatch(`the header MCP-Protocol-Version is missing; it must repeat "io.modelcontextprotocol/protocolVersion" of params._meta`)},
		{"lying version", list, []string{version, "2025-11-25", method, "tools/list"}, mismatch(`header mismatch: MCP-Protocol-Version is "2025-11-25", params._meta says "2026-07-28"`)},
		{"two versions", list, []string{version, "2026-07-28", version, "2026-07-28", method, "tools/list"}, mismatch("the header MCP-Protocol-Version stands more than once or holds an invalid character")},
		{"unknown version", with("2099-01-01"), []string{version, "2099-01-01", method, "tools/list"}, supported("2099-01-01")},
		{"legacy version in _meta", with("2025-11-25"), []string{version, "2025-11-25", method, "tools/list"}, supported("2025-11-25")},
		{"no version in _meta", `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{}}`, []string{version, "2026-07-28", method, "tools/list"}, fault("7", CodeInvalidParams, `params._meta lacks "io.modelcontextprotocol/protocolVersion"`)},
		{"no params", `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, []string{version, "2026-07-28", method, "tools/list"}, fault("7", CodeInvalidParams, `params._meta lacks "io.modelcontextprotocol/protocolVersion"`)},
		{"version of another type", strings.Replace(list, `"2026-07-28"`, `20260728`, 1), []string{version, "2026-07-28", method, "tools/list"}, fault("7", CodeInvalidParams, `params._meta["io.modelcontextprotocol/protocolVersion"] is not a string`)},
		{"no capabilities", strings.Replace(list, `,"io.modelcontextprotocol/clientCapabilities":{}`, ``, 1), []string{version, "2026-07-28", method, "tools/list"}, fault("7", CodeInvalidParams, `params._meta lacks the object "io.modelcontextprotocol/clientCapabilities"`)},
		{"no method", list, []string{version, "2026-07-28"}, mismatch("the header Mcp-Method is missing; it must repeat the method of the body")},
		{"lying method", list, []string{version, "2026-07-28", method, "tools/call"}, mismatch(`header mismatch: Mcp-Method is "tools/call", the body's method "tools/list"`)},
		{"method in another case", list, []string{version, "2026-07-28", method, "Tools/List"}, mismatch(`header mismatch: Mcp-Method is "Tools/List", the body's method "tools/list"`)},
		{"two methods", list, []string{version, "2026-07-28", method, "tools/list", method, "tools/call"}, mismatch("the header Mcp-Method stands more than once or holds an invalid character")},
		{"no name", call, []string{version, "2026-07-28", method, "tools/call"}, mismatch("the header Mcp-Name is missing; it must repeat params.name")},
		{"lying name", call, []string{version, "2026-07-28", method, "tools/call", name, "delete"}, mismatch(`header mismatch: Mcp-Name is "delete", which params.name is not`)},
		{"two names", call, []string{version, "2026-07-28", method, "tools/call", name, "read", name, "delete"}, mismatch("the header Mcp-Name stands more than once or holds an invalid character")},
		{"name without encoding", read, []string{version, "2026-07-28", method, "resources/read", name, "file:///é"}, mismatch("the header Mcp-Name stands more than once or holds an invalid character")},
		{"broken encoding", read, []string{version, "2026-07-28", method, "resources/read", name, "=?base64?%%%?="}, mismatch("the header Mcp-Name is not the base64 that it is marked as")},
		{"name without one in the body", strings.Replace(call, `"name":"read",`, ``, 1), []string{version, "2026-07-28", method, "tools/call", name, "read"}, mismatch(`header mismatch: Mcp-Name is "read", which params.name is not`)},
		{"lying task", strings.NewReplacer("tools/call", "tasks/get", `"name"`, `"taskId"`).Replace(call), []string{version, "2026-07-28", method, "tasks/get", name, "other"}, mismatch(`header mismatch: Mcp-Name is "other", which params.taskId is not`)},
		{"lying uri", read, []string{version, "2026-07-28", method, "resources/read", name, "file:///other"}, mismatch(`header mismatch: Mcp-Name is "file:///other", which params.uri is not`)},
		{"lying prompt", strings.Replace(call, "tools/call", "prompts/get", 1), []string{version, "2026-07-28", method, "prompts/get", name, "other"}, mismatch(`header mismatch: Mcp-Name is "other", which params.name is not`)},
		{"name of another type", strings.Replace(call, `"read"`, `1`, 1), []string{version, "2026-07-28", method, "tools/call", name, "1"}, mismatch(`header mismatch: Mcp-Name is "1", which params.name is not`)},
		{"capabilities of another type", strings.Replace(list, `{}`, `[]`, 1), []string{version, "2026-07-28", method, "tools/list"}, fault("7", CodeInvalidParams, `params._meta lacks the object "io.modelcontextprotocol/clientCapabilities"`)},
		{"long version", with(strings.Repeat("9", 200)), []string{version, strings.Repeat("9", 200), method, "tools/list"}, supported(strings.Repeat("9", 100) + "…")},
		{"response", `{"jsonrpc":"2.0","id":7,"result":{}}`, []string{version, "2026-07-28"}, fault("", CodeInvalidRequest, "a client sends no responses in revision 2026-07-28: retry the request with inputResponses")},
		{"batch", `[` + list + `]`, []string{version, "2026-07-28", method, "tools/list"}, fault("null", CodeInvalidRequest, "a batch is only allowed in a session of protocol version 2025-03-26")},
		{"lying method of a notification", `{"jsonrpc":"2.0","method":"notifications/x"}`, []string{version, "2026-07-28", method, "notifications/y"}, fault("", CodeHeaderMismatch, `header mismatch: Mcp-Method is "notifications/y", the body's method "notifications/x"`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.post(c.body, c.header...).want(t, 400, c.want)
			select {
			case s := <-got:
				t.Errorf("the host was given %s", s)
			default:
			}
		})
	}
	a := f.post(read, version, "2026-07-28", method, "resources/read", name, "=?base64?ZmlsZTovLy/DqQ==?=")
	if a.status != 200 {
		t.Errorf("an encoded name: %d %s", a.status, a.body)
	}
	<-got
	for _, m := range []string{http.MethodGet, http.MethodDelete} {
		a := f.do(f.request(t.Context(), m, "", version, "2026-07-28"))
		a.want(t, 405, fault("", CodeInvalidRequest, m+" is not part of protocol version 2026-07-28"))
		if got := a.header.Get("Allow"); got != "POST, OPTIONS" {
			t.Errorf("Allow is %q", got)
		}
	}
}

// TestHTTPLegacyHeaders: the same for sessions.
func TestHTTPLegacyHeaders(t *testing.T) {
	t.Parallel()
	host, got := recorded()
	f := newTestFront(t, host, nil)
	const (
		body  = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
		start = `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
		none  = "the header Mcp-Session-Id is missing: send initialize first, or, for 2026-07-28, describe the request in params._meta"
		gone  = "the session is unknown or has ended: send initialize without Mcp-Session-Id to open another"
	)
	bad := func(v string) string {
		return `the header MCP-Protocol-Version is "` + v + `", which is not one of 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05`
	}
	id := f.open("2025-11-25")[1]
	for _, c := range []struct {
		name   string
		body   string
		header []string
		status int
		code   int
		text   string
	}{
		{"no session", body, nil, 400, CodeInvalidRequest, none},
		{"empty session", body, []string{"Mcp-Session-Id", " "}, 400, CodeInvalidRequest, none},
		{"two sessions", body, []string{"Mcp-Session-Id", id, "Mcp-Session-Id", "other"}, 400, CodeInvalidRequest, "the header Mcp-Session-Id stands more than once"},
		{"forged session", body, []string{"Mcp-Session-Id", id + "0"}, 404, CodeInvalidRequest, gone},
		{"long session", body, []string{"Mcp-Session-Id", strings.Repeat("x", 5000)}, 404, CodeInvalidRequest, gone},
		{"unknown version", body, []string{"Mcp-Session-Id", id, "Mcp-Protocol-Version", "2024-01-01"}, 400, CodeInvalidRequest, bad("2024-01-01")},
		{"no version", body, []string{"Mcp-Session-Id", id, "Mcp-Protocol-Version", "1.0"}, 400, CodeInvalidRequest, bad("1.0")},
		{"two versions", body, []string{"Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25", "Mcp-Protocol-Version", "2025-06-18"}, 400, CodeInvalidRequest, "the header MCP-Protocol-Version stands more than once"},
		{"initialize, unknown version", start, []string{"Mcp-Protocol-Version", "2024-01-01"}, 400, CodeInvalidRequest, bad("2024-01-01")},
		{"initialize within a session", start, []string{"Mcp-Session-Id", id}, 400, CodeInvalidRequest, "initialize opens a session: send it without Mcp-Session-Id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.post(c.body, c.header...).want(t, c.status, fault("7", c.code, c.text))
			select {
			case s := <-got:
				t.Errorf("the host was given %s", s)
			default:
			}
		})
	}
	for _, c := range []struct {
		name   string
		method string
		header []string
		status int
		code   int
		text   string
	}{
		{"Accept", "POST", []string{"Accept", "", "Accept", "text/html"}, 406, CodeInvalidRequest, "the Accept header takes neither application/json nor text/event-stream"},
		{"Accept with q=0", "POST", []string{"Accept", "", "Accept", "*/*;q=0"}, 406, CodeInvalidRequest, "the Accept header takes neither application/json nor text/event-stream"},
		{"Accept of GET", "GET", []string{"Accept", "", "Accept", "application/json"}, 406, CodeInvalidRequest, "the Accept header must take text/event-stream"},
		{"no Content-Type", "POST", []string{"Content-Type", ""}, 415, CodeInvalidRequest, "the Content-Type must be application/json"},
		{"Content-Type of a form", "POST", []string{"Content-Type", "", "Content-Type", "text/plain"}, 415, CodeInvalidRequest, "the Content-Type must be application/json"},
		{"two Content-Types", "POST", []string{"Content-Type", "application/json"}, 415, CodeInvalidRequest, "the Content-Type must be application/json"},
		{"charset", "POST", []string{"Content-Type", "", "Content-Type", "application/json; charset=utf-16"}, 415, CodeInvalidRequest, "the Content-Type must be application/json"},
		{"method", "PUT", nil, 405, CodeInvalidRequest, "the method PUT is not allowed here"},
		{"two Last-Event-IDs", "GET", []string{"Last-Event-ID", "1-1-1", "Last-Event-ID", "1-1-2"}, 400, CodeInvalidRequest, "the header Last-Event-ID stands more than once"},
		{"Last-Event-ID of nobody", "GET", []string{"Last-Event-ID", "7"}, 400, CodeInvalidRequest, "Last-Event-ID is not an id of this gateway; open a new stream without it"},
		{"GET of an unknown version", "GET", []string{"Mcp-Protocol-Version", "", "Mcp-Protocol-Version", "1"}, 400, CodeInvalidRequest, bad("1")},
		{"GET of a forged session", "GET", []string{"Mcp-Session-Id", "", "Mcp-Session-Id", id + "0"}, 404, CodeInvalidRequest, gone},
		{"DELETE of a forged session", "DELETE", []string{"Mcp-Session-Id", "", "Mcp-Session-Id", id + "0"}, 404, CodeInvalidRequest, gone},
		{"DELETE without session", "DELETE", []string{"Mcp-Session-Id", ""}, 400, CodeInvalidRequest, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := append([]string{"Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25"}, c.header...)
			f.do(f.request(t.Context(), c.method, body, header...)).want(t, c.status, fault("", c.code, c.text))
		})
	}
	for _, header := range [][]string{
		{"Content-Type", "", "Content-Type", "application/json; charset=UTF-8"},
		{"Accept", "", "Accept", "application/json"},
		{"Accept", "", "Accept", "text/html, application/*;q=0.1"},
		{"Accept", "", "Accept", "*/*"},
	} {
		if a := f.post(body, append([]string{"Mcp-Session-Id", id}, header...)...); a.status != 200 {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
		<-got
	}
}

// TestHTTPEventsOnly: a client that takes nothing but a stream gets one, also
// from initialize, whose headers are those of a session.
func TestHTTPEventsOnly(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	only := []string{"Accept", "", "Accept", "text/event-stream"}
	s := f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`, only...)
	id := s.resp.Header.Get("Mcp-Session-Id")
	if id == "" {
		t.Error("initialize as a stream has no session id")
	}
	s.next(`{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":"2025-11-25"`)
	s.end()
	s = f.stream(http.MethodPost, `{"jsonrpc":"2.0","id":8,"method":"tools/list"}`, append(only, "Mcp-Session-Id", id)...)
	s.next(`{"jsonrpc":"2.0","id":8,"result":{"method":"tools/list"`)
	s.end()
	body, header := modern("9", "tools/list", "", only...)
	s = f.stream(http.MethodPost, body, header...)
	s.next(`{"jsonrpc":"2.0","id":9,"result":{"method":"tools/list"`)
	s.end()
}

func TestHTTPBatch(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	const (
		one   = `{"jsonrpc":"2.0","id":1,"method":"a"}`
		two   = `[` + one + `,{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":9,"result":{}}]`
		reply = `[{"jsonrpc":"2.0","id":1,"result":{"method":"a","params":null}}]`
	)
	for _, v := range []string{"2025-11-25", "2025-06-18", "2024-11-05"} {
		h := f.open(v)
		f.post(two, h...).want(t, 400, fault("null", CodeInvalidRequest, "a batch is only allowed in a session of protocol version 2025-03-26; this one speaks "+v))
		// The header is no way around what was agreed on.
		f.post(two, "Mcp-Session-Id", h[1], "Mcp-Protocol-Version", "2025-03-26").want(t, 400, fault("null", CodeInvalidRequest, "a batch is only allowed in a session of protocol version 2025-03-26; this one speaks "+v))
	}
	f.post(two).want(t, 400, fault("null", CodeInvalidRequest, "a batch is only allowed in a session of protocol version 2025-03-26"))
	h := f.open("2025-03-26")
	f.post(two, h...).want(t, 200, reply)
	f.post(`[{"jsonrpc":"2.0","method":"notifications/x"}]`, h...).want(t, 202, "")
	s := f.stream(http.MethodPost, two, append([]string{"Accept", "", "Accept", "text/event-stream"}, h...)...)
	s.next(reply[1 : len(reply)-1])
	s.end()
	many := f.post(`[`+strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","method":"n"},`, 101), ",")+`]`, h...)
	many.want(t, 400, `{"jsonrpc":"2.0","id":null,"error":{"code":-31003,"message":"the batch has more than 100 messages (batch)","data":{"limit":"batch"}}}`)
	f.post(`[]`, h...).want(t, 400, fault("null", CodeInvalidRequest, "the batch is empty"))
	f.post(`[`+one+`,{"jsonrpc":"2.0","id":2,"method":"initialize","params":{}}]`, h...).want(t, 400, fault("2", CodeInvalidRequest, "initialize must not be part of a batch"))
	f.post(`[`+one+`,{"jsonrpc":"2.0","id":2,"method":"a","method":"b"}]`, h...).want(t, 400, fault("2", CodeInvalidRequest, "duplicate-key: method (byte 37): the key stands twice in its object; send it once"))
	f.post(`[`+one+`,`, h...).want(t, 400, fault("null", CodeParse, "syntax: [1] (byte 39): the text ends within a value; send the whole value"))
	f.post(`[[`+one+`]]`, h...).want(t, 400, fault("null", CodeInvalidRequest, "envelope: the top level (byte 0): the message is not an object; send one JSON-RPC 2.0 object"))
}

// TestHTTPBatchWhileDraining: a batch that asks nothing leaves the count of
// calls alone, also while the front drains.
func TestHTTPBatchWhileDraining(t *testing.T) {
	t.Parallel()
	running := make(chan struct{})
	goOn := make(chan struct{})
	host := &testHost{session: func(_ context.Context, _ Conn, m *Message) (*Message, error) {
		if m.Method == "notifications/slow" {
			close(running)
			<-goOn
		}
		return echo(m)
	}}
	f := newTestFront(t, host, nil)
	h := f.open("2025-03-26")
	answered := make(chan answer, 1)
	go func() { answered <- f.post(`[{"jsonrpc":"2.0","method":"notifications/slow"}]`, h...) }()
	<-running
	closed := make(chan error, 1)
	go func() { closed <- f.http.Shutdown(t.Context()) }()
	<-f.http.quiet
	close(goOn)
	(<-answered).want(t, 202, "")
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestHTTPAccess: who may send what from where.
func TestHTTPAccess(t *testing.T) {
	t.Parallel()
	auth := AuthenticatorFunc(func(*http.Request) (Principal, error) { return Principal{Subject: "u"}, nil })
	const (
		tcp4, tcp6, far = "127.0.0.1:9", "[::1]:9", "192.0.2.1:9"
		alone           = "this gateway serves its own machine only: set Authenticator to serve others, or AllowAnonymous to serve anyone"
	)
	badHost := func(h string) string {
		return fmt.Sprintf("the Host header %q is not allowed: add it to AllowedHosts or set PublicURL", h)
	}
	badOrigin := func(o string) string {
		return fmt.Sprintf("the origin %q is not allowed: add it to AllowedOrigins", o)
	}
	listens := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 80} }
	public := &HTTPOptions{Authenticator: auth, PublicURL: "https://mcp.example.com/a", AllowedHosts: []string{"inside:8080", "[2001:db8::1]"}, AllowedOrigins: []string{"https://app.example.com", "null"}}
	for _, c := range []struct {
		name   string
		o      *HTTPOptions
		remote string
		local  net.Addr
		host   string
		origin []string
		text   string // why it is refused
	}{
		{"alone", nil, tcp4, listens("127.0.0.1"), "localhost:80", nil, ""},
		{"alone, IPv6", nil, tcp6, listens("::1"), "[::1]:80", nil, ""},
		{"alone, mapped", nil, "[::ffff:127.0.0.1]:9", listens("127.0.0.1"), "127.0.0.2", nil, ""},
		{"alone, from elsewhere", nil, far, listens("192.0.2.2"), "localhost", nil, alone},
		{"alone, over a socket", nil, "@", &net.UnixAddr{Net: "unix"}, "localhost", nil, ""},
		{"alone, from nowhere", nil, "", nil, "localhost", nil, alone},
		{"anonymous from elsewhere", &HTTPOptions{AllowAnonymous: true}, far, listens("192.0.2.2"), "192.0.2.2", nil, ""},
		{"authenticated from elsewhere", &HTTPOptions{Authenticator: auth}, far, listens("192.0.2.2"), "any.example.com", nil, ""},

		{"rebinding", nil, tcp4, listens("127.0.0.1"), "evil.example.com", nil, badHost("evil.example.com")},
		{"rebinding, much like localhost", nil, tcp4, listens("127.0.0.1"), "localhost.evil.example.com", nil, badHost("localhost.evil.example.com")},
		{"no Host", nil, tcp4, listens("127.0.0.1"), "", nil, badHost("")},
		{"public name", public, far, listens("192.0.2.2"), "MCP.example.com", nil, ""},
		{"public name, another port", public, far, listens("192.0.2.2"), "mcp.example.com:8443", nil, ""},
		{"allowed with its port", public, far, listens("192.0.2.2"), "inside:8080", nil, ""},
		{"allowed with another port", public, far, listens("192.0.2.2"), "inside:8081", nil, badHost("inside:8081")},
		{"allowed address, any port", public, far, listens("192.0.2.2"), "[2001:db8::1]:99", nil, ""},
		{"another name", public, far, listens("192.0.2.2"), "other.example.com", nil, badHost("other.example.com")},

		{"page of this machine", nil, tcp4, listens("127.0.0.1"), "localhost:80", []string{"http://127.0.0.1:3000"}, ""},
		{"page from elsewhere", nil, tcp4, listens("127.0.0.1"), "localhost:80", []string{"https://evil.example.com"}, badOrigin("https://evil.example.com")},
		{"sandboxed page", nil, tcp4, listens("127.0.0.1"), "localhost:80", []string{"null"}, badOrigin("null")},
		{"two origins", nil, tcp4, listens("127.0.0.1"), "localhost:80", []string{"http://localhost", "http://localhost"}, badOrigin("http://localhost")},
		{"odd scheme", nil, tcp4, listens("127.0.0.1"), "localhost:80", []string{"file://localhost"}, badOrigin("file://localhost")},
		{"own page", public, far, listens("192.0.2.2"), "mcp.example.com", []string{"https://mcp.example.com"}, ""},
		{"allowed page", public, far, listens("192.0.2.2"), "mcp.example.com", []string{"https://APP.example.com"}, ""},
		{"allowed null", public, far, listens("192.0.2.2"), "mcp.example.com", []string{"null"}, ""},
		{"page of this machine at a public name", public, far, listens("192.0.2.2"), "mcp.example.com", []string{"http://localhost"}, badOrigin("http://localhost")},
		{"same name without being allowed", &HTTPOptions{Authenticator: auth}, far, listens("192.0.2.2"), "any.example.com", []string{"http://any.example.com"}, badOrigin("http://any.example.com")},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := NewHTTP(&testHost{}, c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			body, header := modern("7", "tools/list", "")
			r := httptest.NewRequest(http.MethodPost, "http://placeholder/mcp", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			setHeaders(r, header)
			r.Host, r.RemoteAddr = c.host, c.remote
			if c.origin != nil {
				r.Header["Origin"] = c.origin
			}
			if c.local != nil {
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if c.text != "" {
				answer{w.Code, w.Header(), w.Body.String()}.want(t, 403, fault("", CodeDenied, c.text))
				if w.Header()["Access-Control-Allow-Origin"] != nil {
					t.Error("a page that is refused may read why")
				}
				return
			}
			if w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if c.origin != nil && w.Header().Get("Access-Control-Allow-Origin") != c.origin[0] {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
	for _, o := range []*HTTPOptions{
		{PublicURL: "mcp.example.com"}, {PublicURL: "https://u:p@mcp.example.com"}, {PublicURL: "https://mcp.example.com/?q"},
		{AllowedHosts: []string{"https://a"}}, {AllowedHosts: []string{"*.example.com"}}, {AllowedOrigins: []string{"app.example.com"}}, {AllowedOrigins: []string{"https://a/b"}},
	} {
		if h, err := NewHTTP(&testHost{}, o); err == nil {
			t.Errorf("%+v is accepted", o)
			_ = h.Close()
		}
	}
}

func TestHTTPAuthenticator(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, &HTTPOptions{Authenticator: AuthenticatorFunc(func(r *http.Request) (Principal, error) {
		switch r.Header.Get("Authorization") {
		case "":
			return Principal{}, &Error{Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer resource_metadata="https://x/y"`}}, Err: errors.New("the secret reason")}
		case "scope":
			return Principal{}, &Error{Status: 403, Header: http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`}}, Err: Errorf(CodeDenied, "the scope tools:call is missing")}
		case "broken":
			return Principal{}, errors.New("the secret reason")
		}
		return Principal{Subject: "u"}, nil
	})})
	const body = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	for _, c := range []struct {
		header          []string
		status          int
		challenge, text string
	}{
		{nil, 401, `Bearer resource_metadata="https://x/y"`, "authentication is required"},
		{[]string{"Authorization", "scope"}, 403, `Bearer error="insufficient_scope"`, "the scope tools:call is missing"},
		{[]string{"Authorization", "broken"}, 401, "Bearer", "authentication is required"},
	} {
		a := f.post(body, c.header...)
		a.want(t, c.status, fault("", CodeDenied, c.text))
		if got := a.header.Get("Www-Authenticate"); got != c.challenge {
			t.Errorf("WWW-Authenticate is %q, want %q", got, c.challenge)
		}
	}
	// A preflight carries no credentials.
	a := f.do(f.request(t.Context(), http.MethodOptions, "", "Origin", "http://localhost:1", "Access-Control-Request-Headers", "mcp-param-x"))
	if a.status != 204 || a.header.Get("Access-Control-Allow-Headers") != "mcp-param-x" || a.header.Get("Access-Control-Allow-Methods") != "GET, POST, DELETE, OPTIONS" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
}
