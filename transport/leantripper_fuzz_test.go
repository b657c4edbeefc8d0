package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// cannedConn answers with fixed bytes.
type cannedConn struct {
	net.Conn
	io.Reader
}

func (c cannedConn) Read(p []byte) (int, error)     { return c.Reader.Read(p) }
func (cannedConn) Write(p []byte) (int, error)      { return len(p), nil }
func (cannedConn) Close() error                     { return nil }
func (cannedConn) SetDeadline(time.Time) error      { return nil }
func (cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (cannedConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzLeanTripper holds the parser to net/http's: what it accepts, net/http
// accepts too, and reads the same status, type and body from it.
func FuzzLeanTripper(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nhello",
		"HTTP/1.0 202 x\nKeep-Alive: timeout=5\nContent-Length: 0\n\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		rt := &leanTripper{keep: time.Minute, perHost: 1, now: time.Now, dial: func(context.Context, string, string) (net.Conn, error) {
			return cannedConn{Reader: bytes.NewReader(answer)}, nil
		}}
		defer rt.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		br := bufio.NewReader(bytes.NewReader(answer))
		want, err := http.ReadResponse(br, req)
		for err == nil && want.StatusCode < 200 {
			want, err = http.ReadResponse(br, req)
		}
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", answer, err)
		}
		wantBody, err := io.ReadAll(want.Body)
		if err != nil {
			t.Fatalf("net/http cannot read the body of %q: %v", answer, err)
		}
		if resp.StatusCode != want.StatusCode || !bytes.Equal(body, wantBody) || resp.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
			t.Fatalf("%q: got %d %q, net/http %d %q", answer, resp.StatusCode, body, want.StatusCode, wantBody)
		}
	})
}
