package transport

import (
	"slices"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// eventClass says what may be done with an event that a slow reader keeps
// waiting.
type eventClass uint8

const (
	eventPlain    eventClass = iota // requests, notifications, replies: never dropped
	eventTaken                      // never dropped, and there is always room: it was let in before, or is the last of its stream
	eventLog                        // may be dropped
	eventProgress                   // may be dropped; the latest of a token replaces the others
)

// light reports whether events of the class may be dropped.
func (c eventClass) light() bool { return c >= eventLog }

// frontEvent is one message on its way to a client. Its bytes are immutable;
// the other fields belong to the lock of its stream.
type frontEvent struct {
	stream *frontStream
	seq    uint64
	data   []byte
	token  string // of progress
	class  eventClass
	gone   bool        // dropped, withdrawn, or moved to another stream
	next   *frontEvent // what it became when it was moved
}

// cost is what an event takes in memory, roughly.
func (e *frontEvent) cost() int { return len(e.data) + 128 }

func newFrontEvent(m *Message) *frontEvent {
	e := &frontEvent{data: m.Append(make([]byte, 0, m.Size()))}
	if m.ID == nil {
		switch m.Method {
		case methodMessage:
			e.class = eventLog
		case methodProgress:
			e.class = eventProgress
			if v, ok := rawjson.Get(m.Params, "progressToken"); ok {
				e.token = string(v)
			}
		}
	}
	return e
}

// frontQueue is what waits for a reader, the oldest first.
type frontQueue struct {
	events []*frontEvent
	bytes  int
	light  int // of events, those that may be dropped
}

// add appends e if it fits into limit, when need be by dropping what may be
// dropped. It reports how many events were dropped, e perhaps among them, and
// whether there is no room although e must not be dropped. An empty queue
// takes any event.
func (q *frontQueue) add(e *frontEvent, limit int) (dropped int, full bool) {
	fits := func() bool {
		return e.class == eventTaken || len(q.events) == 0 || q.bytes+e.cost() <= limit
	}
	if !fits() {
		dropped = q.shed(e, limit)
		if !fits() {
			if !e.class.light() {
				return dropped, true
			}
			e.gone = true
			return dropped + 1, false
		}
	}
	q.push(e)
	return dropped, false
}

func (q *frontQueue) push(e *frontEvent) {
	q.events = append(q.events, e)
	q.count(e, 1)
}

// count adds an event to the sums, or with n = -1 takes it away.
func (q *frontQueue) count(e *frontEvent, n int) {
	q.bytes += n * e.cost()
	if e.class.light() {
		q.light += n
	}
}

// shed drops progress that newer progress, e's included, has overtaken. When
// that is not enough for e, the oldest log messages go too, and then the
// oldest progress, until a quarter of limit is free: every walk over the queue
// then pays for many events.
func (q *frontQueue) shed(e *frontEvent, limit int) (dropped int) {
	if q.light == 0 {
		return 0
	}
	drop := func(o *frontEvent) {
		o.gone = true
		q.count(o, -1)
		dropped++
	}
	newer := make(map[string]bool)
	if e.class == eventProgress {
		newer[e.token] = true
	}
	for i := len(q.events) - 1; i >= 0; i-- {
		o := q.events[i]
		switch {
		case o.class != eventProgress:
		case newer[o.token]:
			drop(o)
		default:
			newer[o.token] = true
		}
	}
	for _, class := range []eventClass{eventLog, eventProgress} {
		if q.bytes+e.cost() <= limit {
			break
		}
		for _, o := range q.events {
			if o.class == class && !o.gone && q.bytes+e.cost() > limit-limit/4 {
				drop(o)
			}
		}
	}
	kept := q.events[:0]
	for _, o := range q.events {
		if !o.gone {
			kept = append(kept, o)
		}
	}
	clear(q.events[len(kept):])
	q.events = kept
	return dropped
}

// remove takes e out; false when it is not there.
func (q *frontQueue) remove(e *frontEvent) bool {
	i := slices.Index(q.events, e)
	if i < 0 {
		return false
	}
	q.events = slices.Delete(q.events, i, i+1)
	q.count(e, -1)
	e.gone = true
	return true
}

// pop takes out the first events: one, and more as long as they are at most
// limit bytes together. They are valid until the next call of a method.
func (q *frontQueue) pop(limit int) []*frontEvent {
	n, size := 0, 0
	for _, e := range q.events {
		if size += len(e.data); n > 0 && size > limit {
			break
		}
		q.count(e, -1)
		n++
	}
	out := q.events[:n]
	if q.events = q.events[n:]; len(q.events) == 0 {
		q.events = nil // a quiet stream keeps no buffer
	}
	return out
}
