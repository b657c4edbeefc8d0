package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// progressOf makes a progress notification of some size.
func progressOf(token string, n, size int) *Message {
	return &Message{Method: methodProgress, Params: json.RawMessage(fmt.Sprintf(`{"progressToken":%q,"progress":%d,"message":"%s"}`, token, n, strings.Repeat("x", size)))}
}

// TestHTTPMergesProgress: what waits for a client that does not read is bounded.
// Progress and log messages are merged or dropped, and counted; the reply is
// there when the client reads at last.
func TestHTTPMergesProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, size, queue = 1000, 4 << 10, 64 << 10
		sent := make(chan error, 1)
		host := &testHost{stateless: func(ctx context.Context, c Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			for i := range n {
				if err := c.Notify(ctx, progressOf("a", i, size)); err != nil {
					sent <- err
					return nil, err
				}
				if err := c.Notify(ctx, &Message{Method: "notifications/message", Params: json.RawMessage(`{"data":"` + strings.Repeat("y", size) + `"}`)}); err != nil {
					sent <- err
					return nil, err
				}
			}
			sent <- nil
			return &Message{Result: json.RawMessage(`{"done":true}`)}, nil
		}}
		var dropped atomic.Int64
		f := newPipeFront(t, host, &HTTPOptions{Queue: queue, OnDrop: func(session string, n int) {
			if session != "" {
				t.Errorf("session %q", session)
			}
			dropped.Add(int64(n))
		}})
		c := f.raw(t)
		body, header := modern("7", "tools/call", `"name":"x"`, "Mcp-Name", "x")
		c.request(http.MethodPost, body, header...)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.http.Stats(); got.Dropped != dropped.Load() || got.Dropped < 2*n-2*queue/size || got.Streams != 1 {
			t.Errorf("%+v, and OnDrop was told of %d", got, dropped.Load())
		}
		events := NewEventReader(c.response().Body, 0)
		progress := -1
		count := 0
		for {
			e, err := events.Next()
			if err != nil {
				t.Fatalf("after %d events: %v", count, err)
			}
			if strings.Contains(string(e.Data), `"result":{"done":true}`) {
				break
			}
			if len(e.Data) == 0 {
				continue
			}
			count++
			var m struct {
				Method string
				Params struct{ Progress int }
			}
			if err := json.Unmarshal(e.Data, &m); err != nil {
				t.Fatal(err)
			}
			if m.Method == methodProgress {
				if m.Params.Progress <= progress {
					t.Errorf("progress %d after %d", m.Params.Progress, progress)
				}
				progress = m.Params.Progress
			}
		}
		if progress != n-1 {
			t.Errorf("the last progress is %d, want the newest, %d", progress, n-1)
		}
		if count+int(dropped.Load()) != 2*n {
			t.Errorf("%d messages came and %d were dropped; %d were sent", count, dropped.Load(), 2*n)
		}
	})
}

// TestHTTPReadsNothing: nor does it hold the server for ever.
func TestHTTPReadsNothing(t *testing.T) {
	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				host := &testHost{stateless: func(ctx context.Context, c Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
					if !stream {
						close(ended)
						return &Message{Result: json.RawMessage(`{"text":"` + strings.Repeat("x", 1<<20) + `"}`)}, nil
					}
					defer close(ended)
					_ = c.Notify(ctx, progressOf("a", 1, 1<<20)) // it is queued
					<-ctx.Done()
					return nil, ctx.Err()
				}}
				f := newPipeFront(t, host, &HTTPOptions{WriteTimeout: 3 * time.Second})
				c := f.raw(t)
				body, header := modern("7", "subscriptions/listen", "")
				start := time.Now()
				c.request(http.MethodPost, body, header...)
				<-ended
				for f.http.Stats().Calls > 0 {
					time.Sleep(100 * time.Millisecond) // of the bubble
				}
				if d := time.Since(start); d < 3*time.Second || d > 10*time.Second {
					t.Errorf("it took %s", d)
				}
				if _, err := io.ReadAll(c); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
			})
		})
	}
}

// TestHTTPSlowReaderResumes: when what must not be dropped finds no room, the
// stream is closed, although its request runs on, and a legacy client gets it
// all by Last-Event-ID.
func TestHTTPSlowReaderResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, size = 40, 8 << 10
		sent := make(chan error, 1)
		flood, reply := make(chan struct{}), make(chan struct{})
		host := &testHost{session: func(ctx context.Context, c Conn, m *Message) (*Message, error) {
			for i := range n {
				if i == 1 {
					<-flood
				}
				if err := c.Notify(ctx, &Message{Method: "notifications/x", Params: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", size)))}); err != nil {
					sent <- err
					return nil, err
				}
			}
			sent <- nil
			select {
			case <-reply:
				return echo(m)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		f := newPipeFront(t, host, &HTTPOptions{Queue: 32 << 10, Resume: 1 << 20})
		h := f.open("2025-11-25")
		c := f.raw(t)
		c.request(http.MethodPost, `{"jsonrpc":"2.0","id":5,"method":"tools/call"}`, h...)
		events := NewEventReader(c.response().Body, 0)
		next := 0
		read := func() bool {
			for {
				e, err := events.Next()
				if err != nil {
					return false
				}
				if len(e.Data) == 0 {
					continue
				}
				if !strings.Contains(string(e.Data), fmt.Sprintf(`{"n":%d,`, next)) {
					t.Fatalf("got %.80s, want %d", e.Data, next)
				}
				next++
				return true
			}
		}
		if !read() {
			t.Fatal("the stream ended")
		}
		close(flood)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for read() {
		}
		if next == n {
			t.Error("the stream was not closed")
		}
		s := f.stream(http.MethodGet, "", append([]string{"Last-Event-ID", events.LastID()}, h...)...)
		for ; next < n; next++ {
			s.next(fmt.Sprintf(`{"n":%d,`, next))
		}
		close(reply)
		s.next(`"id":5,"result"`)
		s.end()
		if d := f.http.Stats().Dropped; d != 0 {
			t.Errorf("%d messages were dropped", d)
		}
	})
}

// TestHTTPModernSlowReader: a modern client cannot resume, so that its request
// ends with the stream.
func TestHTTPModernSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		host := &testHost{stateless: func(ctx context.Context, c Conn, _ Principal, _ *http.Request, m *Message) (*Message, error) {
			for {
				if err := c.Notify(ctx, &Message{Method: "notifications/x", Params: json.RawMessage(`{"pad":"` + strings.Repeat("x", 8<<10) + `"}`)}); err != nil {
					failed <- err
					break
				}
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		f := newPipeFront(t, host, &HTTPOptions{Queue: 64 << 10})
		c := f.raw(t)
		body, header := modern("7", "subscriptions/listen", "")
		c.request(http.MethodPost, body, header...)
		if err := <-failed; err == nil || err.Error() != "the stream of the request has ended" {
			t.Errorf("Notify returned %v", err)
		}
		synctest.Wait() // the pipe takes nothing, so that the end is not written either
		b, _ := io.ReadAll(c)
		if len(b) > 256<<10 || strings.HasSuffix(string(b), "0\r\n\r\n") {
			t.Errorf("%d bytes came, to a proper end", len(b))
		}
	})
}

func TestHTTPSlowSender(t *testing.T) {
	const header = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
	t.Run("header", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newPipeFront(t, nil, &HTTPOptions{HeaderTimeout: 3 * time.Second})
			c := f.raw(t)
			start := time.Now()
			c.write(header)
			if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			if d := time.Since(start); d != 3*time.Second {
				t.Errorf("the connection was closed after %s", d)
			}
		})
	})
	for _, length := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		t.Run(length, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newPipeFront(t, nil, &HTTPOptions{BodyTimeout: 4 * time.Second})
				c := f.raw(t)
				start := time.Now()
				c.write(header + "Content-Type: application/json\r\n" + length + "\r\n\r\n")
				stop := make(chan struct{})
				stopped := make(chan struct{})
				go func() { // one byte now and then is not enough
					defer close(stopped)
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
							if _, err := io.WriteString(c, map[bool]string{true: "1\r\n \r\n", false: " "}[strings.HasPrefix(length, "T")]); err != nil {
								return
							}
						case <-stop:
							return
						}
					}
				}()
				a := c.answer()
				d := time.Since(start)
				close(stop)
				_ = c.Close()
				<-stopped
				if a.status != http.StatusRequestTimeout || !strings.Contains(a.body, `"code":-31004,"message":"the body did not come within the limit of 4s (BodyTimeout)"`) || a.header.Get("Connection") != "close" {
					t.Errorf("%d %v %s", a.status, a.header, a.body)
				}
				if d < 4*time.Second || d > 6*time.Second {
					t.Errorf("the answer came after %s", d)
				}
			})
		})
	}
}

// TestHTTPCloseWhileReading: a body that is still coming when the front closes
// is not called slow.
func TestHTTPCloseWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPipeFront(t, nil, nil)
		c := f.raw(t)
		c.write("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- f.http.Close() }()
		a := c.answer()
		if a.status != 503 || !strings.Contains(a.body, `"code":-31002,"message":"the gateway is shutting down"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
