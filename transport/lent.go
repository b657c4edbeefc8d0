package transport

import "sync"

// lent is memory that one reply was read into, and that goes back to a pool
// once the reply was written.
type lent struct {
	pool *sync.Pool
	buf  []byte
}

// Bounds of the bodies whose memory is pooled: a smaller one costs less than
// the bookkeeping, a larger one would be held for the rare reply of its size.
const (
	smallestLent = 8 << 10
	largestLent  = 1 << 20
)

// lend returns an empty buffer for a body of n bytes; nil when the body is
// not of a size that is pooled.
func lend(pool *sync.Pool, n int64) *lent {
	if pool == nil || n < smallestLent || n > largestLent {
		return nil
	}
	if l, _ := pool.Get().(*lent); l != nil {
		if int64(cap(l.buf)) > n {
			l.buf = l.buf[:0]
			return l
		}
		pool.Put(l) // for a smaller one
	}
	return &lent{pool: pool, buf: make([]byte, 0, roundUp(n+1))}
}

// roundUp returns a capacity of a few sizes, so that buffers fit other bodies
// too.
func roundUp(n int64) int64 { return (n + 16<<10 - 1) &^ (16<<10 - 1) }

// Inherit tells that the bytes of from are used by m alone from now on: once
// m was written, a front may give the memory back that from was read into.
// Whoever keeps any part of from, or of a message made of it, must not call
// it; without it the garbage collector does the work.
func (m *Message) Inherit(from *Message) { m.memory, m.last = from.memory, true }

// written gives the memory back. Nothing reads m after that.
func (m *Message) written() {
	l := m.memory
	if l == nil || !m.last {
		return
	}
	m.memory = nil
	if poison {
		b := l.buf[:cap(l.buf)]
		for i := range b {
			b[i] = '#'
		}
	}
	l.pool.Put(l)
}
