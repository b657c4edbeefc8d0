package transport

import (
	"io"
	"sync"
)

// Pipe returns the two ends of a connection in memory. Messages are handed
// over as they are, not encoded; order, bounds and the rules of what belongs
// to which call are those of a [Stream]. What one end sends is handled by a
// goroutine of the other, so that neither waits for the other's receivers.
func Pipe() (a, b Conn) {
	left, right := newPipeEnd(), newPipeEnd()
	left.peer, right.peer = right, left
	left.reading.Go(left.read)
	right.reading.Go(right.read)
	return left, right
}

// pipeEnd is one end of a Pipe.
type pipeEnd struct {
	*exchange
	peer      *pipeEnd
	kick      chan struct{} // hands our outbox to the goroutine that reads at the other end
	reading   sync.WaitGroup
	closeOnce sync.Once
}

var (
	_ Conn      = (*pipeEnd)(nil)
	_ Done      = (*pipeEnd)(nil)
	_ Versioned = (*pipeEnd)(nil)
)

func newPipeEnd() *pipeEnd {
	e := &pipeEnd{kick: make(chan struct{}, 1)}
	e.exchange = newExchange((*StreamOptions)(nil).withDefaults(), func() { e.kick <- struct{}{} })
	return e
}

// SetProtocolVersion implements [Versioned].
func (e *pipeEnd) SetProtocolVersion(string) {}

// read takes what the peer sends until one of the ends is closed. What a
// peer sent before it closed is still taken.
func (e *pipeEnd) read() {
	var used []parcel
	take := func() {
		for {
			batch := e.peer.out.next(used)
			used = batch
			if batch == nil {
				return
			}
			for _, p := range batch {
				m := *p.m
				m.Header = nil
				if p.id != nil {
					m.ID = p.id
				}
				e.receive(&m)
			}
		}
	}
	for {
		select {
		case <-e.peer.kick:
			take()
		case <-e.peer.done:
			select {
			case <-e.peer.kick:
				take()
			default:
			}
			e.end(peerGone(io.EOF))
			return
		case <-e.done:
			e.peer.out.abandon(peerGone(io.EOF))
			return
		}
	}
}

// Close implements [Conn].
func (e *pipeEnd) Close() error {
	e.closeOnce.Do(func() {
		e.end(ErrClosed)
		close(e.stop)
		waitFor(&e.reading, unblock)
		e.join()
	})
	return nil
}
