package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// listener is one subscriptions/listen of a modern client.
type listener struct {
	r     *request
	lists map[string]bool // methods of list_changed
	subs  map[string]*subscription
	tasks map[string]bool // exposed ids

	mu sync.Mutex // held while something is sent: the acknowledgement is first
}

// filterNames are the members of the filter for list changes.
var filterNames = [...]struct {
	name string
	kind listKind
}{{"toolsListChanged", tools}, {"promptsListChanged", prompts}, {"resourcesListChanged", resources}}

// runListen serves subscriptions/listen: it lasts until the client or the
// gateway ends it.
func runListen(ctx context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	want, _ := rawjson.Get(c.Params, "notifications")
	if want != nil && rawjson.KindOf(want) != rawjson.Object {
		return nil, transport.Errorf(transport.CodeInvalidParams, "params.notifications is not an object")
	}
	l := &listener{r: r, lists: make(map[string]bool), subs: make(map[string]*subscription), tasks: make(map[string]bool)}
	ack := json.RawMessage("{}")
	for _, f := range filterNames {
		if v, ok := rawjson.Get(want, f.name); ok && string(v) == "true" {
			l.lists[listChanges[f.kind]] = true
			ack = rawjson.Set(ack, v, f.name)
		}
	}
	defer l.close()
	if v, ok := rawjson.Get(want, "resourceSubscriptions"); ok {
		ack = rawjson.Set(ack, l.subscribe(ctx, v), "resourceSubscriptions")
	}
	if v, ok := rawjson.Get(want, "taskIds"); ok {
		ack = rawjson.Set(ack, l.follow(v), "taskIds")
	}
	id := r.m.ID
	meta := rawjson.Set(nil, id, metaSubscription)

	l.mu.Lock()
	r.sess.mu.Lock()
	r.sess.listens[l] = true
	r.sess.mu.Unlock()
	params := rawjson.Set(rawjson.Set(nil, meta, "_meta"), ack, "notifications")
	leg := r.leg.Load()
	err := leg.conn.Notify(leg.ctx, &transport.Message{Method: "notifications/subscriptions/acknowledged", Params: params})
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for _, srv := range r.snap.servers {
		if inst := r.g.pool.running(srv, r.sess, r.client); inst != nil {
			inst.watchSoon()
		}
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-r.g.draining:
	case <-r.sess.ctx.Done():
	}
	res := rawjson.Set(json.RawMessage(`{"resultType":"complete"}`), meta, "_meta")
	return &interceptor.Result{Raw: res}, nil
}

// subscribe opens the resource subscriptions; it returns those that hold.
func (l *listener) subscribe(ctx context.Context, uris json.RawMessage) json.RawMessage {
	out := json.RawMessage("[")
	rawjson.Each(uris, func(_, v []byte) bool {
		uri := text(v)
		if uri == "" || l.subs[uri] != nil || len(l.subs) >= 1000 {
			return true
		}
		r := &request{g: l.r.g, snap: l.r.snap, sess: l.r.sess, era: l.r.era, client: l.r.client}
		r.f.uri = v
		r.routeURI(uri)
		c := &interceptor.Call{Method: "resources/subscribe", Name: uri, Original: r.call.Original, Params: rawjson.Set(nil, v, "uri"), Principal: r.sess.principal, Profile: r.snap.opts.Profile, Client: r.client.Client}
		c.Bind(l.r)
		if err := r.settleURI(ctx, c); err != nil {
			return true
		}
		sub := &subscription{sess: r.sess, client: r.client, srv: r.srv, exposed: uri, uri: c.Original, listener: l}
		if err := r.open(ctx, sub); err != nil {
			r.g.log.Debug("a subscription was not honoured", "server", r.srv.Name, "error", err)
			return true
		}
		l.subs[uri] = sub
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, v...)
		return true
	})
	return append(out, ']')
}

// follow notes the tasks whose state the client wants to hear of; it returns
// those that are its own.
func (l *listener) follow(ids json.RawMessage) json.RawMessage {
	out := json.RawMessage("[")
	rawjson.Each(ids, func(_, v []byte) bool {
		id := text(v)
		if _, _, ok := l.r.g.openTask(l.r.snap, l.r.sess.owner, id); !ok || len(l.tasks) >= 1000 {
			return true
		}
		l.tasks[id] = true
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, v...)
		return true
	})
	return append(out, ']')
}

// deliver sends a notification that the listener asked for.
func (l *listener) deliver(_ context.Context, m *transport.Message) {
	switch m.Method {
	case "notifications/resources/updated":
		v, _ := rawjson.Get(m.Params, "uri")
		if l.subs[text(v)] == nil {
			return
		}
	case "notifications/tasks":
		v, _ := rawjson.Get(m.Params, "taskId")
		if !l.tasks[text(v)] {
			return
		}
	default:
		if !l.lists[m.Method] {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	leg := l.r.leg.Load()
	out := &transport.Message{Method: m.Method, Params: rawjson.Set(m.Params, l.r.m.ID, "_meta", metaSubscription), Extra: m.Extra}
	if err := leg.conn.Notify(leg.ctx, out); err != nil {
		l.r.g.log.Debug("a notification did not reach the client", "method", m.Method, "error", err)
	}
}

func (l *listener) close() {
	l.r.sess.mu.Lock()
	delete(l.r.sess.listens, l)
	l.r.sess.mu.Unlock()
	for _, sub := range l.subs {
		sub.close()
	}
}

// watcher keeps one subscriptions/listen open at a modern server, with all
// that anybody wants to hear.
type watcher struct {
	inst *instance
	ctx  context.Context
	end  context.CancelFunc
	kick chan struct{} // what is wanted may have changed
	done chan struct{}

	mu    sync.Mutex
	acked chan struct{} // closed at each acknowledgement
	holds string        // the filter that was acknowledged
}

// wanted is the filter of all that anybody wants to hear; empty when nobody
// wants anything.
func (i *instance) wanted() json.RawMessage {
	filter := json.RawMessage("{}")
	lists, ids := i.g.interest(i)
	for _, f := range filterNames {
		if lists && i.announces(f.kind) {
			filter = rawjson.Set(filter, json.RawMessage("true"), f.name)
		}
	}
	i.mu.Lock()
	uris := make([]string, 0, len(i.subs))
	for uri := range i.subs {
		uris = append(uris, uri)
	}
	i.mu.Unlock()
	if len(uris) > 0 {
		slices.Sort(uris)
		filter = rawjson.Set(filter, stringArray(uris), "resourceSubscriptions")
	}
	if len(ids) > 0 {
		slices.Sort(ids)
		filter = rawjson.Set(filter, stringArray(ids), "taskIds")
	}
	if len(filter) == 2 {
		return nil
	}
	return filter
}

func stringArray(s []string) json.RawMessage {
	out := json.RawMessage("[")
	for i, v := range s {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.AppendString(out, v)
	}
	return append(out, ']')
}

// interest tells whether somebody wants to hear of an instance's lists, and
// of which tasks.
func (g *Gateway) interest(i *instance) (lists bool, tasks []string) {
	for _, s := range i.audience() {
		s.mu.Lock()
		if s.ready && !s.stateless {
			lists = true
		}
		for l := range s.listens {
			lists = lists || len(l.lists) > 0
			for handle := range l.tasks {
				if srv, id, ok := g.openTask(i.snap(), s.owner, handle); ok && srv == i.srv {
					tasks = append(tasks, id)
				}
			}
		}
		s.mu.Unlock()
	}
	return lists, tasks
}

// watchSoon looks anew at what is wanted, without waiting.
func (i *instance) watchSoon() {
	if i.peer.Era == transport.Modern && i.wanted() != nil {
		i.watcher().nudge()
	}
}

// watchChanges makes the server tell what is wanted, and waits until it said
// that it will.
func (i *instance) watchChanges(ctx context.Context) error {
	w := i.watcher()
	if w == nil {
		return transport.ErrClosed
	}
	want := string(i.wanted())
	w.nudge()
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		w.mu.Lock()
		holds, acked := w.holds, w.acked
		w.mu.Unlock()
		if holds == want {
			return nil
		}
		select {
		case <-acked:
			if want = string(i.wanted()); want == "" {
				return nil
			}
		case <-limit.C:
			return transport.Errorf(transport.CodeUnavailable, "server %q did not acknowledge the subscription", i.srv.Name)
		case <-w.done:
			return transport.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watcher returns the instance's watcher, starting it at first; nil when the
// instance is being stopped.
func (i *instance) watcher() *watcher {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watch == nil && !i.stopped {
		w := &watcher{inst: i, kick: make(chan struct{}, 1), done: make(chan struct{}), acked: make(chan struct{})}
		w.ctx, w.end = context.WithCancel(i.g.ctx)
		i.watch = w
		go w.run() // joined by close
	}
	return i.watch
}

func (w *watcher) nudge() {
	if w == nil {
		return
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watcher) close() {
	w.end()
	<-w.done
}

// overlap is how long a stream goes on after the one that replaces it was
// acknowledged: what the server wrote to it before is still on the way.
const overlap = 200 * time.Millisecond

// run opens a stream for what is wanted, and another whenever that changes;
// the old one ends a moment after the new one is acknowledged, so that nothing
// is missed between them. What comes twice in that moment does no harm: it
// says that something is to be read anew.
func (w *watcher) run() {
	var streams sync.WaitGroup
	defer close(w.done)
	defer streams.Wait()
	var current string
	stop := func() {}
	failed := make(chan string, 1)
	var retry <-chan time.Time
	pause := time.Second
	for {
		want := string(w.inst.wanted())
		if want != current && retry == nil {
			ctx, cancel := context.WithCancel(w.ctx)
			old := stop
			stop = cancel
			if current = want; want == "" {
				old()
				w.acknowledge("")
			} else {
				streams.Go(func() {
					err := w.listen(ctx, want, func() { time.AfterFunc(overlap, old); w.acknowledge(want) })
					old()
					cancel()
					if err != nil && w.ctx.Err() == nil {
						select {
						case failed <- want:
						default:
						}
					}
				})
			}
		}
		select {
		case <-w.ctx.Done():
			stop()
			return
		case <-w.kick:
		case which := <-failed:
			if which == current {
				current = ""
				w.inst.watching.Store(false)
				w.mu.Lock()
				w.holds = ""
				w.mu.Unlock()
				retry = time.After(pause)
				pause = min(2*pause, time.Minute)
			}
		case <-retry:
			retry = nil
		}
	}
}

// acknowledge notes that the server tells of what the filter says.
func (w *watcher) acknowledge(filter string) {
	w.inst.watching.Store(filter != "")
	w.mu.Lock()
	w.holds = filter
	close(w.acked)
	w.acked = make(chan struct{})
	w.mu.Unlock()
}

// listen holds one stream. It returns nil only when it was told to end.
func (w *watcher) listen(ctx context.Context, filter string, acked func()) error {
	i := w.inst
	params := i.ownParams(rawjson.Set(nil, json.RawMessage(filter), "notifications"))
	m := &transport.Message{ID: json.RawMessage("0"), Method: "subscriptions/listen", Params: params}
	reply, err := i.conn.Call(ctx, m, transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
		if m.Method == "notifications/subscriptions/acknowledged" {
			acked()
			return nil, nil
		}
		out := *m
		out.Params = rawjson.Delete(m.Params, "_meta", metaSubscription)
		return i.unattributed(ctx, &out)
	}))
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	case reply.Error != nil:
		return transport.ParseRPCError(reply.Error)
	}
	return transport.ErrClosed
}
