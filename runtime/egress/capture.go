package egress

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// acceptPause is how long a listener rests after an error.
const acceptPause = 10 * time.Millisecond

// capture serves connections that were redirected.
func (g *Gate) capture(l net.Listener) {
	g.accept(l, func(c *conn) {
		ap, err := originalTarget(c.Conn)
		if err != nil || ap.String() == c.LocalAddr().String() {
			g.refuse("tcp", c.LocalAddr().String(), &refusal{reason: "this port is for redirected connections only"})
			c.reset()
			return
		}
		g.captured(c, ap)
	})
}

// accept serves each connection of a listener in a goroutine of its own,
// until the listener is closed.
func (g *Gate) accept(l net.Listener, serve func(*conn)) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			select { // such as: no descriptor is free
			case <-g.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		case !g.pace.wait(g.ctx):
			_ = c.Close()
			return
		}
		t := g.accepted(c)
		if t == nil {
			if l, ok := c.(*net.TCPConn); ok {
				_ = l.SetLinger(0)
			}
			_ = c.Close()
			continue
		}
		if !g.enter() {
			t.reset()
			return
		}
		go func() {
			defer g.wg.Done()
			serve(t)
		}()
	}
}

// captured decides on a connection that was for ap, and carries it.
func (g *Gate) captured(c *conn, ap netip.AddrPort) {
	t, r := g.names.meant(target{addr: ap.Addr().Unmap(), port: ap.Port()})
	if r != nil {
		g.refuse("tcp", t.String(), r)
		c.reset()
		return
	}
	addrs, err := g.decide(g.ctx, "tcp", t)
	if err != nil {
		c.reset()
		return
	}
	if g.terminates(t) {
		g.terminate("tcp", t, c, nil)
		return
	}
	up, err := g.dial(g.ctx, t, addrs)
	if err != nil {
		c.reset()
		g.ended("tcp", t, 0, 0)
		return
	}
	g.tunnel("tcp", t, c, nil, up)
}
