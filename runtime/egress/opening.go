package egress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxOpening bounds what is read of a connection before it is decided on: a
// TLS hello in full records, or an HTTP header.
const maxOpening = maxHello + 4096

// maxMethod bounds the first word of what may be an HTTP request.
const maxMethod = 24

// speech is what a client begins a connection with.
type speech int

const (
	other speech = iota // also: nothing
	tlsHello
	httpRequest
)

// opening is the beginning of what a client sends.
type opening struct {
	speech speech
	data   []byte   // all that was read
	early  int      // bytes of data that were passed on before they could be told
	names  []string // whom it says it speaks to
	fault  string   // why it cannot be told
}

// openingReader reads the beginning of a connection.
type openingReader struct {
	c       net.Conn
	had     []byte        // what was read already
	timeout time.Duration // from the first byte to the last one that is needed

	// early, when it is not nil, is given what may or may not become an HTTP
	// request, as it comes: a protocol may wait for the answer to a word
	// that has no end. The bytes that would complete the header of a request
	// are never among it, and the time is not bounded then.
	early func([]byte) error
}

// read reads as much as it takes to tell whom the client speaks to. For the
// first byte it waits without bound, since with some protocols the peer
// speaks first. The error is that of the connection or of early; io.EOF is
// none.
func (r *openingReader) read() (opening, error) {
	b := append(make([]byte, 0, max(2048, len(r.had))), r.had...)
	timed, sent := false, 0
	defer func() {
		if timed {
			_ = r.c.SetReadDeadline(time.Time{})
		}
	}()
	for {
		o, done := tell(b)
		o.data, o.early = b, sent
		switch {
		case done:
			return o, nil
		case len(b) >= maxOpening:
			o.fault = "its beginning is too long"
			return o, nil
		case len(b) > sent && r.early != nil && o.speech != tlsHello:
			if err := r.early(b[sent:]); err != nil {
				return opening{}, err
			}
			sent = len(b)
			o.early = sent
		case len(b) > sent && !timed:
			timed = true
			if err := r.c.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
				return opening{}, err
			}
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.c.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case n > 0:
		case errors.Is(err, io.EOF):
			if o.speech != other {
				o.fault = "its beginning is cut off"
			}
			return o, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && timed:
			o.fault = fmt.Sprintf("its beginning did not come within %v", r.timeout)
			return o, nil
		case err != nil:
			return opening{}, err
		}
	}
}

// tell says what b is the beginning of; false: more must be read.
func tell(b []byte) (opening, bool) {
	if len(b) == 0 {
		return opening{}, false
	}
	if b[0] == 22 {
		o := opening{speech: tlsHello}
		switch name, err := serverName(b); {
		case errors.Is(err, errShort):
			return o, false
		case err != nil:
			o.fault = err.Error()
		case name != "":
			o.names = []string{name}
		}
		return o, true
	}
	return tellHTTP(b)
}

// tellHTTP is tell for what is not TLS.
func tellHTTP(b []byte) (opening, bool) {
	b = bytes.TrimLeft(b, "\r\n") // servers do so too (RFC 9112, section 2.2)
	method := bytes.IndexFunc(b, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	})
	if method < 0 && len(b) <= maxMethod {
		return opening{}, false
	}
	if method <= 0 || method > maxMethod || b[method] != ' ' && b[method] != '\t' {
		return opening{}, true
	}
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 {
		return opening{}, false
	}
	line := strings.TrimRight(string(b[:eol]), "\r")
	if !strings.Contains(line, " HTTP/1.") {
		return opening{}, true
	}
	o := opening{speech: httpRequest}
	if !bytes.Contains(b, []byte("\n\r\n")) && !bytes.Contains(b, []byte("\n\n")) {
		return o, false
	}
	if err := o.hosts(b); err != nil {
		o.fault = err.Error()
	}
	return o, true
}

// hosts finds every host that a request names: servers differ in which they
// heed.
func (o *opening) hosts(b []byte) error {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	line, err := r.ReadLine()
	if err != nil {
		return err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return errors.New("its HTTP request is malformed")
	}
	h, err := r.ReadMIMEHeader()
	if err != nil || ambiguous(b, h) {
		return errors.New("the header of its HTTP request is malformed")
	}
	o.names = h["Host"]
	if len(o.names) > 1 {
		return errors.New("its HTTP request has more than one Host")
	}
	switch uri := parts[1]; {
	case parts[0] == "CONNECT":
		o.names = append(o.names, uri)
	case !strings.HasPrefix(uri, "/") && uri != "*":
		u, err := url.Parse(uri)
		if err != nil || u.Host == "" {
			return errors.New("its HTTP request is malformed")
		}
		o.names = append(o.names, u.Host)
	}
	return nil
}

// ambiguous finds what servers read in different ways: spaces around a name,
// lines that go on in the next, and a CR of its own as the end of a line.
func ambiguous(b []byte, h textproto.MIMEHeader) bool {
	for name := range h {
		if strings.ContainsAny(name, " \t") {
			return true
		}
	}
	end := len(b)
	for _, sep := range []string{"\n\r\n", "\n\n"} {
		if i := bytes.Index(b, []byte(sep)); i >= 0 {
			end = min(end, i+1)
		}
	}
	for i, c := range b[:end] {
		switch c {
		case 0:
			return true
		case '\r':
			if b[i+1] != '\n' {
				return true
			}
		case '\n':
			if b[i+1] == ' ' || b[i+1] == '\t' {
				return true
			}
		}
	}
	return false
}

// judge says why an opening is not one to t; nil: it is, or nothing shows it.
// What was allowed by its address is not looked into.
func (o *opening) judge(t target) *refusal {
	switch {
	case !t.named():
		return nil
	case o.fault != "":
		return o.unclear()
	case o.speech == other:
		return nil
	}
	what := "its TLS hello"
	if o.speech == httpRequest {
		what = "its HTTP request"
	}
	if len(o.names) == 0 {
		return &refusal{reason: what + " names no host, so it cannot be checked against the list"}
	}
	for _, n := range o.names {
		if !o.same(n, t) {
			return &refusal{reason: fmt.Sprintf("%s is for %.80q, another host", what, n)}
		}
	}
	return nil
}

func (o *opening) unclear() *refusal {
	return &refusal{reason: "whom it speaks to cannot be told: " + o.fault}
}

func (o *opening) same(name string, t target) bool {
	if o.speech == tlsHello {
		n, err := parseName(name)
		return err == nil && n == t.host
	}
	got, err := parseTarget(name, t.port)
	return err == nil && got == t
}
