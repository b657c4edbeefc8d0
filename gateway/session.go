package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// session is a client's side of the gateway: the protocol's session in the
// legacy era, a pipe, or, in the modern era over HTTP, a principal.
type session struct {
	g         *Gateway
	id        string
	principal transport.Principal
	owner     string // the principal's key
	conn      transport.Conn
	stateless bool // modern over HTTP: conn only serves requests' own streams
	ephemeral bool // of one request
	opened    time.Time
	values    interceptor.Session

	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	calls    atomic.Int64
	inflight atomic.Int64
	greeted  chan struct{} // closed by initialize
	lastUsed atomic.Int64  // unix nanoseconds

	mu       sync.Mutex
	client   *client // of the handshake or, without one, of the newest request
	ready    bool    // after initialize
	level    string  // logging level that the client asked for
	slots    map[*slot]bool
	subs     map[string]*subscription // resources/subscribe, by exposed URI
	listens  map[*listener]bool       // subscriptions/listen
	running  map[*request]bool        // calls that have an idle deadline
	ended    bool
	routines sync.WaitGroup
}

func (g *Gateway) newSession(id string, conn transport.Conn, p transport.Principal, stateless bool) *session {
	s := &session{
		g: g, id: id, principal: p, owner: p.Key(), conn: conn, stateless: stateless,
		opened: time.Now(), client: unknownClient,
		slots: make(map[*slot]bool), subs: make(map[string]*subscription),
		listens: make(map[*listener]bool), running: make(map[*request]bool),
		greeted: make(chan struct{}),
	}
	s.values = interceptor.NewMemorySession(s.label())
	s.ctx, s.cancel = context.WithCancel(g.ctx)
	s.touch()
	return s
}

func (s *session) touch() { s.lastUsed.Store(time.Now().UnixNano()) }

// clientNow returns what is known of the client.
func (s *session) clientNow() *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// setClient notes what the newest request or the handshake said.
func (s *session) setClient(c *client) {
	s.mu.Lock()
	s.client = c
	s.mu.Unlock()
}

// knownKey says whose lists the session may share.
func (s *session) knownKey(srv *server, c *client) knownKey {
	if srv.Instance == Shared {
		return knownKey{}
	}
	return knownKey{principal: s.owner, caps: c.caps.class, era: c.era}
}

// addSlot makes sl end with the session; false when that has happened.
func (s *session) addSlot(sl *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.slots[sl] = true
	return true
}

func (s *session) dropSlot(sl *slot) {
	s.mu.Lock()
	delete(s.slots, sl)
	s.mu.Unlock()
}

// spawn runs f in a goroutine that end waits for. It reports false when the
// session has ended.
func (s *session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.routines.Go(f)
	return true
}

// end stops all that belongs to the session.
func (s *session) end() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		s.routines.Wait()
		return
	}
	s.ended = true
	slots, subs := s.slots, s.subs
	s.slots, s.subs = map[*slot]bool{}, map[string]*subscription{}
	s.mu.Unlock()
	s.cancel()
	for _, sub := range subs {
		sub.close()
	}
	var wg sync.WaitGroup
	for sl := range slots {
		wg.Go(func() { sl.close("session") })
	}
	wg.Wait()
	s.routines.Wait()
	s.g.sessionEvent(SessionEvent{ID: s.label(), Principal: s.principal, Client: s.clientNow().Client})
}

// notify sends a notification that belongs to no call to the client: over the
// session in the legacy era, over the streams that listen for it in the
// modern one.
func (s *session) notify(ctx context.Context, m *transport.Message) {
	s.mu.Lock()
	legacy := s.ready && !s.stateless
	var to []*listener
	for l := range s.listens {
		to = append(to, l)
	}
	s.mu.Unlock()
	for _, l := range to {
		l.deliver(ctx, m)
	}
	if legacy {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := s.conn.Notify(ctx, m); err != nil {
			s.g.log.Debug("a notification did not reach the client", "session", s.label(), "method", m.Method, "error", err)
		}
	}
}

// Accept implements [transport.Host]: it opens a legacy session or a pipe.
func (g *Gateway) Accept(ctx context.Context, c transport.Conn, p transport.Principal) (string, transport.Receiver, error) {
	id := g.seal.seal(kindSession, p.Key(), []byte(g.id+" "+randomID()))
	s := g.newSession(id, c, p, false)
	if err := g.addSession(s); err != nil {
		return "", nil, err
	}
	return id, s, nil
}

// addSession registers s and ends it when its connection does.
func (g *Gateway) addSession(s *session) error {
	limits := g.snap.Load().opts.Limits
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closing:
		return &transport.Error{Status: 503, Err: transport.Errorf(transport.CodeUnavailable, "the gateway is shutting down")}
	case len(g.sessions) >= limits.Sessions:
		return &transport.Error{Status: 503, Err: transport.Errorf(transport.CodeLimit, "the gateway has %d sessions, its limit (Limits.Sessions)", limits.Sessions)}
	case g.perOwner[s.owner] >= limits.PerPrincipal:
		return &transport.Error{Status: 429, Err: transport.Errorf(transport.CodeLimit, "the caller has %d sessions, its limit (Limits.PerPrincipal)", limits.PerPrincipal)}
	}
	g.sessions[s] = true
	g.perOwner[s.owner]++
	g.wg.Go(func() {
		select {
		case <-doneOf(s.conn):
		case <-s.ctx.Done():
			_ = s.conn.Close()
		}
		s.end()
		g.mu.Lock()
		delete(g.sessions, s)
		if g.perOwner[s.owner]--; g.perOwner[s.owner] == 0 {
			delete(g.perOwner, s.owner)
		}
		g.mu.Unlock()
	})
	return nil
}

func doneOf(c transport.Conn) <-chan struct{} {
	if d, ok := c.(transport.Done); ok {
		return d.Done()
	}
	return nil
}

// statelessSession returns the session of a modern HTTP client: the
// principal, told apart by the header that the deployment named.
func (g *Gateway) statelessSession(p transport.Principal, key string) (*session, error) {
	owner := p.Key()
	name := owner + "\x00" + key
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.modern[name]; s != nil {
		s.touch()
		return s, nil
	}
	if g.closing {
		return nil, &transport.Error{Status: 503, Err: transport.Errorf(transport.CodeUnavailable, "the gateway is shutting down")}
	}
	if limit := g.snap.Load().opts.Limits.Sessions; len(g.modern) >= limit {
		return nil, &transport.Error{Status: 503, Err: transport.Errorf(transport.CodeLimit, "the gateway has %d sessions, its limit (Limits.Sessions)", limit)}
	}
	s := g.newSession(randomID(), nil, p, true)
	g.modern[name] = s
	return s, nil
}

// sweepSessions ends stateless sessions that nobody used for a while, and
// cancels calls that were silent for too long.
func (g *Gateway) sweepSessions(now time.Time) {
	t := g.snap.Load().opts.Timeouts
	var idle []*session
	g.mu.Lock()
	for name, s := range g.modern {
		s.mu.Lock()
		busy := len(s.listens) > 0 || s.inflight.Load() > 0
		s.mu.Unlock()
		if !busy && now.Sub(time.Unix(0, s.lastUsed.Load())) > t.SessionIdle {
			delete(g.modern, name)
			idle = append(idle, s)
		}
	}
	all := make([]*session, 0, len(g.sessions)+len(g.modern))
	for s := range g.sessions {
		all = append(all, s)
	}
	for _, s := range g.modern {
		all = append(all, s)
	}
	g.mu.Unlock()
	for _, s := range idle {
		s.end()
	}
	if t.CallIdle < 0 {
		return
	}
	for _, s := range all {
		if s.inflight.Load() == 0 {
			continue
		}
		s.mu.Lock()
		for r := range s.running {
			if now.Sub(time.Unix(0, r.alive.Load())) > t.CallIdle {
				r.cancel(transport.Errorf(transport.CodeTimeout, "the server sent neither a reply nor progress for %s (Timeouts.CallIdle)", t.CallIdle))
			}
		}
		s.mu.Unlock()
	}
}

// Receive implements [transport.Receiver]: what the client of a session or a
// pipe sends.
func (s *session) Receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	return s.g.receive(ctx, s, s.conn, m)
}
