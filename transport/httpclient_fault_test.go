package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTPClientStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, m *Message)
		reply  string // the error of the reply
		status int
		sent   bool
		err    string
	}{
		{"modern 404", func(w http.ResponseWriter, m *Message) {
			w.WriteHeader(404)
			_, _ = w.Write(m.ReplyError(Errorf(-32601, "no such method")).Append(nil))
		}, `{"code":-32601,"message":"no such method"}`, 404, false, ""},
		{"error without id", func(w http.ResponseWriter, _ *Message) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","error":{"code":-32020,"message":"x","data":{"n":12345678901234567890}}}`))
		}, `{"code":-32020,"message":"x","data":{"n":12345678901234567890}}`, 400, false, ""},
		{"error of another request", func(w http.ResponseWriter, _ *Message) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":77,"error":{"code":-32020,"message":"x"}}`))
		}, "", 400, false, "HTTP 400: POST http://user.test/mcp: Bad Request"},
		{"unauthorized", func(w http.ResponseWriter, m *Message) {
			w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="x"`)
			w.WriteHeader(401)
			_, _ = w.Write(m.ReplyError(Errorf(-1, "no")).Append(nil))
		}, "", 401, false, "HTTP 401: POST http://user.test/mcp: Unauthorized"},
		{"forbidden", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			w.WriteHeader(403)
		}, "", 403, false, "HTTP 403: POST http://user.test/mcp: Forbidden"},
		{"overloaded", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(503)
		}, "", 503, true, "HTTP 503: POST http://user.test/mcp: Service Unavailable"},
		{"no reply", func(w http.ResponseWriter, _ *Message) { w.WriteHeader(202) }, "", 202, true, "HTTP 202: POST http://user.test/mcp: Accepted, instead of a reply"},
		{"a page", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, "", 200, true, `HTTP 200: POST http://user.test/mcp: OK, with the content type "text/html" instead of a reply`},
		{"reply to another", func(w http.ResponseWriter, _ *Message) {
			httpReply(w, &Message{ID: json.RawMessage("99")}, "{}")
		}, "", 200, true, "HTTP 200: http://user.test/mcp answered without a reply to the request"},
		{"not JSON", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{")
		}, "", 0, true, "http://user.test/mcp sent what is no valid message"},
		{"too large", func(w http.ResponseWriter, m *Message) {
			httpReply(w, m, `"`+strings.Repeat("x", 2000)+`"`)
		}, "", 0, true, "longer than the limit of 1000 bytes (reply)"},
		{"too large, chunked", func(w http.ResponseWriter, m *Message) {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			_, _ = w.Write(m.Reply(json.RawMessage(`"` + strings.Repeat("x", 2000) + `"`)).Append(nil))
		}, "", 0, true, "longer than the limit of 1000 bytes (reply)"},
		{"too large, stream", func(w http.ResponseWriter, m *Message) {
			httpEvents(w)("1", 0, string(m.Reply(json.RawMessage(`"`+strings.Repeat("x", 2000)+`"`)).Append(nil)))
		}, "", 0, true, "an event of the stream is longer than the limit of 1000 bytes"},
		{"too deep", func(w http.ResponseWriter, m *Message) {
			httpReply(w, m, strings.Repeat("[", 300)+strings.Repeat("]", 300))
		}, "", 0, true, "no valid message"},
		{"redirect elsewhere", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Location", "https://evil.test/x?token=secret")
			w.WriteHeader(307)
		}, "", 307, false, "HTTP 307: http://user.test/mcp redirects to another origin, https://evil.test/x, which would get the credentials; configure that URL if it is trusted"},
		{"redirect that loses", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Location", "/other")
			w.WriteHeader(302)
		}, "", 302, false, "redirects which would lose the request"},
		{"endless redirects", func(w http.ResponseWriter, _ *Message) {
			w.Header().Set("Location", "/mcp")
			w.WriteHeader(308)
		}, "", 0, false, "more than 5 redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T) {
				p := &httpPeer{post: func(w http.ResponseWriter, _ *http.Request, m *Message) { tt.answer(w, m) }}
				c := p.connect(t, HTTPClientOptions{Reply: 1000})
				c.SetProtocolVersion(VersionModern)
				got, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
				if tt.reply != "" {
					if err != nil || string(got.Error) != tt.reply || got.Status != tt.status || string(got.ID) != `"caller-1"` {
						t.Errorf("got %+v and %v", got, err)
					}
					return
				}
				var e *Error
				if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.err) || e.Status != tt.status || e.Sent != tt.sent {
					t.Fatalf("got %+v, want %q", err, tt.err)
				}
				if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "secret") {
					t.Errorf("the error shows a query: %v", err)
				}
				if h := e.Header.Get("Www-Authenticate") + e.Header.Get("Retry-After"); (h != "") != (tt.status == 401 || tt.status == 403 || tt.status == 503) {
					t.Errorf("kept headers: %v", e.Header)
				}
			})
		})
	}
}

func TestHTTPClientRedirect(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{post: func(w http.ResponseWriter, r *http.Request, m *Message) {
			if r.URL.Path == "/mcp" {
				w.Header().Set("Location", "/real")
				w.WriteHeader(307)
				return
			}
			httpReply(w, m, `{"path":"`+r.URL.Path+r.Header.Get("Authorization")+`"}`)
		}}
		c := p.connect(t, HTTPClientOptions{Header: http.Header{"Authorization": {" x"}}})
		got, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
		if err != nil || string(got.Result) != `{"path":"/realx"}` {
			t.Errorf("got %v and %v", got, err)
		}
	})
}

func TestHTTPClientSessionExpires(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`} {
		eachWay(t, func(t *testing.T) {
			p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, body)
			})
			c := p.connect(t, HTTPClientOptions{})
			c.Listen(nil)
			httpGreet(t, c, Legacy)
			for range 2 {
				_, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
				var e *Error
				if !errors.Is(err, ErrSessionExpired) || !errors.As(err, &e) || e.Status != 404 || e.Sent {
					t.Errorf("got %v", err)
				}
			}
			<-c.Done()
			if !errors.Is(c.Err(), ErrSessionExpired) {
				t.Errorf("the conn ended with %v", c.Err())
			}
			_ = c.Close()
			if strings.Contains(p.seen(), "DELETE") {
				t.Errorf("a lost session was ended: %s", p.seen())
			}
		})
	}
}

// A server that has no GET route at all must not be taken for one that lost
// the session.
func TestHTTPClientNoStandaloneStream(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 400, 501} {
		eachWay(t, func(t *testing.T) {
			p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) { httpReply(w, m, `{}`) })
			p.other = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
			c := p.connect(t, HTTPClientOptions{})
			c.Listen(nil)
			httpGreet(t, c, Legacy)
			synctest.Wait()
			if _, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil); err != nil {
				t.Errorf("%d: %v", status, err)
			}
		})
	}
}

func TestHTTPClientStandbyReconnects(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) { httpReply(w, m, `{}`) })
		n := 0
		p.other = func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				return
			}
			switch n++; n {
			case 1:
				httpEvents(w)("e1", 100, `{"jsonrpc":"2.0","method":"notifications/a"}`)
			case 2:
				w.WriteHeader(http.StatusBadGateway)
			case 3:
				httpEvents(w)("e2", 0, `{"jsonrpc":"2.0","method":"notifications/b"}`)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}
		c := p.connect(t, HTTPClientOptions{})
		in := &httpInbox{}
		c.Listen(in)
		httpGreet(t, c, Legacy)
		<-c.Done() // by the 404: the stream was there before
		if !errors.Is(c.Err(), ErrSessionExpired) {
			t.Errorf("the conn ended with %v", c.Err())
		}
		if want := "POST initialize, POST notifications/initialized, GET, GET e1, GET e1, GET e2"; p.seen() != want {
			t.Errorf("got %s, want %s", p.seen(), want)
		}
		if want := "notifications/a , notifications/b "; in.String() != want {
			t.Errorf("got %s, want %s", in, want)
		}
	})
}

func TestHTTPClientCloseDuringCall(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := httpLegacyPeer(func(_ http.ResponseWriter, r *http.Request, _ *Message) { <-r.Context().Done() })
		c := p.connect(t, HTTPClientOptions{})
		c.Listen(nil)
		httpGreet(t, c, Legacy)
		got := make(chan error)
		go func() {
			_, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
			got <- err
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A DELETE that nobody answers delays Close by two seconds at most.
func TestHTTPClientCloseIsBounded(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := httpLegacyPeer(nil)
		p.other = func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			<-r.Context().Done()
		}
		c := p.connect(t, HTTPClientOptions{})
		c.Listen(nil)
		httpGreet(t, c, Legacy)
		start := time.Now()
		_ = c.Close()
		if d := time.Since(start); d != deleteTimeout {
			t.Errorf("Close took %s", d)
		}
	})
}

func TestHTTPClientUnreachable(t *testing.T) {
	t.Parallel()
	c, err := NewHTTPClient("http://127.0.0.1:1/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = c.Call(t.Context(), httpAsk("tools/call", `{}`), nil)
	var e *Error
	if !errors.As(err, &e) || e.Sent || e.Status != 0 || e.Public() != "the server could not be reached" {
		t.Errorf("got %v", err)
	}
}

func TestHTTPClientReusesConnections(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		p := &httpPeer{post: func(w http.ResponseWriter, _ *http.Request, m *Message) {
			if m.Method == "tools/call" {
				httpEvents(w)("", 0, string(m.Reply(json.RawMessage(`{"big":"`+strings.Repeat("x", 100_000)+`"}`)).Append(nil)))
				return
			}
			httpReply(w, m, `{}`)
		}}
		c := p.connect(t, HTTPClientOptions{})
		c.SetProtocolVersion(VersionModern)
		for range 20 {
			for _, method := range []string{"tools/call", "tools/list"} {
				ctx, cancel := context.WithCancel(t.Context())
				if _, err := c.Call(ctx, httpAsk(method, `{}`), nil); err != nil {
					t.Fatal(err)
				}
				cancel() // as the handler of an HTTP server does when it returns
				synctest.Wait()
			}
		}
		if n := p.l.dials.Load(); n != 1 {
			t.Errorf("%d connections for calls one after the other", n)
		}
	})
}

func TestHTTPClientBoundsRequests(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T) {
		got := make(chan string, 3)
		p := httpLegacyPeer(func(w http.ResponseWriter, _ *http.Request, m *Message) {
			if m.IsResponse() {
				got <- string(m.ID) + " " + string(m.Error)
				return
			}
			send := httpEvents(w)
			for _, id := range []string{"1", "1", "2", "3"} {
				send("", 0, `{"jsonrpc":"2.0","id":`+id+`,"method":"sampling/createMessage"}`)
			}
			send("", 0, string(m.Reply(json.RawMessage(`{}`)).Append(nil)))
		})
		c := p.connect(t, HTTPClientOptions{Requests: 2})
		c.Listen(ReceiverFunc(func(ctx context.Context, _ *Message) (*Message, error) { <-ctx.Done(); return nil, ctx.Err() }))
		httpGreet(t, c, Legacy)
		if _, err := c.Call(t.Context(), httpAsk("tools/call", `{}`), nil); err != nil {
			t.Fatal(err)
		}
		if got, want := <-got, `1 {"code":-32600,"message":"a request with this id is still running"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := <-got, `3 {"code":-31003,"message":"more than 2 requests at once (requests)"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestNewHTTPClientFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, header, want string
	}{
		{"ftp://h/x", "", "the server's URL ftp://h/x is not http or https"},
		{"http://", "", "the server's URL http: names no host"},
		{"http://me:secret@h/x?token=secret", "", "the server's URL http://h/x holds a user name or password: put credentials into a header"},
		{"http://h/%zz?secret", "", "the server's URL is malformed"},
		{"http://h/x", "Content-Length", "the header Content-Length is the transport's own and cannot be set"},
		{"http://h/x", "mcp-session-id", "the header Mcp-Session-Id is the transport's own and cannot be set"},
		{"http://h/x", "A b", `the header name "A b" is not valid`},
		{"http://h/x", "X-Bad", "the value of the header X-Bad holds characters that are not allowed"},
	} {
		o := &HTTPClientOptions{}
		if tt.header != "" {
			o.Header = http.Header{tt.header: {"secret\r\nX: y"}}
		}
		if _, err := NewHTTPClient(tt.url, o); err == nil || err.Error() != tt.want {
			t.Errorf("%s %s: got %v, want %s", tt.url, tt.header, err, tt.want)
		}
	}
}
