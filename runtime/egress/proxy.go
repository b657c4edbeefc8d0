package egress

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// ErrUnsupported is matched by the errors of [Proxy.Attach] on a machine that
// lacks what capturing every connection takes.
var ErrUnsupported = errors.New("this machine cannot capture the connections of a confined server")

// Options changes how a [Proxy] works. The zero value is safe.
type Options struct {
	// Events.Connection is told every decision, of refusals that are all
	// alike one a second, and the bytes of every connection at its end;
	// nothing else of Events is used. It must not block.
	Events runtime.Events

	// Resolver finds the addresses of names; nil: the host's resolver, as
	// Go reads its configuration. Names are asked with a dot at their end,
	// so that no search list applies.
	Resolver Resolver

	// Dial connects to an address that was decided for; nil: a plain
	// [net.Dialer]. network is "tcp". ctx bounds the dialling alone.
	Dial func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error)

	// HostAddrs lists the addresses of the gateway's own host, which are
	// refused unless an entry is that very address; nil: those of its
	// interfaces. The answer is used for 5 seconds.
	HostAddrs func() ([]netip.Addr, error)

	// Roots are the authorities that vouch for the targets of terminated
	// connections; nil: those of the system.
	Roots *x509.CertPool

	// ProxyOnly leaves out all that needs routes and nftables: programs that
	// heed no proxy variables reach nothing, and no name resolves inside.
	ProxyOnly bool

	// MaxConns bounds the connections of clients of one gate at a time, and
	// those to targets as much [256].
	MaxConns int

	// IdleTimeout ends connections on which nothing has moved in either
	// direction for so long [1 hour]; negative: never.
	IdleTimeout time.Duration

	// DialTimeout bounds connecting to a target, over all its addresses
	// [30 seconds].
	DialTimeout time.Duration

	// HelloTimeout bounds what a client may take from the first byte of a
	// TLS hello or of an HTTP header to its end [10 seconds].
	HelloTimeout time.Duration
}

// Proxy is the way out for all instances of one gateway. It is safe for
// concurrent use.
type Proxy struct {
	o      Options
	policy *policy

	mu     sync.Mutex
	closed bool
	gates  map[*Gate]struct{}
}

// New makes a proxy. It opens nothing before [Proxy.Attach].
func New(o *Options) (*Proxy, error) {
	p := &Proxy{gates: map[*Gate]struct{}{}}
	if o != nil {
		p.o = *o
	}
	switch {
	case p.o.MaxConns < 0:
		return nil, fmt.Errorf("egress: Options.MaxConns is %d; 0 is the default", p.o.MaxConns)
	case p.o.DialTimeout < 0:
		return nil, fmt.Errorf("egress: Options.DialTimeout is %v; 0 is the default", p.o.DialTimeout)
	case p.o.HelloTimeout < 0:
		return nil, fmt.Errorf("egress: Options.HelloTimeout is %v; 0 is the default", p.o.HelloTimeout)
	}
	p.o.MaxConns = cmp.Or(p.o.MaxConns, 256)
	p.o.IdleTimeout = cmp.Or(p.o.IdleTimeout, time.Hour)
	p.o.DialTimeout = cmp.Or(p.o.DialTimeout, 30*time.Second)
	p.o.HelloTimeout = cmp.Or(p.o.HelloTimeout, 10*time.Second)
	if p.o.Resolver == nil {
		p.o.Resolver = &net.Resolver{PreferGo: true}
	}
	if p.o.HostAddrs == nil {
		p.o.HostAddrs = hostAddrs
	}
	if p.o.Dial == nil {
		d := &net.Dialer{}
		p.o.Dial = func(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
			return d.DialContext(ctx, network, addr.String())
		}
	}
	p.policy = &policy{classes: newClasses(), resolver: p.o.Resolver, own: &ownAddrs{list: p.o.HostAddrs}}
	return p, nil
}

// Attachment says for whom a gate is.
type Attachment struct {
	Server string   // the name in events
	Allow  []string // entries as ParseRule reads them; none: everything is refused, and told

	// Terminate lists targets whose TLS ends in the gate, as entries with a
	// name and a port. They must be allowed as well. Nothing but HTTP passes
	// to them.
	Terminate []string

	// Hooks see the HTTP of those targets, and all HTTP without TLS that
	// the gate reads.
	Hooks Hooks
}

// Attach opens a gate inside the network namespace that ns is a descriptor
// of. ns stays the caller's and is not needed after. Inside, the loopback
// must be up. Nothing must run in it yet that could take the ports of the
// gate; a namespace whose gateway has died may be attached again.
//
// An error that matches [ErrUnsupported] names what the kernel lacks;
// [Options.ProxyOnly] does without.
func (p *Proxy) Attach(ctx context.Context, ns *os.File, a Attachment) (*Gate, error) {
	rules, err := ParseRules(a.Allow)
	if err != nil {
		return nil, fmt.Errorf("egress of server %s: %w", a.Server, err)
	}
	terminated, ca, err := terminations(a)
	if err != nil {
		return nil, fmt.Errorf("egress of server %s: %w", a.Server, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("egress of server %s: %w", a.Server, err)
	}
	s, err := openSockets(ns, p.o.ProxyOnly)
	if err != nil {
		return nil, fmt.Errorf("egress of server %s: %w", a.Server, err)
	}
	g := newGate(p, s, a, rules)
	g.terminated, g.ca = terminated, ca
	return p.open(g)
}

// open starts a gate, whose sockets it takes over.
func (p *Proxy) open(g *Gate) (*Gate, error) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.gates[g] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		g.sockets.close()
		return nil, fmt.Errorf("egress of server %s: the proxy is closed", g.server)
	}
	g.serve()
	return g, nil
}

// Close closes every gate. It is idempotent.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	gates := make([]*Gate, 0, len(p.gates))
	for g := range p.gates {
		gates = append(gates, g)
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, g := range gates {
		wg.Go(func() { _ = g.Close() })
	}
	wg.Wait()
	return nil
}
