package gateway

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// subscription is a client's interest in one resource.
type subscription struct {
	sess     *session
	client   *client
	srv      *server
	exposed  string
	uri      string    // the server's own
	listener *listener // of a modern client; nil: the session's

	mu   sync.Mutex
	inst *instance // that holds it
	over bool
}

// runSubscribe serves resources/subscribe of legacy clients.
func runSubscribe(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	if err := r.settleURI(ctx, c); err != nil {
		return nil, err
	}
	sub := &subscription{sess: r.sess, client: r.client, srv: r.srv, exposed: c.Name, uri: c.Original}
	r.sess.mu.Lock()
	have := r.sess.subs[c.Name]
	if have == nil {
		r.sess.subs[c.Name] = sub
	}
	r.sess.mu.Unlock()
	if have != nil {
		return &interceptor.Result{Raw: json.RawMessage("{}")}, nil
	}
	if err := r.open(ctx, sub); err != nil {
		r.sess.mu.Lock()
		delete(r.sess.subs, c.Name)
		r.sess.mu.Unlock()
		return nil, err
	}
	return &interceptor.Result{Raw: json.RawMessage("{}")}, nil
}

// open subscribes at an instance of the server, which is started if need be.
func (r *request) open(ctx context.Context, sub *subscription) error {
	if sub.srv.Instance == PerCall {
		return transport.Errorf(transport.CodeInvalidParams, "server %q has an instance for each call and cannot be subscribed to", sub.srv.Name)
	}
	inst, release, err := r.g.pool.acquire(ctx, sub.srv, sub.sess, sub.client, "")
	if err != nil {
		return err
	}
	defer release()
	return inst.public(inst.subscribe(ctx, sub))
}

// runUnsubscribe serves resources/unsubscribe.
func runUnsubscribe(_ context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	r.sess.mu.Lock()
	sub := r.sess.subs[c.Name]
	delete(r.sess.subs, c.Name)
	r.sess.mu.Unlock()
	if sub != nil {
		sub.close()
	}
	return &interceptor.Result{Raw: json.RawMessage("{}")}, nil
}

// close ends the subscription.
func (s *subscription) close() {
	s.mu.Lock()
	inst := s.inst
	s.inst, s.over = nil, true
	s.mu.Unlock()
	if inst != nil {
		inst.unsubscribe(s)
	}
}

// lost is called when the instance that held the subscription has ended. A
// new one is started, so that the client goes on hearing of changes.
func (s *subscription) lost(i *instance) {
	s.mu.Lock()
	mine := s.inst == i && !s.over
	if mine {
		s.inst = nil
	}
	s.mu.Unlock()
	if !mine || i.g.ctx.Err() != nil {
		return
	}
	s.sess.spawn(func() {
		inst, release, err := i.g.pool.acquire(s.sess.ctx, s.srv, s.sess, s.client, "")
		if err != nil {
			i.g.log.Warn("a subscription was lost with its server", "server", s.srv.Name, "error", err)
			return
		}
		defer release()
		if err := inst.subscribe(s.sess.ctx, s); err != nil {
			i.g.log.Warn("a subscription was not renewed", "server", s.srv.Name, "error", err)
		}
	})
}

// subscribe makes the instance tell of changes of a resource. Doing it twice
// is the same as once.
func (i *instance) subscribe(ctx context.Context, sub *subscription) error {
	sub.mu.Lock()
	if sub.over || sub.inst == i {
		sub.mu.Unlock()
		return nil
	}
	sub.inst = i
	sub.mu.Unlock()
	i.mu.Lock()
	set := i.subs[sub.uri]
	first := set == nil
	if first {
		set = make(map[*subscription]bool)
		i.subs[sub.uri] = set
	}
	set[sub] = true
	i.mu.Unlock()
	var err error
	switch {
	case i.peer.Era == transport.Modern:
		err = i.watchChanges(ctx)
	case first:
		err = i.tell(ctx, "resources/subscribe", sub.uri)
	}
	if err != nil {
		sub.mu.Lock()
		if sub.inst == i {
			sub.inst = nil
		}
		sub.mu.Unlock()
		i.forget(sub)
	}
	return err
}

// tell sends a request about one URI.
func (i *instance) tell(ctx context.Context, method, uri string) error {
	m := &transport.Message{ID: json.RawMessage("0"), Method: method, Params: rawjson.Set(nil, rawjson.Quote(uri), "uri")}
	reply, err := i.call(ctx, m, nil)
	if err != nil {
		return err
	}
	if reply.Error != nil {
		return transport.ParseRPCError(reply.Error)
	}
	return nil
}

// forget takes a subscription off; it reports whether it was the last of its
// resource.
func (i *instance) forget(sub *subscription) (last bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := i.subs[sub.uri]
	delete(set, sub)
	if len(set) == 0 {
		delete(i.subs, sub.uri)
		return set != nil
	}
	return false
}

// unsubscribe undoes subscribe.
func (i *instance) unsubscribe(sub *subscription) {
	if !i.forget(sub) || i.ended() {
		return
	}
	i.g.background(func(ctx context.Context) {
		var err error
		if i.peer.Era == transport.Modern {
			err = i.watchChanges(ctx)
		} else {
			err = i.tell(ctx, "resources/unsubscribe", sub.uri)
		}
		if err != nil {
			i.g.log.Debug("an unsubscription did not reach a server", "server", i.srv.Name, "error", err)
		}
	})
}

// unattributed is the receiver of what a server sends outside of any call.
func (i *instance) unattributed(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if m.Method == "ping" && m.IsRequest() { // some servers ping before they answer initialize
		return m.Reply(json.RawMessage("{}")), nil
	}
	select {
	case <-i.met: // what comes on the heels of the handshake waits for its end
	case <-i.gone:
		return nil, transport.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.IsRequest() {
		return i.ownRequest(ctx, m)
	}
	g := i.g
	switch m.Method {
	case "notifications/tools/list_changed":
		i.changed(tools)
	case "notifications/prompts/list_changed":
		i.changed(prompts)
	case "notifications/resources/list_changed":
		i.changed(resources)
	case "notifications/resources/updated":
		i.updated(m)
	case "notifications/message":
		v, _ := rawjson.Get(m.Params, "level")
		level := levels[text(v)]
		for _, s := range i.audience() {
			s.mu.Lock()
			min := s.level
			s.mu.Unlock()
			if min == "" || level >= levels[min] {
				g.announce(s, i.srv, m)
			}
		}
	case "notifications/tasks", "notifications/tasks/status":
		if s := i.slot.sess; s != nil && i.srv.Instance != PerPrincipal {
			g.announce(s, i.srv, &transport.Message{Method: m.Method, Params: g.sealTask(s.owner, i, m.Params, "taskId"), Extra: m.Extra})
		}
	case "notifications/progress", "notifications/cancelled", "notifications/subscriptions/acknowledged":
		// Of a call that is over.
	default:
		if s := i.slot.sess; s != nil && i.srv.Instance == PerSession {
			g.announce(s, i.srv, m)
		}
	}
	return nil, nil
}

// ownRequest handles a request that belongs to no call. It can only go to the
// client of a session's own instance, over a connection that takes requests.
func (i *instance) ownRequest(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if i.pipe {
		i.gate.close() // from now on one call at a time, so that requests can be told apart
	}
	s := i.slot.sess
	if s == nil || i.srv.Instance != PerSession || s.stateless {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "the request belongs to no call of a client, so nobody can be asked")
	}
	cl := s.clientNow()
	if cl.era != transport.Legacy || standard(m.Method) && !cl.caps.answers(m.Method, m.Params) {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "the client does not support %s", m.Method)
	}
	snap := i.snap()
	down, cancel := context.WithTimeout(s.ctx, snap.opts.Timeouts.Ask)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	r := &request{g: i.g, snap: snap, sess: s, client: cl, era: transport.Legacy}
	raw, err := r.passRequest(down, i.srv, m.Method, m.Params, func(ctx context.Context, params json.RawMessage) (json.RawMessage, error) {
		return askConn(ctx, s.conn, i, m.Method, params)
	})
	if err != nil {
		return nil, err
	}
	return m.Reply(raw), nil
}

// audience are the sessions that the instance serves.
func (i *instance) audience() []*session {
	if s := i.slot.sess; s != nil && i.srv.Instance != PerPrincipal {
		return []*session{s}
	}
	i.g.mu.Lock()
	defer i.g.mu.Unlock()
	var out []*session
	add := func(s *session) {
		if i.srv.Instance == Shared || s.owner == i.slot.sess.owner {
			out = append(out, s)
		}
	}
	for s := range i.g.sessions {
		add(s)
	}
	for _, s := range i.g.modern {
		add(s)
	}
	return out
}

// changed forgets a list and tells those who see it.
func (i *instance) changed(kind listKind) {
	i.invalidate(kind)
	if f := i.snap().opts.Events.Lists; f != nil {
		f(i.srv.Name)
	}
	for _, s := range i.audience() {
		i.g.listChanged(i.snap(), s, i.srv, listChanges[kind])
	}
}

// updated tells those who subscribed to a resource.
func (i *instance) updated(m *transport.Message) {
	v, _ := rawjson.Get(m.Params, "uri")
	uri := text(v)
	i.mu.Lock()
	to := make([]*subscription, 0, len(i.subs[uri]))
	for s := range i.subs[uri] {
		to = append(to, s)
	}
	i.mu.Unlock()
	for _, s := range to {
		params := m.Params
		if s.exposed != uri {
			params = rawjson.Set(params, rawjson.Quote(s.exposed), "uri")
		}
		msg := &transport.Message{Method: m.Method, Params: params, Extra: m.Extra}
		err := i.g.passNotification(s.sess.ctx, i.snap(), s.sess, s.sess.clientNow(), i.srv, msg, func(ctx context.Context, params json.RawMessage) error {
			out := &transport.Message{Method: m.Method, Params: params, Extra: m.Extra}
			if s.listener != nil {
				s.listener.deliver(ctx, out)
				return nil
			}
			return s.sess.conn.Notify(ctx, out)
		})
		if err != nil {
			i.g.log.Debug("a notification did not reach the client", "session", s.sess.id, "method", m.Method, "error", err)
		}
	}
}

// announce passes a notification through the chain to a session.
func (g *Gateway) announce(s *session, srv *server, m *transport.Message) {
	_ = g.passNotification(s.ctx, g.snap.Load(), s, s.clientNow(), srv, m, func(ctx context.Context, params json.RawMessage) error {
		s.notify(ctx, &transport.Message{Method: m.Method, Params: params, Extra: m.Extra})
		return nil
	})
}
