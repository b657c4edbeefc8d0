package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// cursor is where a resumable stream stands.
type cursor struct {
	last  string        // the id of the last event
	retry time.Duration // what the server asks to wait before the next GET
	moved bool          // an event came since the stream was opened
}

// readStream reads the reply to call from its stream, and hands on what comes
// before it. A legacy stream that ends early is resumed.
func (c *HTTPClient) readStream(call *httpCall, body io.ReadCloser) (*Message, error) {
	at := cursor{retry: defaultRetry}
	reply, err := c.readEvents(call, body, &at)
	if reply != nil || call.modern {
		return reply, err
	}
	for failures := 0; ; {
		var fatal *fatalError
		switch {
		case context.Cause(call.ctx) != nil:
			return nil, context.Cause(call.ctx)
		case errors.As(err, &fatal):
			return nil, fatal.error
		case at.last == "":
			return nil, err // nothing to resume from
		case at.moved:
			failures = 0
		default:
			if failures++; failures > resumeFailures {
				return nil, err
			}
		}
		if !pause(call.ctx, at.retry, failures) {
			return nil, context.Cause(call.ctx)
		}
		at.moved = false
		var resp *http.Response
		if resp, err = c.openStream(call.ctx, at.last); err != nil {
			var e *Error
			if errors.As(err, &e) && e.Status >= 400 && e.Status < 500 {
				return nil, &Error{Status: e.Status, Header: e.Header, Sent: true, Err: fmt.Errorf("the stream ended before the reply and cannot be resumed: %w", e.Err)}
			}
			continue
		}
		if reply, err = c.readEvents(call, resp.Body, &at); reply != nil {
			return reply, nil
		}
	}
}

// fatalError is an error after which a stream is not resumed.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// readEvents reads a stream until it ends or call's reply came. A nil call
// reads the standalone stream, whose end is always an error.
func (c *HTTPClient) readEvents(call *httpCall, body io.ReadCloser, at *cursor) (*Message, error) {
	r := NewEventReader(body, int(c.o.Reply))
	for {
		e, err := r.Next()
		if err != nil {
			_ = body.Close()
			return nil, c.streamEnd(call, r, err)
		}
		if e.Retry >= 0 {
			at.retry = time.Duration(e.Retry) * time.Millisecond
		}
		if e.ID != at.last {
			at.last, at.moved = e.ID, true
		}
		if len(e.Data) == 0 || e.Type != "" {
			continue
		}
		at.moved = true
		b := r.own(e)
		if call == nil {
			c.takeFree(b)
			continue
		}
		reply, err := c.take(call, b)
		if err != nil {
			_ = body.Close()
			return nil, &fatalError{err}
		}
		if reply != nil {
			c.drain(call, body)
			return reply, nil
		}
	}
}

// streamEnd words why a stream ended before the reply.
func (c *HTTPClient) streamEnd(call *httpCall, r *EventReader, err error) error {
	if call != nil {
		if cause := context.Cause(call.ctx); cause != nil {
			return cause
		}
	}
	var limit *RPCError
	switch {
	case errors.As(err, &limit):
		return &fatalError{&Error{Sent: true, Err: err}}
	case err == io.EOF:
		err = errors.New("the server ended the stream before it replied")
	}
	return &Error{Sent: true, Err: fmt.Errorf("reading the stream of %s: %w", c.name, err)}
}

// drain closes a stream whose reply has come. The server ends it now; to see
// that end keeps the connection for the next call.
func (c *HTTPClient) drain(call *httpCall, body io.ReadCloser) {
	if e, ok := body.(interface{ AtEnd() bool }); ok && e.AtEnd() {
		_ = body.Close()
		return
	}
	call.drained = c.spawn(func() {
		defer call.cancel(nil)
		defer time.AfterFunc(drainTimeout, func() { call.cancel(nil) }).Stop()
		defer context.AfterFunc(c.ctx, func() { call.cancel(nil) })()
		discard(body)
	})
}

// own returns the data of the event that Next returned last, as the caller's
// to keep: a large one together with the reader's buffer.
func (r *EventReader) own(e Event) []byte {
	if len(e.Data) < firstEventBuffer {
		return bytes.Clone(e.Data)
	}
	rest := r.buf[r.pos:r.end]
	buf := make([]byte, max(firstEventBuffer, 2*len(rest)))
	r.end = copy(buf, rest)
	r.scanned -= r.pos
	r.pos, r.buf, r.hasData = 0, buf, false
	return e.Data
}

// openStream opens a stream with GET, after the event last.
func (c *HTTPClient) openStream(ctx context.Context, last string) (*http.Response, error) {
	req, err := c.request(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header["Accept"] = valueAcceptEvents
	c.setLegacy(req.Header)
	if last != "" {
		if !validHeaderValue(last) {
			return nil, &Error{Status: http.StatusBadRequest, Err: errors.New("the server gave an event id that no header can carry")}
		}
		req.Header["Last-Event-Id"] = []string{last}
	}
	resp, err := c.roundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		if mediaType(resp.Header) == typeEvents {
			return resp, nil
		}
		resp.StatusCode = http.StatusNotAcceptable // no stream, and none will come
	}
	discard(resp.Body)
	return nil, c.statusError(req, resp, "instead of a stream of events")
}

// startStandby opens the stream on which a legacy server sends what belongs
// to no call. It waits, for a short time, until the server has answered: what
// some servers send during the first call would be lost before.
func (c *HTTPClient) startStandby(ctx context.Context) {
	v := c.version.Load()
	if c.old.Load() != nil || v != nil && EraOf(*v) == Modern {
		return
	}
	c.mu.Lock()
	started := c.standby
	c.standby = true
	c.mu.Unlock()
	answered := make(chan struct{})
	if started || !c.spawn(func() { c.standbyLoop(answered) }) {
		return
	}
	select {
	case <-c.listening:
	default:
		return
	}
	wait := time.NewTimer(standbyWait)
	defer wait.Stop()
	select {
	case <-answered:
	case <-wait.C:
	case <-ctx.Done():
	}
}

func (c *HTTPClient) standbyLoop(answered chan<- struct{}) {
	select {
	case <-c.listening:
	case <-c.ctx.Done():
		close(answered)
		return
	}
	at, opened := cursor{retry: defaultRetry}, false
	for failures := 0; ; {
		resp, err := c.openStream(c.ctx, at.last)
		if answered != nil {
			close(answered)
			answered = nil
		}
		if err == nil {
			opened = true
			_, err = c.readEvents(nil, resp.Body, &at)
		}
		if c.ctx.Err() != nil {
			return
		}
		status := 0
		if e := (*Error)(nil); errors.As(err, &e) {
			status = e.Status
		}
		switch {
		case status == http.StatusNotFound && opened && c.session.Load() != nil:
			_ = c.expired(&http.Response{StatusCode: status}) // who calls next is told
			return
		case status == http.StatusUnauthorized, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
			failures++
		case status >= 400 && status < 500 && at.last == "":
			return // the server has no such stream
		case status >= 400 && status < 500:
			at.last = "" // it cannot resume; a new stream may do
			failures++
		case at.moved:
			failures = 0
		default:
			failures++
		}
		at.moved = false
		if !pause(c.ctx, at.retry, failures) {
			return
		}
	}
}

// pause waits before a stream is opened again: as long as the server asks,
// longer after failures, and never less. It reports false when ctx ended.
func pause(ctx context.Context, d time.Duration, failures int) bool {
	for range min(failures, 10) {
		if d = max(2*d, 100*time.Millisecond); d >= longestRetry {
			d = longestRetry
			break
		}
	}
	d += rand.N(d/8 + time.Millisecond) // so that clients do not come all at once
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// takeFree handles what came on a stream that belongs to no call.
func (c *HTTPClient) takeFree(b []byte) {
	parts, batch := Batch(b)
	if !batch {
		c.takeFreeOne(b)
		return
	}
	for _, p := range parts {
		c.takeFreeOne(p)
	}
}

func (c *HTTPClient) takeFreeOne(b []byte) {
	m, err := Parse(b, Limits{Body: c.o.Reply, Depth: c.o.Depth})
	switch {
	case err != nil:
		// A reply that cannot be read ends its call; the rest is dropped.
		if m != nil {
			if call := c.pending(m.ID); call != nil {
				call.cancel(c.malformed(call, m, err))
			}
		}
	case m.IsResponse():
		c.answered(m)
	default:
		c.dispatch(nil, m)
	}
}
