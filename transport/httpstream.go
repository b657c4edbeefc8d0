package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// errStreamEnded is returned for what comes after the reply of a request, or
// after its stream was closed.
var errStreamEnded = &Error{Err: errors.New("the stream of the request has ended")}

// frontStream is one sequence of events for a client: that of a POST, or one
// that a GET opened. In a session it outlives its connections: what was sent
// is kept, within bounds, and a connection that breaks can be followed by
// another.
type frontStream struct {
	h        *HTTP
	sess     *frontSession // nil for a modern request: nothing is kept
	standing bool          // opened by a GET: carries what belongs to no call
	kind     string        // the type of its events; empty but for HTTP+SSE
	num      uint64

	mu    *sync.Mutex // the session's, or own
	own   sync.Mutex
	seq   uint64 // of the last event
	lost  uint64 // events up to this one are no longer kept, or some of them
	log   []*frontEvent
	ended bool // nothing more will come
	sink  *frontSink
}

// push sends an event.
func (st *frontStream) push(e *frontEvent) error {
	st.mu.Lock()
	dropped, err := st.add(e)
	st.mu.Unlock()
	st.h.drop(st.session(), dropped)
	return err
}

func (st *frontStream) session() string {
	if st.sess == nil {
		return ""
	}
	return st.sess.id
}

// add appends an event, with mu held.
func (st *frontStream) add(e *frontEvent) (dropped int, err error) {
	if st.ended || e.gone {
		return 0, errStreamEnded
	}
	resumable := st.sess != nil && st.sess.resumable
	if st.sink == nil && !resumable {
		return 0, errStreamEnded
	}
	if k := st.sink; k != nil {
		var full bool
		limit := st.h.o.Queue
		if resumable && !st.standing {
			limit = min(limit, st.h.o.Resume) // so that what waits can be resumed
		}
		if dropped, full = k.queue.add(e, limit); full {
			st.h.o.Logger.Debug("a client reads too slowly; its stream is closed", "session", st.session(), "queue", limit)
			k.abort()
			if !resumable || st.standing { // what waited for a standing stream waits for the next
				return dropped, errStreamEnded
			}
		} else if !e.gone {
			k.signal()
		}
	}
	if !e.gone {
		st.record(e)
	}
	return dropped, nil
}

// record gives an event its place in the stream, with mu held, and keeps it
// for resumption.
func (st *frontStream) record(e *frontEvent) {
	st.seq++
	e.stream, e.seq = st, st.seq
	if st.sess != nil && st.sess.resumable {
		st.log = append(st.log, e)
		st.sess.keep(e)
	}
}

// finish sends the reply, which may be nil, and ends the stream.
func (st *frontStream) finish(reply []byte) {
	st.mu.Lock()
	if reply != nil {
		_, _ = st.add(&frontEvent{data: reply, class: eventTaken}) // without a connection it is kept, or lost as the connection was
	}
	st.ended = true
	if st.sink != nil {
		st.sink.signal()
	}
	if st.sess != nil {
		st.sess.forget(st)
	}
	st.mu.Unlock()
}

// attach makes k the stream's connection, with mu held. What the last one was
// not given is given to k by the caller.
func (st *frontStream) attach(k *frontSink) {
	if st.sink != nil {
		st.sink.abort()
	}
	k.st, st.sink = st, k
	st.h.streams.Add(1)
}

// detach undoes attach, with mu held. It is idempotent.
func (st *frontStream) detach(k *frontSink) {
	if k.detached {
		return
	}
	k.detached = true
	st.h.streams.Add(-1)
	if st.sink == k {
		st.sink = nil
	}
	if st.sess != nil {
		st.sess.detached(st, k)
	}
	k.queue = frontQueue{}
}

// frontSink is one connection of a stream. Its run writes; everybody else
// only queues.
type frontSink struct {
	st   *frontStream
	w    http.ResponseWriter
	rc   *http.ResponseController
	wake chan struct{}
	hail []byte // written first
	get  bool   // a GET opened it

	// Under the lock of the stream:
	queue    frontQueue
	writing  bool
	aborted  bool
	detached bool
}

func newFrontSink(w http.ResponseWriter, rc *http.ResponseController) *frontSink {
	return &frontSink{w: w, rc: rc, wake: make(chan struct{}, 1)}
}

func (k *frontSink) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// abort ends the connection at once, with the stream's lock held.
func (k *frontSink) abort() {
	if k.aborted {
		return
	}
	k.aborted = true
	if k.writing {
		_ = k.rc.SetWriteDeadline(time.Unix(1, 0)) // not every writer has deadlines
	}
	k.st.detach(k)
	k.signal()
}

// Headers of a stream of events.
var (
	valueEvents  = []string{typeEvents}
	valueNoCache = []string{"no-cache, no-transform"}
	valueNo      = []string{"no"}
)

// run writes until the stream has ended, the connection breaks, ctx ends or
// somebody calls abort. It reports whether all was written. It is called once,
// by the one goroutine that may use the writer meanwhile.
func (k *frontSink) run(ctx context.Context) (ok bool) {
	mu := k.st.mu
	mu.Lock()
	k.writing = true
	idle := len(k.queue.events) == 0
	mu.Unlock()
	defer func() {
		mu.Lock()
		k.writing = false
		k.st.detach(k)
		mu.Unlock()
		// The end of the body is still to be written. A reader that has been
		// too slow for the rest gets little time for it.
		var last time.Time
		if !ok {
			last = time.Now().Add(min(k.st.h.o.WriteTimeout, 5*time.Second))
		}
		_ = k.rc.SetWriteDeadline(last) // not every writer has deadlines
	}()

	h := k.w.Header()
	h["Content-Type"] = valueEvents
	h["Cache-Control"] = valueNoCache
	h["X-Accel-Buffering"] = valueNo
	k.w.WriteHeader(http.StatusOK)
	p := writeBuffers.Get().(*[]byte)
	buf := append((*p)[:0], k.hail...)
	defer func() { putBuffer(p, buf) }()
	if idle && len(buf) == 0 {
		buf = append(buf, ":\n\n"...)
	}
	if len(buf) > 0 && k.write(buf) != nil {
		return false
	}
	quiet := time.NewTimer(k.st.h.o.KeepAlive)
	defer quiet.Stop()
	for {
		var more bool
		if buf, more = k.take(buf[:0]); len(buf) == 0 {
			if !more {
				return !k.wasAborted()
			}
			select {
			case <-k.wake:
				continue
			case <-quiet.C:
				buf = append(buf, ":\n\n"...)
			case <-ctx.Done():
				return false
			}
		}
		if k.write(buf) != nil {
			return false
		}
		quiet.Reset(k.st.h.o.KeepAlive)
	}
}

func (k *frontSink) wasAborted() bool {
	k.st.mu.Lock()
	defer k.st.mu.Unlock()
	return k.aborted
}

// take encodes the next events. more says whether others may come.
func (k *frontSink) take(buf []byte) (_ []byte, more bool) {
	st := k.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if k.aborted {
		return buf, false
	}
	next := k.queue.pop(writeChunk / 4)
	for _, e := range next {
		buf = AppendEvent(buf, st.eventID(e.seq), st.kind, 0, e.data)
	}
	return buf, !st.ended || len(next) > 0
}

// eventID names an event for Last-Event-ID: the session, the stream and the
// place in it. Sessions check who asks, so an id is no secret; the tag keeps a
// client of several sessions from taking up the wrong one.
func (st *frontStream) eventID(seq uint64) string {
	if st.sess == nil || !st.sess.resumable {
		return ""
	}
	var b [56]byte
	id := strconv.AppendUint(b[:0], uint64(st.sess.tag), 36)
	id = append(id, '-')
	id = strconv.AppendUint(id, st.num, 10)
	id = append(id, '-')
	return string(strconv.AppendUint(id, seq, 10))
}

// write gives b to the connection, with a deadline for each part.
func (k *frontSink) write(b []byte) error {
	for len(b) > 0 {
		if err := k.arm(); err != nil {
			return err
		}
		n := min(len(b), writeChunk)
		if _, err := k.w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	if err := k.arm(); err != nil {
		return err
	}
	if err := k.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// arm sets the deadline of the next write, unless the connection is to end.
func (k *frontSink) arm() error {
	k.st.mu.Lock()
	defer k.st.mu.Unlock()
	if k.aborted {
		return errStreamEnded
	}
	_ = k.rc.SetWriteDeadline(k.st.h.writeLimit()) // not every writer has deadlines
	return nil
}

// hangUp closes the connection of a stream that broke off. A client that only
// reads too slowly, or a proxy between, learns it at once and can resume,
// although the handler goes on for as long as the call does.
func (k *frontSink) hangUp() {
	_ = k.rc.SetWriteDeadline(time.Unix(1, 0)) // nothing more is sent; in HTTP/2 this resets the stream
	if conn, _, err := k.rc.Hijack(); err == nil {
		_ = conn.Close()
	}
}
