package transporttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

const (
	progress = "notifications/progress"
	logging  = "notifications/message"
)

func testProgressBeforeReply(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	const n = 100
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		var p struct {
			Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, err
		}
		for i := range n {
			if err := server.Notify(ctx, notification(progress, fmt.Sprintf(`{"progressToken":%s,"progress":%d}`, p.Meta.ProgressToken, i))); err != nil {
				return nil, err
			}
		}
		return result("{}"), nil
	}))
	outcome := make(chan error, 4)
	for i := range cap(outcome) {
		token := []string{`1`, `"1"`, `"a b"`, `9007199254740993`}[i]
		go func() {
			seen := 0
			fault := error(nil)
			_, err := client.Call(ctx, request("1", "tools/call", `{"name":"x","_meta":{"progressToken":`+token+`}}`),
				transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
					if want := fmt.Sprintf(`{"progressToken":%s,"progress":%d}`, token, seen); string(m.Params) != want {
						fault = fmt.Errorf("got %s, want %s", m.Params, want)
					}
					seen++ // without a lock: notifications come one at a time, and all before Call returns
					return nil, nil
				}))
			switch {
			case err != nil:
				outcome <- err
			case fault != nil:
				outcome <- fault
			case seen != n:
				outcome <- fmt.Errorf("token %s: %d of %d notifications came before the reply", token, seen, n)
			default:
				outcome <- nil
			}
		}()
	}
	for range cap(outcome) {
		if err := await(ctx, t, "a reply", outcome); err != nil {
			t.Error(err)
		}
	}
}

func testNestedCall(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if err := server.Notify(ctx, notification(logging, `{"level":"info","data":1}`)); err != nil {
			return nil, err
		}
		answer, err := server.Call(ctx, request(`"q"`, "elicitation/create", `{"message":"?"}`), nil)
		if err != nil {
			return nil, err
		}
		if string(answer.ID) != `"q"` {
			return nil, fmt.Errorf("the answer has the id %s", answer.ID)
		}
		return &transport.Message{Result: answer.Result}, nil
	}))
	var order []string
	asked := make(chan struct{})
	reply := call(ctx, t, client, request("5", "tools/call", `{"name":"x"}`),
		transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
			if m.IsNotification() {
				order = append(order, m.Method) // before the request starts
				return nil, nil
			}
			defer close(asked)
			order = append(order, m.Method)
			return result(`{"action":"accept","n":12345678901234567890}`), nil
		}))
	same(t, "result", reply.Result, []byte(`{"action":"accept","n":12345678901234567890}`))
	await(ctx, t, "the end of the request", asked)
	if got := fmt.Sprint(order); got != "[notifications/message elicitation/create]" {
		t.Errorf("the call's receiver got %s", got)
	}
}

func testNotify(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	const n = 100
	got := make(chan string, 2*n)
	server.Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		got <- m.Method + string(m.Params)
		if m.IsRequest() {
			return result("{}"), nil
		}
		return nil, nil
	}))
	for i := range n {
		if err := client.Notify(ctx, notification("notifications/test", fmt.Sprintf(`{"n":%d}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	call(ctx, t, client, request("1", "test/last", "{}"), nil)
	for i := range n {
		if s, want := await(ctx, t, "a notification", got), fmt.Sprintf(`notifications/test{"n":%d}`, i); s != want {
			t.Fatalf("got %s, want %s", s, want)
		}
	}
	if s := await(ctx, t, "the request", got); s != "test/last{}" {
		t.Errorf("got %s after the notifications", s)
	}
}

// testServerCall: with a nil related, and for what belongs to no call, the
// receiver of Listen is asked.
func testServerCall(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	changed := make(chan string, 1)
	client.Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		if m.IsNotification() {
			changed <- m.Method
			return nil, nil
		}
		return &transport.Message{Result: m.Params}, nil
	}))
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		answer, err := server.Call(ctx, request("1", "roots/list", `{"r":1}`), nil)
		if err != nil {
			return nil, err
		}
		if err := server.Notify(ctx, notification("notifications/tools/list_changed", `{}`)); err != nil {
			return nil, err
		}
		return &transport.Message{Result: answer.Result}, nil
	}))
	reply := call(ctx, t, client, request("1", "tools/list", `{}`), nil)
	same(t, "result", reply.Result, []byte(`{"r":1}`))
	if m := await(ctx, t, "the notification", changed); m != "notifications/tools/list_changed" {
		t.Errorf("got %s", m)
	}
}

// waiter is a receiver whose requests wait for the end of their context.
type waiter struct {
	started, ended chan string
}

func newWaiter() *waiter { return &waiter{make(chan string, 100), make(chan string, 100)} }

func (w *waiter) Receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	switch {
	case m.Method == "test/echo":
		return &transport.Message{Result: m.Params}, nil
	case m.IsNotification():
		if m.Method == "notifications/cancelled" {
			w.started <- m.Method // nobody is to get this one
		}
		return nil, nil
	}
	w.started <- m.Method
	<-ctx.Done()
	w.ended <- m.Method
	return nil, ctx.Err()
}

func testCancelCall(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	w := newWaiter()
	server.Listen(w)
	inner, cancel := context.WithCancelCause(ctx)
	returned := make(chan error, 1)
	go func() {
		_, err := client.Call(inner, request("1", "tools/call", `{"name":"x"}`), refuse)
		returned <- err
	}()
	await(ctx, t, "the request", w.started)
	cancel(errors.New("enough"))
	if err := await(ctx, t, "the end of Call", returned); !errors.Is(err, context.Canceled) {
		t.Errorf("Call returned %v, want the context's error", err)
	}
	await(ctx, t, "the end of the request's context", w.ended)
	// The conn lives on, and the late reply hits nobody.
	for range 3 {
		reply := call(ctx, t, client, request("1", "test/echo", `{"a":1}`), nil)
		same(t, "result", reply.Result, []byte(`{"a":1}`))
	}
	select {
	case m := <-w.started:
		t.Errorf("the receiver got %s", m)
	default:
	}
	// A context that has ended sends nothing.
	if _, err := client.Call(inner, request("1", "tools/call", `{"name":"x"}`), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call with an ended context returned %v", err)
	}
}

func testCancelNestedCall(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	asked := newWaiter()
	outcome := make(chan error, 1)
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-asked.started:
				cancel()
			case <-ctx.Done():
			}
		}()
		_, err := server.Call(inner, request("1", "sampling/createMessage", `{}`), nil)
		outcome <- err
		select { // the client's receiver learns of it before the reply
		case <-asked.ended:
		case <-ctx.Done():
		}
		return result("{}"), nil
	}))
	call(ctx, t, client, request("1", "tools/call", `{"name":"x"}`), asked)
	if err := await(ctx, t, "the end of the nested call", outcome); !errors.Is(err, context.Canceled) {
		t.Errorf("the nested Call returned %v", err)
	}
}
