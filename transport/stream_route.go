package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// metaRelatedTask is the key of _meta that names the task to which a message
// belongs (2025-11-25).
const metaRelatedTask = "io.modelcontextprotocol/related-task"

const methodMessage = "notifications/message"

// receive takes a message of the peer. One goroutine calls it, in wire order.
func (x *exchange) receive(m *Message) { x.receiveIn(m, nil) }

// receiveIn is receive for a message of a batch; b is nil otherwise.
func (x *exchange) receiveIn(m *Message, b *batch) {
	x.mu.Lock()
	x.heard = true
	x.mu.Unlock()
	switch {
	case m.IsResponse():
		x.replied(m)
	case m.IsRequest():
		x.asked(m, b)
	case m.Method == methodCancelled:
		x.cancelled(m)
	default:
		x.mu.Lock()
		c := x.callOfNotification(m)
		if c != nil && c.m.Method == methodListen {
			m = retagged(m, c.m.ID)
		}
		x.hand(c, item{m: m})
		x.mu.Unlock()
	}
}

// replied ends the call that m answers. A reply without a usable id answers
// the only call in flight, if there is but one.
func (x *exchange) replied(m *Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.callByID(m.ID)
	if c == nil && string(m.ID) == "null" && len(x.calls) == 1 {
		c = x.only(func(*call) bool { return true })
	}
	if c != nil { // otherwise nobody waits for it any more
		x.outcome(c, m, nil)
	}
}

// callByID returns the call with an id on the wire. mu is held.
func (x *exchange) callByID(id json.RawMessage) *call {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		return nil
	}
	return x.calls[n]
}

// asked begins to serve a request of the peer.
func (x *exchange) asked(m *Message, b *batch) {
	s := &served{m: m, batch: b}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return
	}
	if fault := x.admit(s); fault != nil {
		x.mu.Unlock()
		x.respond(s, m.ReplyError(fault))
		x.mu.Lock()
		return
	}
	x.hand(x.callOfRequest(m), item{m: m, s: s})
}

// admit registers a request. mu is held.
func (x *exchange) admit(s *served) error {
	key := string(s.m.ID)
	switch {
	case x.serving[key] != nil:
		return Errorf(CodeInvalidRequest, "a request with this id is still running")
	case x.running >= x.o.Requests:
		return limited("requests", "more than %d requests at once", x.o.Requests)
	}
	s.ctx, s.cancel = context.WithCancel(x.ctx)
	x.serving[key] = s
	x.running++
	return nil
}

// respond sends a reply that cannot wait, since the feeding goroutine sends
// it. When there is no room even so the exchange ends.
func (x *exchange) respond(s *served, reply *Message) {
	p := parcel{m: reply, id: reply.ID}
	if s != nil && s.batch != nil {
		p = s.batch.answered(p)
	}
	if p.m == nil && p.raw == nil {
		return
	}
	if err := x.put(x.ctx, p, pressing); err == errNotReading {
		x.end(peerGone(err))
	}
}

// cancelled ends the request that the peer no longer wants answered.
func (x *exchange) cancelled(m *Message) {
	id, ok := rawjson.Get(m.Params, "requestId")
	if !ok {
		return
	}
	x.mu.Lock()
	s := x.serving[string(id)]
	if s != nil && s.m.Method != "initialize" {
		s.cancelled = true
		s.cancel()
	}
	x.mu.Unlock()
}

// hand puts an item where it will be handed on: into the inbox of c, or, when
// c is nil or wants nothing, among what waits for the receiver of Listen. It
// waits for room there. mu is held; it is let go of while waiting.
func (x *exchange) hand(c *call, it item) {
	size := it.m.Size()
	var id uint64
	if c != nil {
		id = c.id
	}
	for x.err == nil {
		if c != nil && (c.related == nil || x.calls[id] != c) { // it may have ended while we waited
			c = nil
		}
		queued := x.waitBytes
		if c != nil {
			queued = c.bytes
		}
		switch {
		case queued == 0 || queued+size <= x.o.Queue:
			x.enqueue(c, it, size)
			return
		case it.s == nil && urgencyOf(it.m.Method) == light:
			if x.o.OnDrop != nil {
				x.mu.Unlock()
				x.o.OnDrop(1)
				x.mu.Lock()
			}
			return
		}
		x.room.Wait()
	}
}

// enqueue is the end of hand. mu is held.
func (x *exchange) enqueue(c *call, it item, size int) {
	if c != nil {
		c.inbox = append(c.inbox, it)
		c.bytes += size
		c.notify()
		return
	}
	if it.s != nil && x.listening && !x.handing { // nothing is before it
		x.spawnLocked(func() { x.serve(x.receiver, it.s) })
		return
	}
	x.waiting = append(x.waiting, it)
	x.waitBytes += size
	x.handOn()
}

// handOn sees to it that what is waiting is handed on. mu is held.
func (x *exchange) handOn() {
	if x.listening && !x.handing && len(x.waiting) > 0 {
		x.handing = x.spawnLocked(x.handAll)
	}
}

// handAll gives the receiver of Listen what is waiting, one after the other.
func (x *exchange) handAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.waiting) > 0 {
		it := x.waiting[0]
		x.waiting[0] = item{}
		x.waiting = x.waiting[1:]
		x.mu.Unlock()
		x.give(x.ctx, x.receiver, it)
		x.mu.Lock()
		x.waitBytes = max(0, x.waitBytes-it.m.Size())
		x.room.Signal()
	}
	x.waiting = nil
	x.handing = false
}

// callOfNotification returns the call to which a notification belongs, or
// nil. mu is held.
func (x *exchange) callOfNotification(m *Message) *call {
	if len(x.calls) == 0 {
		return nil
	}
	if m.Method == methodProgress {
		token, ok := rawjson.Get(m.Params, "progressToken")
		if !ok || len(x.tokens) == 0 {
			return nil
		}
		return x.tokens[canonicalToken(token)]
	}
	c, tagged := x.callOfTag(m)
	if tagged || m.Method != methodMessage {
		return c
	}
	return x.onlyRelated()
}

// callOfRequest returns the call to which a request belongs, or nil. mu is
// held.
func (x *exchange) callOfRequest(m *Message) *call {
	if len(x.calls) == 0 {
		return nil
	}
	c, tagged := x.callOfTag(m)
	if tagged {
		return c
	}
	return x.onlyRelated()
}

// callOfTag looks at what a message itself says of where it belongs. tagged
// is true when it says something, even of a call that is not in flight.
func (x *exchange) callOfTag(m *Message) (c *call, tagged bool) {
	meta, ok := rawjson.Get(m.Params, "_meta")
	if !ok {
		return nil, false
	}
	if id, ok := rawjson.Get(meta, MetaSubscription); ok {
		if c := x.callByID(id); c != nil && c.m.Method == methodListen {
			return c, true
		}
		return nil, true
	}
	task, ok := rawjson.Get(meta, metaRelatedTask, "taskId")
	if !ok {
		return nil, false
	}
	return x.only(func(c *call) bool {
		own, ok := rawjson.Get(c.m.Params, "_meta", metaRelatedTask, "taskId")
		if !ok {
			own, ok = rawjson.Get(c.m.Params, "taskId")
		}
		return ok && bytes.Equal(own, task)
	}), true
}

// onlyRelated returns the only call in flight that can be asked something;
// nil when there is none or there are several. A subscription is none of
// them: what belongs to it is tagged.
func (x *exchange) onlyRelated() *call {
	return x.only(func(c *call) bool { return c.related != nil && c.m.Method != methodListen })
}

// only returns the one call in flight for which f is true. mu is held.
func (x *exchange) only(f func(*call) bool) *call {
	var found *call
	for _, c := range x.calls {
		if !f(c) {
			continue
		}
		if found != nil {
			return nil
		}
		found = c
	}
	return found
}

// retagged is m with the subscription id that the caller knows.
func retagged(m *Message, id json.RawMessage) *Message {
	n := *m
	n.Params = retag(m.Params, id)
	return &n
}

// batch collects the answers to the requests of a JSON-RPC batch, which leave
// together.
type batch struct {
	mu   sync.Mutex
	open int // requests without an answer
	line []byte
}

// answered adds an answer, or none for a request that was cancelled. It
// returns what is to be sent: an empty parcel as long as answers are missing.
func (b *batch) answered(p parcel) parcel {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.m != nil {
		sep := byte(',')
		if len(b.line) == 0 {
			sep = '['
		}
		b.line = p.m.appendLine(append(b.line, sep), p.id)
	}
	b.open--
	if b.open > 0 || len(b.line) == 0 {
		return parcel{}
	}
	return parcel{raw: append(b.line, ']')}
}
