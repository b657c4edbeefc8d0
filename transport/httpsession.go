package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// frontSession is a legacy session, and the [Conn] that the host gets for it.
type frontSession struct {
	h         *HTTP
	id        string
	p         Principal
	owner     ownerKey
	receiver  Receiver
	version   string // what initialize agreed on
	old       bool   // HTTP+SSE: everything leaves on the one stream
	resumable bool   // events are kept
	tag       uint32 // of the session's event ids; chance, but no secret

	ctx    context.Context
	cancel context.CancelFunc
	used   atomic.Int64 // by the front's clock
	order  sync.Mutex   // held while the host gets a notification

	mu       sync.Mutex // taken after an exchange's
	err      error      // why the session ended
	running  map[string]*frontCall
	nextID   uint64
	pending  map[uint64]*frontAsk
	nextNum  uint64
	streams  map[uint64]*frontStream // that may be resumed or are open
	standing []*frontStream          // that a GET opened, the newest last
	backlog  frontQueue              // what belongs to no call and waits for a GET
	charged  int                     // bytes of the backlog that the front has counted
	history  []*frontEvent           // what is kept, the oldest first
	kept     int                     // bytes of it
}

var (
	_ Conn = (*frontSession)(nil)
	_ Done = (*frontSession)(nil)
)

// frontAsk is a request to the client that waits for its answer.
type frontAsk struct {
	reply   chan *Message
	token   string // of progress; empty when the host wants none
	ctx     context.Context
	related Receiver

	mu   sync.Mutex // held while related runs
	over bool
}

// newSession reserves a session for p; it is not in the table yet. old is that
// of HTTP+SSE.
func (h *HTTP) newSession(p Principal, old bool) (*frontSession, error) {
	owner := p.owner()
	h.mu.Lock()
	defer h.mu.Unlock()
	use := h.owners[owner]
	switch {
	case h.draining:
		return nil, errDraining()
	case h.opened >= h.o.MaxSessions:
		return nil, later(http.StatusServiceUnavailable, limited("MaxSessions", "the gateway has %d sessions, its limit", h.o.MaxSessions))
	case use.sessions >= h.o.MaxSessionsPerPrincipal:
		return nil, later(http.StatusTooManyRequests, limited("MaxSessionsPerPrincipal", "the caller has %d sessions, the limit", h.o.MaxSessionsPerPrincipal))
	}
	h.opened++
	use.sessions++
	h.owners[owner] = use
	s := &frontSession{
		h: h, p: p, owner: owner, old: old, resumable: !old && h.o.Resume > 0, tag: rand.Uint32(),
		running: make(map[string]*frontCall), pending: make(map[uint64]*frontAsk), streams: make(map[uint64]*frontStream),
	}
	s.ctx, s.cancel = context.WithCancel(h.ctx)
	s.touch()
	return s, nil
}

// accept has the host take the session.
func (s *frontSession) accept(ctx context.Context) (err error) {
	defer s.h.contain("Accept", &err)
	id, r, err := s.h.host.Accept(ctx, s, s.p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil {
		s.receiver = r
	}
	if !plainID(id) || s.receiver == nil {
		return errors.New("the host gave the session no usable id, or nobody to receive its messages")
	}
	s.id = id
	return nil
}

// plainID reports whether id can be a session id: visible ASCII.
func plainID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}
	return id != "" && len(id) <= maxSessionID
}

// publish puts the session into the table. It reports false when it has ended
// or its id is taken.
func (s *frontSession) publish() bool {
	s.h.mu.Lock()
	s.mu.Lock()
	ok := s.err == nil && !s.h.closed && s.h.sessions[s.id] == nil
	if ok {
		s.h.sessions[s.id] = s
	}
	s.mu.Unlock()
	s.h.mu.Unlock()
	if ok && s.h.o.SessionOpened != nil {
		s.h.o.SessionOpened(s.id, s.p)
	}
	return ok
}

// session returns the session of p with an id, or nil.
func (h *HTTP) session(id string, p *Principal) *frontSession {
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s == nil || s.owner != p.owner() {
		return nil
	}
	s.touch()
	return s
}

func (s *frontSession) touch() { s.used.Store(s.h.now.Load()) }

// end ends the session: calls and streams with it.
func (s *frontSession) end(reason error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = reason
	id := s.id
	s.cancel()
	for _, st := range s.streams {
		st.log = nil
		if st.standing {
			st.ended = true // its connection sends what waits, and ends
			if st.sink != nil {
				st.sink.signal()
			}
		}
	}
	s.resumable = false
	s.history, s.backlog = nil, frontQueue{}
	s.charge()
	s.h.kept.Add(-int64(s.kept))
	s.kept = 0
	s.mu.Unlock()

	s.h.mu.Lock()
	published := s.h.sessions[id] == s
	if published {
		delete(s.h.sessions, id)
	}
	s.h.opened--
	s.h.uses(s.owner, -1, 0)
	s.h.mu.Unlock()
	if published && s.h.o.SessionClosed != nil {
		s.h.o.SessionClosed(id, s.p, reason)
	}
}

// errIdle is why a session ended that nobody used.
var errIdle = errors.New("the session was not used")

// idle is called by the clock for a session that was quiet for a while.
func (s *frontSession) idle() {
	s.mu.Lock()
	busy := len(s.running) > 0
	for _, st := range s.streams {
		busy = busy || st.sink != nil
	}
	if !busy && s.err == nil {
		s.forgetOld()
	}
	s.mu.Unlock()
	if !busy && s.h.passed(s.used.Load(), s.h.o.SessionIdle) {
		s.end(errIdle)
	}
}

// start notes that a call runs, so that it can be cancelled.
func (s *frontSession) start(c *frontCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.gone()
	}
	if s.running[c.id] != nil {
		return &Error{Status: http.StatusBadRequest, Err: Errorf(CodeInvalidRequest, "a request with this id is still running in the session")}
	}
	s.running[c.id] = c
	return nil
}

func (s *frontSession) stop(c *frontCall) {
	s.mu.Lock()
	delete(s.running, c.id)
	s.mu.Unlock()
	s.touch()
	c.cancel()
}

// call has the host work on a request.
func (s *frontSession) call(ex *frontExchange, c *frontCall, m *Message) (*Message, error) {
	c.sess = s
	ex.bind(s.ctx, c, m.ID)
	return s.run(c, m)
}

func (s *frontSession) run(c *frontCall, m *Message) (reply *Message, err error) {
	defer c.cancel()
	if err := s.start(c); err != nil {
		return nil, err
	}
	defer s.stop(c)
	if reply, err = s.receive(c, m); err != nil && s.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = s.gone() // rather than that the request was cancelled, which nobody asked for
	}
	return reply, err
}

func (s *frontSession) receive(c *frontCall, m *Message) (reply *Message, err error) {
	defer s.h.contain(m.Method, &err)
	return s.receiver.Receive(c, m)
}

// gone is what is said in a session that has ended.
func (s *frontSession) gone() error {
	if s.h.ctx.Err() != nil {
		return errDraining()
	}
	return &Error{Status: http.StatusNotFound, Err: errNoSession}
}

// take handles what the client sent and wants no reply to.
func (s *frontSession) take(m *Message) {
	switch {
	case m.IsResponse():
		s.answered(m)
	case m.Method == methodCancelled:
		if id, ok := rawjson.Get(m.Params, "requestId"); ok {
			s.mu.Lock()
			c := s.running[string(id)]
			s.mu.Unlock()
			if c != nil {
				c.cancel()
			}
		}
	case m.Method == methodProgress && s.progress(m):
	default:
		s.order.Lock()
		defer s.order.Unlock()
		var err error // a notification has no reply
		defer s.h.contain(m.Method, &err)
		_, err = s.receiver.Receive(s.ctx, m)
	}
}

// progress hands progress on a request of the host to who made it.
func (s *frontSession) progress(m *Message) bool {
	token, ok := rawjson.Get(m.Params, "progressToken")
	if !ok {
		return false
	}
	var a *frontAsk
	s.mu.Lock()
	for _, o := range s.pending {
		if o.token != "" && o.token == string(token) {
			a = o
		}
	}
	s.mu.Unlock()
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		_, _ = a.related.Receive(a.ctx, m) // a notification has no reply
	}
	return true
}

// answered hands a response to the call that waits for it; one that nobody
// waits for is dropped.
func (s *frontSession) answered(m *Message) {
	id, err := strconv.ParseUint(string(m.ID), 10, 64)
	if err != nil {
		return
	}
	s.mu.Lock()
	a := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	if a != nil {
		a.reply <- m // has room, and is filled once
	}
}

// Call implements [Conn]: it asks the client. A request that belongs to a call
// of the client leaves on that call's stream, any other on the one that a GET
// opened.
func (s *frontSession) Call(ctx context.Context, m *Message, related Receiver) (*Message, error) {
	a := &frontAsk{reply: make(chan *Message, 1), ctx: ctx, related: related}
	if related != nil {
		if v, ok := rawjson.Get(m.Params, "_meta", "progressToken"); ok {
			a.token = string(v)
		}
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.nextID++
	id := s.nextID
	s.pending[id] = a
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.pending, id)
		s.mu.Unlock()
		a.mu.Lock()
		a.over = true
		a.mu.Unlock()
	}()

	wire := *m
	wire.ID = strconv.AppendUint(nil, id, 10)
	e := newFrontEvent(&wire)
	if err := s.send(ctx, e); err != nil {
		return nil, err
	}
	select {
	case reply := <-a.reply:
		out := *reply
		out.ID = m.ID
		return &out, nil
	case <-ctx.Done():
		s.withdraw(ctx, e, wire.ID)
		return nil, ctx.Err()
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
}

// withdraw takes back a request, or cancels it when it has left.
func (s *frontSession) withdraw(ctx context.Context, e *frontEvent, id json.RawMessage) {
	s.mu.Lock()
	for e.next != nil {
		e = e.next
	}
	waiting := s.backlog.remove(e)
	s.charge()
	if st := e.stream; !waiting && st != nil && st.sink != nil {
		waiting = st.sink.queue.remove(e)
	}
	s.mu.Unlock()
	if waiting {
		return
	}
	params := append([]byte(nil), `{"requestId":`...)
	params = append(append(params, id...), '}')
	cancelled := &Message{Method: methodCancelled, Params: params}
	if s.send(ctx, newFrontEvent(cancelled)) != nil {
		_ = s.send(s.ctx, newFrontEvent(cancelled)) // the client learns it when its answer finds nobody
	}
}

// Notify implements [Conn]; what belongs to no call waits, within bounds, for
// a GET.
func (s *frontSession) Notify(ctx context.Context, m *Message) error {
	if ex := s.exchangeOf(ctx); ex != nil {
		return ex.notify(m)
	}
	return s.post(newFrontEvent(m))
}

// exchangeOf returns the exchange of the client's request to which ctx
// belongs; nil when it belongs to none whose answer may become a stream of the
// session.
func (s *frontSession) exchangeOf(ctx context.Context) *frontExchange {
	c, ok := ctx.Value(frontCallKey{}).(*frontCall)
	if !ok || c.sess != s || c.ex == nil {
		return nil
	}
	c.ex.mu.Lock()
	defer c.ex.mu.Unlock()
	if c.ex.sess != s {
		return nil
	}
	return c.ex
}

func (s *frontSession) send(ctx context.Context, e *frontEvent) error {
	if ex := s.exchangeOf(ctx); ex != nil {
		return ex.send(e)
	}
	return s.post(e)
}

// post sends what belongs to no call: on the newest stream that a GET opened,
// and otherwise when there is one.
func (s *frontSession) post(e *frontEvent) error {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return ErrClosed
	}
	dropped := 0
	for _, st := range slices.Backward(s.standing) {
		if st.sink == nil {
			continue
		}
		n, err := st.add(e)
		dropped += n
		if err == nil {
			s.mu.Unlock()
			s.h.drop(s.id, dropped)
			return nil
		}
		if s.old {
			s.mu.Unlock()
			s.h.drop(s.id, dropped)
			s.end(err)
			return err
		}
	}
	for _, o := range s.backlog.events {
		if len(e.data) <= 256 && !e.class.light() && bytes.Equal(o.data, e.data) {
			s.mu.Unlock()
			s.h.drop(s.id, dropped)
			return nil // the same change of a list need not be told twice
		}
	}
	limit := min(s.h.o.Queue, maxBacklog)
	if e.class.light() {
		limit = min(limit, maxLightBacklog)
	}
	full := s.h.kept.Load()+int64(e.cost()) > s.h.o.ResumeTotal
	switch {
	case !full:
		var n int
		n, full = s.backlog.add(e, limit)
		dropped += n
		s.charge()
	case e.class.light():
		e.gone, full = true, false
		dropped++
	}
	s.mu.Unlock()
	s.h.drop(s.id, dropped)
	if full {
		return limited("Queue", "the client has no stream open (GET), and what waits for it already takes the %d bytes that may, or ResumeTotal", limit)
	}
	return nil
}

// Listen implements [Conn], for a host whose Accept returns no receiver.
func (s *frontSession) Listen(r Receiver) {
	s.mu.Lock()
	s.receiver = r
	s.mu.Unlock()
}

// Close implements [Conn]: it ends the session. The handlers that serve it
// belong to the front, whose Close joins them.
func (s *frontSession) Close() error {
	s.end(ErrClosed)
	return nil
}

// Done implements [Done].
func (s *frontSession) Done() <-chan struct{} { return s.ctx.Done() }

// Err implements [Done].
func (s *frontSession) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
