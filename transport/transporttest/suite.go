package transporttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// Run runs the suite. connect returns two connected ends on which nothing has
// been said; it sees to it that they are closed at the end of t. Receivers
// are set by the suite.
func Run(t *testing.T, connect func(t *testing.T) (client, server transport.Conn)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, client, server transport.Conn)
	}{
		{"Reply", testReply},
		{"ErrorReply", testErrorReply},
		{"IDs", testIDs},
		{"Raw", testRaw},
		{"Big", testBig},
		{"CrossedReplies", testCrossedReplies},
		{"ProgressBeforeReply", testProgressBeforeReply},
		{"NestedCall", testNestedCall},
		{"Notify", testNotify},
		{"ServerCall", testServerCall},
		{"CancelCall", testCancelCall},
		{"CancelNestedCall", testCancelNestedCall},
		{"ClosedByPeer", testClosedByPeer},
		{"Close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := connect(t)
			c.run(t, client, server)
		})
	}
	t.Run("SlowReader", func(t *testing.T) { testSlowReader(t, connect) })
	t.Run("ListenLate", func(t *testing.T) { testListenLate(t, connect) })
	t.Run("Leaks", func(t *testing.T) { testLeaks(t, connect) })
}

// request makes a request.
func request(id, method, params string) *transport.Message {
	return &transport.Message{ID: json.RawMessage(id), Method: method, Params: json.RawMessage(params)}
}

// notification makes a notification.
func notification(method, params string) *transport.Message {
	return &transport.Message{Method: method, Params: json.RawMessage(params)}
}

// result makes a reply without an id.
func result(raw string) *transport.Message { return &transport.Message{Result: json.RawMessage(raw)} }

// serve makes a receiver of requests; notifications are ignored.
func serve(f func(ctx context.Context, m *transport.Message) (*transport.Message, error)) transport.Receiver {
	return transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if m.IsNotification() {
			return nil, nil
		}
		return f(ctx, m)
	})
}

// echo answers every request with its params.
var echo = serve(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
	return &transport.Message{Result: m.Params}, nil
})

// refuse answers nothing.
var refuse = serve(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
	return nil, transport.Errorf(transport.CodeMethodNotFound, "not here: %s", m.Method)
})

// bounded is a context that ends when the suite is out of patience.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// call calls and fails the test on an error.
func call(ctx context.Context, t *testing.T, c transport.Conn, m *transport.Message, related transport.Receiver) *transport.Message {
	t.Helper()
	reply, err := c.Call(ctx, m, related)
	if err != nil {
		t.Fatalf("Call %s: %v", m.Method, err)
	}
	if reply == nil {
		t.Fatalf("Call %s: neither reply nor error", m.Method)
	}
	return reply
}

// await waits for something.
func await[T any](ctx context.Context, t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-ctx.Done():
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if string(got) != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", what, clip(got), clip(want))
	}
}

func clip(b []byte) string {
	if len(b) > 500 {
		return fmt.Sprintf("%s… (%d bytes)", b[:500], len(b))
	}
	return string(b)
}

// closed fails the test unless err is that of a conn that has ended.
func closed(t *testing.T, what string, err error) {
	t.Helper()
	var e *transport.Error
	switch {
	case err == nil:
		t.Errorf("%s: no error", what)
	case !errors.Is(err, transport.ErrClosed) && !errors.As(err, &e):
		t.Errorf("%s: %v is neither ErrClosed nor a *transport.Error", what, err)
	}
}

func testReply(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	server.Listen(echo)
	for i := range 3 {
		params := fmt.Sprintf(`{"n":%d}`, i)
		reply := call(ctx, t, client, request(fmt.Sprint(i), "test/echo", params), nil)
		same(t, "result", reply.Result, []byte(params))
		same(t, "id", reply.ID, []byte(fmt.Sprint(i)))
		if !reply.IsResponse() {
			t.Error("the reply is no response")
		}
	}
}

func testErrorReply(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	server.Listen(serve(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		switch m.Method {
		case "test/raw":
			return &transport.Message{Error: json.RawMessage(`{"code":-32602,"message":"raw","data":{"n":9007199254740993},"more":true}`)}, nil
		case "test/rpc":
			return nil, &transport.RPCError{Code: -32001, Message: "own", Data: json.RawMessage(`[1]`)}
		}
		return nil, errors.New("the password is hunter2")
	}))
	for method, want := range map[string]string{
		"test/raw":   `{"code":-32602,"message":"raw","data":{"n":9007199254740993},"more":true}`,
		"test/rpc":   `{"code":-32001,"message":"own","data":[1]}`,
		"test/plain": `{"code":-32603,"message":"internal error"}`,
	} {
		reply := call(ctx, t, client, request("1", method, "{}"), nil)
		same(t, method, reply.Error, []byte(want))
		if reply.Result != nil {
			t.Errorf("%s: an error reply has a result", method)
		}
	}
}

func testIDs(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	server.Listen(echo)
	for _, id := range []string{`1`, `"1"`, `9007199254740993`, `"\u0041"`, `""`, `-0`, `1.50`, `"` + strings.Repeat("x", 2000) + `"`} {
		reply := call(ctx, t, client, request(id, "test/echo", "{}"), nil)
		same(t, "id", reply.ID, []byte(id))
	}
	// Two callers may use the same id at once.
	both := make(chan error, 2)
	for i := range 2 {
		params := fmt.Sprintf(`{"i":%d}`, i)
		go func() {
			reply, err := client.Call(ctx, request("7", "test/echo", params), nil)
			if err == nil && string(reply.Result) != params {
				err = fmt.Errorf("got the reply %s to %s", reply.Result, params)
			}
			both <- err
		}()
	}
	for range 2 {
		if err := await(ctx, t, "a reply", both); err != nil {
			t.Error(err)
		}
	}
}

// odd is JSON that a decoder would change.
const odd = `{"big":12345678901234567890,"float":1.0e+2,"neg":-0,"text":"\u00e9\/","":[],"a":{"z":1,"a":2},"sp" : [ 1 , 2 ]}`

func testRaw(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	got := make(chan *transport.Message, 1)
	server.Listen(serve(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		got <- m
		return &transport.Message{Result: m.Params, Extra: json.RawMessage(`"vendor":[1.0]`)}, nil
	}))
	m := request("1", "test/unknown method ☃", odd)
	m.Extra = json.RawMessage(`"vendor":{"n":12345678901234567890},"x":null`)
	reply := call(ctx, t, client, m, nil)
	in := await(ctx, t, "the request", got)
	if in.Method != m.Method {
		t.Errorf("method: got %q, want %q", in.Method, m.Method)
	}
	same(t, "params", in.Params, m.Params)
	same(t, "extra members of the request", in.Extra, m.Extra)
	same(t, "result", reply.Result, []byte(odd))
	same(t, "extra members of the reply", reply.Extra, []byte(`"vendor":[1.0]`))
	if m.ID == nil || string(m.Params) != odd {
		t.Error("the caller's message was changed")
	}
}

func testBig(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	server.Listen(echo)
	for _, n := range []int{1 << 12, 1<<16 - 1, 1 << 16, 1 << 20} {
		params := `{"text":"` + strings.Repeat("0123456789abcdef", n/16) + `"}`
		reply := call(ctx, t, client, request("1", "test/echo", params), nil)
		same(t, "result", reply.Result, []byte(params))
	}
	big := `{"text":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`
	many := make(chan error, 8)
	for range cap(many) {
		go func() {
			reply, err := client.Call(ctx, request("1", "test/echo", big), nil)
			if err == nil && string(reply.Result) != big {
				err = errors.New("a big reply is damaged")
			}
			many <- err
		}()
	}
	for range cap(many) {
		if err := await(ctx, t, "a big reply", many); err != nil {
			t.Error(err)
		}
	}
}

func testCrossedReplies(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	const n = 50
	var turn [n + 1]chan struct{}
	for i := range turn {
		turn[i] = make(chan struct{})
	}
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		var p struct{ I int }
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, err
		}
		select { // the last one is answered first
		case <-turn[p.I+1]:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		close(turn[p.I])
		return &transport.Message{Result: m.Params}, nil
	}))
	done := make(chan error, n)
	for i := range n {
		go func() {
			params := fmt.Sprintf(`{"i":%d}`, i)
			reply, err := client.Call(ctx, request("1", "test/echo", params), nil)
			if err == nil && string(reply.Result) != params {
				err = fmt.Errorf("call %d got %s", i, reply.Result)
			}
			done <- err
		}()
	}
	close(turn[n])
	for range n {
		if err := await(ctx, t, "a reply", done); err != nil {
			t.Error(err)
		}
	}
}
