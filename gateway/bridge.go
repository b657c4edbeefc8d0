package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// ask sends a request to the client and waits for its result: a request on
// the stream of this one to a legacy client, input_required to a modern one.
func (r *request) ask(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.snap.opts.Timeouts.Ask,
		transport.Errorf(transport.CodeTimeout, "the client did not answer %s within %s (Timeouts.Ask)", method, r.snap.opts.Timeouts.Ask))
	defer cancel()
	if r.era == transport.Modern {
		if r.park == nil {
			return nil, interceptor.ErrCannotAsk
		}
		return r.park.ask(ctx, method, params)
	}
	return r.askLegacy(ctx, nil, method, params)
}

// askFor is ask on behalf of a server: what the client reports of its
// progress goes back to it.
func (r *request) askFor(ctx context.Context, inst *instance, method string, params json.RawMessage) (json.RawMessage, error) {
	if r.era == transport.Modern {
		return r.ask(ctx, method, params)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.snap.opts.Timeouts.Ask,
		transport.Errorf(transport.CodeTimeout, "the client did not answer %s within %s (Timeouts.Ask)", method, r.snap.opts.Timeouts.Ask))
	defer cancel()
	return r.askLegacy(ctx, inst, method, params)
}

// askLegacy makes a request to a legacy client on the stream of this one.
// While the client thinks, the call is alive.
func (r *request) askLegacy(ctx context.Context, inst *instance, method string, params json.RawMessage) (json.RawMessage, error) {
	l := r.leg.Load()
	// The client's connection finds the stream by the context of the client's
	// request; the server's cancellation comes with the other.
	down, cancel := context.WithCancelCause(l.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	r.thinking(true)
	defer r.thinking(false)
	return askConn(down, l.conn, inst, method, params)
}

// thinking stops and restarts the idle deadline of the call.
func (r *request) thinking(on bool) {
	r.sess.mu.Lock()
	defer r.sess.mu.Unlock()
	if on {
		delete(r.sess.running, r)
		return
	}
	r.touch()
	if r.method.idle {
		r.sess.running[r] = true
	}
}

// askConn sends a server's request over a client's connection.
func askConn(ctx context.Context, conn transport.Conn, inst *instance, method string, params json.RawMessage) (json.RawMessage, error) {
	var related transport.Receiver
	if token, ok := rawjson.Get(params, pathToken...); ok && inst != nil {
		params = rawjson.Set(params, rawjson.Quote(inst.g.newToken()), pathToken...)
		related = transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
			if m.Method != "notifications/progress" {
				return nil, nil
			}
			return nil, inst.conn.Notify(ctx, &transport.Message{Method: m.Method, Params: rawjson.Set(m.Params, token, "progressToken")})
		})
	}
	reply, err := conn.Call(ctx, &transport.Message{ID: json.RawMessage("0"), Method: method, Params: params}, related)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	if reply.Error != nil {
		return nil, transport.ParseRPCError(reply.Error)
	}
	return reply.Result, nil
}

// inputRequired splits an input_required result; ok is false for any other.
func inputRequired(result json.RawMessage) (requests []inputRequest, state json.RawMessage, ok bool) {
	kind, has := rawjson.Get(result, "resultType")
	if !has || string(kind) != `"input_required"` {
		return nil, nil, false
	}
	if in, has := rawjson.Get(result, "inputRequests"); has {
		rawjson.Each(in, func(key, v []byte) bool {
			name, good := rawjson.String(key)
			if !good {
				return true
			}
			q := inputRequest{key: name}
			m, _ := rawjson.Get(v, "method")
			q.method = text(m)
			q.params, _ = rawjson.Get(v, "params")
			requests = append(requests, q)
			return true
		})
	}
	state, _ = rawjson.Get(result, "requestState")
	return requests, state, true
}

// inputRequest is one entry of inputRequests.
type inputRequest struct {
	key    string
	method string
	params json.RawMessage
}

// forwardModern sends the call to a modern server and sees to what the server
// wants to know from the client.
func (r *request) forwardModern(ctx context.Context, inst *instance, c *interceptor.Call, params json.RawMessage) (*interceptor.Result, error) {
	for round := 0; ; round++ {
		if round == r.snap.opts.Limits.Rounds {
			return nil, transport.Errorf(transport.CodeLimit, "the server asked for input %d times in one call, the limit (Limits.Rounds)", round)
		}
		reply, err := r.roundTrip(ctx, inst, c, params)
		if err != nil {
			return nil, err
		}
		if reply.Error != nil {
			return nil, r.modernError(inst, reply.Error)
		}
		result := r.localize(inst, reply.Result)
		asked, state, ok := inputRequired(result)
		if !ok || !r.method.parks {
			return &interceptor.Result{Raw: result}, nil
		}
		answers := make(map[string]json.RawMessage, len(asked))
		if r.era == transport.Modern {
			res, err := r.relayInput(ctx, inst, c, result, asked, state, answers)
			if res != nil || err != nil {
				return res, err
			}
		} else if err := r.answerInput(ctx, inst, asked, answers); err != nil {
			return nil, err
		}
		params = withAnswers(params, answers, state)
	}
}

// answerInput asks a legacy client, by real requests, what a modern server
// wants to know.
func (r *request) answerInput(ctx context.Context, inst *instance, asked []inputRequest, answers map[string]json.RawMessage) error {
	for _, q := range asked {
		if !r.client.caps.answers(q.method, q.params) {
			return transport.Errorf(transport.CodeInternal, "the server asked for %s, which the client did not declare", q.method)
		}
		raw, err := r.passRequest(ctx, inst.srv, q.method, q.params, func(ctx context.Context, params json.RawMessage) (json.RawMessage, error) {
			return r.askFor(ctx, inst, q.method, params)
		})
		if err != nil {
			return err
		}
		answers[q.key] = raw
	}
	return nil
}

// withAnswers makes the params of a retry.
func withAnswers(params json.RawMessage, answers map[string]json.RawMessage, state json.RawMessage) json.RawMessage {
	edits := []rawjson.Edit{{Path: []string{"inputResponses"}}, {Path: []string{"requestState"}, Value: state}}
	if len(answers) > 0 {
		var b json.RawMessage
		for key, raw := range answers {
			b = rawjson.Set(b, raw, key)
		}
		edits[0].Value = b
	}
	return rawjson.Apply(params, edits...)
}

// relayInput turns a modern server's input_required into the gateway's own:
// each request passes the chain on its way to the client, and the state is
// sealed with what the retry must match. It returns nil when interceptors
// answered all there was to answer.
func (r *request) relayInput(ctx context.Context, inst *instance, c *interceptor.Call, result json.RawMessage, asked []inputRequest, upstream json.RawMessage, answers map[string]json.RawMessage) (*interceptor.Result, error) {
	st := r.newState(c)
	st.Upstream = upstream
	st.Server = inst.srv.Name
	var edits []rawjson.Edit
	if len(r.snap.chain) > 0 {
		st.Asked = make(map[string]askedInput, len(asked))
		for _, q := range asked {
			var sent json.RawMessage
			raw, err := r.passRequest(ctx, inst.srv, q.method, q.params, func(_ context.Context, params json.RawMessage) (json.RawMessage, error) {
				sent = params
				return nil, interceptor.ErrDeferred
			})
			switch {
			case errors.Is(err, interceptor.ErrDeferred):
				if !sameRaw(sent, q.params) {
					edits = append(edits, rawjson.Edit{Path: []string{"inputRequests", q.key, "params"}, Value: sent})
				}
				a := askedInput{Method: q.method}
				if len(sent) <= maxKeptParams {
					a.Params = sent
				}
				st.Asked[q.key] = a
			case err != nil:
				return nil, err
			default:
				answers[q.key] = raw
				edits = append(edits, rawjson.Edit{Path: []string{"inputRequests", q.key}})
			}
		}
		if len(asked) > 0 && len(st.Asked) == 0 {
			return nil, nil
		}
		st.Answered = answers
	}
	sealed, err := r.sealState(st)
	if err != nil {
		return nil, err
	}
	edits = append(edits, rawjson.Edit{Path: []string{"requestState"}, Value: sealed})
	return &interceptor.Result{Raw: rawjson.Apply(result, edits...)}, nil
}

// maxKeptParams bounds what a sealed state carries of one request, in bytes.
const maxKeptParams = 4 << 10

// openState restores a retry of a modern client for a modern server: the
// server's own state, and the answers after they passed the chain.
func (r *request) openState(ctx context.Context, inst *instance, c *interceptor.Call, params json.RawMessage) (json.RawMessage, error) {
	if r.f.requestState == nil {
		// Answers to what nobody asked pass no chain, so they do not pass the
		// host's; the guard has seen them with the request.
		if r.snap.own {
			return rawjson.Delete(params, "inputResponses"), nil
		}
		return params, nil
	}
	st, err := r.readState(c)
	if err != nil {
		return nil, err
	}
	if st.Server != inst.srv.Name {
		return nil, errState
	}
	responses := r.f.inputResponses
	var edits []rawjson.Edit
	var failed error
	rawjson.Each(responses, func(key, v []byte) bool {
		name, ok := rawjson.String(key)
		q, known := st.Asked[name]
		if !ok || !known {
			return true
		}
		raw, err := r.passRequest(ctx, inst.srv, q.Method, q.Params, func(context.Context, json.RawMessage) (json.RawMessage, error) {
			return json.RawMessage(v), nil
		})
		if err != nil {
			failed = err
			return false
		}
		if !sameRaw(raw, v) {
			edits = append(edits, rawjson.Edit{Path: []string{name}, Value: raw})
		}
		return true
	})
	if failed != nil {
		return nil, failed
	}
	for key, raw := range st.Answered {
		edits = append(edits, rawjson.Edit{Path: []string{key}, Value: raw})
	}
	out := []rawjson.Edit{{Path: []string{"requestState"}, Value: st.Upstream}}
	if len(edits) > 0 {
		out = append(out, rawjson.Edit{Path: []string{"inputResponses"}, Value: rawjson.Apply(responses, edits...)})
	}
	return rawjson.Apply(params, out...), nil
}

// modernError passes on the error of a modern server, in the client's words.
func (r *request) modernError(inst *instance, raw json.RawMessage) error {
	e := transport.ParseRPCError(raw)
	if r.era == transport.Modern {
		return e
	}
	if r.m.Method == "resources/read" && e.Code == transport.CodeInvalidParams {
		if _, ok := rawjson.Get(e.Data, "uri"); ok {
			return &transport.RPCError{Code: transport.CodeResourceNotFound, Message: e.Message, Data: e.Data}
		}
	}
	if e.Code == transport.CodeMissingCapability {
		return transport.Errorf(transport.CodeInvalidRequest, "server %q needs an ability that the client did not declare: %s", inst.srv.Name, e.Message)
	}
	return e
}

// openURLs bridges the error by which a legacy server sends its user to a
// URL: a modern client is asked by URL elicitation, then the call is made
// again.
func (r *request) openURLs(ctx context.Context, inst *instance, c *interceptor.Call, params json.RawMessage, e *transport.RPCError) (*interceptor.Result, error) {
	list, ok := rawjson.Get(e.Data, "elicitations")
	if !ok || !r.client.caps.elicitURL || r.park == nil {
		return nil, transport.Errorf(transport.CodeMissingCapability, "%s (the client cannot open URLs)", e.Message)
	}
	var asks []json.RawMessage
	rawjson.Each(list, func(_, v []byte) bool {
		asks = append(asks, rawjson.Set(v, json.RawMessage(`"url"`), "mode"))
		return len(asks) < 16
	})
	for _, q := range asks {
		raw, err := r.passRequest(ctx, inst.srv, "elicitation/create", q, func(ctx context.Context, params json.RawMessage) (json.RawMessage, error) {
			return r.ask(ctx, "elicitation/create", params)
		})
		if err != nil {
			return nil, err
		}
		if action, _ := rawjson.Get(raw, "action"); string(action) != `"accept"` {
			return nil, transport.Errorf(transport.CodeInvalidRequest, "%s (the user did not agree)", e.Message)
		}
	}
	reply, err := r.roundTrip(ctx, inst, c, params)
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		again := transport.ParseRPCError(reply.Error)
		if again.Code == transport.CodeURLElicitation {
			return nil, transport.Errorf(transport.CodeInvalidRequest, "%s (not completed yet: call again when it is)", again.Message)
		}
		return nil, again
	}
	return &interceptor.Result{Raw: r.dress(r.localize(inst, reply.Result), transport.Legacy, inst)}, nil
}
