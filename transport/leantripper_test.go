package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// rawServer gives each connection to serve, with the requests that come on it.
func rawServer(t *testing.T, serve func(n int, c net.Conn, br *bufio.Reader)) (rt *leanTripper, u *url.URL, dials *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(n, c, bufio.NewReader(c))
			}()
		}
	}()
	dials = new(atomic.Int32)
	var d net.Dialer
	rt = &leanTripper{keep: time.Minute, perHost: 4, now: time.Now, dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return d.DialContext(ctx, network, addr)
	}}
	t.Cleanup(func() {
		rt.CloseIdleConnections()
		_ = l.Close()
		<-done
	})
	u, err = url.Parse("http://" + l.Addr().String() + "/mcp?a=b")
	if err != nil {
		t.Fatal(err)
	}
	return rt, u, dials
}

// readRequest reads one request and reports whether there was one.
func readRequest(t *testing.T, br *bufio.Reader) (*http.Request, string, bool) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, "", false
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		t.Errorf("reading the request: %v", err)
	}
	return req, string(b), true
}

func leanRequest(ctx context.Context, u *url.URL, body string) *http.Request {
	req := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{"X-A": {"1", "2"}}}
	if body != "" {
		setBody(req, []byte(body))
	}
	return req.WithContext(ctx)
}

func TestLeanTripper(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, answer string
		status       int
		body         string
		reuse        bool
		err          string // of RoundTrip or of reading
	}{
		{"length", ok + "Content-Length: 5\r\n\r\nhello", 200, "hello", true, ""},
		{"lower case", ok + "content-length: 5\r\nx-y:z\r\n\r\nhello", 200, "hello", true, ""},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, "hello", true, ""},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true, ""},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, ""},
		{"accepted", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, "", true, ""},
		{"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 200, "hello", true, ""},
		{"trailers", ok + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, "hello", true, ""},
		{"upper-case hex", ok + "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "0123456789", true, ""},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", 200, "hello", true, ""},
		{"connection: close", ok + "Connection: Keep-Alive, Close\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false, ""},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false, ""},
		{"until the end", ok + "\r\nhello", 200, "hello", false, ""},
		{"keep-alive over", ok + "Keep-Alive: timeout=0\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true, ""},
		{"something left", ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", 200, "hello", false, ""},
		{"same length twice", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true, ""},
		{"cut body", ok + "Content-Length: 50\r\n\r\nhello", 200, "hello", false, "unexpected EOF"},
		{"cut chunk", ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", 200, "hello", false, "unexpected EOF"},
		{"no last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, "hello", false, "unexpected EOF"},
		{"chunk end", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", 200, "hel", false, "does not end where it should"},
		{"chunk size", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 200, "", false, "malformed size"},
		{"chunk sign", ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 200, "", false, "malformed size"},
		{"chunk prefix", ok + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 200, "", false, "malformed size"},
		{"chunk overflow", ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 200, "", false, "too large"},
		{"chunk bare LF", ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 200, "", false, "CR LF"},
		{"chunk line", ok + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 5000) + "\r\nhello", 200, "", false, "too long"},
		{"endless trailers", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 2000), 200, "", false, "too long"},
		{"both lengths", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, "", false, "both Content-Length and Transfer-Encoding"},
		{"two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 0, "", false, "Content-Length cannot be used"},
		{"list of lengths", ok + "Content-Length: 5, 5\r\n\r\nhello", 0, "", false, "Content-Length cannot be used"},
		{"signed length", ok + "Content-Length: +5\r\n\r\nhello", 0, "", false, "Content-Length cannot be used"},
		{"huge length", ok + "Content-Length: 99999999999999999999\r\n\r\nhello", 0, "", false, "Content-Length cannot be used"},
		{"another encoding", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, "", false, "not chunked alone"},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "", false, "not chunked alone"},
		{"folded", ok + "X: a\r\n b\r\n\r\n", 0, "", false, "malformed header line"},
		{"space before colon", ok + "Content-Length : 5\r\n\r\nhello", 0, "", false, "malformed header line"},
		{"no colon", ok + "hello\r\n\r\n", 0, "", false, "malformed header line"},
		{"bare CR", ok + "X: a\rContent-Length: 5\r\n\r\n", 0, "", false, "characters that are not allowed"},
		{"NUL", ok + "X: a\x00\r\n\r\n", 0, "", false, "characters that are not allowed"},
		{"many lines", ok + strings.Repeat("X: a\r\n", 300) + "\r\n", 0, "", false, "more than 256 header lines"},
		{"long header", ok + "X: " + strings.Repeat("a", 300_000) + "\r\n\r\n", 0, "", false, "longer than the limit of 262144 bytes"},
		{"long but fine", ok + "X: " + strings.Repeat("a", 100_000) + "\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true, ""},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 0, "", false, "status line"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 0, "", false, "status line"},
		{"status", "HTTP/1.1 2x0 OK\r\n\r\n", 0, "", false, "status line"},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, "", false, "another protocol"},
		{"endless interim", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20), 0, "", false, "too many interim"},
		{"nothing", "", 0, "", false, "closed the connection before it answered"},
		{"cut header", "HTTP/1.1 200 OK\r\nConte", 0, "", false, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt, u, dials := rawServer(t, func(n int, c net.Conn, br *bufio.Reader) {
				req, body, ok := readRequest(t, br)
				if !ok {
					return
				}
				if body != "ping" || req.RequestURI != "/mcp?a=b" || strings.Join(req.Header["X-A"], ",") != "1,2" {
					t.Errorf("got %s %v %q", req.RequestURI, req.Header, body)
				}
				_, _ = io.WriteString(c, tt.answer)
				if tt.reuse {
					if _, _, ok := readRequest(t, br); ok {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")
					}
				}
			})
			resp, err := rt.RoundTrip(leanRequest(t.Context(), u, "ping"))
			var body []byte
			if err == nil {
				if resp.StatusCode != tt.status {
					t.Errorf("got status %d, want %d", resp.StatusCode, tt.status)
				}
				body, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if string(body) != tt.body || tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %q and %v, want %q and %q", body, err, tt.body, tt.err)
			}
			if !tt.reuse {
				rt.mu.Lock()
				defer rt.mu.Unlock()
				if n := len(rt.idle[u.Host]); n != 0 {
					t.Error("the connection was kept")
				}
				return
			}
			resp, err = rt.RoundTrip(leanRequest(t.Context(), u, "ping"))
			if err != nil {
				t.Fatal(err)
			}
			body, err = io.ReadAll(resp.Body)
			if string(body) != "again" || err != nil || dials.Load() != 1 {
				t.Errorf("the second request got %q and %v over %d connections", body, err, dials.Load())
			}
		})
	}
}

func TestLeanTripperStale(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	rt, u, dials := rawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, _, ok := readRequest(t, br); ok {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	rt.now = func() time.Time { return time.Now().Add(time.Duration(dials.Load()) * time.Second) }
	for i := range 3 {
		resp, err := rt.RoundTrip(leanRequest(t.Context(), u, "x"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if string(b) != "ok" || err != nil || int(dials.Load()) != i+1 {
			t.Errorf("got %q and %v over %d connections", b, err, dials.Load())
		}
		<-closed
		// Pretend that it was idle for longer than connections go unexamined.
		rt.mu.Lock()
		for _, c := range rt.idle[u.Host] {
			c.since = c.since.Add(-time.Second)
		}
		rt.mu.Unlock()
	}
}

// A request that may have arrived is never sent twice.
func TestLeanTripperNeverRepeats(t *testing.T) {
	t.Parallel()
	var got atomic.Int32
	rt, u, _ := rawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for n := 0; ; n++ {
			if _, _, ok := readRequest(t, br); !ok {
				return
			}
			got.Add(1)
			if n == 1 {
				return // crash
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	if _, err := rt.RoundTrip(leanRequest(t.Context(), u, "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := rt.RoundTrip(leanRequest(t.Context(), u, "x")); err == nil {
		t.Error("the crash was not noticed")
	}
	if n := got.Load(); n != 2 {
		t.Errorf("the server got %d requests for 2", n)
	}
}

func TestLeanTripperCancel(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"} {
		gone, waiting := make(chan struct{}), make(chan struct{})
		rt, u, _ := rawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
			_, _, _ = readRequest(t, br)
			_, _ = io.WriteString(c, answer)
			close(waiting)
			_, _ = br.ReadByte() // until the client closes
			close(gone)
		})
		ctx, cancel := context.WithCancel(t.Context())
		if answer == "" {
			go func() { <-waiting; cancel() }()
		}
		resp, err := rt.RoundTrip(leanRequest(ctx, u, "x"))
		if answer != "" {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			cancel()
			_, err = resp.Body.Read(make([]byte, 5))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%q: reading after the cancellation gives %v", answer, err)
			}
			if _, err := resp.Body.Read(make([]byte, 5)); err == nil {
				t.Errorf("%q: the body goes on", answer)
			}
			_ = resp.Body.Close()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		cancel()
		<-gone
	}
}

func TestLeanTripperCloseEarly(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	rt, u, _ := rawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _, _ = readRequest(t, br)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		_, _ = br.ReadByte()
		close(gone)
	})
	resp, err := rt.RoundTrip(leanRequest(t.Context(), u, "x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-gone
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("a closed body can be read")
	}
}

func TestLeanTripperHeaderTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &leanTripper{header: time.Second, keep: time.Minute, perHost: 1, now: time.Now, dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			n++
			late := n == 1
			go func() {
				defer func() { _ = theirs.Close() }()
				if _, _, ok := readRequest(t, bufio.NewReader(theirs)); !ok || late {
					_, _ = theirs.Read(make([]byte, 1)) // until the client closes
					return
				}
				_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
				time.Sleep(time.Minute) // the body may take longer than the header
				_, _ = io.WriteString(theirs, "hello")
			}()
			return ours, nil
		}}
		defer rt.CloseIdleConnections()
		u := &url.URL{Scheme: "http", Host: "h"}
		start := time.Now()
		if _, err := rt.RoundTrip(leanRequest(t.Context(), u, "x")); !isTimeout(err) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		resp, err := rt.RoundTrip(leanRequest(t.Context(), u, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
			t.Errorf("got %q and %v", b, err)
		}
	})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestLeanTripperRefusesInjection(t *testing.T) {
	t.Parallel()
	rt := &leanTripper{keep: time.Minute, perHost: 1, now: time.Now, dial: func(context.Context, string, string) (net.Conn, error) {
		c, s := net.Pipe()
		go func() {
			b := make([]byte, 1)
			if n, _ := s.Read(b); n > 0 {
				t.Error("something was sent")
			}
		}()
		return c, nil
	}}
	defer rt.CloseIdleConnections()
	u := &url.URL{Scheme: "http", Host: "h", Path: "/x"}
	for name, change := range map[string]func(r *http.Request){
		"method":       func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX:" },
		"host":         func(r *http.Request) { r.Host = "h\r\nX: y" },
		"query":        func(r *http.Request) { r.URL = &url.URL{Scheme: "http", Host: "h", RawQuery: "a b"} },
		"header name":  func(r *http.Request) { r.Header = http.Header{"X: y\r\nZ": {"1"}} },
		"header value": func(r *http.Request) { r.Header = http.Header{"X": {"y\r\nZ: 1"}} },
		"length":       func(r *http.Request) { r.Header = http.Header{"Content-Length": {"9"}} },
		"encoding":     func(r *http.Request) { r.Header = http.Header{"Transfer-Encoding": {"chunked"}} },
	} {
		req := leanRequest(t.Context(), u, "")
		change(req)
		if _, err := rt.RoundTrip(req); err == nil {
			t.Errorf("%s: the request was sent", name)
		}
	}
}

func TestLeanTripperLargeBody(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 3<<20)
	rt, u, _ := rawServer(t, func(n int, c net.Conn, br *bufio.Reader) {
		if n == 2 { // answers without reading the request
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
			return
		}
		_, body, _ := readRequest(t, br)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	resp, err := rt.RoundTrip(leanRequest(t.Context(), u, big))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != big || err != nil {
		t.Errorf("got %d bytes and %v", len(b), err)
	}
	// Whether the answer survives the reset is the kernel's affair; what
	// counts is that nothing hangs and nothing is made up.
	resp, err = rt.RoundTrip(leanRequest(t.Context(), u, big))
	if err == nil && resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v", resp.StatusCode)
	}
	if err == nil {
		_ = resp.Body.Close()
	}
}

func TestLeanTripperPool(t *testing.T) {
	t.Parallel()
	rt, u, dials := rawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			if _, _, ok := readRequest(t, br); !ok {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	rt.perHost = 2
	var open []*http.Response
	for range 5 {
		resp, err := rt.RoundTrip(leanRequest(t.Context(), u, "x"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	for _, resp := range open {
		if b, err := io.ReadAll(resp.Body); string(b) != "ok" || err != nil {
			t.Fatalf("got %q and %v", b, err)
		}
	}
	idle := func() int {
		rt.mu.Lock()
		defer rt.mu.Unlock()
		return len(rt.idle[u.Host])
	}
	if dials.Load() != 5 || idle() != 2 {
		t.Errorf("%d connections were made and %d kept, want 5 and 2", dials.Load(), idle())
	}
	rt.now = func() time.Time { return time.Now().Add(5 * time.Second) } // past the server's timeout
	rt.expire()
	if idle() != 0 {
		t.Errorf("%d connections are kept for longer than the server said", idle())
	}
}
