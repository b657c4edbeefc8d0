package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// recorded returns a host that keeps what it was given as params.
func recorded() (*testHost, chan string) {
	got := make(chan string, 1)
	keep := func(m *Message) (*Message, error) {
		got <- string(m.ID) + " " + m.Method + " " + string(m.Params)
		return &Message{Result: json.RawMessage("{}")}, nil
	}
	return &testHost{
		session: func(_ context.Context, _ Conn, m *Message) (*Message, error) { return keep(m) },
		stateless: func(_ context.Context, _ Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			return keep(m)
		},
	}, got
}

// fault is the body of an answer to what could not be passed on.
func fault(id string, code int, text string, data ...string) string {
	if id != "" {
		id = `,"id":` + id
	}
	more := strings.Join(data, "")
	if more != "" {
		more = `,"data":` + more
	}
	b, _ := json.Marshal(text) // a string
	return fmt.Sprintf(`{"jsonrpc":"2.0"%s,"error":{"code":%d,"message":%s%s}}`, id, code, strings.NewReplacer(`\u003c`, `<`, `\u003e`, `>`, `\u0026`, `&`).Replace(string(b)), more)
}

// TestHTTPRefusesMessage: what cannot be read in one way only is refused, with
// the rule, the place and what to do, in both eras alike; the host does not
// see it.
func TestHTTPRefusesMessage(t *testing.T) {
	t.Parallel()
	const open = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":`
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for _, c := range []struct{ name, body, id, text string }{
		{"empty", ``, "null", "syntax: the top level (byte 0): the text ends within a value; send the whole value"},
		{"no JSON", `hello`, "null", "syntax: the top level (byte 0): a value is missing here; put a JSON value"},
		{"cut", `{"jsonrpc":"2.0","id":7,"method":`, "7", "syntax: method (byte 33): the text ends within a value; send the whole value"},
		{"two values", open + `{}}{}`, "7", "syntax: the top level (byte 58): text follows the value; send exactly one value"},
		{"no object", `"x"`, "null", "envelope: the top level (byte 0): the message is not an object; send one JSON-RPC 2.0 object"},
		{"no version", `{"id":7,"method":"x"}`, "7", `envelope: jsonrpc (byte 0): the member is missing; send "jsonrpc":"2.0"`},
		{"JSON-RPC 1.0", `{"jsonrpc":"1.0","id":7,"method":"x"}`, "7", `envelope: jsonrpc (byte 11): the value is not "2.0"; send "jsonrpc":"2.0"`},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"x"}`, "null", "the id of a request is null"},
		{"object as id", `{"jsonrpc":"2.0","id":{},"method":"x"}`, "null", "envelope: id (byte 22): the id is not a string, number or null; send one of these"},
		{"neither", `{"jsonrpc":"2.0","id":7}`, "7", "the message has neither method nor result nor error"},
		{"both", `{"jsonrpc":"2.0","id":7,"method":"x","result":1}`, "7", "a message with method has no result or error"},
		{"result and error", `{"jsonrpc":"2.0","id":7,"error":{},"result":1}`, "7", "the message has both result and error"},
		{"params array", open + `[]}`, "7", "params is not an object"},

		{"deep", open + `{"arguments":` + deep(10_000) + `}}`, "7", "depth: params.arguments[0][0][0][0][0][0][…][0][0][0][0][0][0][0][0] (byte 266): nested deeper than the limit of 200 levels; flatten the value"},
		{"deep result", `{"jsonrpc":"2.0","id":7,"result":` + deep(10_000) + `}`, "7", "depth: result[0][0][0][0][0][0][0][…][0][0][0][0][0][0][0][0] (byte 232): nested deeper than the limit of 200 levels; flatten the value"},

		{"duplicate in the envelope", `{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}`, "7", "duplicate-key: method (byte 37): the key stands twice in its object; send it once"},
		{"duplicate id", `{"jsonrpc":"2.0","id":7,"method":"a","id":8}`, "7", "duplicate-key: id (byte 37): the key stands twice in its object; send it once"},
		{"escaped duplicate in the envelope", `{"jsonrpc":"2.0","id":7,"method":"a","\u006dethod":"b"}`, "7", "duplicate-key: method (byte 37): the key stands twice in its object; send it once"},
		{"duplicate vendor member", `{"jsonrpc":"2.0","id":7,"method":"a","v":1,"v":2}`, "7", "duplicate-key: v (byte 43): the key stands twice in its object; send it once"},
		{"duplicate in params", open + `{"name":"read","name":"delete"}}`, "7", "duplicate-key: params.name (byte 15): the key stands twice in its object; send it once"},
		{"escaped duplicate in params", open + `{"name":"read","n\u0061me":"delete"}}`, "7", "duplicate-key: params.name (byte 15): the key stands twice in its object; send it once"},
		{"duplicate in _meta", open + `{"_meta":{"a":1,"a":2}}}`, "7", "duplicate-key: params._meta.a (byte 16): the key stands twice in its object; send it once"},
		{"duplicate in arguments", open + `{"arguments":{"p":1,"p":2}}}`, "7", "duplicate-key: params.arguments.p (byte 20): the key stands twice in its object; send it once"},
		{"duplicate deep in arguments", open + `{"arguments":{"a":[{},{"b":{"p":1,"p":2}}]}}}`, "7", "duplicate-key: params.arguments.a[1].b.p (byte 34): the key stands twice in its object; send it once"},

		{"case in the envelope", `{"jsonrpc":"2.0","id":7,"method":"a","Params":{}}`, "7", `case-variant-key: Params (byte 37): the key equals "params" but for its case; spell it so or drop it`},
		{"case beside in the envelope", `{"jsonrpc":"2.0","id":7,"method":"a","METHOD":"b"}`, "7", `case-variant-key: METHOD (byte 37): the key equals "method" but for its case; spell it so or drop it`},
		{"case in params", open + `{"Name":"delete"}}`, "7", `case-variant-key: params.Name (byte 1): the key equals "name" but for its case; spell it so or drop it`},
		{"case beside in params", open + `{"name":"read","Name":"delete"}}`, "7", `case-variant-key: params.Name (byte 15): the key equals "name" but for its case; spell it so or drop it`},
		{"arguments", open + `{"arguments":{},"ARGUMENTS":{}}}`, "7", `case-variant-key: params.ARGUMENTS (byte 16): the key equals "arguments" but for its case; spell it so or drop it`},
		{"long s", open + `{"argument` + "\u017f" + `":{}}}`, "7", `case-variant-key: params["argument\u017f"] (byte 1): the key equals "arguments" but for its case; spell it so or drop it`},
		{"_META", open + `{"_META":{}}}`, "7", `case-variant-key: params._META (byte 1): the key equals "_meta" but for its case; spell it so or drop it`},
		{"case in _meta", open + `{"_meta":{"ProgressToken":1}}}`, "7", `case-variant-key: params._meta.ProgressToken (byte 10): the key equals "progressToken" but for its case; spell it so or drop it`},
		{"case of the version", open + `{"_meta":{"io.modelcontextprotocol/PROTOCOLVERSION":"2026-07-28"}}}`, "7", `case-variant-key: params._meta["io.modelcontextprotocol/PROTOCOLVERSION"] (byte 10): the key equals "io.modelcontextprotocol/protocolVersion" but for its case; spell it so or drop it`},
		{"case beside in _meta", open + `{"_meta":{"progressToken":1,"PROGRESSTOKEN":2}}}`, "7", `case-variant-key: params._meta.PROGRESSTOKEN (byte 28): the key equals "progressToken" but for its case; spell it so or drop it`},

		{"surrogate in method", `{"jsonrpc":"2.0","id":7,"method":"\ud800"}`, "7", `forbidden-character: method (byte 33): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`},
		{"NUL in method", `{"jsonrpc":"2.0","id":7,"method":"a\u0000"}`, "7", `forbidden-character: method (byte 33): the text holds a NUL (\u0000); remove it`},
		{"surrogate in id", `{"jsonrpc":"2.0","id":"\udfff","method":"x"}`, "null", `forbidden-character: id (byte 22): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`},
		{"NUL in id", `{"jsonrpc":"2.0","id":"\u0000","method":"x"}`, "null", `forbidden-character: id (byte 22): the text holds a NUL (\u0000); remove it`},
		{"huge id", `{"jsonrpc":"2.0","id":1e400,"method":"x"}`, "null", "number-out-of-range: id (byte 22): the number is beyond the range of a 64-bit float; send a smaller one or a string"},
		{"surrogate in name", open + `{"name":"\ud800"}}`, "7", `forbidden-character: params.name (byte 8): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`},
		{"NUL in uri", open + `{"uri":"file:///\u0000"}}`, "7", `forbidden-character: params.uri (byte 7): the text holds a NUL (\u0000); remove it`},
		{"huge name", open + `{"name":1e400}}`, "7", "number-out-of-range: params.name (byte 8): the number is beyond the range of a 64-bit float; send a smaller one or a string"},
		{"huge progress token", open + `{"_meta":{"progressToken":-1e999}}}`, "7", "number-out-of-range: params._meta.progressToken (byte 26): the number is beyond the range of a 64-bit float; send a smaller one or a string"},
		{"invalid UTF-8 in arguments", open + `{"arguments":{"a":"` + "\xff" + `"}}}`, "7", "invalid-utf8: params.arguments.a (byte 19): bytes that are not UTF-8; encode the text as UTF-8"},
		{"raw control character", open + `{"name":"` + "\x00" + `"}}`, "7", `syntax: params.name (byte 64): a control character stands in a string; escape it (\u00XX)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host, got := recorded()
			f := newTestFront(t, host, nil)
			code, data := CodeInvalidRequest, ""
			switch {
			case strings.HasPrefix(c.text, "depth: "):
				code, data = CodeLimit, `{"limit":"depth"}`
			case strings.HasPrefix(c.text, "syntax: "):
				code = CodeParse
			case c.text == "params is not an object":
				code = CodeInvalidParams
			}
			session := f.open("2025-11-25")
			f.post(c.body, session...).want(t, 400, fault(c.id, code, c.text, data))
			f.post(c.body, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call").want(t, 400, fault(c.id, code, c.text, data))
			select {
			case s := <-got:
				t.Errorf("the host was given %s", s)
			default:
			}
		})
	}
}

// TestHTTPPassesArguments: below arguments the text is the server's business
// and arrives byte for byte.
func TestHTTPPassesArguments(t *testing.T) {
	t.Parallel()
	host, got := recorded()
	f := newTestFront(t, host, nil)
	session := f.open("2025-11-25")
	const arguments = `"name":"x","arguments":{"a":1,"A":2,"name":"n","NAME" : "m","_META":{}, "s":"\ud800\u0000\uDFFF","big":1e400,"int":12345678901234567890,"neg":-0,"z":1.0e+2,"e":"\/\u00e9é"},"vendor":[ ]`
	for _, id := range []string{`1`, `"1"`, `-0`, `1.50`, `9007199254740993`, `"\u0041\ud83d\ude00"`} {
		body := `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{` + arguments + `}}`
		f.post(body, session...).want(t, 200, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
		if s, want := <-got, id+` tools/call {`+arguments+`}`; s != want {
			t.Errorf("legacy:\n got %s\nwant %s", s, want)
		}
		body, header := modern(id, "tools/call", arguments, "Mcp-Name", "x")
		f.post(body, header...).want(t, 200, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
		if s, want := <-got, id+` tools/call {`+arguments+`,`; !strings.HasPrefix(s, want) {
			t.Errorf("modern:\n got %s\nwant %s…", s, want)
		}
	}
	// At the limit of the depth, the envelope and params included.
	deep := `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("[", 198) + strings.Repeat("]", 198) + `}}`
	if a := f.post(deep, session...); a.status != 200 {
		t.Errorf("200 levels: %d %s", a.status, a.body)
	}
}

// counted counts what is read of an endless body.
type counted struct{ n int64 }

func (c *counted) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n += int64(len(p))
	return len(p), nil
}

func TestHTTPBodyBound(t *testing.T) {
	t.Parallel()
	const text = "the body is longer than the limit of 1048576 bytes (body)"
	h, err := NewHTTP(&testHost{}, &HTTPOptions{AllowAnonymous: true, Limits: Limits{Body: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, c := range []struct {
		name   string
		length int64
		most   int64
	}{
		{"announced", 100 << 20, 0},
		{"chunked", -1, 1<<20 + 1},
		{"by one", 1<<20 + 1, 0},
	} {
		body := &counted{}
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", io.NopCloser(body))
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = c.length
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answer{w.Code, w.Header(), w.Body.String()}.want(t, 413, fault("null", CodeLimit, text, `{"limit":"body"}`))
		if body.n > c.most {
			t.Errorf("%s: %d bytes were read", c.name, body.n)
		}
		if got := w.Header().Get("Connection"); got != "close" {
			t.Errorf("%s: Connection is %q", c.name, got)
		}
	}

	// Over a connection, and just within the bound.
	f := newTestFront(t, nil, &HTTPOptions{Limits: Limits{Body: 1 << 20}})
	session := f.open("2025-11-25")
	head, tail := `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"`, `"}}`
	fits := head + strings.Repeat("x", 1<<20-len(head)-len(tail)) + tail
	if a := f.post(fits, session...); a.status != 200 {
		t.Errorf("a body of 1 MiB: %d %.100s", a.status, a.body)
	}
	req := f.request(t.Context(), http.MethodPost, "", session...)
	req.Body, req.ContentLength = io.NopCloser(io.LimitReader(&counted{}, 100<<20)), -1
	if resp, err := f.c.Do(req); err == nil { // the connection may break while the client still sends
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		answer{resp.StatusCode, resp.Header, string(b)}.want(t, 413, fault("null", CodeLimit, text, `{"limit":"body"}`))
	}
}
