package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// targetName routes a call by the name of a tool or prompt.
func targetName(kind listKind) func(*request) error {
	return func(r *request) error {
		name, ok := rawjson.String(r.f.name)
		if !ok || name == "" {
			return transport.Errorf(transport.CodeInvalidParams, "params.name is not a string")
		}
		r.route(kind, name)
		return nil
	}
}

// route finds the server of an exposed name from what is known without asking
// any server.
func (r *request) route(kind listKind, name string) {
	srv, rest := r.snap.byExposed(name)
	r.call.Name, r.call.Original = name, rest
	r.srv, r.item = srv, nil
	r.call.Server = ""
	if srv == nil {
		return
	}
	r.call.Server = srv.Name
	if l := r.peek(srv, kind); l != nil {
		if it := l.byExposed[name]; it != nil {
			r.item = it
			r.call.Original = it.key
		}
	}
}

// runCall forwards tools/call, prompts/get and resources/read.
func runCall(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	if err := r.settle(ctx, c); err != nil {
		return nil, err
	}
	if r.item != nil && r.item.headers != nil && r.m.Method == "tools/call" && r.era == transport.Modern && r.m.Header != nil {
		if err := r.item.headers.Check(r.f.arguments, r.m.Header); err != nil {
			return nil, err
		}
	}
	return r.routed(ctx, c)
}

// settle makes sure that the target is one that exists and that the caller
// may see, following a name that an interceptor changed.
func (r *request) settle(ctx context.Context, c *interceptor.Call) error {
	switch r.m.Method {
	case "tools/call":
		return r.settleName(ctx, c, tools)
	case "prompts/get":
		return r.settleName(ctx, c, prompts)
	}
	return r.settleURI(ctx, c)
}

func (r *request) settleName(ctx context.Context, c *interceptor.Call, kind listKind) error {
	if v, ok := rawjson.Get(c.Params, "name"); ok && !sameRaw(v, r.f.name) {
		name, ok := rawjson.String(v)
		if !ok {
			return transport.Errorf(transport.CodeInvalidParams, "params.name is not a string")
		}
		r.route(kind, name)
		c.Name, c.Original, c.Server = r.call.Name, r.call.Original, r.call.Server
	}
	what := [kinds]string{"tool", "prompt"}[kind]
	if r.srv == nil {
		return transport.Errorf(transport.CodeInvalidParams, "unknown %s %q", what, c.Name)
	}
	if r.item == nil { // not known yet: start the server and ask
		l, err := r.listOf(ctx, r.srv, kind)
		if down := (*serverError)(nil); l == nil && (errors.As(err, &down) || err != nil && len(r.snap.hiders) > 0) {
			return err
		}
		if l != nil {
			if it := l.byExposed[c.Name]; it != nil {
				r.item = it
				c.Original = it.key
				r.call.Original = it.key
			}
		}
	}
	if len(r.snap.hiders) > 0 {
		if r.item == nil || !r.visible(ctx, c, kind, r.srv, r.item) {
			return transport.Errorf(transport.CodeInvalidParams, "unknown %s %q", what, c.Name)
		}
	}
	return nil
}

func sameRaw(a, b json.RawMessage) bool { return string(a) == string(b) }

// routed forwards the call to an instance of its server, which is started if
// need be. When a remote session turns out to have expired, the call, which
// the server has not looked at, is repeated once in a new one.
func (r *request) routed(ctx context.Context, c *interceptor.Call) (*interceptor.Result, error) {
	if r.srv.Instance == PerCall && r.scope == "" {
		r.scope = randomID()
	}
	for try := 0; ; try++ {
		inst, release, err := r.g.pool.acquire(ctx, r.srv, r.sess, r.client, r.scope)
		if err != nil {
			return nil, err
		}
		res, err := r.forward(ctx, inst, c)
		if errors.Is(err, transport.ErrSessionExpired) && try == 0 {
			r.g.log.Info("a remote session has expired; opening another", "server", r.srv.Name)
			inst.slot.expire(inst)
			release()
			continue
		}
		release()
		return res, inst.public(err)
	}
}

// expire stops an instance whose remote session is gone.
func (s *slot) expire(inst *instance) {
	s.mu.Lock()
	mine := s.inst == inst
	if mine {
		s.inst = nil
	}
	s.mu.Unlock()
	if mine {
		inst.stop()
	}
}

// public words what the transport to a server reported: a status of the
// server is the server's, never the gateway's own answer.
func (i *instance) public(err error) error {
	var t *transport.Error
	if err == nil || !errors.As(err, &t) {
		return err
	}
	reason := t.Public()
	if t.Status == 401 || t.Status == 403 {
		reason += "; it asks for other credentials than its configuration gives"
	}
	return &serverError{i.srv.Name, reason, t.Status}
}

// forward sends the call to inst and brings back its result in the client's
// era.
func (r *request) forward(ctx context.Context, inst *instance, c *interceptor.Call) (*interceptor.Result, error) {
	params, err := r.outgoing(ctx, inst, c)
	if err != nil {
		return nil, err
	}
	r.inst.Store(inst)
	if r.era == transport.Modern && inst.peer.Era == transport.Legacy {
		r.followLevel(ctx, inst)
	}
	if inst.peer.Era == transport.Modern {
		return r.forwardModern(ctx, inst, c, params)
	}
	reply, err := r.roundTrip(ctx, inst, c, params)
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return r.legacyError(ctx, inst, c, params, reply)
	}
	return &interceptor.Result{Raw: r.dress(r.localize(inst, reply.Result), transport.Legacy, inst)}, nil
}

// followLevel makes a legacy server send the log messages that a modern
// request asks for.
func (r *request) followLevel(ctx context.Context, inst *instance) {
	if l := r.leg.Load().level; l != "" {
		if _, ok := levels[l]; ok {
			inst.setLevel(ctx, l)
		}
	}
}

// roundTrip sends one request to inst.
func (r *request) roundTrip(ctx context.Context, inst *instance, c *interceptor.Call, params json.RawMessage) (*transport.Message, error) {
	m := &transport.Message{ID: r.m.ID, Method: c.Method, Params: params, Extra: r.m.Extra}
	if r.item != nil && r.item.headers != nil && inst.peer.Era == transport.Modern {
		args, _ := rawjson.Get(params, "arguments")
		m.Header = r.item.headers.Headers(args)
	}
	reply, err := inst.call(ctx, m, r)
	r.touch()
	if reply != nil {
		r.extra = reply.Extra
		if r.direct && !r.snap.own {
			r.reply = reply // nobody else sees it
		}
	}
	return reply, err
}

// outgoing makes the params for the server: its own name for the target, a
// progress token of ours, and the _meta of its era.
func (r *request) outgoing(ctx context.Context, inst *instance, c *interceptor.Call) (json.RawMessage, error) {
	var edits [4]rawjson.Edit
	n := 0
	if c.Name != c.Original {
		switch r.m.Method {
		case "tools/call", "prompts/get":
			edits[n] = rawjson.Edit{Path: pathName, Value: rawjson.Quote(c.Original)}
			n++
		case "resources/read", "resources/subscribe", "resources/unsubscribe":
			edits[n] = rawjson.Edit{Path: pathURI, Value: rawjson.Quote(c.Original)}
			n++
		}
	}
	if r.f.token != nil {
		if r.token == "" {
			r.token = r.g.newToken()
		}
		edits[n] = rawjson.Edit{Path: pathToken, Value: rawjson.Quote(r.token)}
		n++
	}
	params := c.Params
	if n > 0 {
		params = rawjson.Apply(params, edits[:n]...)
	}
	if inst.peer.Era == r.era {
		if r.era == transport.Modern && (r.f.requestState != nil || r.f.inputResponses != nil) {
			return r.openState(ctx, inst, c, params)
		}
		return params, nil
	}
	return translate(params, r, inst), nil
}

var (
	pathName  = []string{"name"}
	pathURI   = []string{"uri"}
	pathToken = []string{"_meta", "progressToken"}
)

// translate lays the _meta of the server's era over params.
func translate(params json.RawMessage, r *request, inst *instance) json.RawMessage {
	if inst.peer.Era == transport.Modern {
		info := r.client.info
		if info == nil {
			info = r.g.identity
		}
		params = transport.ModernMeta(params, inst.peer.Version, info, inst.caps)
		r.sess.mu.Lock()
		level := r.sess.level
		r.sess.mu.Unlock()
		if level != "" {
			params = rawjson.Set(params, rawjson.Quote(level), "_meta", metaLogLevel)
		}
		return params
	}
	params = transport.StripModernMeta(params)
	if r.f.requestState != nil {
		params = rawjson.Delete(params, "requestState")
	}
	if r.f.inputResponses != nil {
		params = rawjson.Delete(params, "inputResponses")
	}
	return params
}

// cacheable are the methods whose results carry cache hints in the modern era.
var cacheable = map[string]bool{
	"server/discover": true, "tools/list": true, "prompts/list": true,
	"resources/list": true, "resources/templates/list": true, "resources/read": true,
}

// dress gives a result the members that the client's era asks for.
func (r *request) dress(result json.RawMessage, from transport.Era, inst *instance) json.RawMessage {
	if r.era != transport.Modern || from == transport.Modern {
		return result
	}
	if _, ok := rawjson.Get(result, "resultType"); !ok {
		result = rawjson.Set(result, json.RawMessage(`"complete"`), "resultType")
	}
	if cacheable[r.m.Method] {
		if _, ok := rawjson.Get(result, "ttlMs"); !ok {
			result = rawjson.Set(result, json.RawMessage("0"), "ttlMs")
		}
		if _, ok := rawjson.Get(result, "cacheScope"); !ok {
			result = rawjson.Set(result, json.RawMessage(`"private"`), "cacheScope")
		}
	}
	if inst != nil && inst.peer.ServerInfo != nil {
		if _, ok := rawjson.Get(result, "_meta", metaServer); !ok {
			result = rawjson.Set(result, inst.peer.ServerInfo, "_meta", metaServer)
		}
	}
	return result
}

// legacyError passes on the error of a legacy server, in the client's words.
func (r *request) legacyError(ctx context.Context, inst *instance, c *interceptor.Call, params json.RawMessage, reply *transport.Message) (*interceptor.Result, error) {
	e := transport.ParseRPCError(reply.Error)
	if r.era == transport.Legacy {
		return nil, e
	}
	switch e.Code {
	case transport.CodeResourceNotFound:
		return nil, &transport.RPCError{Code: transport.CodeInvalidParams, Message: e.Message, Data: e.Data}
	case transport.CodeURLElicitation:
		return r.openURLs(ctx, inst, c, params, e)
	}
	return nil, e
}
