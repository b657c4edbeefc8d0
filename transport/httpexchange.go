package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// exchangeState is how far a POST has come.
type exchangeState uint8

const (
	exchangeReading exchangeState = iota // the body is being read
	exchangeLate                         // the body took too long
	exchangeRead                         // the body is there
	exchangeOpen                         // the host may send messages
	exchangeDone                         // the reply is being sent, or was
)

// frontExchange is one HTTP request and its answer. It is the [Conn] that a
// modern request's host gets.
type frontExchange struct {
	h        *HTTP
	w        http.ResponseWriter
	r        *http.Request
	rc       *http.ResponseController
	p        Principal
	modern   bool
	asJSON   bool // the client takes a JSON body
	asEvents bool // the client takes a stream
	call     frontCall

	prev, next *frontExchange // in the front's list
	born       int64

	mu      sync.Mutex // taken before a stream's or a session's
	state   exchangeState
	sess    *frontSession
	closed  bool     // the front closes
	left    bool     // the handler has returned; its writer must not be touched
	replies [][]byte // of a batch, until a stream takes them
	waiting int      // bytes of replies
	stream  *frontStream
	writer  chan struct{} // closed when the stream's first connection has ended
}

var (
	_ Conn = (*frontExchange)(nil)
	_ Done = (*frontExchange)(nil)
)

// frontCall is the context of one request that the host works on.
type frontCall struct {
	context.Context                    // ends with the call
	cancel          context.CancelFunc // ends it
	values          context.Context    // of the HTTP request
	ex              *frontExchange
	sess            *frontSession
	id              string
}

type frontCallKey struct{}

// Value finds the call itself, and what middleware put into the context of the
// HTTP request, which ends at another time than the call's own.
func (c *frontCall) Value(key any) any {
	if key == (frontCallKey{}) {
		return c
	}
	if v := c.Context.Value(key); v != nil || c.values == nil {
		return v
	}
	return c.values.Value(key)
}

// abort ends the exchange: the front closes.
func (ex *frontExchange) abort() {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.closed = true
	switch {
	case ex.left:
	case ex.state == exchangeReading:
		_ = ex.rc.SetReadDeadline(time.Unix(1, 0)) // not every reader has deadlines
	case ex.state == exchangeDone && ex.stream == nil:
		_ = ex.rc.SetWriteDeadline(time.Now().Add(lastWrite)) // not every writer has deadlines
	case ex.call.cancel != nil:
		ex.call.cancel()
	}
}

// bind makes c the call of the exchange, so that abort cancels it.
func (ex *frontExchange) bind(parent context.Context, c *frontCall, id json.RawMessage) {
	ctx, cancel := context.WithCancel(parent)
	ex.mu.Lock()
	defer ex.mu.Unlock()
	c.Context, c.cancel, c.ex, c.id = ctx, cancel, ex, string(id)
	if ex.closed {
		cancel()
	}
}

// open lets the host send messages. sess is nil for a modern request, and for
// initialize.
func (ex *frontExchange) open(sess *frontSession) {
	ex.mu.Lock()
	ex.sess, ex.state = sess, exchangeOpen
	ex.mu.Unlock()
}

// late is called by the clock.
func (ex *frontExchange) late() {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	switch {
	case ex.state == exchangeReading && ex.h.passed(ex.born, ex.h.o.BodyTimeout):
		ex.state = exchangeLate
		_ = ex.rc.SetReadDeadline(time.Unix(1, 0)) // not every reader has deadlines
	case ex.state == exchangeOpen && ex.streams() && ex.stream == nil && ex.h.passed(ex.born, ex.h.o.KeepAlive):
		ex.commit()
	}
}

// streams reports whether the answer may become a stream: not that of a
// client that does not take one, nor that of initialize, whose headers depend
// on the result.
func (ex *frontExchange) streams() bool { return ex.asEvents && (ex.modern || ex.sess != nil) }

// commit makes the answer a stream, with mu held.
func (ex *frontExchange) commit() {
	st := &frontStream{h: ex.h, sess: ex.sess}
	k := newFrontSink(ex.w, ex.rc)
	if ex.sess == nil {
		st.mu = &st.own
		st.attach(k)
	} else {
		st.mu = &ex.sess.mu
		st.mu.Lock()
		ex.sess.register(st)
		st.attach(k)
		k.hail = ex.sess.hail(st)
		st.mu.Unlock()
	}
	ex.stream, ex.writer = st, make(chan struct{})
	for _, b := range ex.replies {
		_ = st.push(&frontEvent{data: b, class: eventTaken}) // the stream is new
	}
	ex.replies = nil
	go func() { // joined by answer
		defer close(ex.writer)
		if k.run(ex.r.Context()) {
			return
		}
		if ex.modern { // whose stream nobody can resume
			ex.call.cancel()
		}
		k.hangUp()
	}()
}

// send sends a message before the reply.
func (ex *frontExchange) send(e *frontEvent) error {
	ex.mu.Lock()
	switch {
	case ex.state != exchangeOpen:
		ex.mu.Unlock()
		return errStreamEnded
	case !ex.streams():
		ex.mu.Unlock()
		return errNoEvents
	case ex.stream == nil:
		ex.commit()
	}
	st := ex.stream
	ex.mu.Unlock()
	err := st.push(e)
	if err != nil && ex.modern {
		ex.call.cancel() // the stream was closed, and with it the request
	}
	return err
}

// errNoEvents is returned when a message cannot be sent because the client
// takes no stream.
var errNoEvents = Errorf(CodeUnavailable, "the client takes no event stream (its Accept header lacks %s), so nothing can be sent before the reply", typeEvents)

// notify sends a notification before the reply; a client that takes no stream
// does without.
func (ex *frontExchange) notify(m *Message) error {
	err := ex.send(newFrontEvent(m))
	if err == error(errNoEvents) {
		session := ""
		if ex.sess != nil {
			session = ex.sess.id
		}
		ex.h.drop(session, 1)
		return nil
	}
	return err
}

// close ends the possibility to send and returns the stream, if there is one.
func (ex *frontExchange) close() *frontStream {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.state = exchangeDone
	return ex.stream
}

// answer sends the reply of the host, or its error.
func (ex *frontExchange) answer(id json.RawMessage, m *Message, err error) error {
	reply, status := outcome(id, m, err)
	if m != nil {
		defer m.written()
	}
	ex.mu.Lock()
	if !ex.asJSON && ex.stream == nil && status < 300 && ex.streams() {
		ex.commit()
	}
	ex.state = exchangeDone
	st := ex.stream
	ex.mu.Unlock()
	if st != nil {
		st.finish(reply.Append(make([]byte, 0, reply.Size())))
		<-ex.writer
		return nil
	}
	if status == 0 {
		if status = http.StatusOK; ex.modern && reply.Error != nil {
			status = modernStatus(reply.Error)
		}
	}
	var t *Error
	if err != nil && errors.As(err, &t) {
		copyHeader(ex.w.Header(), t.Header)
	}
	p := writeBuffers.Get().(*[]byte)
	b := reply.Append((*p)[:0])
	err = ex.h.writeJSON(ex.w, ex.rc, status, b)
	putBuffer(p, b)
	return err
}

// abortStream ends the exchange's connection of its stream.
func (ex *frontExchange) abortStream() {
	ex.mu.Lock()
	st := ex.stream
	ex.mu.Unlock()
	if st == nil {
		return
	}
	st.mu.Lock()
	if k := st.sink; k != nil && k.rc == ex.rc {
		k.abort()
	}
	st.mu.Unlock()
}

// outcome makes the response to the request id of what a host returned, and
// the HTTP status that the host chose, or 0.
func outcome(id json.RawMessage, m *Message, err error) (Message, int) {
	if err != nil {
		status := 0
		var t *Error
		if errors.As(err, &t) && t.Status >= 400 && t.Status <= 599 {
			status = t.Status
		}
		return Message{ID: id, Error: AsRPCError(err).Raw()}, status
	}
	if m == nil || m.Result == nil && m.Error == nil {
		return Message{ID: id, Error: Errorf(CodeInternal, "internal error").Raw()}, 0
	}
	status := m.Status
	if status < 200 || status > 599 || status == http.StatusNoContent || status == http.StatusNotModified {
		status = 0
	}
	return Message{ID: id, Result: m.Result, Error: m.Error, Extra: m.Extra}, status
}

// accepted answers what has no reply.
func (ex *frontExchange) accepted() {
	ex.close()
	ex.w.WriteHeader(http.StatusAccepted)
}

// part takes one reply of a batch. Replies are collected until they are more
// than may wait; then they leave as a stream.
func (ex *frontExchange) part(reply []byte) {
	ex.mu.Lock()
	if ex.stream == nil {
		ex.replies = append(ex.replies, reply)
		if ex.waiting += len(reply); ex.waiting > ex.h.o.Queue && ex.streams() {
			ex.commit()
		}
		ex.mu.Unlock()
		return
	}
	st := ex.stream
	ex.mu.Unlock()
	_ = st.push(&frontEvent{data: reply}) // without a connection it is kept, or lost as the connection was
}

// refuse answers what is not passed on.
func (ex *frontExchange) refuse(status int, id json.RawMessage, code int, format string, args ...any) {
	ex.refuseError(status, id, Errorf(code, format, args...))
}

func (ex *frontExchange) refuseError(status int, id json.RawMessage, e *RPCError) {
	ex.close()
	ex.h.refuseError(ex.w, ex.r, status, id, e)
}

// Call implements [Conn]. A modern server asks by its result, never by a
// request.
func (ex *frontExchange) Call(_ context.Context, m *Message, _ Receiver) (*Message, error) {
	return nil, Errorf(CodeInvalidRequest, "a server sends no requests in revision %s: %s has to be asked for in the result", VersionModern, m.Method)
}

// Notify implements [Conn].
func (ex *frontExchange) Notify(_ context.Context, m *Message) error { return ex.notify(m) }

// Listen implements [Conn]. Nothing belongs to no call here.
func (ex *frontExchange) Listen(Receiver) {}

// Close implements [Conn]: it cancels the request.
func (ex *frontExchange) Close() error {
	ex.call.cancel()
	return nil
}

// Done implements [Done].
func (ex *frontExchange) Done() <-chan struct{} { return ex.call.Context.Done() }

// Err implements [Done].
func (ex *frontExchange) Err() error {
	if ex.call.Context.Err() != nil {
		return ErrClosed
	}
	return nil
}
