package transport

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Event is one server-sent event (WHATWG HTML, section 9.2).
type Event struct {
	// ID is the last event id in force: the event's own, or that of an
	// earlier event of the stream.
	ID string

	// Type is the event's type; empty means "message".
	Type string

	// Data holds the data lines, joined by newlines. It is empty for events
	// that only carry an id or a retry time, which a browser would not
	// show. It is valid until the next call of [EventReader.Next].
	Data []byte

	// Retry is the reconnection time in milliseconds that came with the
	// event; -1 when none did.
	Retry int
}

// AppendEvent appends an event to dst. Empty parts are left out: an id, a
// type and a retry time (milliseconds) that is not positive; nil data too,
// whereas data that is empty but not nil gives the empty data field with
// which a server primes a client for resumption. Every line of data becomes a
// field of its own, whichever way it ends. Line ends and NUL in id and event
// are dropped, since the format cannot carry them.
func AppendEvent(dst []byte, id, event string, retry int, data []byte) []byte {
	if event != "" {
		dst = appendEventField(dst, "event: ", event)
	}
	if id != "" {
		dst = appendEventField(dst, "id: ", id)
	}
	if retry > 0 {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, int64(retry), 10)
		dst = append(dst, '\n')
	}
	for more := data != nil; more; {
		var line []byte
		line, data, more = cutLine(data)
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

func appendEventField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(value)
	}
	dst = append(dst, value...)
	return append(dst, '\n')
}

// cutLine splits b after its first line; more reports whether a line end was
// found, so that another line, possibly empty, follows.
func cutLine(b []byte) (line, rest []byte, more bool) {
	i := lineEnd(b)
	if i < 0 {
		return b, nil, false
	}
	n := 1
	if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
		n = 2
	}
	return b[:i], b[i+n:], true
}

// lineEnd is the index of the first CR or LF of b, or -1. Two passes of the
// assembly of IndexByte beat one loop.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// maxRetry bounds a reconnection time: a day, in milliseconds.
const maxRetry = 24 * 60 * 60 * 1000

// EventReader reads the events of a stream. It holds one event in memory, at
// most as large as its limit. It is not safe for concurrent use.
type EventReader struct {
	r     io.Reader
	limit int
	err   error // of r, reported once the buffer is used up

	buf        []byte
	pos        int // first byte that was not looked at as a line
	scanned    int // no line end lies in buf[pos:scanned]
	end        int // end of what was read
	data, stop int // the event's data is buf[data:stop]
	hasData    bool
	begun      bool // the first line, before which a BOM may stand, was read
	skipLF     bool // the last line ended with the CR that was the last byte read
	dispatched bool // data belongs to an event that was handed out

	id, nextID string // in force; of the event being read
	typ        string
	retry      int
	fields     bool // the event being read has a field
	size       int  // bytes of its lines
}

// NewEventReader returns a reader of the events of r. limit bounds the bytes
// of one event, and of one line even in a comment; 0 means [DefaultBody].
func NewEventReader(r io.Reader, limit int) *EventReader {
	if limit <= 0 {
		limit = DefaultBody
	}
	return &EventReader{r: r, limit: limit, retry: -1}
}

// LastID is the id of the last event that came complete; it is what a client
// sends as Last-Event-ID.
func (r *EventReader) LastID() string { return r.id }

// Next returns the next event. At the end of the stream it returns [io.EOF];
// an event without its closing blank line is dropped, as the format asks.
func (r *EventReader) Next() (Event, error) {
	if r.dispatched {
		r.dispatched, r.hasData = false, false
	}
	for {
		from, to, err := r.line()
		if err != nil {
			return Event{}, err
		}
		if from == to {
			if r.fields {
				return r.dispatch(), nil
			}
			r.size = 0
			continue
		}
		if r.buf[from] == ':' {
			continue // a comment
		}
		if r.size += to - from; r.size > r.limit {
			return Event{}, r.fail(Errorf(CodeLimit, "an event of the stream is longer than the limit of %d bytes", r.limit))
		}
		r.field(from, to)
	}
}

func (r *EventReader) dispatch() Event {
	r.id = r.nextID
	e := Event{ID: r.id, Type: r.typ, Retry: r.retry}
	if r.hasData {
		e.Data = r.buf[r.data:r.stop:r.stop]
	}
	r.typ, r.retry, r.fields, r.size = "", -1, false, 0
	r.dispatched = true
	return e
}

// field takes the line buf[from:to] of an event.
func (r *EventReader) field(from, to int) {
	value := to
	name := r.buf[from:to]
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
		value = from + i + 1
		if value < to && r.buf[value] == ' ' {
			value++
		}
	}
	v := r.buf[value:to]
	switch string(name) {
	case "data":
		if r.hasData { // close the gap, over the name of the field
			r.buf[r.stop] = '\n'
			r.stop += 1 + copy(r.buf[r.stop+1:], v)
		} else {
			r.data, r.stop, r.hasData = value, to, true
		}
	case "event":
		if r.typ = ""; string(v) != "message" {
			r.typ = string(v)
		}
	case "id":
		if bytes.IndexByte(v, 0) >= 0 {
			return
		}
		if string(v) != r.nextID {
			r.nextID = string(v)
		}
	case "retry":
		n, ok := parseRetry(v)
		if !ok {
			return
		}
		r.retry = n
	default:
		return
	}
	r.fields = true
}

func parseRetry(v []byte) (int, bool) {
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), maxRetry)
	}
	return n, len(v) > 0
}

// line returns the bounds in buf of the next line, without its end.
func (r *EventReader) line() (from, to int, err error) {
	for {
		if r.skipLF && r.pos < r.end {
			r.skipLF = false
			if r.buf[r.pos] == '\n' {
				r.pos++
				r.scanned = max(r.scanned, r.pos)
			}
		}
		if i := lineEnd(r.buf[r.scanned:r.end]); i >= 0 {
			from, to = r.pos, r.scanned+i
			r.pos = to + 1
			r.scanned = r.pos
			r.skipLF = r.buf[to] == '\r'
			if !r.begun {
				r.begun = true
				if bytes.HasPrefix(r.buf[from:to], []byte("\xef\xbb\xbf")) {
					from += 3
				}
			}
			return from, to, nil
		}
		r.scanned = r.end
		if r.end-r.pos > r.limit {
			return 0, 0, r.fail(Errorf(CodeLimit, "a line of the stream is longer than the limit of %d bytes", r.limit))
		}
		if err := r.fill(); err != nil {
			return 0, 0, err
		}
	}
}

// fail makes err the error of this and every later call.
func (r *EventReader) fail(err error) error {
	r.err = err
	r.pos, r.scanned, r.end = 0, 0, 0
	return err
}

// fill reads more into buf.
func (r *EventReader) fill() error {
	if r.err != nil {
		return r.err
	}
	if r.end == len(r.buf) {
		r.room()
	}
	for empty := 0; ; {
		n, err := r.r.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		switch {
		case n > 0:
			return nil
		case err != nil:
			return err
		}
		if empty++; empty == 100 {
			return r.fail(io.ErrNoProgress)
		}
	}
}

// room makes room at the end of buf: it moves down what is still needed, the
// data of the event being read and the line that has begun, and when that is
// more than half of buf, takes a larger one.
func (r *EventReader) room() {
	data := 0
	if r.hasData {
		data = r.stop - r.data
	}
	rest := r.end - r.pos
	need := data + rest
	to := r.buf
	switch {
	case need >= len(r.buf)/2:
		to = make([]byte, max(firstEventBuffer, 2*len(r.buf)))
	case len(r.buf) > largeEventBuffer && need < largeEventBuffer/2:
		to = make([]byte, largeEventBuffer) // a large event has passed
	}
	if r.hasData {
		copy(to, r.buf[r.data:r.stop])
		r.data, r.stop = 0, data
	}
	copy(to[data:], r.buf[r.pos:r.end])
	r.buf = to
	r.scanned -= r.pos - data
	r.pos, r.end = data, data+rest
}

// The buffer of an EventReader: its first size, and what a long-lived stream
// keeps of a larger one.
const (
	firstEventBuffer = 4 << 10
	largeEventBuffer = 64 << 10
)
