package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// stable is how long an instance must have lived for its crash to count as
// the first again.
const stable = time.Minute

// pool owns every instance: it starts them when they are first used, one
// start for all who wait, and stops them when nobody uses them.
type pool struct {
	g     *Gateway
	turns *turns // bounds starts

	mu     sync.Mutex
	slots  map[poolKey]*slot
	rooms  rooms
	warm   map[*server]*warmth
	closed bool

	wg sync.WaitGroup
}

// poolKey says which instance a request is for.
type poolKey struct {
	srv   *server
	scope string // "" shared, "s" + session, "p" + principal, "c" + call
}

// slot holds one instance at a time.
type slot struct {
	p    *pool
	key  poolKey
	sess *session // of a session's, principal's or call's instance: who had it started

	client *client // of that session

	mu       sync.Mutex
	inst     *instance
	start    *startup
	failures int // in a row
	notUntil time.Time
	lastErr  string
	refs     int
	lastUsed time.Time
	closed   bool
	probing  bool
	probed   time.Time
}

// startup is a start in progress.
type startup struct {
	done chan struct{}
	err  error
}

func newPool(g *Gateway, starts int) *pool {
	return &pool{
		g: g, turns: newTurns(starts), slots: make(map[poolKey]*slot), warm: make(map[*server]*warmth),
		rooms: rooms{byServer: make(map[*server]int), queues: make(map[string][]*waiter)},
	}
}

// acquire returns a running instance of srv for the session, starting one if
// need be, and a func that gives it back. ctx bounds the wait, not the start.
func (p *pool) acquire(ctx context.Context, srv *server, sess *session, cl *client, call string) (*instance, func(), error) {
	s, err := p.slot(srv, sess, cl, call)
	if err != nil {
		return nil, nil, err
	}
	for try := 0; ; try++ {
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return nil, nil, &serverError{server: srv.Name, reason: "it is being stopped"}
		case s.inst != nil && !s.inst.ended():
			s.refs++
			s.lastUsed = time.Now()
			inst := s.inst
			s.mu.Unlock()
			return inst, func() { s.release(call != "") }, nil
		case try == 3:
			text := s.lastErr
			s.mu.Unlock()
			return nil, nil, &serverError{server: srv.Name, reason: "it ended right after its start: " + text}
		}
		if s.start == nil {
			s.begin()
		}
		st := s.start
		s.mu.Unlock()
		select {
		case <-st.done:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		if st.err != nil {
			return nil, nil, st.err
		}
	}
}

// running returns the session's instance of srv if it runs; no start.
func (p *pool) running(srv *server, sess *session, cl *client) *instance {
	p.mu.Lock()
	s := p.slots[poolKey{srv, scopeOf(srv, sess, cl, "")}]
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inst == nil || s.inst.ended() {
		return nil
	}
	return s.inst
}

// scopeOf names the instance. A server is told at its start what its client
// can do, so that clients of one principal that declare different things do
// not share its instance.
func scopeOf(srv *server, sess *session, cl *client, call string) string {
	switch srv.Instance {
	case Shared:
		return ""
	case PerPrincipal:
		return "p" + sess.owner
	case PerCall:
		return "c" + call
	}
	if sess.stateless {
		return "s" + sess.id + "/" + cl.caps.class
	}
	return "s" + sess.id
}

func (p *pool) slot(srv *server, sess *session, cl *client, call string) (*slot, error) {
	key := poolKey{srv, scopeOf(srv, sess, cl, call)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || srv.removed.Load() {
		return nil, &serverError{server: srv.Name, reason: "it is being stopped"}
	}
	if s := p.slots[key]; s != nil {
		return s, nil
	}
	s := &slot{p: p, key: key, lastUsed: time.Now()}
	if srv.Instance != Shared {
		s.sess, s.client = sess, cl
	}
	if srv.Instance != Shared && srv.Instance != PerPrincipal {
		if !sess.addSlot(s) {
			return nil, &serverError{server: srv.Name, reason: "the session has ended"}
		}
	}
	p.slots[key] = s
	return s, nil
}

// release gives an instance back. The instance of one call is stopped.
func (s *slot) release(callOnly bool) {
	s.mu.Lock()
	s.refs--
	s.lastUsed = time.Now()
	drop := callOnly && s.key.srv.Instance == PerCall || s.key.srv.removed.Load()
	drop = drop && s.refs == 0
	free := s.refs == 0
	s.mu.Unlock()
	switch {
	case drop:
		s.close("done")
	case free:
		s.p.unused()
	}
}

// begin starts an instance in a goroutine of the pool. s.mu is held.
func (s *slot) begin() {
	st := &startup{done: make(chan struct{})}
	s.start = st
	attempt := s.failures + 1
	wait, last := time.Until(s.notUntil), s.lastErr
	s.p.wg.Go(func() {
		inst, err := s.p.launch(s, attempt, wait, last)
		s.mu.Lock()
		s.start = nil
		closed := s.closed
		var not *notTried
		if errors.As(err, &not) {
			st.err = not.err
		} else if err != nil {
			s.failures++
			s.notUntil = time.Now().Add(backoff(s.failures))
			s.lastErr = err.Error()
			st.err = err
		} else if !closed {
			s.inst = inst
		}
		s.mu.Unlock()
		if err != nil && not == nil {
			s.key.srv.setError(err.Error())
		} else if err == nil && closed {
			st.err = &serverError{server: s.key.srv.Name, reason: "it is being stopped"}
			inst.stop()
		}
		close(st.done)
	})
}

// notTried wraps the reason why a start was not even tried. It is no failure of
// the server, so it does not make the next start wait longer.
type notTried struct{ err error }

func (e *notTried) Error() string { return e.err.Error() }
func (e *notTried) Unwrap() error { return e.err }

// launch does one start, handshake included. last says why the one before
// failed.
func (p *pool) launch(s *slot, attempt int, wait time.Duration, last string) (*instance, error) {
	srv := s.key.srv
	opts := p.g.snap.Load().opts
	deadline := srv.StartTimeout
	if deadline <= 0 {
		deadline = opts.Timeouts.Start
	}
	if wait > deadline {
		return nil, &notTried{&serverError{server: srv.Name, reason: fmt.Sprintf("it failed %d times in a row and is next tried in %s; the last time: %s",
			attempt-1, wait.Round(time.Second), last)}}
	}
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.g.ctx.Done():
			return nil, &notTried{&serverError{server: srv.Name, reason: "the gateway is being stopped"}}
		}
	}
	ctx, cancel := context.WithTimeout(p.g.ctx, deadline)
	defer cancel()
	owner := ""
	if s.sess != nil {
		owner = s.sess.owner
	}
	ready, err := p.room(ctx, srv, owner)
	if err != nil {
		return nil, &notTried{err}
	}
	if ready == nil {
		if err := p.turns.take(ctx, owner); err != nil {
			p.leave(srv)
			return nil, &notTried{&serverError{server: srv.Name, reason: fmt.Sprintf("it had no turn to start within %s: too many servers start at the same time (Limits.Starts)", deadline)}}
		}
		defer p.turns.give()
	}

	began := time.Now()
	key := runtime.Key{Server: srv.Name, Attempt: attempt, Secrets: srv.secrets}
	if s.sess != nil {
		key.Principal = s.sess.principal
		if srv.Instance != PerPrincipal {
			key.Session = s.sess.id
		}
	}
	p.g.instanceEvent(InstanceEvent{Server: srv.Name, State: Starting, Attempt: attempt})
	inst, err := p.g.start(ctx, s, key, ready)
	if err != nil {
		p.leave(srv)
		if ctx.Err() != nil && p.g.ctx.Err() == nil {
			err = &serverError{server: srv.Name, reason: fmt.Sprintf("it did not answer within %s of its start%s", deadline, detail(err))}
		}
		p.g.log.Warn("a server did not start", "server", srv.Name, "attempt", attempt, "error", err)
		p.g.instanceEvent(InstanceEvent{Server: srv.Name, State: Failed, Attempt: attempt, Took: time.Since(began), Err: err.Error()})
		return nil, err
	}
	p.g.log.Info("a server started", "server", srv.Name, "instance", inst.id, "era", inst.peer.Era, "protocol", inst.peer.Version, "took", time.Since(began))
	p.g.instanceEvent(InstanceEvent{Server: srv.Name, ID: inst.id, State: Running, Attempt: attempt, Took: time.Since(began)})
	p.wg.Go(func() { s.watch(inst) })
	return inst, nil
}

// watch waits for the end of inst.
func (s *slot) watch(inst *instance) {
	exit := inst.wait()
	s.p.leave(s.key.srv)
	s.mu.Lock()
	if s.inst == inst {
		s.inst = nil
	}
	crashed := exit.Reason != runtime.Stopped
	if crashed {
		if time.Since(inst.started) > stable {
			s.failures = 0
		}
		s.failures++
		s.notUntil = time.Now().Add(backoff(s.failures))
		s.lastErr = exit.String()
	} else {
		s.failures = 0
	}
	s.mu.Unlock()
	if crashed {
		s.key.srv.setError(exit.String())
		s.p.g.log.Warn("a server ended", "server", s.key.srv.Name, "instance", inst.id, "exit", exit.String())
		s.p.g.instanceEvent(InstanceEvent{Server: s.key.srv.Name, ID: inst.id, State: Failed, Err: exit.String()})
	} else {
		s.p.g.instanceEvent(InstanceEvent{Server: s.key.srv.Name, ID: inst.id, State: Stopped})
	}
	inst.cleanup()
}

// idle stops the slot's instance; the slot stays.
func (s *slot) idle(why string) {
	s.mu.Lock()
	inst := s.inst
	if inst == nil || s.refs > 0 {
		s.mu.Unlock()
		return
	}
	s.inst = nil
	s.mu.Unlock()
	s.p.g.log.Debug("stopping an instance", "server", s.key.srv.Name, "instance", inst.id, "why", why)
	inst.stop()
}

// restart stops the instance, whether or not it is in use.
func (s *slot) restart() {
	s.mu.Lock()
	inst := s.inst
	s.inst = nil
	s.failures, s.notUntil = 0, time.Time{}
	s.mu.Unlock()
	if inst != nil {
		inst.stop()
	}
}

// close ends the slot for good.
func (s *slot) close(string) {
	s.p.mu.Lock()
	if s.p.slots[s.key] == s {
		delete(s.p.slots, s.key)
	}
	s.p.mu.Unlock()
	s.mu.Lock()
	s.closed = true
	inst := s.inst
	s.inst = nil
	s.mu.Unlock()
	if inst != nil {
		inst.stop()
	}
	if s.sess != nil {
		s.sess.dropSlot(s)
	}
}

// sweep stops what was idle for too long and forgets empty slots.
func (p *pool) sweep(now time.Time) {
	idle := p.g.snap.Load().opts.Timeouts.Idle
	p.mu.Lock()
	all := make([]*slot, 0, len(p.slots))
	for _, s := range p.slots {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		limit := s.key.srv.IdleTimeout
		if limit == 0 {
			limit = idle
		}
		s.mu.Lock()
		unused := s.refs == 0 && s.start == nil
		quiet := now.Sub(s.lastUsed)
		inst := s.inst
		eager := s.key.srv.Eager
		forget := unused && inst == nil && quiet > time.Minute && now.After(s.notUntil.Add(time.Minute))
		removed := unused && s.key.srv.removed.Load()
		probe := s.due(now)
		s.probing = s.probing || probe
		s.mu.Unlock()
		switch {
		case removed:
			s.close("removed")
		case forget:
			s.close("forgotten")
		case inst != nil && unused && limit > 0 && quiet > limit && !eager && !inst.held():
			s.idle("idle")
		}
		if probe { // of one that was just stopped it fails, and nobody minds
			p.wg.Go(func() { s.probe(inst) })
		}
	}
}

// each calls f for every slot, without locks held.
func (p *pool) each(f func(*slot)) {
	p.mu.Lock()
	all := make([]*slot, 0, len(p.slots))
	for _, s := range p.slots {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

// close stops everything and waits until nothing is left.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.mu.Lock()
	warm := p.warm
	p.warm = make(map[*server]*warmth)
	p.mu.Unlock()
	for _, w := range warm {
		w.close()
	}
	var wg sync.WaitGroup
	p.each(func(s *slot) { wg.Go(func() { s.close("shutdown") }) })
	wg.Wait()
	p.wg.Wait()
}

func detail(err error) string {
	if e, ok := err.(*serverError); ok {
		return ": " + e.reason
	}
	return ""
}
