package egress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// maxOpening bounds what is read of a connection before it is decided on: a
// TLS hello in full records, or an HTTP header.
const maxOpening = maxHello + 4096

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
	// that has no end. Nothing of the version in a request's first line, or
	// after it, is among it, and the time is not bounded then.
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
		case len(b) > sent && r.early != nil && o.speech == other:
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

// tell says what b is the beginning of; false: more must be read. What cannot
// become TLS or HTTP by what follows, or may be either way, is other so far.
func tell(b []byte) (opening, bool) {
	switch {
	case len(b) == 0:
		return opening{}, false
	case b[0] == recordHandshake:
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
	case b[0] >= recordCipherSpec && b[0] <= recordData:
		// Servers read past such records to the hello behind them.
		switch {
		case len(b) == 1:
			return opening{}, false
		case b[1] == 3:
			return opening{speech: tlsHello, fault: "its TLS does not begin with a client hello"}, true
		}
	case b[0]&0x80 != 0:
		// The hello of SSL 2 has no room for a name, and servers of TLS still
		// take it (RFC 5246, appendix E.2).
		switch {
		case len(b) < 4 && (len(b) < 3 || b[2] == 1):
			return opening{}, false
		case len(b) >= 4 && b[2] == 1 && b[3] == 3:
			return opening{speech: tlsHello, fault: "its TLS hello is in the form of SSL 2"}, true
		}
	}
	return tellHTTP(b)
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
