package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// route is where a request that passes through goes.
type route struct {
	protocol string // of the client's connection
	t        target
	addrs    []netip.AddrPort  // that were decided; nil: when a connection is made
	via      http.RoundTripper // nil: the gate's
}

// routeKey finds the route of a request.
type routeKey struct{}

// decoded is a connection whose HTTP is served here.
type decoded struct {
	net.Conn
	rest  io.Reader // what was read already, then the connection
	route route
	once  sync.Once
	done  chan struct{} // closed with it
	asked atomic.Bool   // a request has come on it
}

func (d *decoded) Read(b []byte) (int, error) { return d.rest.Read(b) }

// Close implements [net.Conn].
func (d *decoded) Close() error {
	err := d.Conn.Close()
	d.once.Do(func() { close(d.done) })
	return err
}

// decode serves the HTTP on a connection that begins with o, in TLS or not,
// and returns when it has ended.
func (g *Gate) decode(client *conn, o opening, to route) {
	d := &decoded{Conn: client, route: to, done: make(chan struct{})}
	d.rest = io.MultiReader(bytes.NewReader(o.data), client)
	var c net.Conn = d
	if o.speech == tlsHello {
		tc, err := g.handshake(d)
		if err != nil {
			return
		}
		defer g.unused(d)
		c = tc
	}
	if !g.decoded.put(g.ctx, c) {
		return
	}
	<-d.done // the server of the gate closes what it was given, at the latest with the gate
}

// requests serves HTTP without TLS on a connection to a name, since only the
// first request was looked into so far. They are sent over up, or over
// connections like it once it has ended; one at a time.
func (g *Gate) requests(to route, client *conn, o opening, up *conn) {
	l := &lane{g: g, route: to, first: up}
	if o.early > 0 {
		up.reset() // it was told a part of the first request already
		l.first = nil
	}
	tr := g.transport()
	tr.DialContext = l.dial
	tr.MaxConnsPerHost = 1
	to.via = tr
	defer func() {
		_ = client.Close()
		l.close()
		tr.CloseIdleConnections()
	}()
	g.decode(client, o, to)
}

// lane is the way of the requests of one connection.
type lane struct {
	g     *Gate
	route route

	mu     sync.Mutex
	first  *conn // that was made before there was a request
	last   *conn
	closed bool
}

func (l *lane) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	c := l.first
	l.first = nil
	l.mu.Unlock()
	if c == nil {
		var err error
		if c, err = l.g.dialRoute(ctx, l.route); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.reset()
		return nil, net.ErrClosed
	}
	l.last = c
	return c, nil
}

// close ends the connection to the target.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range []*conn{l.first, l.last} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// decodedRequest serves a request on a connection that is decoded.
func (g *Gate) decodedRequest(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		return
	}
	defer g.wg.Done()
	scheme := "http"
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if tc, ok := c.(*tls.Conn); ok {
		scheme, c = "https", tc.NetConn()
	}
	d, ok := c.(*decoded)
	if !ok {
		http.Error(w, "the connection is not known", http.StatusInternalServerError)
		return
	}
	d.asked.Store(true)
	to := d.route
	if got, err := parseTarget(r.Host, to.t.port); err != nil || got != to.t {
		if !g.pace.wait(r.Context()) {
			return
		}
		g.refuse(to.protocol, to.t.String(), &refusal{reason: fmt.Sprintf("its HTTP request is for %.80q, another host", r.Host)})
		if scheme == "http" {
			w.Header().Set("Connection", "close")
		}
		http.Error(w, fmt.Sprintf("this connection is for %s alone", to.t), http.StatusMisdirectedRequest)
		return
	}
	if r.Method == http.MethodConnect {
		w.Header().Set("Connection", "close")
		http.Error(w, "CONNECT is for the proxy, not for what is behind it", http.StatusMethodNotAllowed)
		return
	}
	g.pass(w, r, to, scheme)
}

// withoutSwitch takes out of a request what would turn its connection into
// one of HTTP/2 or TLS: what is said then is not looked into. A server goes on
// without (RFC 9110, section 7.8).
func withoutSwitch(h http.Header) {
	for _, v := range h["Upgrade"] {
		for word := range strings.SplitSeq(v, ",") {
			word = strings.ToLower(strings.TrimSpace(word))
			if name, _, _ := strings.Cut(word, "/"); name == "h2c" || name == "h2" || name == "tls" || name == "http" {
				h.Del("Upgrade")
				h.Del("Http2-Settings")
				return
			}
		}
	}
}

// dialRoute connects for a request, whose target is decided on anew when that
// was done long ago.
func (g *Gate) dialRoute(ctx context.Context, to route) (*conn, error) {
	if to.addrs == nil {
		if !g.pace.wait(ctx) {
			return nil, ctx.Err()
		}
		addrs, err := g.p.policy.check(ctx, g.rules, to.t)
		if r, ok := err.(*refusal); ok {
			return nil, g.refuse(to.protocol, to.t.String(), r)
		} else if err != nil {
			return nil, err
		}
		to.addrs = addrs
	}
	return g.dial(ctx, to.t, to.addrs)
}
