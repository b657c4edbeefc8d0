package transport

import (
	"io"
	"sync"
	"syscall"
	"time"
)

// StreamOptions configures a [Stream]. The zero value is useful.
type StreamOptions struct {
	// Limits bounds one message. Body is the length of a line [64 MiB].
	Limits Limits

	// Queue bounds the bytes that wait for a peer that reads slowly, and the
	// bytes that wait for one of our own receivers [4 MiB]. Beyond it,
	// progress and log notifications are dropped and counted; everything
	// else waits as long as the context of its sender allows. One message
	// may always wait, however long it is. What cannot wait, such as the
	// answer to a message that could not be read, may take as much again;
	// then the Stream ends.
	Queue int

	// Requests bounds how many requests of the peer may run at once [1,000].
	// Those beyond are answered with [CodeLimit].
	Requests int

	// Garbage bounds how many lines in a row may be no JSON-RPC [1,000]; the
	// Stream ends then. Servers that print to their standard output are
	// borne with so far.
	Garbage int

	// Batch accepts JSON-RPC batches from the start. The protocol had them in
	// its revision 2025-03-26 alone; once that was agreed on, they are
	// accepted in any case.
	Batch bool

	// Linger is how long the requests of a peer that has closed its output
	// may still run to be answered; 0: they are cancelled at once.
	Linger time.Duration

	// OnGarbage gets each line that is no JSON-RPC, at most its first 4 KiB.
	// It must return fast and not keep the slice.
	OnGarbage func(line []byte)

	// OnDrop is told when notifications were dropped for lack of room. It
	// must return fast.
	OnDrop func(n int)
}

// The defaults of [StreamOptions].
const (
	DefaultLine           = 64 << 20
	DefaultQueue          = 4 << 20
	DefaultStreamRequests = 1000
	DefaultGarbage        = 1000
)

// withDefaults returns a copy with the defaults filled in.
func (o *StreamOptions) withDefaults() StreamOptions {
	var c StreamOptions
	if o != nil {
		c = *o
	}
	if c.Limits.Body <= 0 {
		c.Limits.Body = DefaultLine
	}
	c.Limits = c.Limits.WithDefaults()
	for _, d := range []struct {
		v   *int
		def int
	}{{&c.Queue, DefaultQueue}, {&c.Requests, DefaultStreamRequests}, {&c.Garbage, DefaultGarbage}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return c
}

// Bounds of Close that are no options.
const (
	flushTimeout = 250 * time.Millisecond // for what is queued to be written
	unblock      = time.Second            // for a Read or Write to notice that its file was closed
	lastReplies  = time.Second            // for what a peer wrote before it stopped reading
)

// Stream is a [Conn] over a pair of byte streams with one JSON-RPC message a
// line, as the stdio transport has it. It serves at both ends: towards a
// server (its standard output and input) and towards a client.
//
// A pipe does not say which call a message belongs to. The Stream finds it
// by what the message itself proves: the progress token, the subscription
// id, the related task. Without any, a request or a log message goes to the
// only call in flight that has a related receiver; when there are several it
// goes to the receiver of Listen, and so does everything else. Who must not
// guess refuses there.
//
// One goroutine reads. A call is written by the goroutine that makes it,
// together with whatever others have queued meanwhile; what the pipe does not
// take at once is left to a second goroutine, so that no call is stuck in a
// write after its context ended.
//
// When the peer goes away, calls in flight end with an [*Error] that has Sent
// set and matches [ErrClosed] and the cause.
type Stream struct {
	*exchange
	o    StreamOptions
	r    io.Reader
	w    io.Writer
	raw  syscall.RawConn // of w, when a write to it never blocks
	kick chan struct{}   // hands the outbox to the writing goroutine
	rest []byte          // what it has to write first
	used []parcel        // of the last batch; the consumer's
	buf  []byte          // the consumer's

	io        sync.WaitGroup
	closeOnce sync.Once
}

var (
	_ Conn      = (*Stream)(nil)
	_ Done      = (*Stream)(nil)
	_ Versioned = (*Stream)(nil)
)

// NewStream makes a Stream of what the peer writes and what it reads, and
// begins to read. Close closes those of the two that are an [io.Closer].
func NewStream(r io.Reader, w io.Writer, o *StreamOptions) *Stream {
	s := &Stream{o: o.withDefaults(), r: r, w: w, kick: make(chan struct{}, 1)}
	s.exchange = newExchange(s.o, s.pump)
	s.raw = nonblocking(w)
	s.io.Go(s.read)
	s.io.Go(s.write)
	return s
}

// SetProtocolVersion implements [Versioned]. It matters for batches alone.
func (s *Stream) SetProtocolVersion(version string) { s.batches.Store(version == versionBatch) }

// Close implements [Conn]. It gives what is queued a quarter of a second to
// be written and joins the Stream's goroutines. It does not wait for ever: not
// for a Read or Write that goes on although its file was closed (as with a
// terminal), nor for a [Receiver] that does not heed its context.
func (s *Stream) Close() error {
	s.closeOnce.Do(func() {
		s.end(ErrClosed)
		if idle := s.out.drained(); idle != nil {
			t := time.NewTimer(flushTimeout)
			select {
			case <-idle:
			case <-t.C:
			}
			t.Stop()
		}
		if c, ok := s.w.(io.Closer); ok {
			_ = c.Close() // the peer may have closed it already
		}
		if c, ok := s.r.(io.Closer); ok {
			_ = c.Close()
		}
		close(s.stop)
		waitFor(&s.io, unblock)
		s.join()
	})
	return nil
}

// waitFor waits for g, but no longer than d. It reports whether g ended.
func waitFor(g *sync.WaitGroup, d time.Duration) bool {
	joined := make(chan struct{})
	go func() { g.Wait(); close(joined) }()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-joined:
		return true
	case <-t.C:
		return false
	}
}

// write is the goroutine that takes over what a pipe does not take at once.
func (s *Stream) write() {
	for {
		select {
		case <-s.kick:
		case <-s.stop:
			return
		}
		ok := s.writeAll(s.rest)
		s.rest = nil
		for ok {
			batch := s.next()
			if batch == nil {
				break
			}
			b := s.buf[:0]
			for _, p := range batch {
				b = p.append(b)
				if len(b) >= writeSize {
					if ok = s.writeAll(b); !ok {
						break
					}
					b = b[:0]
				}
			}
			ok = ok && s.writeAll(b)
			s.keep(b)
		}
	}
}

// next returns what is to be written. After nil somebody else may be the
// consumer.
func (s *Stream) next() []parcel {
	used := s.used
	s.used = nil
	batch := s.out.next(used)
	if batch != nil {
		s.used = batch
	}
	return batch
}

// writeSize is how much is written at once at least, if there is as much.
const writeSize = 64 << 10

// keep keeps a buffer for the next batch, unless it is a big one.
func (s *Stream) keep(b []byte) {
	if cap(b) > 2*writeSize {
		b = nil
	}
	s.buf = b[:0]
}

func (s *Stream) writeAll(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if _, err := s.w.Write(b); err != nil {
		s.broken(err)
		return false
	}
	return true
}

// pump is called by who has become the consumer of the outbox. It writes as
// long as that does not block, but not for ever on behalf of others.
func (s *Stream) pump() {
	for round := 0; s.raw != nil && round < 4; round++ {
		batch := s.next()
		if batch == nil {
			return
		}
		b := s.buf[:0]
		for _, p := range batch {
			b = p.append(b)
		}
		n, err := tryWrite(s.raw, b)
		if err != nil {
			s.broken(err)
			return
		}
		if n < len(b) {
			s.rest = b[n:]
			s.buf = nil
			break
		}
		s.keep(b)
	}
	s.kick <- struct{}{}
}

// broken notes that nothing can be written any more. What the peer wrote
// before may still hold replies, so that the end of its output is awaited, but
// not for long.
func (s *Stream) broken(err error) {
	cause := peerGone(err)
	s.out.abandon(cause)
	s.spawn(func() {
		t := time.NewTimer(lastReplies)
		defer t.Stop()
		select {
		case <-t.C:
			s.end(cause)
		case <-s.done:
		}
	})
}

// append appends the line of p.
func (p parcel) append(b []byte) []byte {
	if p.m == nil {
		b = append(b, p.raw...)
	} else {
		b = p.m.appendLine(b, p.id)
	}
	return append(b, '\n')
}
