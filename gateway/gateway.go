package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Gateway is many MCP servers behind one endpoint. It is safe for concurrent
// use. Every goroutine that it starts ends before Close returns.
type Gateway struct {
	id       string // of this process
	started  time.Time
	log      *slog.Logger
	seal     *sealer
	identity json.RawMessage // serverInfo, and clientInfo towards servers
	methods  map[string]*method
	clients  *clientCache
	uris     *uriOwners
	pool     *pool
	front    *transport.HTTP
	snap     atomic.Pointer[snapshot]
	taught   taught
	baseline baseline

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	draining chan struct{} // closed when Shutdown or Close begins
	wg       sync.WaitGroup

	calls    atomic.Int64
	tokens   atomic.Uint64 // progress tokens made
	listIDs  atomic.Uint64 // lists told apart
	inflight atomic.Int64

	mu       sync.Mutex
	sessions map[*session]bool
	modern   map[string]*session // stateless ones, by principal and key
	perOwner map[string]int
	parked   map[string]*parked
	parkedBy map[string]int
	closing  bool

	reload sync.Mutex // one at a time
	once   sync.Once
}

var (
	_ transport.Host     = (*Gateway)(nil)
	_ transport.Receiver = (*session)(nil)
	_ http.Handler       = (*Gateway)(nil)
)

// New makes a gateway. The error joins every fault of the options; nil
// options are fine. Nothing is started until a client needs it, but for
// servers marked Eager and instances kept Warm.
func New(o *Options) (*Gateway, error) {
	g, err := build(o)
	if err != nil {
		return nil, err
	}
	g.wg.Go(g.sweep)
	g.startEager()
	g.pool.heat(g.snap.Load())
	return g, nil
}

// Check returns the error that New would return. It starts nothing.
func Check(o *Options) error {
	g, err := build(o)
	if err != nil {
		return err
	}
	return g.Close()
}

func build(o *Options) (*Gateway, error) {
	opts, err := o.prepare()
	if err != nil {
		return nil, err
	}
	seal, err := newSealer(opts.SealingKeys)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		id: randomID(), started: time.Now(), log: opts.Logger, seal: seal,
		identity: identity(opts), methods: methodTable(), clients: newClientCache(), uris: newURIOwners(),
		draining: make(chan struct{}),
		sessions: make(map[*session]bool), modern: make(map[string]*session), perOwner: make(map[string]int),
		parked: make(map[string]*parked), parkedBy: make(map[string]int),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.pool = newPool(g, opts.Limits.Starts)
	chain, err := g.complete(opts)
	if err != nil {
		g.cancel()
		return nil, err
	}
	g.snap.Store(g.newSnapshot(opts, chain, nil))
	if g.front, err = transport.NewHTTP(g, opts.http()); err != nil {
		g.cancel()
		return nil, err
	}
	if opts.Authenticator == nil && opts.AllowAnonymous {
		g.log.Warn("the gateway serves anonymous clients beyond loopback (AllowAnonymous)")
	}
	return g, nil
}

func identity(o *Options) json.RawMessage {
	id := rawjson.Set(nil, rawjson.Quote(o.Name), "name")
	if o.Title != "" {
		id = rawjson.Set(id, rawjson.Quote(o.Title), "title")
	}
	return rawjson.Set(id, rawjson.Quote(o.Version), "version")
}

// startEager starts the shared servers that are to run from the beginning.
func (g *Gateway) startEager() {
	for _, srv := range g.snap.Load().servers {
		if !srv.Eager || srv.Instance != Shared {
			continue
		}
		g.background(func(ctx context.Context) {
			_, release, err := g.pool.acquire(ctx, srv, nil, nil, "")
			if err == nil {
				release()
			}
		})
	}
}

// background runs f in a goroutine that Close waits for, within a minute.
func (g *Gateway) background(f func(ctx context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return
	}
	g.wg.Go(func() {
		ctx, cancel := context.WithTimeout(g.ctx, time.Minute)
		defer cancel()
		f(ctx)
	})
}

// sweep ends what has been idle for too long.
func (g *Gateway) sweep() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			g.pool.sweep(now)
			g.pool.heat(g.snap.Load())
			g.sweepSessions(now)
		case <-g.ctx.Done():
			return
		}
	}
}

// ServeHTTP serves the MCP endpoint, wherever it is mounted.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.front.ServeHTTP(w, r) }

// Register mounts all that the gateway serves: the MCP endpoint at /mcp,
// /healthz and /readyz, and, with [Options.LegacySSE], /sse and /messages.
func (g *Gateway) Register(mux *http.ServeMux) {
	mux.Handle("/mcp", g)
	mux.HandleFunc("GET /healthz", g.serveHealth)
	mux.HandleFunc("GET /readyz", g.serveReady)
	if g.snap.Load().opts.LegacySSE {
		sse := g.front.SSEHandler()
		mux.Handle("/sse", sse)
		mux.Handle("/messages", sse)
	}
}

// Stateless implements [transport.Host]: one message of a modern client.
func (g *Gateway) Stateless(ctx context.Context, c transport.Conn, p transport.Principal, req *http.Request, m *transport.Message) (*transport.Message, error) {
	key := ""
	if name := g.snap.Load().opts.SessionKey; name != "" && req != nil {
		if key = req.Header.Get(name); key == "" {
			v, _ := rawjson.Get(m.Params, "_meta", name)
			key = text(v)
		}
	}
	if p.Anonymous() && req != nil && !fromLoopback(req) {
		// Strangers share nothing: what such a call needs ends with it.
		s := g.newSession(randomID(), nil, p, true)
		s.ephemeral = true
		defer s.end()
		return g.receive(ctx, s, c, m)
	}
	s, err := g.statelessSession(p, key)
	if err != nil {
		return nil, err
	}
	return g.receive(ctx, s, c, m)
}

// fromLoopback reports whether a request came from this machine, whose
// anonymous callers are one principal.
func fromLoopback(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// Serve serves one client over a connection of any kind until the connection
// or ctx ends. It closes the connection.
func (g *Gateway) Serve(ctx context.Context, conn transport.Conn, p transport.Principal) error {
	_, r, err := g.Accept(ctx, conn, p)
	if err != nil {
		_ = conn.Close()
		return err
	}
	conn.Listen(r)
	defer conn.Close()
	select {
	case <-doneOf(conn):
		if d, ok := conn.(transport.Done); ok {
			if err := d.Err(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, transport.ErrClosed) {
				return err
			}
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.ctx.Done():
		return transport.ErrClosed
	}
}

// ServeStdio serves one client over a pair of streams, one message a line,
// until in ends, the client goes away or ctx ends. What was asked before the
// end of in is still answered, within five seconds.
func (g *Gateway) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	o := g.snap.Load().opts
	conn := transport.NewStream(in, out, &transport.StreamOptions{
		Limits: transport.Limits{Body: int64(o.Limits.Line), Depth: o.Limits.Depth},
		Queue:  o.Limits.Queue,
		Linger: lastAnswers,
	})
	return g.Serve(ctx, conn, transport.Principal{})
}

// Connect returns a client's end of a connection in memory.
func (g *Gateway) Connect(p transport.Principal) (transport.Conn, error) {
	client, server := transport.Pipe()
	_, r, err := g.Accept(g.ctx, server, p)
	if err != nil {
		_ = client.Close()
		_ = server.Close()
		return nil, err
	}
	server.Listen(r)
	return client, nil
}

// Reload puts new options in force, or none of them: the error joins every
// fault. Calls in flight end on the old ones; sessions live on; servers whose
// definition is unchanged keep their instances, the others' are stopped when
// nobody uses them any more. Clients are told that their lists changed.
func (g *Gateway) Reload(ctx context.Context, o *Options) error {
	opts, err := o.prepare()
	if err != nil {
		return err
	}
	g.reload.Lock()
	defer g.reload.Unlock()
	old := g.snap.Load()
	if err := opts.changeable(old.opts); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	chain, err := g.complete(opts)
	if err != nil {
		return err
	}
	snap := g.newSnapshot(opts, chain, old)
	g.taught.repeat(snap.learners)
	g.snap.Store(snap)
	g.taught.repeat(snap.learners) // what was handed out meanwhile
	for _, srv := range old.servers {
		if snap.byName[srv.Name] != srv {
			srv.removed.Store(true)
			g.uris.drop(srv)
		}
	}
	g.pool.sweep(time.Now())
	g.pool.heat(snap)
	g.startEager()
	g.mu.Lock()
	sessions := make([]*session, 0, len(g.sessions)+len(g.modern))
	for s := range g.sessions {
		sessions = append(sessions, s)
	}
	for _, s := range g.modern {
		sessions = append(sessions, s)
	}
	g.mu.Unlock()
	for _, s := range sessions {
		s.dropRemoved()
		for _, kind := range []listKind{tools, prompts, resources} {
			g.background(func(ctx context.Context) { s.notify(ctx, &transport.Message{Method: listChanges[kind]}) })
		}
	}
	g.log.Info("the configuration was reloaded", "servers", len(snap.servers))
	return nil
}

// dropRemoved ends subscriptions at servers that left the configuration.
func (s *session) dropRemoved() {
	s.mu.Lock()
	var gone []*subscription
	for uri, sub := range s.subs {
		if sub.srv.removed.Load() {
			gone = append(gone, sub)
			delete(s.subs, uri)
		}
	}
	s.mu.Unlock()
	for _, sub := range gone {
		sub.close()
	}
}

// drain stops taking new sessions and requests.
func (g *Gateway) drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.closing = true
		close(g.draining)
	}
}

// Shutdown stops taking work, waits for the calls in flight as long as ctx
// allows, and closes the gateway. The error is ctx's when calls were cut off.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.drain()
	err := g.front.Shutdown(ctx)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err == nil && g.busy() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			err = ctx.Err()
		case <-g.ctx.Done():
		}
		if g.ctx.Err() != nil {
			break
		}
	}
	return errors.Join(err, g.Close())
}

// busy reports whether a call is in flight that a client waits for. A parked
// call whose client has not come back yet is none: it would be waited for as
// long as its client may think.
func (g *Gateway) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inflight.Load() > int64(len(g.parked))
}

// Close ends everything at once: calls in flight fail, sessions end, every
// instance is stopped. When it returns nothing of the gateway is left.
func (g *Gateway) Close() error {
	g.once.Do(func() {
		g.drain()
		g.mu.Lock()
		g.cancel()
		modern := g.modern
		g.modern = make(map[string]*session)
		calls := make([]*parked, 0, len(g.parked))
		for _, p := range g.parked {
			calls = append(calls, p)
		}
		g.mu.Unlock()
		for _, p := range calls {
			p.cancel(transport.ErrClosed)
			p.timer.Stop()
		}
		var ends sync.WaitGroup
		for _, s := range modern {
			ends.Go(s.end)
		}
		_ = g.front.Close()
		ends.Wait()
		g.pool.close()
		g.wg.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), interceptorGrace)
		defer cancel()
		if err := interceptor.Wait(ctx, g.snap.Load().chain...); err != nil {
			g.log.Warn("an interceptor does not heed its context", "error", err)
		}
	})
	return nil
}

// lastAnswers is how long a client that closed its end of a pipe is still
// answered.
const lastAnswers = 5 * time.Second

// interceptorGrace is how long Close waits for goroutines of interceptors.
const interceptorGrace = 5 * time.Second

// health is the body of /healthz and /readyz.
type health struct {
	Status  string         `json:"status"`
	ID      string         `json:"id"`
	Servers []serverHealth `json:"servers"`
}

type serverHealth struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Error string `json:"error,omitempty"`
	By    string `json:"by,omitempty"` // how it is reached, or what confines it and why; on /readyz
}

func (g *Gateway) serveHealth(w http.ResponseWriter, _ *http.Request) {
	g.writeHealth(w, http.StatusOK, "ok")
}

// serveReady reports whether the gateway takes work: one server that fails
// does not make it unready.
func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-g.draining:
		g.writeHealth(w, http.StatusServiceUnavailable, "draining")
	default:
		g.writeHealth(w, http.StatusOK, "ready")
	}
}

func (g *Gateway) writeHealth(w http.ResponseWriter, code int, status string) {
	h := health{Status: status, ID: g.id, Servers: []serverHealth{}}
	for _, s := range g.Status().Servers {
		sh := serverHealth{Name: s.Name, State: s.State, Error: s.Error}
		if status != "ok" {
			sh.By = s.Kind
		}
		h.Servers = append(h.Servers, sh)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(h)
}
