package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// leanHeader is the header of an answer.
type leanHeader struct {
	status  int
	header  http.Header
	length  int64 // -1: none given
	chunked bool
	close   bool
	keep    time.Duration
	size    int // bytes read
}

func (h *leanHeader) read(br *bufio.Reader) error {
	line, err := h.line(br)
	if err != nil {
		if err == io.EOF && h.size == 0 {
			return errors.New("the server closed the connection before it answered")
		}
		return unexpected(err)
	}
	if err := h.statusLine(line); err != nil {
		return err
	}
	h.header = make(http.Header, 8)
	for n := 0; ; n++ {
		if line, err = h.line(br); err != nil {
			return unexpected(err)
		}
		if len(line) == 0 {
			return nil
		}
		if n == leanHeaders {
			return fmt.Errorf("the answer has more than %d header lines", leanHeaders)
		}
		if err := h.field(line); err != nil {
			return err
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line returns the next line without its end; it is valid until the next read.
func (h *leanHeader) line(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	h.size += len(line)
	if err == bufio.ErrBufferFull {
		long := append([]byte(nil), line...)
		for err == bufio.ErrBufferFull && h.size <= maxResponseHeader {
			line, err = br.ReadSlice('\n')
			h.size += len(line)
			long = append(long, line...)
		}
		line = long
	}
	switch {
	case h.size > maxResponseHeader:
		return nil, fmt.Errorf("the header of the answer is longer than the limit of %d bytes", maxResponseHeader)
	case err != nil:
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

func (h *leanHeader) statusLine(b []byte) error {
	bad := func() error { return errors.New("the answer does not begin with an HTTP/1.1 status line") }
	if len(b) < 12 || string(b[:7]) != "HTTP/1." || b[8] != ' ' || len(b) > 12 && b[12] != ' ' {
		return bad()
	}
	switch b[7] {
	case '1':
	case '0':
		h.close = true
	default:
		return bad()
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return bad()
		}
		h.status = 10*h.status + int(c-'0')
	}
	if h.status < 100 {
		return bad()
	}
	return nil
}

// field takes one header line. Those of the connection are used here and left
// out of the response, the date too.
func (h *leanHeader) field(line []byte) error {
	colon := -1
	for i, c := range line {
		if c == ':' {
			colon = i
			break
		}
	}
	if colon <= 0 || !validHeaderName(string(line[:colon])) {
		return errors.New("the answer has a malformed header line")
	}
	value := trimSpace(line[colon+1:])
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("the answer has a header value with characters that are not allowed")
		}
	}
	key := headerKey(line[:colon])
	switch key {
	case "Date":
		return nil
	case "Content-Length":
		n, ok := parseLength(value)
		if !ok || h.length >= 0 && h.length != n {
			return errors.New("the answer's Content-Length cannot be used")
		}
		h.length = n
		return nil
	case "Transfer-Encoding":
		if h.chunked || !strings.EqualFold(string(value), "chunked") {
			return errors.New("the answer's Transfer-Encoding is not chunked alone")
		}
		h.chunked = true
		return nil
	case "Connection":
		for token := range strings.SplitSeq(string(value), ",") {
			if strings.EqualFold(strings.TrimSpace(token), "close") {
				h.close = true
			}
		}
		return nil
	case "Keep-Alive":
		for token := range strings.SplitSeq(string(value), ",") {
			if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(token)), "timeout="); ok {
				if n, err := strconv.Atoi(v); err == nil && n > 0 && n < 1<<20 {
					h.keep = max(time.Duration(n)*time.Second-500*time.Millisecond, time.Millisecond)
				}
			}
		}
		return nil
	}
	h.header[key] = append(h.header[key], headerValue(value))
	return nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// headerKey is the canonical key, without allocation for those that nearly
// every answer has.
func headerKey(b []byte) string {
	switch string(b) {
	case "Content-Type", "content-type":
		return "Content-Type"
	case "Content-Length", "content-length":
		return "Content-Length"
	case "Date", "date":
		return "Date"
	case "Mcp-Session-Id", "mcp-session-id":
		return "Mcp-Session-Id"
	case "Cache-Control", "cache-control":
		return "Cache-Control"
	case "Connection", "connection":
		return "Connection"
	case "Keep-Alive", "keep-alive":
		return "Keep-Alive"
	case "Transfer-Encoding", "transfer-encoding":
		return "Transfer-Encoding"
	}
	return http.CanonicalHeaderKey(string(b))
}

func headerValue(b []byte) string {
	switch string(b) {
	case typeJSON:
		return typeJSON
	case typeEvents:
		return typeEvents
	}
	return string(b)
}
