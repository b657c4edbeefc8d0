package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Gate is the way out of one network namespace. It is safe for concurrent
// use.
//
// Its sockets keep the namespace in being until Close.
type Gate struct {
	p      *Proxy
	server string
	rules  Rules
	names  *names
	hooks  Hooks
	ca     *authority // nil when no TLS ends here

	terminated Rules // whose TLS ends here
	six        bool  // IPv6 is captured too
	rec        record
	pace       *pace
	again      *repeats

	sockets *sockets
	front   *http.Server // the proxy's port
	inner   *http.Server // what is terminated, and HTTP to names
	decoded *feed        // connections for inner
	out     *http.Transport

	ctx   context.Context // ends with Close
	end   context.CancelFunc
	wg    sync.WaitGroup
	once  sync.Once
	slots chan struct{} // of clients
	ups   chan struct{} // of targets

	mu    sync.Mutex
	conns map[*conn]struct{} // nil once closed
}

var _ runtime.Refuser = (*Gate)(nil)

func newGate(p *Proxy, s *sockets, a Attachment, rules Rules) *Gate {
	g := &Gate{
		p: p, server: a.Server, hooks: a.Hooks, rules: rules, sockets: s,
		names: newNames(maxNames), six: len(s.tcp) > 1,
		slots: make(chan struct{}, p.o.MaxConns),
		ups:   make(chan struct{}, p.o.MaxConns),
		conns: map[*conn]struct{}{},
	}
	g.pace, g.again = newPace(maxRate, maxBurst), newRepeats()
	g.ctx, g.end = context.WithCancel(context.Background())
	g.out = g.transport()
	g.front = g.httpServer(http.HandlerFunc(g.proxied))
	g.decoded = newFeed()
	g.inner = g.httpServer(http.HandlerFunc(g.decodedRequest))
	return g
}

// serve starts the goroutines of the gate, which Close joins.
func (g *Gate) serve() {
	g.wg.Go(func() { _ = g.front.Serve(&limited{g.sockets.proxy, g}) })
	g.wg.Go(func() { _ = g.inner.Serve(g.decoded) })
	for _, l := range g.sockets.tcp {
		g.wg.Go(func() { g.capture(l) })
	}
	for _, c := range g.sockets.dns {
		g.wg.Go(func() { g.answerPackets(c) })
	}
	for _, l := range g.sockets.dnsT {
		g.wg.Go(func() { g.answerStreams(l) })
	}
	if g.p.o.IdleTimeout > 0 {
		g.wg.Go(g.sweep)
	}
}

// Env returns the environment variables that point programs at the proxy:
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in both cases.
func (g *Gate) Env() map[string]string {
	const url, none = "http://127.0.0.1:3128", "localhost,127.0.0.1,::1"
	return map[string]string{
		"HTTP_PROXY": url, "http_proxy": url,
		"HTTPS_PROXY": url, "https_proxy": url,
		"NO_PROXY": none, "no_proxy": none,
	}
}

// ResolvConf returns what belongs into /etc/resolv.conf inside. Any resolver
// would do, since all questions are answered here.
func (g *Gate) ResolvConf() []byte {
	return []byte("nameserver 127.0.0.53\noptions edns0 timeout:3 attempts:1\n")
}

// CA returns the certificate of the gate's own authority as PEM, which a
// server whose TLS ends here must trust; nil when none does. It vouches for
// the names of [Attachment.Terminate] alone. Its key stays in this process.
func (g *Gate) CA() []byte {
	if g.ca == nil {
		return nil
	}
	return g.ca.pem()
}

// Refusals implements [runtime.Refuser]. The target of a name that was asked
// of DNS has no port.
func (g *Gate) Refusals() []runtime.Refusal { return g.rec.all() }

// Close ends every connection and all listening: from then on, what is inside
// reaches nothing, and is told so at once. It returns when no goroutine and no
// descriptor is left, and is idempotent.
func (g *Gate) Close() error {
	g.once.Do(func() {
		g.end()
		g.sockets.close()
		_ = g.front.Close()
		_ = g.decoded.Close()
		_ = g.inner.Close()
		g.mu.Lock()
		conns := g.conns
		g.conns = nil
		g.mu.Unlock()
		for c := range conns {
			c.reset()
		}
		g.out.CloseIdleConnections()
		g.p.mu.Lock()
		delete(g.p.gates, g)
		g.p.mu.Unlock()
	})
	g.wg.Wait()
	g.out.CloseIdleConnections()
	return nil
}

// track makes a connection of the gate's own, which Close ends, and which
// holds one of slots. When the gate is closed, it fails and c is closed.
func (g *Gate) track(c net.Conn, slot chan struct{}) (*conn, error) {
	t := &conn{Conn: c, g: g, slot: slot}
	t.touch()
	g.mu.Lock()
	closed := g.conns == nil
	if !closed {
		g.conns[t] = struct{}{}
	}
	g.mu.Unlock()
	if closed {
		_ = t.Close()
		return nil, net.ErrClosed
	}
	return t, nil
}

// enter counts a goroutine that Close joins; false: the gate is closed. Who
// entered calls g.wg.Done.
func (g *Gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return false
	}
	g.wg.Add(1)
	return true
}

func (g *Gate) forget(c *conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
}

// sweep ends connections on which nothing moves.
func (g *Gate) sweep() {
	idle := g.p.o.IdleTimeout
	tick := time.NewTicker(max(min(idle/4, time.Minute), time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		var old []*conn
		g.mu.Lock()
		for c := range g.conns {
			if time.Since(time.Unix(0, c.last.Load())) > idle {
				old = append(old, c)
			}
		}
		g.mu.Unlock()
		for _, c := range old {
			c.reset()
		}
	}
}

// decide checks a target and tells the decision. The error of a refusal is a
// *refused.
func (g *Gate) decide(ctx context.Context, protocol string, t target) ([]netip.AddrPort, error) {
	addrs, err := g.p.policy.check(ctx, g.rules, t)
	if r, ok := err.(*refusal); ok {
		return nil, g.refuse(protocol, t.String(), r)
	}
	g.tell(runtime.Connection{Target: t.String(), Protocol: protocol, Allowed: true})
	if err != nil {
		g.tell(runtime.Connection{Target: t.String(), Protocol: protocol, Allowed: true, Ended: true})
	}
	return addrs, err
}

// refused is a refusal that was told.
type refused struct{ runtime.Refusal }

func (r *refused) Error() string { return r.String() }

func (g *Gate) refuse(protocol, target string, r *refusal) *refused {
	f := runtime.Refusal{Target: target, Reason: r.reason, Allow: r.allow}
	g.rec.add(f)
	if more, ok := g.again.tell(repeat{protocol, target, r.reason}); ok {
		reason := r.reason
		if more > 0 {
			reason += fmt.Sprintf(" (and %d times more before, not told one by one)", more)
		}
		g.tell(runtime.Connection{Target: target, Protocol: protocol, Reason: reason})
	}
	return &refused{f}
}

func (g *Gate) tell(c runtime.Connection) {
	if f := g.p.o.Events.Connection; f != nil {
		c.Server = g.server
		f(c)
	}
}

// dial connects to one of the addresses that were decided for t. It waits when
// there are too many connections.
func (g *Gate) dial(ctx context.Context, t target, addrs []netip.AddrPort) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.p.o.DialTimeout)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	select {
	case g.ups <- struct{}{}:
	default:
		g.out.CloseIdleConnections() // which may give one back
		select {
		case g.ups <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to %s: %d connections are in use, which is the bound: %w", t, cap(g.ups), ctx.Err())
		}
	}
	c, err := dialAny(ctx, g.p.o.Dial, addrs)
	if err != nil {
		<-g.ups
		return nil, fmt.Errorf("connecting to %s: %w", t, err)
	}
	return g.track(c, g.ups)
}
