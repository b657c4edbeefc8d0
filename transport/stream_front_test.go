package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// serves makes a receiver of requests that are answered by f.
func serves(f func(ctx context.Context, m *transport.Message) (*transport.Message, error)) transport.Receiver {
	return transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if m.IsNotification() {
			return nil, nil
		}
		return f(ctx, m)
	})
}

var echoes = serves(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
	return &transport.Message{Result: json.RawMessage(`"` + m.Method + `"`)}, nil
})

// sends writes without waiting for the reader; the pipe holds nothing itself.
func (w *wire) sends(lines ...string) <-chan error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w.in, strings.Join(lines, "\n")+"\n")
		sent <- err
	}()
	return sent
}

// TestStreamMalformed: who speaks to us as a client is told what was wrong with
// a line, and the next line is read as ever.
func TestStreamMalformed(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	w.conn.Listen(echoes)
	reply := func(id string, code int, text string) string {
		b, _ := json.Marshal(text) // a string
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, code, b)
	}
	for _, c := range []struct{ line, want string }{
		{`{"jsonrpc":"2.0","id":7,"method":`, reply("7", transport.CodeParse, "syntax: method (byte 33): the text ends within a value; send the whole value")},
		{`{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}`, reply("7", transport.CodeInvalidRequest, "duplicate-key: method (byte 37): the key stands twice in its object; send it once")},
		{`{"jsonrpc":"2.0","id":7,"method":"a","params":{"Name":"x"}}`, reply("7", transport.CodeInvalidRequest, `case-variant-key: params.Name (byte 1): the key equals "name" but for its case; spell it so or drop it`)},
		{`{"jsonrpc":"2.0","id":7,"method":"a","params":[]}`, reply("7", transport.CodeInvalidParams, "params is not an object")},
		{`{"jsonrpc":"2.0","id":null,"method":"a"}`, reply("null", transport.CodeInvalidRequest, "the id of a request is null")},
		{`{}`, reply("null", transport.CodeInvalidRequest, `envelope: jsonrpc (byte 0): the member is missing; send "jsonrpc":"2.0"`)},
		{`{"jsonrpc":"2.0","id":7,"method":"a","params":{"arguments":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}}`, `{"jsonrpc":"2.0","id":7,"error":{"code":-31003,"message":"depth: params.arguments[0][0][0][0][0][0][…][0][0][0][0][0][0][0][0] (byte 257): nested deeper than the limit of 200 levels; flatten the value","data":{"limit":"depth"}}}`},
		{`{"jsonrpc":"2.0","id":"\ud800","method":"a"}`, reply("null", transport.CodeInvalidRequest, `forbidden-character: id (byte 22): the text holds half of a surrogate pair (\ud800 to \udfff); remove it or send both halves`)},
		{`{"jsonrpc":"2.0","id":7,"method":"a"}` + "\r", `{"jsonrpc":"2.0","id":7,"result":"a"}`},
		{"\ufeff" + `{"jsonrpc":"2.0","id":7,"method":"a"}`, `{"jsonrpc":"2.0","id":7,"result":"a"}`},
	} {
		sent := w.sends(c.line)
		w.want(c.want)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestStreamLongLine: a line beyond the limit is not kept; its sender is
// answered, with its id where that can be known, and the next line is read.
func TestStreamLongLine(t *testing.T) {
	t.Parallel()
	const limit = 16 << 10
	w := newWire(t, &transport.StreamOptions{Limits: transport.Limits{Body: limit}})
	w.conn.Listen(echoes)
	pad := strings.Repeat("x", 10*limit)
	const why = `"error":{"code":-31003,"message":"the message is longer than the limit of 16384 bytes (line)","data":{"limit":"line"}}}`
	for _, c := range []struct{ line, want string }{
		{`{"jsonrpc":"2.0","id":7,"method":"a","params":{"pad":"` + pad + `"}}`, `{"jsonrpc":"2.0","id":7,` + why},
		{`{"jsonrpc":"2.0","method":"a","params":{"pad":"` + pad + `"},"id":8}`, `{"jsonrpc":"2.0","id":8,` + why},
		{`{"jsonrpc":"2.0","method":"a","params":{"pad":"` + pad + `"}}`, `{"jsonrpc":"2.0","id":null,` + why},
	} {
		sent := w.sends(c.line, `{"jsonrpc":"2.0","id":9,"method":"next"}`)
		w.want(c.want)
		w.want(`{"jsonrpc":"2.0","id":9,"result":"next"}`)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	head, tail := `{"jsonrpc":"2.0","id":7,"method":"a","params":{"pad":"`, `"}}`
	sent := w.sends(head + strings.Repeat("x", limit-len(head)-len(tail)) + tail)
	w.want(`{"jsonrpc":"2.0","id":7,"result":"a"}`)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestStreamReplyOrder: replies leave as they are ready, each after what
// belongs to it.
func TestStreamReplyOrder(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	slow := make(chan struct{})
	w.conn.Listen(serves(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if m.Method == "slow" {
			<-slow
		}
		for i := range 3 {
			if err := w.conn.Notify(ctx, &transport.Message{Method: "notifications/" + m.Method, Params: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
				return nil, err
			}
		}
		return &transport.Message{Result: json.RawMessage(`"` + m.Method + `"`)}, nil
	}))
	sent := w.sends(`{"jsonrpc":"2.0","id":1,"method":"slow"}`, `{"jsonrpc":"2.0","id":"2","method":"fast"}`)
	for _, method := range []string{"fast", "slow"} {
		for i := range 3 {
			w.want(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/%s","params":{"n":%d}}`, method, i))
		}
		if method == "fast" {
			w.want(`{"jsonrpc":"2.0","id":"2","result":"fast"}`)
			close(slow)
		}
	}
	w.want(`{"jsonrpc":"2.0","id":1,"result":"slow"}`)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	// An id is not used twice at once.
	w2 := newWire(t, &transport.StreamOptions{Requests: 2})
	w2.conn.Listen(serves(func(ctx context.Context, _ *transport.Message) (*transport.Message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	w2.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
	w2.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
	w2.want(`{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"a request with this id is still running"}}`)
	w2.send(`{"jsonrpc":"2.0","id":2,"method":"wait"}`)
	w2.send(`{"jsonrpc":"2.0","id":3,"method":"wait"}`)
	w2.want(`{"jsonrpc":"2.0","id":3,"error":{"code":-31003,"message":"more than 2 requests at once (requests)","data":{"limit":"requests"}}}`)
}

// TestStreamClientGone: when the client closes its end, its requests are
// cancelled, or with Linger answered, and our own calls end.
func TestStreamClientGone(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan error, 1)
	w := newWire(t, nil)
	w.conn.Listen(serves(func(ctx context.Context, _ *transport.Message) (*transport.Message, error) {
		_, err := w.conn.Call(ctx, request("roots/list"), nil)
		ended <- err
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	go func() { // what we write
		_, _ = w.out.next()
		close(started)
		_, _ = io.Copy(io.Discard, w.out.r)
	}()
	w.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
	<-started
	_ = w.in.Close()
	var e *transport.Error
	if err := <-ended; !errors.Is(err, transport.ErrClosed) || !errors.As(err, &e) || !e.Sent {
		t.Errorf("the call ended with %v", err)
	}
	<-w.conn.Done()
	if err := w.conn.Err(); !errors.Is(err, transport.ErrClosed) || !errors.Is(err, io.EOF) {
		t.Errorf("Err is %v", err)
	}
	if err := w.conn.Notify(t.Context(), &transport.Message{Method: "notifications/x"}); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Notify returned %v", err)
	}

	goOn := make(chan struct{})
	running := make(chan struct{})
	w2 := newWire(t, &transport.StreamOptions{Linger: time.Minute})
	w2.conn.Listen(serves(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		close(running)
		<-goOn
		return &transport.Message{Result: json.RawMessage(`"late"`)}, nil
	}))
	w2.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
	<-running
	_ = w2.in.Close()
	close(goOn)
	w2.want(`{"jsonrpc":"2.0","id":1,"result":"late"}`)
	<-w2.conn.Done()
}

// TestStreamClientNeverReads: what waits for a client that does not read is
// bounded; progress and log messages are dropped and counted, replies wait.
func TestStreamClientNeverReads(t *testing.T) {
	t.Parallel()
	const n = 100
	dropped := 0
	w := newWire(t, &transport.StreamOptions{Queue: 4 << 10, OnDrop: func(n int) { dropped += n }})
	sent := make(chan error, 1)
	w.conn.Listen(serves(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		for i := range n {
			if err := w.conn.Notify(ctx, &transport.Message{Method: "notifications/progress", Params: json.RawMessage(fmt.Sprintf(`{"progressToken":1,"progress":%d,"pad":"%s"}`, i, strings.Repeat("x", 400)))}); err != nil {
				sent <- err
				return nil, err
			}
		}
		sent <- nil
		return &transport.Message{Result: json.RawMessage(`"done"`)}, nil
	}))
	w.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	// A context bounds how long anything else waits.
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() {
		waits <- w.conn.Notify(ctx, &transport.Message{Method: "notifications/x", Params: json.RawMessage(`{"pad":"` + strings.Repeat("x", 8<<10) + `"}`)})
	}()
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("Notify returned %v", err)
	}
	came := 0
	for {
		line, err := w.out.next()
		if err != nil {
			t.Fatal(err)
		}
		if line == `{"jsonrpc":"2.0","id":1,"result":"done"}` {
			break
		}
		came++
	}
	if came == 0 || came > 20 || came+dropped != n {
		t.Errorf("%d messages came and %d were dropped; %d were sent", came, dropped, n)
	}
}
