package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// pipeListener listens in memory, so that a front can run in a bubble of
// synctest. Its connections hold no byte that the other end has not read.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// pipeFront is a front for use within a bubble.
type pipeFront struct {
	*testFront
	l *pipeListener
}

func newPipeFront(t *testing.T, host *testHost, o *HTTPOptions) *pipeFront {
	t.Helper()
	if host == nil {
		host = &testHost{}
	}
	h, err := NewHTTP(host, o)
	if err != nil {
		t.Fatal(err)
	}
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	if sse := h.SSEHandler(); sse != nil {
		mux.Handle("/old/sse", sse)
		mux.Handle("/old/messages", sse)
	}
	srv := h.Server(mux)
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	tr := &http.Transport{DisableCompression: true, DialContext: l.dial}
	f := &testFront{t: t, host: host, http: h, url: "http://localhost/mcp", c: &http.Client{Transport: tr}}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		_ = srv.Close()
		<-served
		tr.CloseIdleConnections()
	})
	return &pipeFront{f, l}
}

// rawConn is a connection on which the test writes and reads the bytes.
type rawConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (f *pipeFront) raw(t *testing.T) *rawConn {
	t.Helper()
	c, err := f.l.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &rawConn{t, c, bufio.NewReader(c)}
}

func (c *rawConn) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// request writes a request whose answer is read by the test, or not at all.
func (c *rawConn) request(method, body string, header ...string) {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s /mcp HTTP/1.1\r\nHost: localhost\r\n", method)
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	if method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	c.write(b.String() + "\r\n" + body)
}

// response reads the header of an answer.
func (c *rawConn) response() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// answer reads a whole answer.
func (c *rawConn) answer() answer {
	c.t.Helper()
	resp := c.response()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.Close {
		resp.Header.Set("Connection", "close")
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}
