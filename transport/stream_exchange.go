package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// exchange is what a [Stream] and an end of a [Pipe] have in common: the
// calls in flight in both directions, and who gets what the peer sends. It is
// fed by one goroutine, through receive, and sends through its outbox.
//
// What belongs to a call is put into the call's inbox, in order, and handed
// on by the goroutine that waits in Call. What belongs to none is handed on
// by a goroutine that lives as long as there is something to hand on. So the
// feeding goroutine waits for nobody, except for room in these queues.
type exchange struct {
	out  *outbox
	pump func() // consumes the outbox; for who became its consumer
	o    StreamOptions
	done chan struct{}
	stop chan struct{} // closed by Close, after done

	ctx    context.Context // of what runs for the peer
	cancel context.CancelFunc
	wg     sync.WaitGroup
	spare  sync.Pool // of *call; the Conn's own, for their channels may belong to a bubble of synctest

	batches   atomic.Bool // the revision agreed on has batches
	mu        sync.Mutex
	room      sync.Cond // a queue got shorter, or something ended; for the feeding goroutine
	err       error     // why the exchange ended
	gone      error     // set when the peer sends no more
	connector bool      // our call opened the conversation
	heard     bool      // the peer sent something
	seq       uint64
	calls     map[uint64]*call
	tokens    map[string]*call // by canonical progress token
	serving   map[string]*served
	running   int // requests of the peer that are not answered yet

	receiver  Receiver
	listening bool
	waiting   []item // for the receiver of Listen
	waitBytes int
	handing   bool // a goroutine hands on what is waiting
}

// call is a call in flight. Its fields are guarded by the exchange's mu,
// except those that never change.
type call struct {
	id      uint64
	m       *Message
	related Receiver
	token   string // canonical; empty without one
	inbox   []item
	bytes   int
	reply   *Message
	err     error
	wake    chan struct{}
}

// item is something that the peer sent and somebody is to be given.
type item struct {
	m *Message
	s *served // set for a request
}

// served is a request of the peer.
type served struct {
	m         *Message
	ctx       context.Context
	cancel    context.CancelFunc
	batch     *batch
	cancelled bool
}

func newExchange(o StreamOptions, pump func()) *exchange {
	x := &exchange{
		out:     &outbox{limit: o.Queue, onDrop: o.OnDrop},
		pump:    pump,
		o:       o,
		done:    make(chan struct{}),
		stop:    make(chan struct{}),
		calls:   make(map[uint64]*call),
		serving: make(map[string]*served),
	}
	x.room.L = &x.mu
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// Done implements [Done].
func (x *exchange) Done() <-chan struct{} { return x.done }

// Err implements [Done].
func (x *exchange) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// Listen implements [Conn].
func (x *exchange) Listen(r Receiver) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.listening {
		return
	}
	x.receiver, x.listening = r, true
	if r == nil {
		x.receiver = refuse
	}
	x.handOn()
}

// peerGone is the error of a conn whose peer went away.
func peerGone(cause error) error {
	if errors.Is(cause, ErrClosed) {
		return cause
	}
	return fmt.Errorf("%w by the peer: %w", ErrClosed, cause)
}

// put sends p, and whatever else is queued when nobody does.
func (x *exchange) put(ctx context.Context, p parcel, u urgency) error {
	consume, err := x.out.put(ctx, p, u)
	if consume {
		x.pump()
	}
	return err
}

// Notify implements [Conn].
func (x *exchange) Notify(ctx context.Context, m *Message) error {
	if err := x.Err(); err != nil {
		return &Error{Err: err}
	}
	return sendError(ctx, x.put(ctx, parcel{m: m}, urgencyOf(m.Method)))
}

// sendError is the error of something that was not sent because of err.
func sendError(ctx context.Context, err error) error {
	if err == nil || err == ctx.Err() {
		return err
	}
	return &Error{Err: err}
}

// Call implements [Conn].
func (x *exchange) Call(ctx context.Context, m *Message, related Receiver) (*Message, error) {
	c, err := x.begin(ctx, m, related)
	if err != nil {
		return nil, err
	}
	id := c.id // c is another call's once this one is finished
	err = x.put(ctx, parcel{m: m, id: strconv.AppendUint(nil, id, 10)}, patient)
	if err != nil {
		x.finish(c)
		return nil, sendError(ctx, err)
	}
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			if reply, err, ok := x.finish(c); ok {
				return reply, err
			}
			x.cancelOnWire(m, id)
			return nil, ctx.Err()
		}
		x.mu.Lock()
		inbox, reply, err := c.inbox, c.reply, c.err
		c.inbox, c.bytes = nil, 0
		if inbox != nil {
			x.room.Signal()
		}
		x.mu.Unlock()
		for i, it := range inbox {
			if ctx.Err() != nil && reply == nil {
				x.refuseAll(inbox[i:])
				break
			}
			x.give(ctx, related, it)
		}
		if reply == nil && err == nil {
			continue
		}
		x.finish(c)
		if err != nil {
			return nil, err
		}
		r := *reply
		r.ID = m.ID
		if m.Method == methodListen {
			r.Result = retag(r.Result, m.ID)
		}
		return &r, nil
	}
}

// begin registers a call.
func (x *exchange) begin(ctx context.Context, m *Message, related Receiver) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var token string
	if raw, ok := rawjson.Get(m.Params, "_meta", "progressToken"); ok {
		token = canonicalToken(raw)
	}
	c, ok := x.spare.Get().(*call)
	if !ok {
		c = &call{wake: make(chan struct{}, 1)}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.ended(); err != nil {
		return nil, &Error{Err: err}
	}
	x.connector = x.connector || !x.heard
	x.seq++
	c.id, c.m, c.related, c.token = x.seq, m, related, token
	x.calls[c.id] = c
	if token != "" {
		if x.tokens == nil {
			x.tokens = make(map[string]*call)
		}
		x.tokens[token] = c
	}
	return c, nil
}

// ended returns why no call can be made any more. mu is held.
func (x *exchange) ended() error {
	if x.err != nil {
		return x.err
	}
	return x.gone
}

// forget takes a call out of those in flight. mu is held.
func (x *exchange) forget(c *call) {
	delete(x.calls, c.id)
	if c.token != "" && x.tokens[c.token] == c {
		delete(x.tokens, c.token)
	}
	x.room.Signal()
}

// finish ends a call. What came for it and was not handed on is returned if
// it is the outcome, and refused if it is a request.
func (x *exchange) finish(c *call) (*Message, error, bool) {
	x.mu.Lock()
	x.forget(c)
	inbox, reply, err := c.inbox, c.reply, c.err
	x.mu.Unlock()
	x.refuseAll(inbox)
	m := c.m
	select {
	case <-c.wake:
	default:
	}
	*c = call{wake: c.wake} // nobody else has it any more
	x.spare.Put(c)
	if reply != nil && len(inbox) == 0 {
		r := *reply
		r.ID = m.ID
		return &r, nil, true
	}
	return nil, err, err != nil
}

// cancelOnWire tells the peer that nobody waits for a reply.
func (x *exchange) cancelOnWire(m *Message, id uint64) {
	if m.Method == "initialize" {
		return // the protocol forbids it
	}
	params := append([]byte(nil), `{"requestId":`...)
	params = strconv.AppendUint(params, id, 10)
	params = append(params, `,"reason":"the caller gave up"}`...)
	// A peer that reads nothing will not miss it.
	_ = x.put(x.ctx, parcel{m: &Message{Method: methodCancelled, Params: params}}, pressing)
}

// give hands an item to a receiver: a notification here and now, a request in
// a goroutine of its own.
func (x *exchange) give(ctx context.Context, to Receiver, it item) {
	if it.s == nil {
		_, _ = to.Receive(ctx, it.m) // a notification has no reply
		return
	}
	x.start(to, it.s)
}

func (x *exchange) start(to Receiver, s *served) {
	if !x.spawn(func() { x.serve(to, s) }) {
		s.cancel()
	}
}

// serve runs a request of the peer and answers it.
func (x *exchange) serve(to Receiver, s *served) {
	var reply *Message
	var err error
	if s.ctx.Err() == nil {
		reply, err = to.Receive(s.ctx, s.m)
	}
	x.answer(s, reply, err)
}

// answer ends a request of the peer.
func (x *exchange) answer(s *served, reply *Message, err error) {
	x.mu.Lock()
	if key := string(s.m.ID); x.serving[key] == s {
		delete(x.serving, key)
	}
	cancelled := s.cancelled
	x.mu.Unlock()
	s.cancel()
	switch {
	case cancelled:
		reply = nil // who cancelled wants no answer
	case err != nil:
		reply = s.m.ReplyError(err)
	case reply == nil || reply.Result == nil && reply.Error == nil:
		reply = s.m.ReplyError(Errorf(CodeInternal, "internal error"))
	}
	if s.m.Method == "initialize" && reply != nil {
		v, _ := rawjson.Get(reply.Result, "protocolVersion")
		x.batches.Store(rawjson.KeyIs(v, versionBatch)) // before the client learns it
	}
	p := parcel{m: reply, id: s.m.ID}
	if s.batch != nil {
		p = s.batch.answered(p)
	}
	if p.m != nil || p.raw != nil {
		_ = x.put(x.ctx, p, patient) // fails only when the conn ends
	}
	x.mu.Lock()
	x.running--
	x.room.Broadcast()
	x.mu.Unlock()
}

// refuseAll answers the requests of a call that has ended before they began.
func (x *exchange) refuseAll(items []item) {
	for _, it := range items {
		if it.s != nil {
			x.start(overReceiver, it.s)
		}
	}
}

var overReceiver = ReceiverFunc(func(context.Context, *Message) (*Message, error) {
	return nil, Errorf(CodeCancelled, "the call to which the request belongs has ended")
})

// spawn runs f in a goroutine that Close joins. It reports false, and does
// nothing, once the exchange has ended.
func (x *exchange) spawn(f func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.spawnLocked(f)
}

func (x *exchange) spawnLocked(f func()) bool {
	if x.err != nil {
		return false
	}
	x.wg.Go(f)
	return true
}

// end ends the exchange with the first cause it is given.
func (x *exchange) end(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return
	}
	x.err = cause
	x.fail(cause)
	x.out.close(cause)
	x.cancel()
	x.waiting, x.waitBytes = nil, 0
	close(x.done)
	x.room.Broadcast()
}

// fail ends every call in flight. mu is held.
func (x *exchange) fail(cause error) {
	for _, c := range x.calls {
		x.outcome(c, nil, &Error{Sent: true, Err: cause})
	}
}

// outcome sets how a call ends and wakes who made it. mu is held.
func (x *exchange) outcome(c *call, reply *Message, err error) {
	c.reply, c.err = reply, err
	x.forget(c)
	c.notify()
}

// notify wakes the goroutine that waits in Call.
func (c *call) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// join waits for the goroutines that run receivers.
func (x *exchange) join() { waitFor(&x.wg, joinTimeout) }

// linger waits, when the peer sends no more, until it has the answers to what
// it asked before, but no longer than d.
func (x *exchange) linger(d time.Duration) {
	expired := make(chan struct{})
	t := time.AfterFunc(d, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		close(expired)
		x.room.Broadcast()
	})
	defer t.Stop()
	x.mu.Lock()
	for _, s := range x.serving {
		if s.m.Method == methodListen { // it would never end
			s.cancelled = true
			s.cancel()
		}
	}
	for x.running > 0 && x.err == nil && !isClosed(expired) {
		x.room.Wait()
	}
	x.mu.Unlock()
	if idle := x.out.drained(); idle != nil {
		select {
		case <-idle:
		case <-expired:
		case <-x.done:
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// canonicalToken makes a progress token comparable: a string is the same
// however it is escaped, a number is compared digit by digit.
func canonicalToken(raw json.RawMessage) string {
	if b, err := rawjson.Canonical(raw); err == nil {
		return string(b)
	}
	return string(raw)
}
