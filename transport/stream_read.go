package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// appendLine appends m with another id, on one line.
func (m *Message) appendLine(b []byte, id json.RawMessage) []byte {
	n := Message{
		ID: id, Method: m.Method,
		Params: rawjson.Compact(m.Params), Result: rawjson.Compact(m.Result),
		Error: rawjson.Compact(m.Error), Extra: rawjson.Compact(m.Extra),
	}
	return n.Append(b)
}

// read is the goroutine that reads.
func (s *Stream) read() {
	lines := lineReader{r: s.r, limit: int(min(s.o.Limits.Body, 1<<31-1))}
	garbage := 0
	for {
		line, err := lines.next()
		if errors.Is(err, errLongLine) {
			s.overlong(&lines)
			continue
		}
		if len(line) > 0 {
			if s.line(line) {
				garbage = 0
			} else if garbage++; garbage > s.o.Garbage {
				s.end(peerGone(fmt.Errorf("more than %d lines in a row are no JSON-RPC (garbage)", s.o.Garbage)))
				return
			}
		}
		if err != nil {
			s.ended(err)
			return
		}
	}
}

// ended ends the Stream when the peer sends no more.
func (s *Stream) ended(err error) {
	cause := peerGone(err)
	s.mu.Lock()
	s.gone = cause
	s.fail(cause)
	s.mu.Unlock()
	if s.o.Linger > 0 && errors.Is(err, io.EOF) {
		s.linger(s.o.Linger)
	}
	s.end(cause)
}

// line takes one line. It reports false when the line is no JSON-RPC.
func (s *Stream) line(line []byte) bool {
	if line[0] == '[' {
		if rawjson.Valid(line, s.o.Limits.Depth) != nil {
			return s.unreadable(line, nil, Errorf(CodeParse, "the line is not JSON"))
		}
		if !s.o.Batch && !s.batches.Load() {
			return s.unreadable(line, nil, Errorf(CodeInvalidRequest, "a batch is only allowed in protocol version "+versionBatch))
		}
		return s.batch(line)
	}
	m, err := Parse(line, s.o.Limits)
	if err != nil {
		return s.unreadable(line, m, err)
	}
	s.receive(m)
	return true
}

// batch takes a JSON-RPC batch.
func (s *Stream) batch(line []byte) bool {
	parts, refused := batchOf(line)
	if refused != nil {
		return s.unreadable(line, nil, refused)
	}
	b := &batch{}
	messages := make([]*Message, len(parts))
	faults := make([]*Message, 0)
	for i, part := range parts {
		m, err := Parse(part, s.o.Limits)
		switch {
		case err != nil:
			faults = append(faults, faultReply(m, err))
			b.open++
		case m.IsRequest():
			b.open++
			fallthrough
		default:
			messages[i] = m
		}
	}
	for _, f := range faults {
		s.respond(&served{batch: b}, f)
	}
	for _, m := range messages {
		if m != nil {
			s.receiveIn(m, b)
		}
	}
	return true
}

func faultReply(m *Message, err error) *Message {
	if m == nil {
		m = &Message{ID: json.RawMessage("null")}
	}
	return m.ReplyError(err)
}

// unreadable handles a line that Parse refused; m holds its id if that could
// be read. Whoever waits for an answer gets one: the peer that made a broken
// request, or our own call whose reply is broken. Where our end is the one
// that asks, a line without id is what a server happens to print.
func (s *Stream) unreadable(line []byte, m *Message, err error) bool {
	s.mu.Lock()
	connector := s.connector
	s.mu.Unlock()
	if m != nil {
		if _, ok := rawjson.Get(line, "method"); ok {
			s.respond(nil, faultReply(m, err))
			return true
		}
		if s.spoilt(m.ID, err) {
			return true
		}
	}
	if s.o.OnGarbage != nil {
		s.o.OnGarbage(line[:min(len(line), headSize)])
	}
	if !connector && (line[0] == '{' || line[0] == '[') {
		s.respond(nil, faultReply(m, err))
	}
	return false
}

// spoilt ends our call whose reply cannot be read. It reports false when
// there is no such call.
func (x *exchange) spoilt(id json.RawMessage, why error) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.callByID(id)
	if c == nil {
		return false
	}
	x.outcome(c, nil, &Error{Sent: true, Err: fmt.Errorf("the reply of the server cannot be read: %w", why)})
	return true
}

// overlong handles a line beyond the limit, of which only the head and the
// tail are known. Where it cannot be told what it was, somebody might wait for
// ever: then the Stream ends.
func (s *Stream) overlong(l *lineReader) {
	why := limited("line", "the message is longer than the limit of %d bytes", s.o.Limits.Body)
	id, method := headOf(l.head)
	if id == nil {
		id = tailID(l.tail)
	}
	switch {
	case method && id != nil:
		s.respond(nil, (&Message{ID: id}).ReplyError(why))
	case id != nil && s.spoilt(id, why):
	case method: // of a notification only the id is missing, or it lies between
		if s.o.OnDrop != nil {
			s.o.OnDrop(1)
		}
		s.mu.Lock()
		connector := s.connector
		s.mu.Unlock()
		if !connector {
			s.respond(nil, faultReply(nil, why))
		}
	default:
		s.mu.Lock()
		idle := len(s.calls) == 0
		s.mu.Unlock()
		if !idle {
			s.end(peerGone(why))
		}
	}
}

// headOf reads the members of a message that stand whole in its head.
func headOf(head []byte) (id json.RawMessage, method bool) {
	rawjson.Each(head, func(key, value []byte) bool {
		switch {
		case rawjson.KeyIs(key, "id"):
			id = bytes.Clone(value)
		case rawjson.KeyIs(key, "method"):
			method = true
		}
		return true
	})
	return id, method
}

// tailID reads the id that stands last in a message, as some libraries write
// it: the brace that ends the line closes the message, so that a number
// before it can be no part of a string.
func tailID(tail []byte) json.RawMessage {
	t := bytes.TrimRight(tail, " \t\r")
	t, ok := bytes.CutSuffix(t, []byte("}"))
	if !ok {
		return nil
	}
	t = bytes.TrimRight(t, " \t")
	digits := len(t)
	for digits > 0 && t[digits-1] >= '0' && t[digits-1] <= '9' {
		digits--
	}
	if digits == len(t) || !bytes.HasSuffix(bytes.TrimRight(t[:digits], " \t"), []byte(`,"id":`)) {
		return nil
	}
	return bytes.Clone(t[digits:])
}

// How much is read at once at least, and what is kept of a line that is too
// long.
const (
	readSize = 8 << 10
	headSize = 4 << 10
	tailSize = 64
)

var errLongLine = errors.New("line too long")

// lineReader cuts its input into lines.
type lineReader struct {
	r     io.Reader
	limit int
	buf   []byte // what was read and not yet returned
	seen  int    // bytes of buf without a line end
	err   error

	head, tail []byte // of the line that was too long
}

// next returns the next line without its end; the slice is the caller's. A
// last line without an end comes together with the error. After errLongLine
// the line has been skipped.
func (l *lineReader) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.seen:], '\n'); i >= 0 {
			line := l.take(l.seen + i)
			if len(line) > l.limit {
				l.head, l.tail = line[:min(len(line), headSize)], line[max(0, len(line)-tailSize):]
				return nil, errLongLine
			}
			return trimLine(line), nil
		}
		l.seen = len(l.buf)
		if l.err != nil {
			line := l.buf
			l.buf, l.seen = nil, 0
			if len(line) > l.limit {
				line = nil
			}
			return trimLine(line), l.err
		}
		if len(l.buf) > l.limit {
			l.skip()
			if l.err == nil {
				return nil, errLongLine
			}
			continue
		}
		l.fill()
	}
}

// take returns the first n bytes of the buffer, and drops them and the line
// end behind them.
func (l *lineReader) take(n int) []byte {
	rest := l.buf[n+1:]
	l.seen = 0
	if n < 4*readSize {
		line := bytes.Clone(l.buf[:n])
		l.buf = l.buf[:copy(l.buf, rest)]
		return line
	}
	// A long line keeps the buffer, if it fills most of it.
	line := l.buf[:n:n]
	if n < cap(l.buf)/2 {
		line = bytes.Clone(line)
	}
	l.buf = append(make([]byte, 0, max(readSize, len(rest))), rest...)
	return line
}

// fill reads more.
func (l *lineReader) fill() {
	if cap(l.buf)-len(l.buf) < readSize/2 {
		bigger := make([]byte, len(l.buf), max(readSize, 2*cap(l.buf)))
		copy(bigger, l.buf)
		l.buf = bigger
	}
	n, err := l.r.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	l.err = err
}

// skip reads to the end of a line that is too long, and keeps its head and
// tail.
func (l *lineReader) skip() {
	l.head = bytes.Clone(l.buf[:headSize:headSize])
	l.tail = bytes.Clone(l.buf[len(l.buf)-min(len(l.buf), tailSize):])
	chunk := l.buf[:0:cap(l.buf)]
	l.buf, l.seen = nil, 0
	for l.err == nil {
		n, err := l.r.Read(chunk[:cap(chunk)])
		l.err = err
		part := chunk[:n]
		end := bytes.IndexByte(part, '\n')
		if end >= 0 {
			l.buf = bytes.Clone(part[end+1:])
			part = part[:end]
		}
		l.tail = append(l.tail, part[max(0, len(part)-tailSize):]...)
		l.tail = l.tail[max(0, len(l.tail)-tailSize):]
		if end >= 0 {
			return
		}
	}
}

var byteOrderMark = []byte("\uFEFF")

// trimLine cuts off what is no part of a message: white space and the mark
// that some programs write first.
func trimLine(line []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
}
