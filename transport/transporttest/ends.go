package transporttest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// testClosedByPeer: the peer goes away in the middle of a call.
func testClosedByPeer(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	w := newWaiter()
	server.Listen(w)
	const n = 5
	returned := make(chan error, n)
	for range n {
		go func() {
			_, err := client.Call(ctx, request("1", "tools/call", `{"name":"x"}`), refuse)
			returned <- err
		}()
	}
	for range n {
		await(ctx, t, "the request", w.started)
	}
	if err := server.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range n {
		await(ctx, t, "the end of the request's context", w.ended)
		err := await(ctx, t, "the end of Call", returned)
		closed(t, "a call in flight when the peer went away", err)
	}
	if d, ok := client.(transport.Done); ok {
		if _, pipe := client.(interface{ ReadsUntilEOF() }); pipe {
			await(ctx, t, "Done", d.Done())
		}
	}
}

// testClose: our own Close in the middle of a call.
func testClose(t *testing.T, client, server transport.Conn) {
	ctx := bounded(t)
	client.Listen(refuse)
	w := newWaiter()
	server.Listen(w)
	returned := make(chan error, 1)
	go func() {
		_, err := client.Call(ctx, request("1", "tools/call", `{"name":"x"}`), refuse)
		returned <- err
	}()
	await(ctx, t, "the request", w.started)
	both := make(chan error, 2)
	for range 2 {
		go func() { both <- client.Close() }()
	}
	for range 2 {
		if err := await(ctx, t, "Close", both); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	closed(t, "a call in flight at Close", await(ctx, t, "the end of Call", returned))
	_, err := client.Call(ctx, request("1", "test/echo", `{}`), nil)
	closed(t, "Call after Close", err)
	closed(t, "Notify after Close", client.Notify(ctx, notification("notifications/test", "{}")))
	d, ok := client.(transport.Done)
	if !ok {
		t.Fatal("the conn has no Done")
	}
	await(ctx, t, "Done", d.Done())
	if d.Err() == nil {
		t.Error("Err is nil after Close")
	}
	if err := server.Close(); err != nil {
		t.Errorf("Close of the other end: %v", err)
	}
}

// testSlowReader: a client whose receiver takes nothing gets every reply in
// the end; of progress it may miss some, in which case the rest is in order.
func testSlowReader(t *testing.T, connect func(t *testing.T) (client, server transport.Conn)) {
	client, server := connect(t)
	ctx := bounded(t)
	client.Listen(refuse)
	const n, size = 200, 64 << 10
	pad := strings.Repeat("x", size)
	server.Listen(serve(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if m.Method == "test/echo" {
			return &transport.Message{Result: m.Params}, nil
		}
		for i := range n {
			if err := server.Notify(ctx, notification(progress, fmt.Sprintf(`{"progressToken":1,"progress":%d,"message":"%s"}`, i, pad))); err != nil {
				return nil, err
			}
		}
		return result(`{"done":true}`), nil
	}))
	release := make(chan struct{})
	var seen atomic.Int64
	last := -1
	slow := transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		var i int
		if _, err := fmt.Sscanf(string(m.Params), `{"progressToken":1,"progress":%d,`, &i); err != nil || i <= last {
			t.Errorf("after progress %d came %.60s", last, m.Params)
		}
		last = i
		seen.Add(1)
		return nil, nil
	})
	done := make(chan error, 1)
	go func() {
		reply, err := client.Call(ctx, request("1", "tools/call", `{"name":"x","_meta":{"progressToken":1}}`), slow)
		if err == nil && string(reply.Result) != `{"done":true}` {
			err = fmt.Errorf("got %s", reply.Result)
		}
		done <- err
	}()
	// Others are served meanwhile.
	for i := range 20 {
		params := fmt.Sprintf(`{"n":%d}`, i)
		reply := call(ctx, t, client, request("2", "test/echo", params), nil)
		same(t, "result", reply.Result, []byte(params))
	}
	close(release)
	if err := await(ctx, t, "the reply", done); err != nil {
		t.Error(err)
	}
	if seen.Load() == 0 {
		t.Error("no progress came at all")
	}
	t.Logf("%d of %d progress notifications came", seen.Load(), n)
}

// testListenLate: what comes before Listen waits.
func testListenLate(t *testing.T, connect func(t *testing.T) (client, server transport.Conn)) {
	client, server := connect(t)
	ctx := bounded(t)
	client.Listen(refuse)
	if d, ok := server.(interface{ ListensFirst() bool }); ok && d.ListensFirst() {
		t.Skip("the server's end is made by its receiver")
	}
	replies := make(chan error, 3)
	for range cap(replies) {
		go func() {
			reply, err := client.Call(ctx, request("1", "test/echo", `{"early":1}`), nil)
			if err == nil && string(reply.Result) != `{"early":1}` {
				err = fmt.Errorf("got %s", reply.Result)
			}
			replies <- err
		}()
	}
	if err := client.Notify(ctx, notification("notifications/early", "{}")); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	server.Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		if m.IsNotification() {
			got <- m.Method
			return nil, nil
		}
		return &transport.Message{Result: m.Params}, nil
	}))
	if m := await(ctx, t, "the early notification", got); m != "notifications/early" {
		t.Errorf("got %s", m)
	}
	for range cap(replies) {
		if err := await(ctx, t, "a reply", replies); err != nil {
			t.Error(err)
		}
	}
}

// testLeaks: Close leaves no goroutine.
func testLeaks(t *testing.T, connect func(t *testing.T) (client, server transport.Conn)) {
	ctx := bounded(t)
	once := func(t *testing.T) {
		client, server := connect(t)
		client.Listen(refuse)
		w := newWaiter()
		server.Listen(w)
		call(ctx, t, client, request("1", "test/echo", "{}"), nil)
		ended := make(chan struct{})
		inner, cancel := context.WithCancel(ctx)
		go func() {
			defer close(ended)
			_, _ = client.Call(inner, request("1", "tools/call", `{"name":"x"}`), refuse) // ends with the conn
		}()
		await(ctx, t, "the request", w.started)
		_ = client.Close()
		_ = server.Close()
		<-ended
		cancel()
	}
	t.Run("warm", once) // what a transport keeps for all its conns is there after it
	before := goroutines()
	for i := range 5 {
		t.Run(fmt.Sprint(i), once)
	}
	deadline := time.Now().Add(patience)
	for {
		after := goroutines()
		if extra := after - before; extra <= 0 {
			return
		} else if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left:\n%s", extra, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond) // goroutines that were told to end need not be scheduled yet
	}
}

// goroutines counts the goroutines that run code of package transport: other
// tests may run beside the suite.
func goroutines() int {
	buf := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "/transport.") {
			n++
		}
	}
	return n
}
