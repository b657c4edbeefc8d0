package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection of a gate, to a client inside or to a target. It counts
// its bytes and remembers when any moved.
type conn struct {
	net.Conn
	g    *Gate
	slot chan struct{} // it holds one of these slots; nil: none

	read, written atomic.Int64
	last          atomic.Int64 // Unix time in ns
	once          sync.Once
	asked         bool // a request has come on it; of the one that is served

	markRead, markWritten int64 // what earlier requests on it had; of the one that is served
}

// sinceMark is how much n has grown since it was asked last.
func (c *conn) sinceMark(n *atomic.Int64, mark *int64) int64 {
	now := n.Load()
	d := now - *mark
	*mark = now
	return d
}

func (c *conn) touch() { c.last.Store(time.Now().UnixNano()) }

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.read.Add(int64(n))
		c.touch()
	}
	return n, err
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.written.Add(int64(n))
		c.touch()
	}
	return n, err
}

// CloseWrite tells the peer that nothing more comes.
func (c *conn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements [net.Conn].
func (c *conn) Close() (err error) {
	c.once.Do(func() {
		err = c.Conn.Close()
		c.g.forget(c)
		if c.slot != nil {
			<-c.slot
		}
	})
	return err
}

// reset closes so that the peer sees an error, not an end.
func (c *conn) reset() {
	if l, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = c.Close()
}

// accepted makes a connection of the gate's own of one that a client opened;
// nil when there are too many, or the gate is closed.
func (g *Gate) accepted(c net.Conn) *conn {
	select {
	case g.slots <- struct{}{}:
	default:
		return nil
	}
	t, err := g.track(c, g.slots)
	if err != nil {
		return nil
	}
	return t
}

// limited is a listener of a gate's proxy. Connections over the bound, or
// faster than the pace, are told so and closed.
type limited struct {
	net.Listener
	g *Gate
}

const busy = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\ntoo many connections at a time\n"

// Accept implements [net.Listener].
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.g.pace.wait(l.g.ctx) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		if t := l.g.accepted(c); t != nil {
			return t, nil
		}
		// What was sent is read first, else closing would drop the answer.
		_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(busy))
		_ = c.Close()
	}
}

// nextDial is how long an address has the field to itself.
const nextDial = 250 * time.Millisecond

// dialAny connects to the first address that answers, starting with the next
// one when one fails or is slow (RFC 8305, with the families in turns).
func dialAny(ctx context.Context, dial func(context.Context, string, netip.AddrPort) (net.Conn, error), addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	var (
		left    = inTurns(addrs)
		results = make(chan result, len(left))
		flying  int
		errs    []error
	)
	start := func() {
		a := left[0]
		left = left[1:]
		flying++
		go func() {
			c, err := dial(ctx, "tcp", a)
			results <- result{c, err}
		}()
	}
	start()
	timer := time.NewTimer(nextDial)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if len(left) > 0 {
				start()
				timer.Reset(nextDial)
			}
		case r := <-results:
			flying--
			if r.err == nil {
				// The others are called off; who got through nonetheless is
				// sent home.
				cancel()
				for range flying {
					if r := <-results; r.err == nil {
						_ = r.c.Close()
					}
				}
				return r.c, nil
			}
			errs = append(errs, r.err)
			if len(left) > 0 && ctx.Err() == nil {
				start()
				timer.Reset(nextDial)
			} else if flying == 0 {
				return nil, errors.Join(errs...)
			}
		}
	}
}

// inTurns orders addresses so that the families alternate, the first one's
// first.
func inTurns(addrs []netip.AddrPort) []netip.AddrPort {
	var a, b []netip.AddrPort
	for _, ap := range addrs {
		if ap.Addr().Is4() == addrs[0].Addr().Is4() {
			a = append(a, ap)
		} else {
			b = append(b, ap)
		}
	}
	var out []netip.AddrPort
	for len(a)+len(b) > 0 {
		if len(a) > 0 {
			out, a = append(out, a[0]), a[1:]
		}
		if len(b) > 0 {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}
