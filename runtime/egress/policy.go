package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of a decision.
const (
	resolveTime = 10 * time.Second // for the addresses of a name
	ownAge      = 5 * time.Second  // for which the host's own addresses are believed
	maxAddrs    = 16               // of a name that are looked at
)

// Resolver finds the addresses of a name. It is safe for concurrent use.
type Resolver interface {
	// LookupNetIP returns the addresses of host, a name that ends with a
	// dot. network is "ip". [net.Resolver] has this method.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ResolverFunc makes a [Resolver] of a function.
type ResolverFunc func(ctx context.Context, network, host string) ([]netip.Addr, error)

// LookupNetIP implements [Resolver].
func (f ResolverFunc) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return f(ctx, network, host)
}

var (
	_ Resolver = ResolverFunc(nil)
	_ Resolver = (*net.Resolver)(nil)
)

// refusal is the error of a decision against a connection.
type refusal struct {
	reason string
	allow  string // the entry that would allow it; empty: none does
}

func (r *refusal) Error() string { return "refused: " + r.reason }

// policy decides where connections may go, for every list alike.
type policy struct {
	classes  *classes
	resolver Resolver
	own      *ownAddrs
}

// check returns the addresses that a connection to t may be made to: the ones
// that were checked and no others, so that a name cannot show one address
// here and another one when it is dialled. The error is a *refusal, or says
// why the name has no addresses.
func (p *policy) check(ctx context.Context, rules Rules, t target) ([]netip.AddrPort, error) {
	if !t.named() {
		if r := p.direct(rules, t); r != nil {
			return nil, r
		}
		return []netip.AddrPort{netip.AddrPortFrom(t.addr, t.port)}, nil
	}
	if !rules.name(t.host, t.port) {
		return nil, &refusal{reason: "it is not on the list", allow: t.String()}
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, err := p.resolver.LookupNetIP(ctx, "ip", t.host+".")
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", t.host, err)
	}
	var (
		fine  []netip.AddrPort
		first *refusal
	)
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		a = a.Unmap()
		if r := p.resolved(rules, a, t.port); r != nil {
			if first == nil {
				first = r
			}
			continue
		}
		if ap := netip.AddrPortFrom(a, t.port); !slices.Contains(fine, ap) {
			fine = append(fine, ap)
		}
	}
	switch {
	case len(fine) > 0:
		return fine, nil
	case first != nil:
		return nil, first
	}
	return nil, fmt.Errorf("resolving %s: it has no addresses", t.host)
}

// direct decides on a connection to an address that the server named.
func (p *policy) direct(rules Rules, t target) *refusal {
	c, err := p.classOf(t.addr)
	switch {
	case err != nil:
		return &refusal{reason: err.Error()}
	case rules.addr(t.addr, t.port, c):
		return nil
	case c.name == "":
		return &refusal{reason: "the address is not on the list", allow: t.String()}
	}
	return &refusal{reason: fmt.Sprintf("it is %s that is not on the list", c.name), allow: c.entry(t)}
}

// resolved decides on one address of a name that is on the list: it must be
// of the public internet, unless an entry of its own opens it.
func (p *policy) resolved(rules Rules, a netip.Addr, port uint16) *refusal {
	c, err := p.classOf(a)
	switch {
	case err != nil:
		return &refusal{reason: err.Error()}
	case c.name == "" || rules.addr(a, port, c):
		return nil
	}
	return &refusal{reason: fmt.Sprintf("it resolves to %s, %s that is not on the list", a, c.name), allow: c.entry(target{addr: a, port: port})}
}

// entry is the entry that would allow an address of the class, if there is
// one that anybody should be shown.
func (c class) entry(t target) string {
	if c.opened == byNone || c.name == "a metadata address" || !t.addr.IsValid() || c.within.Addr().Is4() != t.addr.Is4() {
		return ""
	}
	return t.String()
}

// classOf is the class of an address, the host's own being one.
func (p *policy) classOf(a netip.Addr) (class, error) {
	c := p.classes.of(a)
	if c.opened >= bySelf || c.within.Addr().IsLoopback() {
		return c, nil
	}
	own, err := p.own.get()
	if err != nil {
		return c, fmt.Errorf("the addresses of the gateway's own host cannot be listed to keep them apart: %w", err)
	}
	inner, _ := p.classes.carried(a)
	if slices.Contains(own, a) || inner.IsValid() && slices.Contains(own, inner) {
		return class{"an address of the gateway's own host", netip.PrefixFrom(a, a.BitLen()), bySelf}, nil
	}
	return c, nil
}

// ownAddrs remembers the host's addresses for a while.
type ownAddrs struct {
	list func() ([]netip.Addr, error)

	mu    sync.Mutex
	addrs []netip.Addr
	at    time.Time
}

func (o *ownAddrs) get() ([]netip.Addr, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.addrs != nil && time.Since(o.at) < ownAge {
		return o.addrs, nil
	}
	addrs, err := o.list()
	if err != nil {
		return nil, err
	}
	o.addrs, o.at = make([]netip.Addr, 0, len(addrs)), time.Now()
	for _, a := range addrs {
		o.addrs = append(o.addrs, a.Unmap().WithZone(""))
	}
	return o.addrs, nil
}

// hostAddrs lists the addresses of the interfaces of this host.
func hostAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, nil
}
