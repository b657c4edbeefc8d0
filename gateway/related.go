package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Receive implements [transport.Receiver]: what a server sends as part of
// this request.
func (r *request) Receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	r.touch()
	inst := r.inst.Load()
	if m.IsRequest() {
		return r.fromServer(ctx, inst, m)
	}
	l := r.leg.Load()
	params := m.Params
	switch m.Method {
	case "notifications/progress":
		if l.token == nil {
			return nil, nil
		}
		params = rawjson.Set(params, l.token, "progressToken")
	case "notifications/message":
		if !r.wants(l, params) {
			return nil, nil
		}
	case "notifications/tools/list_changed", "notifications/prompts/list_changed",
		"notifications/resources/list_changed", "notifications/resources/updated":
		return inst.unattributed(ctx, m)
	case "notifications/tasks/status", "notifications/tasks":
		params = r.g.sealTask(r.sess.owner, inst, params, "taskId")
	}
	r.deliver(l, inst, &transport.Message{Method: m.Method, Params: params, Extra: m.Extra})
	return nil, nil
}

// wants reports whether the client asked for a log message.
func (r *request) wants(l *leg, params json.RawMessage) bool {
	min := l.level
	if r.era == transport.Legacy {
		r.sess.mu.Lock()
		min = r.sess.level
		r.sess.mu.Unlock()
		if min == "" {
			return true // the server decides
		}
	} else if min == "" {
		return false
	}
	v, _ := rawjson.Get(params, "level")
	return levels[text(v)] >= levels[min]
}

// deliver passes a server's notification through the chain and sends it on
// the stream of the request.
func (r *request) deliver(l *leg, inst *instance, m *transport.Message) {
	send := func(_ context.Context, params json.RawMessage) error {
		m := *m
		m.Params = params
		return l.conn.Notify(l.ctx, &m)
	}
	var err error
	if len(r.snap.chain) == 0 {
		err = send(l.ctx, m.Params)
	} else {
		err = r.g.passNotification(l.ctx, r.snap, r.sess, r.client, inst.srv, m, send)
	}
	if err != nil {
		r.g.log.Debug("a notification did not reach the client", "method", m.Method, "error", err)
	}
}

// delivery is the host of a message that a server sends to a client.
type delivery struct {
	sess *session
	end  func(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error)
}

var _ finisher = (*delivery)(nil)

// Session implements [interceptor.Host].
func (d *delivery) Session() interceptor.Session { return d.sess.values }

// Ask implements [interceptor.Host]: nobody is asked about what the client is
// being asked or told.
func (d *delivery) Ask(context.Context, *interceptor.Call, string, json.RawMessage) (json.RawMessage, error) {
	return nil, interceptor.ErrCannotAsk
}

func (d *delivery) finish(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
	return d.end(ctx, c)
}

// passNotification runs the chain over a server's notification; send gets
// what comes out.
func (g *Gateway) passNotification(ctx context.Context, snap *snapshot, sess *session, cl *client, srv *server, m *transport.Message, send func(context.Context, json.RawMessage) error) error {
	c := &interceptor.Call{
		Direction: interceptor.FromServer, Method: m.Method, Notification: true, Server: srv.Name,
		Principal: sess.principal, Profile: snap.opts.Profile, Client: cl.Client, Params: m.Params,
	}
	c.Bind(&delivery{sess, func(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
		return nil, send(ctx, c.Params)
	}})
	_, err := snap.handler(ctx, c)
	return err
}

// passRequest runs the chain over a server's request; answer gets what comes
// out and brings the client's answer.
func (r *request) passRequest(ctx context.Context, srv *server, method string, params json.RawMessage, answer func(context.Context, json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	c := &interceptor.Call{
		Direction: interceptor.FromServer, Method: method, Server: srv.Name,
		Principal: r.sess.principal, Profile: r.snap.opts.Profile, Client: r.client.Client, Params: params,
	}
	c.Bind(&delivery{r.sess, func(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
		raw, err := answer(ctx, c.Params)
		if err != nil {
			return nil, err
		}
		return &interceptor.Result{Raw: raw}, nil
	}})
	res, err := r.snap.handler(ctx, c)
	if err != nil {
		return nil, err
	}
	if res == nil {
		return nil, transport.Errorf(transport.CodeInternal, "internal error")
	}
	return res.Raw, nil
}

// fromServer handles a request that a legacy server makes during this call.
func (r *request) fromServer(ctx context.Context, inst *instance, m *transport.Message) (*transport.Message, error) {
	if m.Method == "ping" {
		return m.Reply(json.RawMessage("{}")), nil
	}
	if inst.pipe {
		inst.gate.close()
	}
	if err := inst.mayAsk(); err != nil {
		return nil, err
	}
	if r.era == transport.Modern && !r.client.caps.answers(m.Method, m.Params) || r.era == transport.Legacy && standard(m.Method) && !r.client.caps.answers(m.Method, m.Params) {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "the client does not support %s", m.Method)
	}
	raw, err := r.passRequest(ctx, inst.srv, m.Method, m.Params, func(ctx context.Context, params json.RawMessage) (json.RawMessage, error) {
		return r.askFor(ctx, inst, m.Method, params)
	})
	if errors.Is(err, interceptor.ErrCannotAsk) {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "the client cannot be asked: %s needs one that can be", m.Method)
	}
	if err != nil {
		return nil, err
	}
	return m.Reply(raw), nil
}

// mayAsk refuses requests of an instance that several clients share.
func (i *instance) mayAsk() error {
	if i.srv.Instance == Shared {
		return transport.Errorf(transport.CodeMethodNotFound, "this instance is shared between clients, so none of them can be asked")
	}
	return nil
}

func standard(method string) bool {
	return method == "elicitation/create" || method == "sampling/createMessage" || method == "roots/list"
}
