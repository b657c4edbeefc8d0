package egress

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// maxHeader bounds the header of a request and of a response.
const maxHeader = 64 << 10

// maxStreams bounds the requests at a time on one connection of HTTP/2.
const maxStreams = 100

// connKey finds the connection that a request came on.
type connKey struct{}

// httpServer makes a server whose connections are the gate's.
func (g *Gate) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            g.p.o.HelloTimeout,
		IdleTimeout:                  max(g.p.o.IdleTimeout, 0),
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     log.New(io.Discard, "", 0),
		BaseContext:                  func(net.Listener) context.Context { return g.ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: min(maxStreams, g.p.o.MaxConns)},
	}
}

// proxied serves the proxy's port.
func (g *Gate) proxied(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		return
	}
	defer g.wg.Done()
	// The first request was counted with its connection.
	if c, ok := r.Context().Value(connKey{}).(*conn); !ok || c.asked {
		if !g.pace.wait(r.Context()) {
			return
		}
	} else {
		c.asked = true
	}
	if r.Method == http.MethodConnect {
		g.connect(w, r)
		return
	}
	g.forward(w, r)
}

// connect serves CONNECT.
func (g *Gate) connect(w http.ResponseWriter, r *http.Request) {
	t, addrs, ok := g.requested(w, r, "connect", r.RequestURI, 0)
	if !ok {
		return
	}
	var up *conn
	term := g.terminates(t)
	if !term {
		var err error
		if up, err = g.dial(r.Context(), t, addrs); err != nil {
			fail(w, err)
			g.ended("connect", t, 0, 0)
			return
		}
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	client, mine := c.(*conn)
	if err != nil || !mine {
		if up != nil {
			up.reset()
		}
		g.ended("connect", t, 0, 0)
		fail(w, errors.New("the connection cannot be taken over; speak HTTP/1.1 to the proxy"))
		return
	}
	_ = client.SetDeadline(time.Time{})
	had, _ := rw.Reader.Peek(rw.Reader.Buffered())
	if _, err := client.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		client.reset()
	}
	if term {
		g.terminate("connect", t, client, had)
		return
	}
	g.tunnel("connect", t, client, had, up)
}

// forward serves a plain HTTP request in absolute form. The Host that is sent
// on is the one in its URL, whatever the client's own said (RFC 9112, section
// 3.2.2).
func (g *Gate) forward(w http.ResponseWriter, r *http.Request) {
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		http.Error(w, "this is a proxy: send http URLs in full, and use CONNECT for anything else", http.StatusBadRequest)
		return
	}
	t, addrs, ok := g.requested(w, r, "http", r.URL.Host, 80)
	if !ok {
		return
	}
	c, mine := r.Context().Value(connKey{}).(*conn)
	if !mine {
		fail(w, errors.New("the connection is not known"))
		return
	}
	defer func() { g.ended("http", t, c.sinceMark(&c.read, &c.markRead), c.sinceMark(&c.written, &c.markWritten)) }()
	g.pass(w, r, route{protocol: "http", t: t, addrs: addrs}, "http")
	_ = http.NewResponseController(w).Flush() // so that it is counted
}

// requested decides on the target that a request to the proxy names. When it
// is not to be reached, it has answered.
func (g *Gate) requested(w http.ResponseWriter, r *http.Request, protocol, host string, port uint16) (target, []netip.AddrPort, bool) {
	t, err := parseTarget(host, port)
	if err != nil {
		http.Error(w, "the target of the request: "+err.Error(), http.StatusBadRequest)
		return t, nil, false
	}
	t, refused := g.names.meant(t)
	if refused != nil {
		fail(w, g.refuse(protocol, t.String(), refused))
		return t, nil, false
	}
	addrs, err := g.decide(r.Context(), protocol, t)
	if err != nil {
		fail(w, err)
		return t, nil, false
	}
	return t, addrs, true
}

// fail tells a client why its request got nowhere.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusBadGateway
	var (
		r *refused
		h *hookError
	)
	switch {
	case errors.As(err, &r), errors.As(err, &h) && h.request:
		code = http.StatusForbidden
	case errors.Is(err, context.DeadlineExceeded):
		code = http.StatusGatewayTimeout
	}
	http.Error(w, err.Error(), code)
}
