package transport

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// parcel is a message on its way out: m with the id that it has on the wire,
// or ready bytes.
type parcel struct {
	m   *Message
	id  json.RawMessage
	raw []byte
}

func (p parcel) size() int {
	if p.m == nil {
		return 64 + len(p.raw)
	}
	return p.m.Size()
}

// urgency says what happens to a parcel for which the outbox has no room.
type urgency uint8

const (
	patient  urgency = iota // it waits
	light                   // it is dropped and counted
	pressing                // it goes in all the same, up to twice the bound
)

// urgencyOf is the urgency of a notification.
func urgencyOf(method string) urgency {
	if method == methodProgress || method == methodMessage {
		return light
	}
	return patient
}

// errNotReading ends a conn whose peer takes nothing any more.
var errNotReading = errors.New("the peer does not read what it is sent (queue)")

// outbox is the bounded queue of what goes to a peer. Whoever finds it
// without a consumer becomes it: put says so.
type outbox struct {
	limit  int // bytes
	onDrop func(n int)

	mu      sync.Mutex
	items   []parcel
	bytes   int // of items and of what the consumer has in hand
	inHand  int
	waiters []*waiter
	busy    bool // there is a consumer
	idle    chan struct{}
	err     error
}

// waiter is a parcel that found no room.
type waiter struct {
	p     parcel
	ready chan struct{} // closed once the parcel is in, or err is set
	err   error
}

// put queues a parcel. When it returns true the caller has become the
// consumer: it must call next until that returns nil.
func (o *outbox) put(ctx context.Context, p parcel, u urgency) (bool, error) {
	size := p.size()
	o.mu.Lock()
	switch {
	case o.err != nil:
		defer o.mu.Unlock()
		return false, o.err
	case o.fits(size) && len(o.waiters) == 0:
	case u == light:
		o.mu.Unlock()
		if o.onDrop != nil {
			o.onDrop(1)
		}
		return false, nil
	case u == pressing:
		if o.bytes+size > 2*o.limit {
			o.mu.Unlock()
			return false, errNotReading
		}
	default:
		w := &waiter{p: p, ready: make(chan struct{})}
		o.waiters = append(o.waiters, w)
		o.mu.Unlock()
		return false, o.wait(ctx, w)
	}
	o.items = append(o.items, p)
	o.bytes += size
	first := !o.busy
	o.busy = true
	o.mu.Unlock()
	return first, nil
}

// fits reports whether there is room. One message always fits an empty queue.
func (o *outbox) fits(size int) bool { return o.bytes == 0 || o.bytes+size <= o.limit }

// wait returns when the parcel of w is in the queue, or never will be.
func (o *outbox) wait(ctx context.Context, w *waiter) error {
	select {
	case <-w.ready:
		return w.err
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-w.ready:
		return w.err
	default:
	}
	for i, other := range o.waiters {
		if other == w {
			o.waiters = append(o.waiters[:i], o.waiters[i+1:]...)
			break
		}
	}
	return ctx.Err()
}

// next gives the consumer all that is queued, in exchange for the slice it got
// before, whose parcels it is done with. When it returns nil the caller is no
// longer the consumer.
func (o *outbox) next(used []parcel) []parcel {
	clear(used)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= o.inHand
	o.inHand = 0
	for len(o.waiters) > 0 && o.err == nil && o.fits(o.waiters[0].p.size()) {
		w := o.waiters[0]
		o.waiters = append(o.waiters[:0], o.waiters[1:]...)
		o.items = append(o.items, w.p)
		o.bytes += w.p.size()
		close(w.ready)
	}
	if cap(used) > 256 {
		used = nil
	}
	if len(o.items) == 0 {
		o.items = used[:0]
		o.busy = false
		if o.idle != nil {
			close(o.idle)
			o.idle = nil
		}
		return nil
	}
	batch := o.items
	o.items = used[:0]
	o.inHand = o.bytes
	return batch
}

// close refuses every further parcel with err; those who wait get it too.
// What is queued may still be consumed.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	o.err = err
	for _, w := range o.waiters {
		w.err = err
		close(w.ready)
	}
	o.waiters = nil
}

// abandon is close for when nothing can be consumed any more.
func (o *outbox) abandon(err error) {
	o.close(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items, o.bytes, o.inHand, o.busy = nil, 0, 0, false
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
}

// drained returns a channel that is closed when nothing is queued; nil when
// that is so now.
func (o *outbox) drained() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.busy {
		return nil
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	return o.idle
}
