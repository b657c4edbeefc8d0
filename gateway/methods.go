package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// method says how the gateway serves one method of clients.
type method struct {
	eras         uint8 // bit 1<<era
	notification bool
	idle         bool                   // ends when the server is silent for too long
	parks        bool                   // may be answered with input_required
	target       func(r *request) error // finds server and name, before the chain
	run          func(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error)
}

const (
	legacy = 1 << transport.Legacy
	modern = 1 << transport.Modern
	both   = legacy | modern
)

var otherMethod = &method{eras: both, idle: true, target: targetOnly, run: runOther}

// methodTable is made once for each gateway.
func methodTable() map[string]*method {
	return map[string]*method{
		"initialize":      {eras: legacy, run: runInitialize},
		"ping":            {eras: legacy, run: runPing},
		"server/discover": {eras: modern, run: runDiscover},

		"tools/list":               {eras: both, run: runList(tools)},
		"prompts/list":             {eras: both, run: runList(prompts)},
		"resources/list":           {eras: both, run: runList(resources)},
		"resources/templates/list": {eras: both, run: runList(templates)},

		"tools/call":          {eras: both, idle: true, parks: true, target: targetName(tools), run: runCall},
		"prompts/get":         {eras: both, idle: true, parks: true, target: targetName(prompts), run: runCall},
		"resources/read":      {eras: both, idle: true, parks: true, target: targetURI, run: runCall},
		"completion/complete": {eras: both, idle: true, target: targetRef, run: runComplete},

		"resources/subscribe":   {eras: legacy, target: targetURI, run: runSubscribe},
		"resources/unsubscribe": {eras: legacy, target: targetURI, run: runUnsubscribe},
		"subscriptions/listen":  {eras: modern, run: runListen},
		"logging/setLevel":      {eras: legacy, run: runSetLevel},

		"tasks/get":    {eras: both, idle: true, target: targetTask, run: runTask},
		"tasks/cancel": {eras: both, idle: true, target: targetTask, run: runTask},
		"tasks/result": {eras: legacy, target: targetTask, run: runTask},
		"tasks/update": {eras: modern, idle: true, target: targetTask, run: runTask},
		"tasks/list":   {eras: legacy, run: runTaskList},

		"notifications/initialized":        {eras: legacy, notification: true, run: runNothing},
		"notifications/cancelled":          {eras: both, notification: true, run: runNothing},
		"notifications/progress":           {eras: both, notification: true, run: runNothing},
		"notifications/roots/list_changed": {eras: legacy, notification: true, run: runRootsChanged},
	}
}

func runPing(context.Context, *request, *interceptor.Call) (*interceptor.Result, error) {
	return &interceptor.Result{Raw: json.RawMessage("{}")}, nil
}

// runNothing ends notifications that concern the gateway alone, or that a
// connection has dealt with already.
func runNothing(context.Context, *request, *interceptor.Call) (*interceptor.Result, error) {
	return nil, nil
}

// targetOnly routes what nothing else routes: to the server, when the
// caller's view holds exactly one.
func targetOnly(r *request) error {
	if len(r.snap.servers) == 1 {
		r.srv = r.snap.servers[0]
		r.call.Server = r.srv.Name
	}
	return nil
}

func runOther(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	if r.srv == nil {
		if c.Notification {
			return nil, nil
		}
		return nil, transport.Errorf(transport.CodeMethodNotFound, "method %s is not known", r.m.Method)
	}
	if !c.Notification {
		res, err := r.routed(ctx, c)
		var down *serverError
		if errors.As(err, &down) && down.status == http.StatusBadRequest {
			// Some servers refuse what they do not know below JSON-RPC.
			return nil, transport.Errorf(transport.CodeMethodNotFound, "server %q does not know the method %s (it answered HTTP 400)", r.srv.Name, c.Method)
		}
		return res, err
	}
	inst := r.g.pool.running(r.srv, r.sess, r.client)
	if inst == nil {
		return nil, nil
	}
	params := c.Params
	if inst.peer.Era != r.era {
		params = translate(params, r, inst)
	}
	return nil, inst.conn.Notify(ctx, &transport.Message{Method: c.Method, Params: params, Extra: r.m.Extra})
}

// runRootsChanged tells the servers that follow the client's roots.
func runRootsChanged(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	for _, srv := range r.snap.servers {
		if srv.Instance == Shared {
			continue
		}
		if inst := r.g.pool.running(srv, r.sess, r.client); inst != nil && inst.peer.Era == transport.Legacy {
			if err := inst.conn.Notify(ctx, &transport.Message{Method: c.Method, Params: c.Params}); err != nil {
				r.g.log.Debug("roots/list_changed did not reach a server", "server", srv.Name, "error", err)
			}
		}
	}
	return nil, nil
}

var levels = map[string]int{
	"debug": 0, "info": 1, "notice": 2, "warning": 3, "error": 4, "critical": 5, "alert": 6, "emergency": 7,
}

// runSetLevel keeps the level for servers to come and tells those that run.
func runSetLevel(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	v, _ := rawjson.Get(c.Params, "level")
	level := text(v)
	if _, ok := levels[level]; !ok {
		return nil, transport.Errorf(transport.CodeInvalidParams, "level is none of debug, info, notice, warning, error, critical, alert, emergency")
	}
	r.sess.mu.Lock()
	r.sess.level = level
	r.sess.mu.Unlock()
	for _, srv := range r.snap.servers {
		if inst := r.g.pool.running(srv, r.sess, r.client); inst != nil {
			inst.setLevel(ctx, level)
		}
	}
	return &interceptor.Result{Raw: json.RawMessage("{}")}, nil
}

// setLevel makes a legacy server log from level on. A shared one only ever
// becomes more talkative: what a session did not ask for is filtered.
func (i *instance) setLevel(ctx context.Context, level string) {
	if i.peer.Era != transport.Legacy || !i.has("logging") || level == "" {
		return
	}
	i.mu.Lock()
	same := i.level == level || i.srv.Instance == Shared && i.level != "" && levels[i.level] <= levels[level]
	if !same {
		i.level = level
	}
	i.mu.Unlock()
	if same {
		return
	}
	m := &transport.Message{ID: json.RawMessage("0"), Method: "logging/setLevel", Params: rawjson.Set(nil, rawjson.Quote(level), "level")}
	if _, err := i.conn.Call(ctx, m, nil); err != nil {
		i.g.log.Debug("logging/setLevel did not reach a server", "server", i.srv.Name, "error", err)
	}
}

// prepare brings a new instance to where the session's earlier one was.
func (i *instance) prepare(ctx context.Context, sess *session) {
	defer i.watchSoon()
	if sess == nil {
		return
	}
	sess.mu.Lock()
	level := sess.level
	var subs []*subscription
	for _, s := range sess.subs {
		if s.srv == i.srv {
			subs = append(subs, s)
		}
	}
	for l := range sess.listens {
		for _, s := range l.subs {
			if s.srv == i.srv {
				subs = append(subs, s)
			}
		}
	}
	sess.mu.Unlock()
	i.setLevel(ctx, level)
	for _, s := range subs {
		if err := i.subscribe(ctx, s); err != nil {
			i.g.log.Warn("a subscription was not renewed", "server", i.srv.Name, "error", err)
		}
	}
}
