package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// leanTripper is an http.RoundTripper for plain HTTP/1.1 whose goroutine is
// the caller's: it writes the request, whose body is in memory, in one piece
// and reads the answer, so that a call costs no hand-over between goroutines
// and an idle connection is only a socket and a buffer. net/http's Transport
// keeps two goroutines per connection.
//
// It is strict: what RFC 9112 leaves to the recipient's mercy (lengths beside
// chunked, folded lines, bare CR, white space before a colon) is an error, and
// so is a header that could be read in two ways. A connection is used again
// only when its last answer was read to the end and left nothing behind. A
// request is repeated only when nothing of it was written.
//
// The body of an answer is read and closed by one goroutine; to end it from
// another, end the request's context.
type leanTripper struct {
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	header  time.Duration // to wait for the header of an answer; 0: no bound
	keep    time.Duration // to keep an idle connection
	perHost int           // idle connections
	now     func() time.Time

	mu    sync.Mutex
	idle  map[string][]*leanConn // by address, the one used last at the end
	sweep *time.Timer            // running while there are idle connections
}

// leanConn is one connection. Whoever took it from the pool owns it.
type leanConn struct {
	net.Conn
	t      *leanTripper
	addr   string
	br     *bufio.Reader
	buf    []byte        // for the header of a request
	keep   time.Duration // the server's wish, at most the tripper's
	since  time.Time     // when it became idle
	reused bool
}

// unexaminedIdle is how long a connection that cannot be examined may have been
// idle to be used again.
const unexaminedIdle = 2 * time.Second

const (
	leanBuffer  = 4 << 10
	leanHeaders = 256                   // header lines of an answer
	leanInterim = 8                     // 1xx answers before the final one
	leanJoin    = 16 << 10              // a body up to this is copied behind its header
	leanFresh   = 50 * time.Millisecond // younger than this, an idle connection is not examined
	leanEarly   = time.Second           // for an answer to a request that could not be written in full
)

// fits reports whether a request can go this way.
func (t *leanTripper) fits(req *http.Request) bool {
	if req.URL.Scheme != "http" {
		return false
	}
	if _, ok := req.Body.(*requestBody); !ok && req.Body != nil {
		return false
	}
	host := req.URL.Host
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || c == '%' {
			return false // names that must be translated, zones of addresses
		}
	}
	return true
}

// RoundTrip implements http.RoundTripper.
func (t *leanTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	addr := req.URL.Host
	if req.URL.Port() == "" {
		addr = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := t.get(ctx, addr)
		if err != nil {
			return nil, err
		}
		resp, again, err := c.roundTrip(ctx, req)
		if err == nil || !again || ctx.Err() != nil {
			return resp, err
		}
	}
}

// CloseIdleConnections closes what is not in use.
func (t *leanTripper) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
	t.mu.Unlock()
	for _, list := range idle {
		for _, c := range list {
			_ = c.Close()
		}
	}
}

// get takes an idle connection that still lives, or dials.
func (t *leanTripper) get(ctx context.Context, addr string) (*leanConn, error) {
	for {
		t.mu.Lock()
		list := t.idle[addr]
		if len(list) == 0 {
			t.mu.Unlock()
			break
		}
		c := list[len(list)-1]
		list[len(list)-1] = nil
		t.idle[addr] = list[:len(list)-1]
		t.mu.Unlock()
		if age := t.now().Sub(c.since); age < c.keep && (age < leanFresh || quiet(c.Conn, age)) {
			c.reused = true
			return c, nil
		}
		_ = c.Close()
	}
	conn, err := t.dial(ctx, "tcp", addr)
	if err != nil {
		var op *net.OpError
		if !errors.As(err, &op) {
			err = &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
		return nil, err
	}
	return &leanConn{Conn: conn, t: t, addr: addr, br: bufio.NewReaderSize(conn, leanBuffer), keep: t.keep}, nil
}

// put makes a connection idle.
func (t *leanTripper) put(c *leanConn) {
	if c.br.Buffered() > 0 || c.keep <= 0 {
		_ = c.Close()
		return
	}
	c.since = t.now()
	t.mu.Lock()
	list := t.idle[c.addr]
	if len(list) >= t.perHost {
		t.mu.Unlock()
		_ = c.Close()
		return
	}
	if t.idle == nil {
		t.idle = make(map[string][]*leanConn)
	}
	t.idle[c.addr] = append(list, c)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(t.keep, t.expire)
	}
	t.mu.Unlock()
}

// expire closes what has been idle for too long.
func (t *leanTripper) expire() {
	var old []*leanConn
	t.mu.Lock()
	for addr, list := range t.idle {
		n := 0
		for n < len(list) && t.now().Sub(list[n].since) >= list[n].keep {
			n++
		}
		old = append(old, list[:n]...)
		if n == len(list) {
			delete(t.idle, addr)
		} else {
			t.idle[addr] = append([]*leanConn(nil), list[n:]...)
		}
	}
	if len(t.idle) == 0 {
		t.sweep = nil
	} else if t.sweep != nil {
		t.sweep.Reset(t.keep / 2)
	}
	t.mu.Unlock()
	for _, c := range old {
		_ = c.Close()
	}
}

// roundTrip does one exchange. again says that the request may be repeated on
// another connection, for nothing of it was sent.
func (c *leanConn) roundTrip(ctx context.Context, req *http.Request) (resp *http.Response, again bool, err error) {
	head, err := appendRequest(c.buf[:0], req)
	if err != nil {
		c.t.put(c)
		return nil, false, err
	}
	body := []byte(nil)
	if b, ok := req.Body.(*requestBody); ok {
		body = b.b
	}
	if len(body) <= leanJoin {
		head, body = append(head, body...), nil
	}
	c.buf = head[:0]
	if cap(head) > 2*leanJoin {
		c.buf = nil
	}
	x := &leanExchange{c: c, ctx: ctx}
	x.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	n, err := c.write(head, body)
	if err != nil && n == 0 && c.reused {
		x.drop()
		return nil, true, err
	}
	early := err != nil
	resp, rerr := x.read(early)
	if rerr == nil {
		return resp, false, nil
	}
	x.drop()
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case early:
		return nil, false, fmt.Errorf("writing the request: %w", err)
	}
	return nil, false, rerr
}

func (c *leanConn) write(head, body []byte) (int, error) {
	if body == nil {
		return c.Conn.Write(head)
	}
	parts := net.Buffers{head, body}
	n, err := parts.WriteTo(c.Conn)
	return int(n), err
}

// appendRequest appends the header of a request, blank line included. What
// could end a line early is refused.
func appendRequest(b []byte, req *http.Request) ([]byte, error) {
	uri := req.URL.RequestURI()
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if !validHeaderName(req.Method) || !visible(uri) || !visible(host) {
		return nil, errors.New("the request's method, URL or host holds characters that are not allowed")
	}
	b = append(append(append(b, req.Method...), ' '), uri...)
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...)
	if req.Body != nil || req.Method == http.MethodPost {
		b = strconv.AppendInt(append(b, "Content-Length: "...), req.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	for name, values := range req.Header {
		if !validHeaderName(name) {
			return nil, errors.New("a header name of the request is not valid")
		}
		switch name {
		case "Connection", "Content-Length", "Host", "Trailer", "Transfer-Encoding", "Upgrade":
			return nil, fmt.Errorf("the header %s is the transport's own and cannot be set", name)
		}
		for _, v := range values {
			if !validHeaderValue(v) {
				return nil, fmt.Errorf("the value of the header %s holds characters that are not allowed", name)
			}
			b = append(append(b, name...), ": "...)
			b = append(append(b, v...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...), nil
}

// visible reports whether s is visible ASCII.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// leanExchange is one request and its answer on a connection.
type leanExchange struct {
	c     *leanConn
	ctx   context.Context
	stop  func() bool // lets go of ctx
	close bool        // the connection ends with the answer
	over  bool
}

// drop ends the exchange and the connection.
func (x *leanExchange) drop() {
	if !x.over {
		x.over = true
		x.stop()
		_ = x.c.Close()
	}
}

// release ends the exchange; the connection may be used again.
func (x *leanExchange) release() {
	if x.over {
		return
	}
	x.over = true
	if !x.stop() || x.close { // when ctx ended, a deadline may be set at any time
		_ = x.c.Close()
		return
	}
	x.c.t.put(x.c)
}

// read reads the header of the final answer.
func (x *leanExchange) read(early bool) (*http.Response, error) {
	wait := x.c.t.header
	if early {
		wait, x.close = leanEarly, true
	}
	if wait > 0 {
		_ = x.c.SetReadDeadline(time.Now().Add(wait))
		if err := x.ctx.Err(); err != nil { // the deadline of the cancellation is gone
			return nil, err
		}
	}
	for range leanInterim {
		h := leanHeader{length: -1}
		if err := h.read(x.c.br); err != nil {
			return nil, err
		}
		if h.status < 200 {
			if h.status == http.StatusSwitchingProtocols {
				return nil, errors.New("the server switched to another protocol")
			}
			continue
		}
		if wait > 0 {
			_ = x.c.SetReadDeadline(time.Time{})
			if err := x.ctx.Err(); err != nil {
				return nil, err
			}
		}
		return x.response(&h)
	}
	return nil, errors.New("the server sent too many interim answers")
}

// response makes the response and decides how its body ends (RFC 9112,
// section 6.3).
func (x *leanExchange) response(h *leanHeader) (*http.Response, error) {
	x.close = x.close || h.close
	if h.keep > 0 {
		x.c.keep = min(x.c.keep, h.keep)
	}
	resp := &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		StatusCode: h.status, Status: http.StatusText(h.status),
		Header: h.header, ContentLength: h.length,
	}
	switch {
	case h.chunked && h.length >= 0:
		return nil, errors.New("the answer has both Content-Length and Transfer-Encoding")
	case h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		if h.chunked || h.length > 0 {
			x.close = true // nothing belongs here; whatever comes is not read
		}
		resp.ContentLength = 0
		resp.Body = http.NoBody
		x.release()
	case h.chunked:
		resp.Body = &chunkedBody{x: x}
	case h.length == 0:
		resp.Body = http.NoBody
		x.release()
	case h.length > 0:
		resp.Body = &lengthBody{x: x, left: h.length}
	default:
		x.close = true
		resp.Body = &openBody{x: x}
	}
	return resp, nil
}
