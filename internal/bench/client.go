package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// callTimeout bounds every exchange of a client.
const callTimeout = 15 * time.Second

// A client makes one call at a time.
type client interface {
	// frame makes of a message what goes over the wire.
	frame(method, name string, body []byte) []byte
	// exchange sends what frame made and returns the reply to the request
	// with that id, valid until the next exchange; a nil reply with id 0.
	exchange(wire []byte, id uint64) ([]byte, error)
	// extend gives the exchanges of the next span d, beyond callTimeout.
	extend(d time.Duration)
	// reset lets go of a connection that failed.
	reset()
	// leave ends the session, if there is one, and the connection.
	leave() error
}

// httpClient is a client with a keep-alive connection of its own. It speaks
// just enough HTTP/1.1 for the servers here and allocates nothing per call.
type httpClient struct {
	address, path string
	modern        bool

	conn     net.Conn
	r        *bufio.Reader
	session  string
	deadline time.Time
	body     []byte
}

var _ client = (*httpClient)(nil)

func newHTTPClient(address, path string, modern bool) *httpClient {
	return &httpClient{address: address, path: path, modern: modern}
}

func (c *httpClient) frame(method, name string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n", c.path, c.address, len(body))
	switch {
	case c.modern:
		fmt.Fprintf(&b, "MCP-Protocol-Version: %s\r\nMcp-Method: %s\r\n", modernVersion, method)
		if name != "" {
			fmt.Fprintf(&b, "Mcp-Name: %s\r\n", name)
		}
	case c.session != "":
		fmt.Fprintf(&b, "MCP-Protocol-Version: %s\r\nMcp-Session-Id: %s\r\n", legacyVersion, c.session)
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

func (c *httpClient) extend(d time.Duration) {
	c.deadline = time.Now().Add(d + callTimeout)
	if c.conn != nil {
		_ = c.conn.SetDeadline(c.deadline)
	}
}

func (c *httpClient) reset() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *httpClient) leave() error {
	defer c.reset()
	if c.session == "" {
		return nil
	}
	wire := fmt.Appendf(nil, "DELETE %s HTTP/1.1\r\nHost: %s\r\nMCP-Protocol-Version: %s\r\nMcp-Session-Id: %s\r\n\r\n", c.path, c.address, legacyVersion, c.session)
	c.session = ""
	c.extend(0)
	_, err := c.exchange(wire, 0)
	return err
}

// header is what counts of the head of an answer.
type header struct {
	status  int
	length  int // -1 when it was not given
	chunked bool
	events  bool
	close   bool
}

func (c *httpClient) exchange(wire []byte, id uint64) ([]byte, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, callTimeout)
		if err != nil {
			return nil, err
		}
		c.conn = conn
		if c.r == nil {
			c.r = bufio.NewReaderSize(conn, 32<<10)
		} else {
			c.r.Reset(conn)
		}
		if c.deadline.Before(time.Now().Add(callTimeout)) {
			c.deadline = time.Now().Add(callTimeout)
		}
		_ = conn.SetDeadline(c.deadline)
	}
	if _, err := c.conn.Write(wire); err != nil {
		return nil, err
	}
	h, err := c.head()
	if err != nil {
		return nil, err
	}
	if err := c.read(h); err != nil {
		return nil, err
	}
	if h.close {
		c.reset()
	}
	if h.status/100 != 2 {
		return nil, fmt.Errorf("status %d: %.200s", h.status, c.body)
	}
	switch {
	case id == 0:
		return nil, nil
	case h.events:
		return c.find(id)
	case replyID(c.body) != id:
		return nil, fmt.Errorf("the reply to request %d has another id: %.200s", id, c.body)
	}
	return c.body, nil
}

// head reads the status line and the header.
func (c *httpClient) head() (header, error) {
	h := header{length: -1}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return h, fmt.Errorf("status line %.100q", line)
	}
	h.status = int(digits(line[9:12]))
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return h, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return h, nil
		}
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch { // no two of these are equally long
		case len(key) == len("Content-Length") && bytes.EqualFold(key, []byte("Content-Length")):
			h.length = int(digits(value))
		case len(key) == len("Content-Type") && bytes.EqualFold(key, []byte("Content-Type")):
			h.events = bytes.HasPrefix(value, []byte("text/event-stream"))
		case bytes.EqualFold(key, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(key, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		case !c.modern && c.session == "" && bytes.EqualFold(key, []byte("Mcp-Session-Id")):
			c.session = string(value)
		}
	}
}

// read reads the body of an answer into c.body.
func (c *httpClient) read(h header) error {
	c.body = c.body[:0]
	switch {
	case h.chunked:
		for {
			line, err := c.r.ReadSlice('\n')
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
			if err != nil {
				return fmt.Errorf("chunk: %w", err)
			}
			if err := c.fill(int(n)); err != nil {
				return err
			}
			if _, err := c.r.Discard(len("\r\n")); err != nil {
				return err
			}
			if n == 0 {
				return nil
			}
		}
	case h.length >= 0:
		return c.fill(h.length)
	case h.status == 202 || h.status == 204:
		return nil
	}
	return errors.New("an answer whose length is not told")
}

func (c *httpClient) fill(n int) error {
	old := len(c.body)
	if cap(c.body) < old+n {
		c.body = append(make([]byte, 0, 2*(old+n)), c.body...)
	}
	c.body = c.body[:old+n]
	_, err := io.ReadFull(c.r, c.body[old:])
	return err
}

// find returns the reply among the events of a stream that has ended.
func (c *httpClient) find(id uint64) ([]byte, error) {
	for line := range bytes.Lines(c.body) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if data = bytes.TrimSpace(data); replyID(data) == id {
				return data, nil
			}
		}
	}
	return nil, fmt.Errorf("no reply to request %d among the events: %.200s", id, c.body)
}

var replyStart = []byte(`{"jsonrpc":"2.0","id":`)

// replyID is the id of a reply; 0 when there is none.
func replyID(b []byte) uint64 {
	if rest, ok := bytes.CutPrefix(b, replyStart); ok {
		return digits(rest)
	}
	id, ok := rawjson.Get(b, "id")
	if !ok {
		return 0
	}
	return digits(id)
}

// digits is the number that b begins with.
func digits(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}
