package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// rooms bounds how many instances there are, in all and of each server. Who
// finds no room waits for it; those who wait are let in fairly, one of each
// principal in turn.
type rooms struct {
	count    int             // that run or start; all fields are under pool.mu
	byServer map[*server]int // of them
	waiting  atomic.Int64    // waiters, to be read without the lock
	order    []string        // principals that wait, the next first
	queues   map[string][]*waiter
}

// waiter waits for room for an instance of srv.
type waiter struct {
	srv *server
	in  chan admission // then there is room
}

// admission is how somebody was let in. Nothing in it: one more was counted.
type admission struct {
	leaving *instance // has to be stopped first
	ready   *warm     // is there already, and counted
}

// room waits until there may be one more instance of srv, and counts it. When
// there are too many, it stops the one that was unused for longest.
//
// It returns a warm instance when there is one, which takes no more room.
func (p *pool) room(ctx context.Context, srv *server, principal string) (*warm, error) {
	p.mu.Lock()
	if p.rooms.waiting.Load() == 0 { // nobody is passed by
		if a, ok := p.admit(srv); ok {
			p.mu.Unlock()
			a.leaving.makeRoom()
			return a.ready, nil
		}
	}
	w := &waiter{srv, make(chan admission, 1)}
	r := &p.rooms
	if len(r.queues[principal]) == 0 {
		r.order = append(r.order, principal)
	}
	r.queues[principal] = append(r.queues[principal], w)
	r.waiting.Add(1)
	p.letIn()
	p.mu.Unlock()
	select {
	case a := <-w.in:
		a.leaving.makeRoom()
		return a.ready, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.drop(principal, w) { // let in at the last moment
		a := <-w.in
		if a.ready != nil {
			p.wg.Go(func() { a.ready.of.drop(a.ready) })
		} else {
			p.uncount(srv)
			p.letIn()
		}
		if a.leaving != nil {
			p.wg.Go(a.leaving.makeRoom)
		}
	}
	if p.full() {
		n := p.g.snap.Load().opts.Limits.Instances
		return nil, transport.Errorf(transport.CodeLimit, "the gateway runs %d instances, its limit (Limits.Instances), and all are in use", n)
	}
	return nil, &serverError{server: srv.Name, reason: fmt.Sprintf("it runs %d instances, its limit (MaxInstances), and all are in use", srv.MaxInstances)}
}

// full reports whether the gateway has as many instances as it may. p.mu is
// held.
func (p *pool) full() bool { return p.rooms.count >= p.g.snap.Load().opts.Limits.Instances }

// crowded reports whether srv has as many instances as it may. p.mu is held.
func (p *pool) crowded(srv *server) bool {
	return srv.MaxInstances > 0 && p.rooms.byServer[srv] >= srv.MaxInstances
}

// admit gives a warm instance of srv, or counts one more if there is room for
// it, or somebody who can leave. p.mu is held.
func (p *pool) admit(srv *server) (a admission, ok bool) {
	if a.ready = p.warm[srv].pop(); a.ready != nil {
		return a, true
	}
	crowded := p.crowded(srv)
	if crowded || p.full() {
		var victim *slot
		var since time.Time
		for _, s := range p.slots {
			if crowded && s.key.srv != srv {
				continue
			}
			s.mu.Lock()
			if s.inst != nil && s.refs == 0 && !s.inst.held() && (victim == nil || s.lastUsed.Before(since)) {
				victim, since = s, s.lastUsed
			}
			s.mu.Unlock()
		}
		if victim == nil && !crowded {
			if w, inst := p.cool(); inst != nil {
				p.enter(srv)
				p.wg.Go(func() { w.drop(inst) })
				return a, true
			}
		}
		if victim == nil {
			return a, false
		}
		victim.mu.Lock()
		if victim.refs == 0 {
			a.leaving, victim.inst = victim.inst, nil
		}
		victim.mu.Unlock()
		if a.leaving == nil { // it got work this very moment
			return a, false
		}
	}
	p.enter(srv)
	return a, true
}

// letIn admits those who wait, as far as there is room. p.mu is held.
func (p *pool) letIn() {
	r := &p.rooms
	refused := make(map[*server]bool) // so that each is asked for once
	for i := 0; i < len(r.order); {
		principal := r.order[i]
		var w *waiter
		for _, next := range r.queues[principal] {
			if refused[next.srv] {
				continue
			}
			if a, ok := p.admit(next.srv); ok {
				w = next
				w.in <- a
				break
			}
			refused[next.srv] = true
		}
		if w == nil {
			i++
			continue
		}
		r.drop(principal, w)
		if len(r.queues[principal]) > 0 { // the next is another principal's
			at := slices.Index(r.order, principal)
			r.order = append(slices.Delete(r.order, at, at+1), principal)
		}
	}
}

// drop takes a waiter out of the queue; false when it was let in.
func (r *rooms) drop(principal string, w *waiter) bool {
	q := r.queues[principal]
	for i := range q {
		if q[i] != w {
			continue
		}
		r.waiting.Add(-1)
		if len(q) > 1 {
			r.queues[principal] = append(q[:i:i], q[i+1:]...)
			return true
		}
		delete(r.queues, principal)
		if k := slices.Index(r.order, principal); k >= 0 {
			r.order = slices.Delete(r.order, k, k+1)
		}
		return true
	}
	return false
}

// enter counts one more instance of srv. p.mu is held.
func (p *pool) enter(srv *server) {
	p.rooms.count++
	p.rooms.byServer[srv]++
}

// uncount takes back what enter counted. p.mu is held.
func (p *pool) uncount(srv *server) {
	p.rooms.count--
	if p.rooms.byServer[srv]--; p.rooms.byServer[srv] <= 0 {
		delete(p.rooms.byServer, srv)
	}
}

// leave tells that an instance of srv is gone.
func (p *pool) leave(srv *server) {
	p.mu.Lock()
	p.uncount(srv)
	p.letIn()
	w := p.warm[srv]
	p.mu.Unlock()
	if w != nil {
		w.fill()
	}
}

// unused tells that an instance has nothing to do at the moment.
func (p *pool) unused() {
	if p.rooms.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	p.letIn()
	p.mu.Unlock()
}

// makeRoom stops the instance for another; nil has none to stop.
func (i *instance) makeRoom() {
	if i == nil {
		return
	}
	i.g.log.Debug("stopping an instance", "server", i.srv.Name, "instance", i.id, "why", "room for another")
	i.stop()
}
