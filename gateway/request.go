package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// request is one request or notification of a client on its way through. It
// is the host of its [interceptor.Call] and the receiver of what a server
// sends as part of it.
type request struct {
	g       *Gateway
	snap    *snapshot
	sess    *session
	m       *transport.Message
	era     transport.Era
	version string
	client  *client
	f       fields
	method  *method

	call interceptor.Call
	srv  *server
	item *listItem

	token  string             // progress token towards the server; empty when the client gave none
	scope  string             // names the instance of a PerCall server
	extra  json.RawMessage    // unknown members of the server's response
	direct bool               // this goroutine sends the reply, and keeps none
	reply  *transport.Message // the server's, when nothing else can see it
	served bool               // the call came to the end of the chain
	inst   atomic.Pointer[instance]
	leg    atomic.Pointer[leg]
	park   *parked // of a modern client's call that may have to ask

	alive  atomic.Int64 // unix nanoseconds of the last sign of life
	cancel context.CancelCauseFunc
}

// leg is the client's side of a request: where messages that belong to it
// leave. A parked call gets a new one when the client retries it.
type leg struct {
	ctx   context.Context
	conn  transport.Conn
	token json.RawMessage // the client's progress token
	level string          // modern: log messages from this level on; empty for none
}

// finisher is the end of the chain: what a message's host does with it once
// every interceptor has let it pass.
type finisher interface {
	finish(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error)
}

// terminal is the last handler of every chain.
func terminal(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
	f, ok := c.Host().(finisher)
	if !ok {
		return nil, errors.New("gateway: a call that is not of this gateway reached the end of the chain")
	}
	return f.finish(ctx, c)
}

// receive handles one message of a client, of either era.
func (g *Gateway) receive(ctx context.Context, s *session, conn transport.Conn, m *transport.Message) (*transport.Message, error) {
	s.touch()
	r := &request{g: g, snap: g.snap.Load(), sess: s, m: m}
	if m.Params != nil {
		r.f = readFields(m.Params)
	}
	if err := r.identify(); err != nil {
		return nil, err
	}
	r.leg.Store(&leg{ctx: ctx, conn: conn, token: r.f.token, level: text(r.f.metaLevel)})
	r.method = g.methods[m.Method]
	switch {
	case r.method == nil:
		r.method = otherMethod
	case r.method.eras&(1<<r.era) == 0:
		if m.IsNotification() {
			return nil, nil
		}
		return nil, transport.Errorf(transport.CodeMethodNotFound, "method %s is not part of protocol version %s", m.Method, r.version)
	case r.method.notification != m.IsNotification():
		if m.IsNotification() {
			return nil, nil // a request without id asks for nothing
		}
		return nil, transport.Errorf(transport.CodeInvalidRequest, "%s is a notification and has no id", m.Method)
	}
	r.call = interceptor.Call{
		Method:       m.Method,
		Notification: m.IsNotification(),
		Principal:    s.principal,
		Profile:      r.snap.opts.Profile,
		Client:       r.client.Client,
		Params:       m.Params,
	}
	r.call.Bind(r)
	if r.method.target != nil {
		if err := r.method.target(r); err != nil {
			return nil, err
		}
	}
	if m.IsNotification() {
		_, err := r.snap.handler(ctx, &r.call)
		if err != nil {
			g.log.Debug("a notification was not passed on", "method", m.Method, "error", err)
		}
		return nil, nil
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	if r.parkable() {
		return r.serveParkable(ctx)
	}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.leave()
	r.direct = r.m.Method == "tools/call"
	return r.execute(ctx)
}

// identify finds the era of the message and who the client says it is.
func (r *request) identify() error {
	s, m := r.sess, r.m
	if r.f.metaVersion == nil && !s.stateless {
		r.era = transport.Legacy
		r.client = s.clientNow()
		r.version = r.client.ProtocolVersion
		if m.Method == "initialize" || m.Method == "ping" || m.IsNotification() {
			return nil
		}
		if m.Method == "server/discover" || m.Method == "subscriptions/listen" {
			return transport.Errorf(transport.CodeInvalidParams, "params._meta lacks %q", metaVersion)
		}
		if !s.isReady() {
			if !s.awaitReady() {
				return transport.Errorf(transport.CodeInvalidRequest, "the session is not initialized: send initialize first, or %q in params._meta", metaVersion)
			}
			r.client = s.clientNow()
			r.version = r.client.ProtocolVersion
		}
		return nil
	}
	r.era = transport.Modern
	r.version = text(r.f.metaVersion)
	if r.version == "" {
		return transport.Errorf(transport.CodeInvalidParams, "params._meta lacks %q", metaVersion)
	}
	if !supportedModern(r.version) {
		return unsupportedVersion(r.version)
	}
	if len(r.f.metaCaps) == 0 || r.f.metaCaps[0] != '{' {
		if m.IsRequest() {
			return transport.Errorf(transport.CodeInvalidParams, "params._meta lacks the object %q", metaCapabilities)
		}
	}
	r.client = r.g.clients.get(transport.Modern, r.version, r.f.metaClient, r.f.metaCaps)
	if s.clientNow() != r.client && (s.stateless || !s.isReady()) {
		s.setClient(r.client)
	}
	return nil
}

func (s *session) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// handshakeGrace is how long a request on a pipe waits for the initialize that
// was sent just before it: both are served at the same time, and a script that
// pipes them in does not wait for the first answer.
const handshakeGrace = 250 * time.Millisecond

func (s *session) awaitReady() bool {
	if _, pipe := s.conn.(*transport.Stream); !pipe {
		return false
	}
	t := time.NewTimer(handshakeGrace)
	defer t.Stop()
	select {
	case <-s.greeted:
		return true
	case <-t.C:
	case <-s.ctx.Done():
	}
	return false
}

// enter counts the request against the bounds on calls in flight.
func (r *request) enter() error {
	l := &r.snap.opts.Limits
	if n := r.g.inflight.Add(1); n > int64(l.Calls) {
		r.g.inflight.Add(-1)
		return transport.Errorf(transport.CodeLimit, "the gateway has %d calls in flight, its limit (Limits.Calls)", l.Calls)
	}
	if n := r.sess.inflight.Add(1); n > int64(l.CallsPerSession) {
		r.g.inflight.Add(-1)
		r.sess.inflight.Add(-1)
		return transport.Errorf(transport.CodeLimit, "the session has %d calls in flight, its limit (Limits.CallsPerSession)", l.CallsPerSession)
	}
	r.sess.calls.Add(1)
	r.g.calls.Add(1)
	r.touch()
	if r.method.idle {
		r.sess.mu.Lock()
		r.sess.running[r] = true
		r.sess.mu.Unlock()
	}
	return nil
}

// leave undoes enter.
func (r *request) leave() {
	if r.method.idle {
		r.sess.mu.Lock()
		delete(r.sess.running, r)
		r.sess.mu.Unlock()
	}
	r.sess.inflight.Add(-1)
	r.g.inflight.Add(-1)
	r.sess.touch()
	if r.cancel != nil {
		r.cancel(nil)
	}
}

// execute runs the chain and turns what comes out into a reply.
func (r *request) execute(ctx context.Context) (*transport.Message, error) {
	res, err := r.snap.handler(ctx, &r.call)
	if err == nil && res == nil {
		err = fmt.Errorf("an interceptor gave neither a result nor an error to %s", r.m.Method)
		r.g.log.Error("empty result", "method", r.m.Method)
	}
	if err != nil {
		return r.failed(ctx, err)
	}
	raw := res.Raw
	if !r.served { // what an interceptor answered may lack what the era asks for
		raw = r.dress(raw, transport.Legacy, nil)
	}
	m := &transport.Message{ID: r.m.ID, Result: raw, Extra: r.extra}
	if r.reply != nil {
		m.Inherit(r.reply)
	}
	return m, nil
}

// failed turns an error into what the client sees. A tool's failure is a
// result that a model can read and act on; elsewhere it is a JSON-RPC error.
func (r *request) failed(ctx context.Context, err error) (*transport.Message, error) {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	var p *interceptor.PanicError
	if errors.As(err, &p) {
		r.g.log.Error("a panic ended a call", "method", r.m.Method, "server", r.call.Server, "error", p, "stack", string(p.Stack))
	}
	var t *transport.Error
	if r.m.Method != "tools/call" || errors.As(err, &t) && t.Status != 0 {
		return nil, err
	}
	var d *interceptor.Denial
	if errors.As(err, &d) {
		return r.toolError(d.ToolResult()), nil
	}
	var rpc *transport.RPCError
	if errors.As(err, &rpc) {
		switch rpc.Code {
		case transport.CodeUnavailable, transport.CodeTimeout, transport.CodeLimit:
			return r.toolError(toolError(rpc.Message)), nil
		}
	}
	return nil, err
}

func (r *request) toolError(result json.RawMessage) *transport.Message {
	return &transport.Message{ID: r.m.ID, Result: r.dress(result, transport.Legacy, nil)}
}

// toolError is a tool's result that says what went wrong.
func toolError(text string) json.RawMessage {
	d := &interceptor.Denial{Reason: text}
	return d.ToolResult()
}

// finish implements finisher: the method's own work.
func (r *request) finish(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
	r.served = true
	return r.method.run(ctx, r, c)
}

// Session implements [interceptor.Host].
func (r *request) Session() interceptor.Session { return r.sess.values }

// Ask implements [interceptor.Host].
func (r *request) Ask(ctx context.Context, _ *interceptor.Call, method string, params json.RawMessage) (json.RawMessage, error) {
	if !r.client.caps.answers(method, params) {
		return nil, interceptor.ErrCannotAsk
	}
	return r.ask(ctx, method, params)
}

// touch notes a sign of life.
func (r *request) touch() { r.alive.Store(time.Now().UnixNano()) }

// newToken makes a progress token that no other call of this gateway has.
func (g *Gateway) newToken() string { return "gh" + strconv.FormatUint(g.tokens.Add(1), 36) }
