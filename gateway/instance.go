package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// instance is one running copy of a server, as the gateway sees it: the
// connection, what the handshake told, and who is to hear of what it sends.
type instance struct {
	g       *Gateway
	srv     *server
	slot    *slot
	id      string
	key     runtime.Key
	known   knownKey
	run     runtime.Instance
	conn    transport.Conn
	peer    *transport.Peer
	caps    json.RawMessage // what was announced for the client
	pipe    bool            // one stream for all calls: a request names no call
	gate    gate
	started time.Time

	listed   bool         // its connections are decided by a list
	active   atomic.Int64 // calls in flight, when listed
	begun    atomic.Int64 // calls, when listed
	calls    atomic.Int64
	watching atomic.Bool // a modern server tells us of its changes

	met  chan struct{} // closed when peer is known
	gone chan struct{} // closed when the instance has ended
	exit runtime.Exit  // valid once gone is closed

	mu      sync.Mutex
	lists   [kinds]ownList
	level   string
	subs    map[string]map[*subscription]bool // by the server's own URI
	watch   *watcher
	stopped bool
}

// serverError is what callers get when a server cannot be had.
type serverError struct {
	server string
	reason string
	status int // of HTTP, when the server answered with one
}

func (e *serverError) Error() string {
	return fmt.Sprintf("server %q is not available: %s", e.server, e.reason)
}

// As makes the error one that peers may see.
func (e *serverError) As(target any) bool {
	if t, ok := target.(**transport.RPCError); ok {
		*t = transport.Errorf(transport.CodeUnavailable, "%s", e.Error())
		return true
	}
	return false
}

// start launches an instance, or takes the one that is ready, and does the
// handshake.
func (g *Gateway) start(ctx context.Context, s *slot, key runtime.Key, ready *warm) (*instance, error) {
	srv := s.key.srv
	var run runtime.Instance = ready
	if ready == nil {
		var err error
		if run, err = srv.Launcher.Launch(ctx, key); err != nil {
			return nil, &serverError{server: srv.Name, reason: err.Error()}
		}
	}
	i := &instance{
		g: g, srv: srv, slot: s, id: randomID()[:12], key: key, run: run, conn: run.Conn(),
		started: time.Now(), met: make(chan struct{}), gone: make(chan struct{}),
		subs: make(map[string]map[*subscription]bool),
	}
	_, i.pipe = i.conn.(*transport.Stream)
	_, i.listed = inner(run).(runtime.Refuser)
	if srv.Interactive {
		i.gate.close()
	}
	go func() { // ends with the instance, which the pool stops
		e, ok := <-run.Wait()
		if !ok && e.Reason == "" {
			e.Reason = runtime.Stopped
		}
		i.exit = e
		close(i.gone)
	}()
	prefer := transport.Modern
	info, caps := g.identity, json.RawMessage("{}")
	if s.sess != nil {
		c := s.client
		prefer = c.era
		if c.info != nil {
			info = c.info
		}
		caps = c.caps.forServer()
		i.known = s.sess.knownKey(srv, c)
	}
	if era := srv.onlyEra(); era != 0 {
		prefer = era
	}
	i.caps = caps
	receiver := transport.Receiver(transport.ReceiverFunc(i.unattributed))
	if ready != nil {
		ready.to.Store(&receiver)
	} else {
		i.conn.Listen(receiver)
	}
	var err error
	i.peer, err = transport.Handshake(ctx, i.conn, transport.HandshakeOptions{ClientInfo: info, Capabilities: caps, Prefer: prefer})
	if err != nil {
		err = i.startFailure(ctx, err)
		i.stop()
		return nil, err
	}
	close(i.met)
	srv.setPeer(i.peer, i.peer.Era != prefer)
	i.prepare(ctx, s.sess)
	return i, nil
}

// startFailure words why the handshake failed: when the server died of
// itself, that is the reason.
func (i *instance) startFailure(ctx context.Context, err error) error {
	var t *transport.Error
	if errors.As(err, &t) && t.Status != 0 {
		return &serverError{server: i.srv.Name, reason: "the handshake failed: " + t.Public()}
	}
	wait := time.NewTimer(500 * time.Millisecond)
	defer wait.Stop()
	select {
	case <-i.gone:
		return &serverError{server: i.srv.Name, reason: i.exit.String() + i.refusedAtStart()}
	case <-wait.C:
	case <-ctx.Done():
	}
	var r *transport.RPCError
	switch {
	case errors.As(err, &r):
		return &serverError{server: i.srv.Name, reason: "the handshake failed: " + r.Message}
	case t != nil:
		return &serverError{server: i.srv.Name, reason: "the handshake failed: " + t.Public()}
	}
	return &serverError{server: i.srv.Name, reason: "the handshake failed: " + err.Error()}
}

func (i *instance) snap() *snapshot { return i.g.snap.Load() }

// ended reports whether the instance is gone.
func (i *instance) ended() bool {
	select {
	case <-i.gone:
		return true
	default:
	}
	if d, ok := i.conn.(transport.Done); ok {
		select {
		case <-d.Done():
			return true
		default:
		}
	}
	return false
}

// wait returns how the instance ended.
func (i *instance) wait() runtime.Exit {
	<-i.gone
	return i.exit
}

// stop ends the instance and waits until nothing of it is left.
func (i *instance) stop() {
	i.mu.Lock()
	w := i.watch
	i.watch = nil
	i.stopped = true
	i.mu.Unlock()
	if w != nil {
		w.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*runtime.StopGrace)
	defer cancel()
	if err := i.run.Stop(ctx); err != nil {
		i.g.log.Warn("stopping an instance failed", "server", i.srv.Name, "instance", i.id, "error", err)
	}
}

// cleanup tells those who had subscribed to something that it is over.
func (i *instance) cleanup() {
	i.mu.Lock()
	w := i.watch
	i.watch = nil
	i.stopped = true
	subs := i.subs
	i.subs = make(map[string]map[*subscription]bool)
	i.mu.Unlock()
	if w != nil {
		w.close()
	}
	for _, set := range subs {
		for s := range set {
			s.lost(i)
		}
	}
}

// held reports whether something beside calls needs the instance.
func (i *instance) held() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.subs) > 0
}

// has reports whether the server announced a capability.
func (i *instance) has(path ...string) bool {
	_, ok := rawjson.Get(i.peer.Capabilities, path...)
	return ok
}

// offers reports whether the server lists things of a kind.
func (i *instance) offers(kind listKind) bool { return i.has(listCaps[kind]) }

// announces reports whether the server tells when a list changes.
func (i *instance) announces(kind listKind) bool {
	v, ok := rawjson.Get(i.peer.Capabilities, listCaps[kind], "listChanged")
	return ok && string(v) == "true"
}

// ownParams makes the params of a request that the gateway itself sends.
func (i *instance) ownParams(params json.RawMessage) json.RawMessage {
	if i.peer.Era == transport.Modern {
		return transport.ModernMeta(params, i.peer.Version, i.g.identity, i.caps)
	}
	return params
}

// call sends a request and puts the reason of a crash in words.
func (i *instance) call(ctx context.Context, m *transport.Message, related transport.Receiver) (*transport.Message, error) {
	i.calls.Add(1)
	i.srv.calls.Add(1)
	if i.pipe {
		if err := i.gate.enter(ctx); err != nil {
			return nil, err
		}
		defer i.gate.leave()
	}
	if !i.listed {
		reply, err := i.conn.Call(ctx, m, related)
		if err != nil {
			return nil, i.failure(ctx, err)
		}
		return reply, nil
	}
	began := time.Now()
	alone, number := i.active.Add(1) == 1, i.begun.Add(1)
	defer i.active.Add(-1)
	reply, err := i.conn.Call(ctx, m, related)
	if err != nil {
		return nil, i.failure(ctx, err)
	}
	if i.srv.Instance == Shared && !(alone && i.begun.Load() == number) {
		return reply, nil // nobody can tell whose connections were refused
	}
	return i.explain(m, reply, began), nil
}

// failure words why a call got no reply.
func (i *instance) failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var t *transport.Error
	if errors.As(err, &t) {
		if t.Status != 0 {
			return err
		}
	} else if !errors.Is(err, transport.ErrClosed) {
		return err
	}
	// When what the server wrote has ended the connection, how it ends itself
	// then says nothing.
	if r := (*transport.RPCError)(nil); errors.As(err, &r) {
		i.srv.setError(r.Message)
		return &crashError{serverError{server: i.srv.Name, reason: "what it wrote could not be read: " + r.Message}}
	}
	wait := time.NewTimer(500 * time.Millisecond)
	defer wait.Stop()
	select {
	case <-i.gone:
		return &crashError{serverError{server: i.srv.Name, reason: i.exit.String()}}
	case <-wait.C:
		i.srv.setError(err.Error())
		return &crashError{serverError{server: i.srv.Name, reason: "the connection to it broke"}}
	}
}

// crashError reports a server that ended while a call was in flight: the call
// may have run.
type crashError struct{ serverError }

func (e *crashError) Error() string {
	return fmt.Sprintf("server %q ended during the call, which may have run: %s", e.server, e.reason)
}

// As makes the error one that peers may see.
func (e *crashError) As(target any) bool {
	if t, ok := target.(**transport.RPCError); ok {
		*t = transport.Errorf(transport.CodeUnavailable, "%s", e.Error())
		return true
	}
	return false
}
