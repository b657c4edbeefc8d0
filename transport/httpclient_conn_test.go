package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
	"github.com/gatehouse-mcp/gatehouse/transport/transporttest"
)

func TestHTTPClientConn(t *testing.T) {
	for _, way := range []string{"lean", "net-http"} {
		t.Run(way, func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) {
				end := newServerEnd()
				srv := httptest.NewServer(end)
				end.stop = func() {
					srv.CloseClientConnections()
					srv.Close()
				}
				o := &transport.HTTPClientOptions{}
				idle := func() {}
				if way == "net-http" {
					rt := &http.Transport{MaxIdleConnsPerHost: 100}
					o.RoundTripper, idle = rt, rt.CloseIdleConnections
				}
				c, err := transport.NewHTTPClient(srv.URL, o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					_ = c.Close()
					idle()
					_ = end.Close()
				})
				return c, end
			})
		})
	}
}

// serverEnd is the server's end of Streamable HTTP, legacy and without
// sessions, as plain as it can be: every answer is a stream.
type serverEnd struct {
	stop   func()
	once   sync.Once
	done   chan struct{}
	ready  chan struct{} // closed by Listen
	listen transport.Receiver

	mu      sync.Mutex
	seq     int
	running map[string]context.CancelFunc      // the client's requests
	asked   map[string]chan *transport.Message // ours
}

type streamKey struct{}

// stream is the answer to one POST.
type stream struct {
	mu sync.Mutex
	w  http.ResponseWriter
}

func newServerEnd() *serverEnd {
	return &serverEnd{
		done: make(chan struct{}), ready: make(chan struct{}),
		running: make(map[string]context.CancelFunc), asked: make(map[string]chan *transport.Message),
	}
}

func (s *stream) send(m *transport.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		return transport.ErrClosed
	}
	if _, err := s.w.Write(transport.AppendEvent(nil, "", "", 0, m.Append(nil))); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

func (e *serverEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m, err := transport.Parse(b, transport.Limits{})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	select {
	case <-e.ready:
	default:
		if m.IsNotification() { // it is taken, and waits
			go func() {
				if e.listening() {
					_, _ = e.listen.Receive(context.WithoutCancel(r.Context()), m)
				}
			}()
			w.WriteHeader(http.StatusAccepted)
			return
		}
		if !e.listening() {
			return
		}
	}
	switch {
	case m.IsResponse():
		e.mu.Lock()
		c := e.asked[string(m.ID)]
		e.mu.Unlock()
		if c != nil {
			c <- m
		}
		w.WriteHeader(http.StatusAccepted)
	case m.Method == "notifications/cancelled":
		id, _ := rawjson.Get(m.Params, "requestId")
		e.mu.Lock()
		cancel := e.running[string(id)]
		e.mu.Unlock()
		if cancel != nil {
			cancel()
		}
		w.WriteHeader(http.StatusAccepted)
	case m.IsNotification():
		_, _ = e.listen.Receive(r.Context(), m)
		w.WriteHeader(http.StatusAccepted)
	default:
		e.serve(w, r, m)
	}
}

// listening waits for Listen.
func (e *serverEnd) listening() bool {
	select {
	case <-e.ready:
		return true
	case <-e.done:
		return false
	}
}

func (e *serverEnd) serve(w http.ResponseWriter, r *http.Request, m *transport.Message) {
	w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{w: w}
	defer func() {
		s.mu.Lock()
		s.w = nil
		s.mu.Unlock()
	}()
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), streamKey{}, s))
	defer cancel()
	e.mu.Lock()
	e.running[string(m.ID)] = cancel
	e.mu.Unlock()
	reply, err := e.listen.Receive(ctx, m)
	e.mu.Lock()
	delete(e.running, string(m.ID))
	e.mu.Unlock()
	if err != nil {
		reply = m.ReplyError(err)
	} else {
		reply = &transport.Message{ID: m.ID, Result: reply.Result, Error: reply.Error, Extra: reply.Extra}
	}
	_ = s.send(reply)
}

func (e *serverEnd) Call(ctx context.Context, m *transport.Message, _ transport.Receiver) (*transport.Message, error) {
	s, ok := ctx.Value(streamKey{}).(*stream)
	if !ok {
		return nil, errors.New("this end has no stream of its own")
	}
	c := make(chan *transport.Message, 1)
	e.mu.Lock()
	e.seq++
	id := strconv.Itoa(e.seq)
	e.asked[id] = c
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.asked, id)
		e.mu.Unlock()
	}()
	w := *m
	w.ID = json.RawMessage(id)
	if err := s.send(&w); err != nil {
		return nil, err
	}
	select {
	case reply := <-c:
		reply.ID = m.ID
		return reply, nil
	case <-e.done:
		return nil, transport.ErrClosed
	case <-ctx.Done():
		_ = s.send(&transport.Message{Method: "notifications/cancelled", Params: json.RawMessage(`{"requestId":` + id + `}`)})
		return nil, ctx.Err()
	}
}

func (e *serverEnd) Notify(ctx context.Context, m *transport.Message) error {
	s, ok := ctx.Value(streamKey{}).(*stream)
	if !ok {
		return errors.New("this end has no stream of its own")
	}
	return s.send(m)
}

func (e *serverEnd) Listen(r transport.Receiver) {
	e.listen = r
	close(e.ready)
}

func (e *serverEnd) Close() error {
	e.once.Do(func() {
		close(e.done)
		e.stop()
	})
	return nil
}
