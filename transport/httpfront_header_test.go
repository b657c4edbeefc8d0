package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const supportedVersions = `["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]`

// TestHTTPModernHeaders: what a modern request says in its headers is what its
// body says, and nothing that must be said is missing.
func TestHTTPModernHeaders(t *testing.T) {
	t.Parallel()
	host, got := recorded()
	f := newTestFront(t, host, nil)
	const meta = `"_meta":{"` + MetaVersion + `":"2026-07-28","` + MetaCapabilities + `":{}}`
	body := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":{` + params + `}}`
	}
	call := body("tools/call", `"name":"x",`+meta)
	unsupported := func(v string) string {
		return `{"supported":` + supportedVersions + `,"requested":"` + v + `"}`
	}
	for _, c := range []struct {
		name, body string
		header     []string // version, method and name are right without an entry
		code       int
		text, data string
	}{
		{"version header missing", call, []string{"Mcp-Protocol-Version", ""}, CodeHeaderMismatch, `the header MCP-Protocol-Version is missing; it must repeat "io.modelcontextprotocol/protocolVersion" of params._meta`, ""},
		{"version header of another era", call, []string{"Mcp-Protocol-Version", "2025-11-25"}, CodeHeaderMismatch, `header mismatch: MCP-Protocol-Version is "2025-11-25", params._meta says "2026-07-28"`, ""},
		{"version header is no date", call, []string{"Mcp-Protocol-Version", "newest"}, CodeHeaderMismatch, `header mismatch: MCP-Protocol-Version is "newest", params._meta says "2026-07-28"`, ""},
		{"version header twice", call, []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Protocol-Version", "2026-07-28"}, CodeHeaderMismatch, `the header MCP-Protocol-Version stands more than once or holds an invalid character`, ""},
		{"version missing in the body", body("tools/call", `"name":"x"`), nil, CodeInvalidParams, `params._meta lacks "io.modelcontextprotocol/protocolVersion"`, ""},
		{"version in the body is a number", body("tools/call", `"_meta":{"`+MetaVersion+`":2026}`), nil, CodeInvalidParams, `params._meta["io.modelcontextprotocol/protocolVersion"] is not a string`, ""},
		{"version of the future", strings.Replace(call, "2026-07-28", "2031-01-01", 1), []string{"Mcp-Protocol-Version", "2031-01-01"}, CodeUnsupportedVersion, `unsupported protocol version "2031-01-01"`, unsupported("2031-01-01")},
		{"legacy version in _meta", strings.Replace(call, "2026-07-28", "2025-11-25", 1), []string{"Mcp-Protocol-Version", "2025-11-25"}, CodeUnsupportedVersion, `unsupported protocol version "2025-11-25"`, unsupported("2025-11-25")},
		{"long version", strings.Replace(call, "2026-07-28", strings.Repeat("9", 200), 1), []string{"Mcp-Protocol-Version", strings.Repeat("9", 200)}, CodeUnsupportedVersion, `unsupported protocol version "` + strings.Repeat("9", 100) + `…"`, unsupported(strings.Repeat("9", 100) + "…")},
		{"capabilities missing", body("tools/call", `"name":"x","_meta":{"`+MetaVersion+`":"2026-07-28"}`), nil, CodeInvalidParams, `params._meta lacks the object "io.modelcontextprotocol/clientCapabilities"`, ""},
		{"capabilities are no object", body("tools/call", `"name":"x","_meta":{"`+MetaVersion+`":"2026-07-28","`+MetaCapabilities+`":[]}`), nil, CodeInvalidParams, `params._meta lacks the object "io.modelcontextprotocol/clientCapabilities"`, ""},

		{"method header missing", call, []string{"Mcp-Method", ""}, CodeHeaderMismatch, `the header Mcp-Method is missing; it must repeat the method of the body`, ""},
		{"method header lies", call, []string{"Mcp-Method", "tools/list"}, CodeHeaderMismatch, `header mismatch: Mcp-Method is "tools/list", the body's method "tools/call"`, ""},
		{"method header in another case", call, []string{"Mcp-Method", "Tools/Call"}, CodeHeaderMismatch, `header mismatch: Mcp-Method is "Tools/Call", the body's method "tools/call"`, ""},
		{"method header twice", call, []string{"Mcp-Method", "tools/call", "Mcp-Method", "tools/list"}, CodeHeaderMismatch, `the header Mcp-Method stands more than once or holds an invalid character`, ""},

		{"name header missing", call, []string{"Mcp-Name", ""}, CodeHeaderMismatch, `the header Mcp-Name is missing; it must repeat params.name`, ""},
		{"name header lies", call, []string{"Mcp-Name", "y"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "y", which params.name is not`, ""},
		{"name header twice", call, []string{"Mcp-Name", "x", "Mcp-Name", "x"}, CodeHeaderMismatch, `the header Mcp-Name stands more than once or holds an invalid character`, ""},
		{"name header not ASCII", call, []string{"Mcp-Name", "\u00e9"}, CodeHeaderMismatch, `the header Mcp-Name stands more than once or holds an invalid character`, ""},
		{"name header is broken base64", call, []string{"Mcp-Name", "=?base64?!!!?="}, CodeHeaderMismatch, `the header Mcp-Name is not the base64 that it is marked as`, ""},
		{"name header without a name", body("tools/call", meta), []string{"Mcp-Name", "x"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "x", which params.name is not`, ""},
		{"name in the body is a number", body("tools/call", `"name":1,`+meta), []string{"Mcp-Name", "1"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "1", which params.name is not`, ""},
		{"uri header missing", body("resources/read", `"uri":"file:///a",`+meta), []string{"Mcp-Method", "resources/read", "Mcp-Name", ""}, CodeHeaderMismatch, `the header Mcp-Name is missing; it must repeat params.uri`, ""},
		{"uri header lies", body("resources/read", `"uri":"file:///a",`+meta), []string{"Mcp-Method", "resources/read", "Mcp-Name", "file:///b"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "file:///b", which params.uri is not`, ""},
		{"prompt header lies", body("prompts/get", `"name":"x",`+meta), []string{"Mcp-Method", "prompts/get", "Mcp-Name", "y"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "y", which params.name is not`, ""},
		{"task header lies", body("tasks/get", `"taskId":"1",`+meta), []string{"Mcp-Method", "tasks/get", "Mcp-Name", "2"}, CodeHeaderMismatch, `header mismatch: Mcp-Name is "2", which params.taskId is not`, ""},

		{"response", `{"jsonrpc":"2.0","id":7,"result":{}}`, nil, CodeInvalidRequest, `a client sends no responses in revision 2026-07-28: retry the request with inputResponses`, ""},
		{"batch", `[` + call + `]`, nil, CodeInvalidRequest, `a batch is only allowed in a session of protocol version 2025-03-26`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := f.request(t.Context(), http.MethodPost, c.body)
			for name, value := range map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "x"} {
				req.Header.Set(name, value)
				for i := 0; i < len(c.header); i += 2 {
					if c.header[i] == name {
						req.Header.Del(name)
					}
				}
			}
			setHeaders(req, c.header)
			id := "7"
			switch c.name {
			case "response":
				id = ""
			case "batch":
				id = "null"
			}
			f.do(req).want(t, 400, fault(id, c.code, c.text, c.data))
			select {
			case s := <-got:
				t.Errorf("the host was given %s", s)
			default:
			}
		})
	}

	// And what is right: an encoded name, headers of parameters, no name
	// where there is nothing to repeat.
	for _, header := range [][]string{
		{"Mcp-Name", "x"}, {"Mcp-Name", "=?base64?eA==?="}, {"Mcp-Name", "x", "Mcp-Param-Region", "eu", "Mcp-Session-Id", "s"},
	} {
		f.post(call, append([]string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call"}, header...)...).want(t, 200, `{"jsonrpc":"2.0","id":7,"result":{}}`)
		<-got
	}
}

// TestHTTPLegacyHeaders: a legacy request names its session, and a revision
// that exists if it names one.
func TestHTTPLegacyHeaders(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	session := f.open("2025-11-25")
	const list = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	const initialize = `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	const versions = `which is not one of 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05`
	const unknown = `the session is unknown or has ended: send initialize without Mcp-Session-Id to open another`
	for _, c := range []struct {
		name, method, body string
		header             []string
		status             int
		text               string
	}{
		{"session missing", "POST", list, nil, 400, `the header Mcp-Session-Id is missing: send initialize first, or, for 2026-07-28, describe the request in params._meta`},
		{"session twice", "POST", list, []string{"Mcp-Session-Id", session[1], "Mcp-Session-Id", session[1]}, 400, `the header Mcp-Session-Id stands more than once`},
		{"session forged", "POST", list, []string{"Mcp-Session-Id", "session-2"}, 404, unknown},
		{"session forged for a stream", "GET", "", []string{"Mcp-Session-Id", "session-2"}, 404, unknown},
		{"session forged to be ended", "DELETE", "", []string{"Mcp-Session-Id", "session-2"}, 404, unknown},
		{"session missing for a stream", "GET", "", nil, 400, `the header Mcp-Session-Id is missing: send initialize first, or, for 2026-07-28, describe the request in params._meta`},
		{"session missing to be ended", "DELETE", "", nil, 400, `the header Mcp-Session-Id is missing: send initialize first, or, for 2026-07-28, describe the request in params._meta`},
		{"version unknown", "POST", list, []string{"Mcp-Session-Id", session[1], "Mcp-Protocol-Version", "2025-01-01"}, 400, `the header MCP-Protocol-Version is "2025-01-01", ` + versions},
		{"version is no date", "POST", list, []string{"Mcp-Session-Id", session[1], "Mcp-Protocol-Version", "newest"}, 400, `the header MCP-Protocol-Version is "newest", ` + versions},
		{"version twice", "POST", list, []string{"Mcp-Session-Id", session[1], "Mcp-Protocol-Version", "2025-11-25", "Mcp-Protocol-Version", "2025-11-25"}, 400, `the header MCP-Protocol-Version stands more than once`},
		{"version unknown for a stream", "GET", "", []string{"Mcp-Session-Id", session[1], "Mcp-Protocol-Version", "1"}, 400, `the header MCP-Protocol-Version is "1", ` + versions},
		{"initialize in a session", "POST", initialize, session, 400, `initialize opens a session: send it without Mcp-Session-Id`},
		{"initialize with an unknown version", "POST", initialize, []string{"Mcp-Protocol-Version", "1"}, 400, `the header MCP-Protocol-Version is "1", ` + versions},
		{"stream in the modern era", "GET", "", []string{"Mcp-Protocol-Version", "2026-07-28"}, 405, `GET is not part of protocol version 2026-07-28`},
		{"end in the modern era", "DELETE", "", []string{"Mcp-Protocol-Version", "2026-07-28"}, 405, `DELETE is not part of protocol version 2026-07-28`},
		{"other method", "PUT", "", session, 405, `the method PUT is not allowed here`},
		{"stream that must be JSON", "GET", "", append([]string{"Accept", ""}, append(session, "Accept", "application/json")...), 406, `the Accept header must take text/event-stream`},
		{"event id twice", "GET", "", append([]string{"Last-Event-Id", "1-1-1", "Last-Event-Id", "1-1-1"}, session...), 400, `the header Last-Event-ID stands more than once`},
		{"event id that is none", "GET", "", append([]string{"Last-Event-Id", "7"}, session...), 400, `Last-Event-ID is not an id of this gateway; open a new stream without it`},
		{"event id of another session", "GET", "", append([]string{"Last-Event-Id", "0-1-1"}, session...), 400, `Last-Event-ID is not of this session; open a new stream without it`},

		{"neither JSON nor events", "POST", list, append([]string{"Accept", ""}, append(session, "Accept", "text/html, application/json;q=0")...), 406, `the Accept header takes neither application/json nor text/event-stream`},
		{"no content type", "POST", list, append([]string{"Content-Type", ""}, session...), 415, `the Content-Type must be application/json`},
		{"form", "POST", list, append([]string{"Content-Type", "", "Content-Type", "text/plain"}, session...), 415, `the Content-Type must be application/json`},
		{"two content types", "POST", list, append([]string{"Content-Type", "text/plain"}, session...), 415, `the Content-Type must be application/json`},
		{"other character set", "POST", list, append([]string{"Content-Type", "", "Content-Type", "application/json; charset=utf-16"}, session...), 415, `the Content-Type must be application/json`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := f.do(f.request(t.Context(), c.method, c.body, c.header...))
			id := ""
			if c.method == "POST" && c.status != 406 && c.status != 415 {
				id = "7"
			}
			a.want(t, c.status, fault(id, CodeInvalidRequest, c.text))
			if c.status == 405 && a.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}

	// What is right: no version, as before 2025-06-18; whatever the client
	// takes; other spellings of the types.
	for _, header := range [][]string{
		{"Mcp-Session-Id", session[1]},
		append([]string{"Accept", ""}, session...),
		append([]string{"Accept", "", "Accept", "*/*"}, session...),
		append([]string{"Accept", "", "Accept", "application/json"}, session...),
		append([]string{"Content-Type", "", "Content-Type", "Application/JSON; charset=UTF-8"}, session...),
	} {
		f.post(list, header...).want(t, 200, `{"jsonrpc":"2.0","id":7,"result":{"method":"tools/list","params":null}}`)
	}
	s := f.stream(http.MethodPost, list, append([]string{"Accept", "", "Accept", "text/event-stream"}, session...)...)
	s.next(`{"jsonrpc":"2.0","id":7,"result":`)
	s.end()
	s = f.stream(http.MethodPost, initialize, "Accept", "", "Accept", "text/event-stream")
	if s.resp.Header.Get("Mcp-Session-Id") == "" {
		t.Error("initialize as a stream has no session id")
	}
	s.next(`{"jsonrpc":"2.0","id":7,"result":`)
	s.end()
}

// TestHTTPBatch: arrays are part of revision 2025-03-26 alone.
func TestHTTPBatch(t *testing.T) {
	t.Parallel()
	f := newTestFront(t, nil, nil)
	const ping = `{"jsonrpc":"2.0","id":1,"method":"a"}`
	const outside = `a batch is only allowed in a session of protocol version 2025-03-26`
	f.post(`[`+ping+`]`).want(t, 400, fault("null", CodeInvalidRequest, outside))
	for _, v := range []string{"2025-11-25", "2025-06-18", "2024-11-05"} {
		f.post(`[`+ping+`]`, f.open(v)...).want(t, 400, fault("null", CodeInvalidRequest, outside+"; this one speaks "+v))
	}
	session := f.open("2025-03-26")
	a := f.post(`[`+ping+`,{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":"2","method":"b"},{"jsonrpc":"2.0","id":9,"result":{}}]`, session...)
	one, two := `{"jsonrpc":"2.0","id":1,"result":{"method":"a","params":null}}`, `{"jsonrpc":"2.0","id":"2","result":{"method":"b","params":null}}`
	if a.status != 200 || a.body != "["+one+","+two+"]" && a.body != "["+two+","+one+"]" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	f.post(`[{"jsonrpc":"2.0","method":"n"}]`, session...).want(t, 202, "")
	f.post(`[]`, session...).want(t, 400, fault("null", CodeInvalidRequest, "the batch is empty"))
	f.post(`[`+strings.Repeat(ping+",", 100)+ping+`]`, session...).want(t, 400, fault("null", CodeLimit, "the batch has more than 100 messages (batch)", `{"limit":"batch"}`))
	f.post(`[`+ping+`,]`, session...).want(t, 400, fault("null", CodeParse, "syntax: [1] (byte 39): a value is missing here; put a JSON value"))
	f.post(`[`+ping+`,7]`, session...).want(t, 400, fault("null", CodeInvalidRequest, "envelope: the top level (byte 0): the message is not an object; send one JSON-RPC 2.0 object"))
	f.post(`[{"jsonrpc":"2.0","id":5,"method":"x","params":{"name":"a","name":"b"}}]`, session...).want(t, 400, fault("5", CodeInvalidRequest, "duplicate-key: params.name (byte 12): the key stands twice in its object; send it once"))
	f.post(`[{"jsonrpc":"2.0","id":5,"method":"initialize"}]`, session...).want(t, 400, fault("5", CodeInvalidRequest, "initialize must not be part of a batch"))

	// As a stream, for a client that takes nothing else.
	s := f.stream(http.MethodPost, `[`+ping+`]`, append([]string{"Accept", "", "Accept", "text/event-stream"}, session...)...)
	s.next(one)
	s.end()
	// A batch of notifications while draining ends nothing twice.
	block, entered := make(chan struct{}), make(chan struct{})
	f.host.session = func(_ context.Context, _ Conn, m *Message) (*Message, error) {
		if m.Method == "wait" {
			close(entered)
			<-block
		}
		return echo(m)
	}
	waiting := make(chan answer, 1)
	req := f.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"wait"}`, session...)
	go func() { waiting <- f.do(req) }()
	<-entered
	drained := make(chan error, 1)
	go func() { drained <- f.http.Shutdown(context.Background()) }()
	for f.post(ping, session...).status != 503 { // until Shutdown has begun
		continue
	}
	f.post(`[{"jsonrpc":"2.0","method":"n"}]`, session...).want(t, 202, "")
	f.post(`[`+ping+`]`, session...).want(t, 503, fault("null", CodeUnavailable, "the gateway is shutting down"))
	close(block)
	if a := <-waiting; a.status != 200 {
		t.Errorf("the call in flight got %d %s", a.status, a.body)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestHTTPAccess: who may use the front at all, by address, Host and Origin.
func TestHTTPAccess(t *testing.T) {
	t.Parallel()
	const list = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	f := newTestFront(t, nil, &HTTPOptions{PublicURL: "https://gw.example.com/mcp", AllowedHosts: []string{"inside:8080", "[2001:db8::1]"}, AllowedOrigins: []string{"https://app.example.com"}})
	session := f.open("2025-11-25")
	for _, c := range []struct{ host, origin, text string }{
		{"gw.example.com", "", ""}, {"gw.example.com:443", "", ""}, {"GW.example.com", "", ""}, {"inside:8080", "", ""}, {"localhost:1", "", ""}, {"[::1]:2", "", ""},
		{"[2001:db8::1]", "", ""}, {"[2001:db8::1]:99", "", ""},
		{"evil.example.com", "", `the Host header "evil.example.com" is not allowed: add it to AllowedHosts or set PublicURL`},
		{"inside", "", `the Host header "inside" is not allowed: add it to AllowedHosts or set PublicURL`},
		{"inside:81", "", `the Host header "inside:81" is not allowed: add it to AllowedHosts or set PublicURL`},
		{"gw.example.com.evil.example", "", `the Host header "gw.example.com.evil.example" is not allowed: add it to AllowedHosts or set PublicURL`},
		{"localhost.evil.example", "", `the Host header "localhost.evil.example" is not allowed: add it to AllowedHosts or set PublicURL`},
		{"gw.example.com", "https://gw.example.com", ""}, {"gw.example.com", "https://app.example.com", ""}, {"localhost", "http://localhost:6274", ""}, {"localhost", "http://[::1]", ""},
		{"gw.example.com", "https://evil.example.com", `the origin "https://evil.example.com" is not allowed: add it to AllowedOrigins`},
		{"gw.example.com", "http://localhost", `the origin "http://localhost" is not allowed: add it to AllowedOrigins`},
		{"localhost", "http://evil.example.com", `the origin "http://evil.example.com" is not allowed: add it to AllowedOrigins`},
		{"localhost", "null", `the origin "null" is not allowed: add it to AllowedOrigins`},
		{"localhost", "http://localhost@evil.example.com", `the origin "http://localhost@evil.example.com" is not allowed: add it to AllowedOrigins`},
		{"localhost", "file://localhost", `the origin "file://localhost" is not allowed: add it to AllowedOrigins`},
	} {
		name := fmt.Sprintf("Host %s, Origin %s", c.host, c.origin)
		a := f.post(list, append([]string{"Host", c.host, "Origin", c.origin}, session...)...)
		if c.text == "" {
			if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != c.origin {
				t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
			}
			continue
		}
		t.Log(name)
		a.want(t, 403, fault("", CodeDenied, c.text))
	}
	a := f.post(list, append([]string{"Origin", "http://localhost", "Origin", "http://localhost"}, session...)...)
	a.want(t, 403, fault("", CodeDenied, `the origin "http://localhost" is not allowed: add it to AllowedOrigins`))

	// A preflight.
	a = f.do(f.request(t.Context(), http.MethodOptions, "", "Origin", "https://app.example.com", "Host", "gw.example.com", "Access-Control-Request-Headers", "mcp-param-x"))
	if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != "GET, POST, DELETE, OPTIONS" || a.header.Get("Access-Control-Allow-Headers") != "mcp-param-x" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
	f.do(f.request(t.Context(), http.MethodOptions, "", "Origin", "https://evil.example.com")).want(t, 403, fault("", CodeDenied, `the origin "https://evil.example.com" is not allowed: add it to AllowedOrigins`))
}

// TestHTTPOptionFaults: every fault of the options is reported at once.
func TestHTTPOptionFaults(t *testing.T) {
	t.Parallel()
	_, err := NewHTTP(&testHost{}, &HTTPOptions{PublicURL: "gw.example.com", AllowedHosts: []string{"https://x", ""}, AllowedOrigins: []string{"https://a.example/path", "a.example"}})
	const want = `PublicURL "gw.example.com" is not an absolute http or https URL
AllowedHosts: "https://x" is not a host with or without a port
AllowedHosts: "" is not a host with or without a port
AllowedOrigins: "https://a.example/path" is not an origin such as https://app.example.com
AllowedOrigins: "a.example" is not an origin such as https://app.example.com`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := NewHTTP(nil, nil); err == nil || err.Error() != "transport: NewHTTP without a Host" {
		t.Errorf("without a host: %v", err)
	}
}
