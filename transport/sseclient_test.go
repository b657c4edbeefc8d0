package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// httpOldPeer is a server of HTTP+SSE. Replies are what answer returns; each
// request is sent to the client in between.
func httpOldPeer(endpoint string, answer func(m *Message) []string) *httpPeer {
	queue := make(chan string, 10)
	p := &httpPeer{}
	p.post = func(w http.ResponseWriter, r *http.Request, m *Message) {
		if r.URL.Path != "/messages" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		for _, s := range answer(m) {
			queue <- s
		}
	}
	p.other = func(w http.ResponseWriter, r *http.Request) {
		httpEvents(w)
		_, _ = w.Write(AppendEvent(nil, "", "endpoint", 0, []byte(endpoint)))
		w.(http.Flusher).Flush()
		for {
			select {
			case s := <-queue:
				if s == "" {
					return
				}
				_, _ = w.Write(AppendEvent(nil, "", "message", 0, []byte(s)))
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
	return p
}

func TestSSEClient(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		answers := make(chan string, 1)
		p := httpOldPeer("/messages?session=1", func(m *Message) []string {
			switch {
			case m.Method == "initialize":
				return []string{string(m.Reply(json.RawMessage(`{"protocolVersion":"2024-11-05","capabilities":{}}`)).Append(nil))}
			case m.Method == "tools/call":
				return []string{
					`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7}}`,
					`{"jsonrpc":"2.0","method":"notifications/message","params":{}}`,
					`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`,
					string(m.Reply(json.RawMessage(`{"done":true}`)).Append(nil)),
				}
			case m.Method == "fail":
				return []string{""}
			case m.IsResponse():
				answers <- string(m.Append(nil))
			}
			return nil
		})
		c := p.connect(t, HTTPClientOptions{})
		idle := &httpInbox{on: func(context.Context, *Message) (*Message, error) {
			return &Message{Result: json.RawMessage(`{"roots":[]}`)}, nil
		}}
		in := &httpInbox{}
		c.Listen(idle)
		httpGreet(t, c, Modern)
		got, err := c.Call(t.Context(), httpAsk("tools/call", `{"_meta":{"progressToken":7}}`), in)
		if err != nil || string(got.Result) != `{"done":true}` || string(got.ID) != `"caller-1"` {
			t.Fatalf("got %v and %v", got, err)
		}
		if got, want := <-answers, `{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if in.String() != `notifications/progress {"progressToken":7}` || idle.String() != "notifications/message {}, roots/list " {
			t.Errorf("the call got %s, the idle receiver %s", in, idle)
		}
		if want := "POST server/discover, POST initialize, GET, POST initialize, POST notifications/initialized"; !strings.HasPrefix(p.seen(), want) {
			t.Errorf("got %s, want %s", p.seen(), want)
		}
		// The stream ends: so does the conn, and the call that waits.
		_, err = c.Call(t.Context(), httpAsk("fail", `{}`), nil)
		var e *Error
		if !errors.As(err, &e) || !e.Sent || !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		<-c.Done()
	})
}

func TestSSEClientRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, endpoint string
		disable        bool
		want           string
	}{
		{"another origin", "http://evil.test/messages", false, "the server named an endpoint of another origin"},
		{"another port", "http://user.test:81/messages", false, "the server named an endpoint of another origin"},
		{"disabled", "/messages", true, "HTTP 405"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T) {
				p := httpOldPeer(tt.endpoint, func(*Message) []string { t.Error("the endpoint was used"); return nil })
				c := p.connect(t, HTTPClientOptions{DisableSSE: tt.disable})
				_, err := Handshake(t.Context(), c, HandshakeOptions{Prefer: Legacy, Only: true})
				var e *Error
				if !errors.As(err, &e) || e.Status != 405 || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A server that opens a stream but names no endpoint must not hold up the
// handshake for ever.
func TestSSEClientSilentStream(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{
			post: func(w http.ResponseWriter, _ *http.Request, _ *Message) { w.WriteHeader(http.StatusNotFound) },
			other: func(w http.ResponseWriter, r *http.Request) {
				httpEvents(w)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			},
		}
		c := p.connect(t, HTTPClientOptions{})
		_, err := Handshake(t.Context(), c, HandshakeOptions{Prefer: Legacy, Only: true})
		var e *Error
		if !errors.As(err, &e) || e.Status != 404 {
			t.Errorf("got %v", err)
		}
	})
}
