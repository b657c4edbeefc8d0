package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// parked is a modern client's call that goes on while no request of the
// client is open: it waits for answers that come with the client's retry.
type parked struct {
	r      *request
	id     string
	digest []byte
	cancel context.CancelCauseFunc

	wake chan struct{} // something to ask
	done chan struct{} // reply and err are set

	reply *transport.Message
	err   error

	mu      sync.Mutex
	seq     int
	asks    map[string]*ask
	order   []string
	attend  bool // a request of the client is open
	waiting bool // counted among the parked
	timer   *time.Timer
}

// ask is one question to the client.
type ask struct {
	method string
	params json.RawMessage
	answer chan json.RawMessage
}

var errParkedTimeout = transport.Errorf(transport.CodeTimeout, "the client did not answer in time (Timeouts.Parked)")

// parkable reports whether the call may have to ask a modern client for
// something: then it runs in a goroutine of its own, so that it can outlive
// the client's request.
func (r *request) parkable() bool {
	if r.era != transport.Modern || r.sess.ephemeral || !r.method.parks || !r.client.caps.canAsk() {
		return false
	}
	if r.snap.own || r.srv == nil {
		return true
	}
	peer := r.srv.lastPeer()
	return peer == nil || peer.Era == transport.Legacy
}

// serveParkable starts the call, or goes on with one that is parked, and
// waits until there is a result or a question.
func (r *request) serveParkable(ctx context.Context) (*transport.Message, error) {
	if r.f.requestState != nil {
		st, err := r.readState(&r.call)
		if err != nil {
			r.leave()
			return nil, err
		}
		if st.Parked != "" {
			defer r.leave()
			return r.resume(ctx, st.Parked)
		}
	}
	p := &parked{
		r: r, id: randomID(), digest: r.digest(&r.call), attend: true,
		wake: make(chan struct{}, 1), done: make(chan struct{}), asks: make(map[string]*ask),
	}
	r.park = p
	// The call keeps the values of ctx but not its end: that is the end of
	// the client's request, which await watches.
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.cancel, p.cancel = cancel, cancel
	stop := context.AfterFunc(r.sess.ctx, func() { cancel(context.Cause(r.sess.ctx)) })
	ok := r.sess.spawn(func() {
		defer stop()
		defer r.leave()
		p.reply, p.err = r.execute(run)
		close(p.done)
	})
	if !ok {
		stop()
		r.leave()
		return nil, transport.ErrClosed
	}
	return p.await(ctx, r.m.ID)
}

// resume hands the answers of a retry to the parked call.
func (r *request) resume(ctx context.Context, id string) (*transport.Message, error) {
	p := r.g.findParked(id)
	if p == nil || p.r.sess.owner != r.sess.owner || string(p.digest) != string(r.digest(&r.call)) {
		return nil, errState
	}
	p.mu.Lock()
	if p.attend {
		p.mu.Unlock()
		return nil, transport.Errorf(transport.CodeInvalidRequest, "another request already waits for this call")
	}
	bad := ""
	rawjson.Each(r.f.inputResponses, func(key, v []byte) bool {
		name, _ := rawjson.String(key)
		if p.asks[name] != nil && rawjson.KindOf(v) != rawjson.Object {
			bad = name
			return false
		}
		return true
	})
	if bad != "" {
		p.mu.Unlock()
		return nil, transport.Errorf(transport.CodeInvalidParams, "inputResponses[%q] is not an object", bad)
	}
	p.attend = true
	p.unwait()
	p.r.leg.Store(r.leg.Load())
	rawjson.Each(r.f.inputResponses, func(key, v []byte) bool {
		name, _ := rawjson.String(key)
		if a := p.asks[name]; a != nil {
			p.forget(name)
			a.answer <- v
		}
		return true
	})
	left := len(p.asks) > 0
	p.mu.Unlock()
	p.r.thinking(false)
	if left {
		p.signal()
	}
	return p.await(ctx, r.m.ID)
}

// await waits, for one request of the client, until there is a result or
// something to ask.
func (p *parked) await(ctx context.Context, id json.RawMessage) (*transport.Message, error) {
	for {
		select {
		case <-p.done:
			if p.err != nil {
				return nil, p.err
			}
			m := *p.reply
			m.ID = id
			return &m, nil
		case <-p.wake:
			if p.gather(ctx) {
				continue
			}
			result, err := p.leaveWith()
			if err != nil {
				p.cancel(err)
				return nil, err
			}
			if result != nil {
				return &transport.Message{ID: id, Result: result}, nil
			}
		case <-ctx.Done(): // closing its stream is how a modern client cancels
			cause := context.Cause(ctx)
			p.cancel(cause)
			return nil, cause
		}
	}
}

// A server may ask several things at the same time; they are to leave in one
// result. So a question waits until none has come for a while, which nobody
// notices who has to answer one.
const (
	quiet       = 50 * time.Millisecond
	mostGathers = 20
)

// gather waits for more questions. It reports true when the call or the
// client's request ended meanwhile.
func (p *parked) gather(ctx context.Context) bool {
	t := time.NewTimer(quiet)
	defer t.Stop()
	for range mostGathers {
		select {
		case <-p.wake:
			t.Reset(quiet)
		case <-t.C:
			return false
		case <-p.done:
			return true
		case <-ctx.Done():
			return true
		}
	}
	return false
}

// leaveWith makes the input_required result of all open questions and parks
// the call; nil when there is nothing to ask any more.
func (p *parked) leaveWith() (json.RawMessage, error) {
	r := p.r
	st := r.newState(&r.call)
	st.Digest = p.digest
	st.Parked = p.id
	sealed, err := r.sealState(st)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) == 0 {
		return nil, nil
	}
	if err := r.g.parkCall(p); err != nil {
		return nil, err
	}
	var in json.RawMessage
	for _, key := range p.order {
		a := p.asks[key]
		q := rawjson.Set(nil, rawjson.Quote(a.method), "method")
		if a.params != nil {
			q = rawjson.Set(q, rawjson.Delete(a.params, "_meta", "progressToken"), "params")
		}
		in = rawjson.Set(in, q, key)
	}
	p.attend, p.waiting = false, true
	limit := r.snap.opts.Timeouts.Parked
	p.timer = time.AfterFunc(limit, func() { // a result that nobody came for goes too
		r.g.leavePark(p) // first, so that nobody finds a call that is ending
		p.cancel(errParkedTimeout)
	})
	r.thinking(true)
	return rawjson.Apply(json.RawMessage(`{"resultType":"input_required"}`),
		rawjson.Edit{Path: []string{"inputRequests"}, Value: in},
		rawjson.Edit{Path: []string{"requestState"}, Value: sealed}), nil
}

// unwait stops the clock of a parked call. p.mu is held.
func (p *parked) unwait() {
	if p.waiting {
		p.waiting = false
		p.timer.Stop()
		p.r.g.leavePark(p)
	}
}

func (p *parked) forget(key string) {
	delete(p.asks, key)
	for i, k := range p.order {
		if k == key {
			p.order = append(p.order[:i:i], p.order[i+1:]...)
			return
		}
	}
}

func (p *parked) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// ask puts a question to the client and waits for its answer.
func (p *parked) ask(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	a := &ask{method: method, params: params, answer: make(chan json.RawMessage, 1)}
	p.mu.Lock()
	p.seq++
	key := "q" + strconv.Itoa(p.seq)
	p.asks[key] = a
	p.order = append(p.order, key)
	p.mu.Unlock()
	p.signal()
	select {
	case raw := <-a.answer:
		return raw, nil
	case <-ctx.Done():
		p.mu.Lock()
		p.forget(key)
		p.mu.Unlock()
		err := context.Cause(ctx)
		if errors.Is(err, context.Canceled) {
			err = transport.Errorf(transport.CodeCancelled, "cancelled")
		}
		return nil, err
	}
}

// parkCall counts p among the parked calls.
func (g *Gateway) parkCall(p *parked) error {
	l := g.snap.Load().opts.Limits
	g.mu.Lock()
	defer g.mu.Unlock()
	switch owner := p.r.sess.owner; {
	case len(g.parked) >= l.Parked:
		return transport.Errorf(transport.CodeLimit, "%d calls wait for answers of clients, the gateway's limit (Limits.Parked)", l.Parked)
	case g.parkedBy[owner] >= l.ParkedPerClient:
		return transport.Errorf(transport.CodeLimit, "%d calls of this caller wait for answers, the limit (Limits.ParkedPerClient)", l.ParkedPerClient)
	default:
		g.parked[p.id] = p
		g.parkedBy[owner]++
	}
	return nil
}

// leavePark undoes parkCall.
func (g *Gateway) leavePark(p *parked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.parked[p.id] != p {
		return
	}
	delete(g.parked, p.id)
	owner := p.r.sess.owner
	if g.parkedBy[owner]--; g.parkedBy[owner] == 0 {
		delete(g.parkedBy, owner)
	}
}

func (g *Gateway) findParked(id string) *parked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.parked[id]
}
