package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scriptConn answers each call with the next step of its script.
type scriptConn struct {
	t       *testing.T
	steps   []scriptStep
	sent    []string
	version string
}

type scriptStep struct {
	method string
	result string
	code   int
	data   string
	err    error
	silent bool
}

func (c *scriptConn) Call(ctx context.Context, m *Message, _ Receiver) (*Message, error) {
	c.sent = append(c.sent, m.Method)
	if len(c.steps) == 0 || c.steps[0].method != m.Method {
		c.t.Errorf("unexpected %s, the script goes on with %+v", m.Method, c.steps)
		return nil, ErrClosed
	}
	s := c.steps[0]
	c.steps = c.steps[1:]
	switch {
	case s.silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case s.err != nil:
		return nil, s.err
	case s.result != "":
		return m.Reply(json.RawMessage(s.result)), nil
	}
	e := &RPCError{Code: s.code, Message: "refused"}
	if s.data != "" {
		e.Data = json.RawMessage(s.data)
	}
	return m.ReplyError(e), nil
}

func (c *scriptConn) Notify(_ context.Context, m *Message) error {
	c.sent = append(c.sent, m.Method)
	return nil
}
func (c *scriptConn) Listen(Receiver)             {}
func (c *scriptConn) Close() error                { return nil }
func (c *scriptConn) SetProtocolVersion(v string) { c.version = v }

const (
	discoverOK   = `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"hi","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}`
	initializeOK = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s"},"instructions":"hi"}`
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	discover := func(s scriptStep) scriptStep { s.method = "server/discover"; return s }
	initialize := func(s scriptStep) scriptStep { s.method = "initialize"; return s }
	status := func(n int) error { return &Error{Status: n, Err: errors.New(http.StatusText(n))} }
	for _, tt := range []struct {
		name  string
		o     HandshakeOptions
		steps []scriptStep
		era   Era
		err   string
	}{
		{"modern", HandshakeOptions{}, []scriptStep{discover(scriptStep{result: discoverOK})}, Modern, ""},
		{"legacy, unknown method", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32601}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, own error", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32000}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, silent", HandshakeOptions{}, []scriptStep{discover(scriptStep{silent: true}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, 400", HandshakeOptions{}, []scriptStep{discover(scriptStep{err: status(400)}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, 405", HandshakeOptions{}, []scriptStep{discover(scriptStep{err: status(405)}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, answers anything", HandshakeOptions{}, []scriptStep{discover(scriptStep{result: `{}`}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"legacy, known", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"modern, legacy preferred", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{code: -32601}), discover(scriptStep{result: discoverOK})}, Modern, ""},
		{"modern, legacy preferred, version error", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{code: -32000, data: `{"supported":["2026-07-28"]}`}), discover(scriptStep{result: discoverOK})}, Modern, ""},
		{"modern, legacy preferred, 400", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{err: status(400)}), discover(scriptStep{result: discoverOK})}, Modern, ""},
		{"retry with the same version", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32022, data: `{"supported":["2026-07-28"]}`}), discover(scriptStep{result: discoverOK})}, Modern, ""},
		{"never back to initialize", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32022, data: `{"supported":["2026-07-28"]}`}), discover(scriptStep{code: -32022, data: `{"supported":["2026-07-28"]}`})}, 0, "names 2026-07-28 as supported and refuses it"},
		{"only legacy listed", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32022, data: `{"supported":["2025-06-18"]}`}), initialize(scriptStep{result: initializeOK})}, Legacy, ""},
		{"nothing in common", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32022, data: `{"supported":["2031-01-01"]}`})}, 0, "no revision of the protocol in common: the server supports 2031-01-01"},
		{"missing capability", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32021})}, 0, "server/discover: refused (-32021)"},
		{"unauthorized", HandshakeOptions{}, []scriptStep{discover(scriptStep{err: status(401)})}, 0, "server/discover: HTTP 401: Unauthorized"},
		{"closed", HandshakeOptions{}, []scriptStep{discover(scriptStep{err: ErrClosed})}, 0, "connection closed"},
		{"unreachable", HandshakeOptions{}, []scriptStep{discover(scriptStep{err: &Error{Err: errors.New("refused")}})}, 0, "server/discover: refused"},
		{"only modern", HandshakeOptions{Only: true}, []scriptStep{discover(scriptStep{code: -32601})}, 0, "the server does not speak a modern revision"},
		{"only legacy", HandshakeOptions{Prefer: Legacy, Only: true}, []scriptStep{initialize(scriptStep{code: -32601})}, 0, "the server does not speak a legacy revision"},
		{"neither", HandshakeOptions{}, []scriptStep{discover(scriptStep{code: -32601}), initialize(scriptStep{code: -32601})}, 0, "does not speak a legacy revision"},
		{"unknown version", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{result: `{"protocolVersion":"2023-01-01"}`})}, 0, `the server chose revision "2023-01-01"`},
		{"broken capabilities", HandshakeOptions{Prefer: Legacy}, []scriptStep{initialize(scriptStep{result: `{"protocolVersion":"2025-11-25","capabilities":[]}`})}, 0, "the capabilities of the server are not an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &scriptConn{t: t, steps: tt.steps}
				p, err := Handshake(t.Context(), c, tt.o)
				if len(c.steps) > 0 {
					t.Errorf("not called: %+v", c.steps)
				}
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Fatalf("got %v, want %q", err, tt.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				want := VersionModern
				if tt.era == Legacy {
					want = "2025-06-18"
				}
				if p.Era != tt.era || p.Version != want || c.version != want || string(p.Instructions) != `"hi"` || string(p.ServerInfo) != `{"name":"s"}` || string(p.Capabilities) != `{"tools":{}}` {
					t.Errorf("got %+v, and the transport was told %q", p, c.version)
				}
				if greeted := slices.Contains(c.sent, "notifications/initialized"); greeted != (tt.era == Legacy) {
					t.Errorf("sent %v", c.sent)
				}
			})
		})
	}
}

func TestHandshakeContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := &scriptConn{t: t, steps: []scriptStep{{method: "server/discover", silent: true}}}
		if _, err := Handshake(ctx, c, HandshakeOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}
