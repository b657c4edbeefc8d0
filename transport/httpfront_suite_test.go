package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/transport"
	"github.com/gatehouse-mcp/gatehouse/transport/transporttest"
)

// TestHTTPFrontConn: the host's end of a session passes the suite, with an
// HTTPClient at the other.
func TestHTTPFrontConn(t *testing.T) {
	for _, events := range []bool{false, true} {
		t.Run("only events="+strconv.FormatBool(events), func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) (client, server transport.Conn) {
				host := &suiteHost{ready: make(chan struct{})}
				front, err := transport.NewHTTP(host, nil)
				if err != nil {
					t.Fatal(err)
				}
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if events {
						r.Header.Set("Accept", "text/event-stream")
					}
					front.ServeHTTP(w, r)
				}))
				host.stop = func() error {
					srv.CloseClientConnections()
					err := front.Close()
					srv.Close()
					return err
				}
				c, err := transport.NewHTTPClient(srv.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					_ = c.Close()
					if err := host.Close(); err != nil {
						t.Errorf("Close of the front: %v", err)
					}
				})
				if _, err := transport.Handshake(t.Context(), c, transport.HandshakeOptions{Prefer: transport.Legacy, Only: true}); err != nil {
					t.Fatal(err)
				}
				return c, host
			})
		})
	}
}

// suiteHost is a Host with one session, and the host's end of that. What
// belongs to the handshake it answers itself.
type suiteHost struct {
	transport.Conn // set by Accept
	ready          chan struct{}
	receiver       transport.Receiver // valid once ready is closed
	stop           func() error
	once           sync.Once
	err            error
}

func (h *suiteHost) Accept(_ context.Context, c transport.Conn, _ transport.Principal) (string, transport.Receiver, error) {
	h.Conn = c
	return "one", transport.ReceiverFunc(h.receive), nil
}

func (h *suiteHost) Stateless(context.Context, transport.Conn, transport.Principal, *http.Request, *transport.Message) (*transport.Message, error) {
	return nil, errors.New("not here")
}

func (h *suiteHost) receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	switch m.Method {
	case "initialize":
		return &transport.Message{Result: json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"t","version":"1"}}`)}, nil
	case "notifications/initialized":
		return nil, nil
	}
	select {
	case <-h.ready:
		return h.receiver.Receive(ctx, m)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *suiteHost) Listen(r transport.Receiver) {
	h.receiver = r
	close(h.ready)
}

func (h *suiteHost) Close() error {
	h.once.Do(func() { h.err = h.stop() })
	return h.err
}

// ListensFirst tells the suite that a front is given its receiver by Accept,
// before there is anything to receive.
func (h *suiteHost) ListensFirst() bool { return true }
