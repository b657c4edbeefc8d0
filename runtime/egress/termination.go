package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"
)

// Termination is what happens to the HTTP of a target whose TLS ends in the
// proxy. The hooks are called concurrently. The text of their errors is sent
// to the confined server: it must hold no secret.
type Termination struct {
	// Request sees each request before it is sent, and may change its
	// header, path, query and body; not where it goes. An error answers it
	// with 403. nil: nothing. Its URL's scheme is "http" where the
	// request leaves unencrypted.
	Request func(*http.Request) error

	// Response sees the header of each response before it is passed on, and
	// may change it and replace its body. An error answers with 502. nil:
	// nothing.
	Response func(*http.Response) error
}

// hookError is an error of a hook.
type hookError struct {
	request bool
	err     error
}

func (e *hookError) Error() string {
	if e.request {
		return "the request was refused: " + e.err.Error()
	}
	return "the response was refused: " + e.err.Error()
}

func (e *hookError) Unwrap() error { return e.err }

// termination asks whether a target is looked into. A function that panics
// has not said that it is not.
func (g *Gate) termination(protocol string, t target) (term *Termination, err error) {
	f := g.p.o.Terminate
	if f == nil {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			term, err = nil, g.refuse(protocol, t.String(), &refusal{reason: fmt.Sprintf("deciding whether to look into it has failed: %v", p)})
		}
	}()
	return f(g.server, t.hostname(), t.port), nil
}

// route is where a request that passes through goes.
type route struct {
	protocol string // of the client's connection
	t        target
	addrs    []netip.AddrPort // that were decided; nil: when a connection is made
}

// routeKey finds the route of a request.
type routeKey struct{}

// decoded is a connection whose HTTP is served here.
type decoded struct {
	net.Conn
	rest  io.Reader // what was read already, then the connection
	route route
	term  *Termination
	once  sync.Once
	done  chan struct{} // closed with it
}

func (d *decoded) Read(b []byte) (int, error) { return d.rest.Read(b) }

// Close implements [net.Conn].
func (d *decoded) Close() error {
	err := d.Conn.Close()
	d.once.Do(func() { close(d.done) })
	return err
}

// terminate serves the HTTP on a connection to t, and returns when it has
// ended. Anything else on it is refused, since it would pass the hooks by.
func (g *Gate) terminate(protocol string, t target, client *conn, had []byte, term *Termination) {
	read, written := client.read.Load(), client.written.Load()
	defer func() {
		client.reset()
		g.ended(protocol, t, client.read.Load()-read+int64(len(had)), client.written.Load()-written)
	}()
	or := openingReader{c: client, had: had, timeout: g.p.o.HelloTimeout}
	o, err := or.read()
	if err != nil {
		return
	}
	r := o.judge(t)
	if r == nil && o.fault != "" {
		r = o.unclear()
	}
	if r == nil && o.speech == other && len(o.data) > 0 {
		r = &refusal{reason: "only HTTP and TLS are passed on to this target, since its requests are looked into"}
	}
	if r != nil {
		g.refuse(protocol, t.String(), r)
		return
	}
	if len(o.data) == 0 {
		return
	}
	d := &decoded{Conn: client, route: route{protocol: protocol, t: t}, term: term, done: make(chan struct{})}
	d.rest = io.MultiReader(bytes.NewReader(o.data), client)
	var c net.Conn = d
	if o.speech == tlsHello {
		c = tls.Server(d, &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return g.p.ca.leaf(t.hostname())
			},
		})
	}
	if !g.decoded.put(g.ctx, c) {
		return
	}
	<-d.done // the server of the gate closes what it was given, at the latest with the gate
}

// terminated serves a request on a connection that is terminated.
func (g *Gate) terminated(w http.ResponseWriter, r *http.Request) {
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
	if got, err := parseTarget(r.Host, d.route.t.port); err != nil || got != d.route.t {
		http.Error(w, fmt.Sprintf("this connection is for %s alone", d.route.t), http.StatusMisdirectedRequest)
		return
	}
	g.pass(w, r, d.route, scheme, d.term)
}

// pass sends a request on and its response back.
func (g *Gate) pass(w http.ResponseWriter, r *http.Request, to route, scheme string, term *Termination) {
	host := to.t.String()
	shown := r.Host // as it came, without the port where it had none
	p := httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = scheme, host, shown
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery
			pr.Out.URL.User = nil
		},
		Transport:     hooked{g.out, term, scheme, host, shown},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		BufferPool:    copyBuffers{},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fail(w, fmt.Errorf("request to %s: %w", to.t, err))
		},
	}
	p.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, to)))
}

// hooked runs the hooks around a round trip.
type hooked struct {
	next                http.RoundTripper
	term                *Termination
	scheme, host, shown string
}

// RoundTrip implements [http.RoundTripper].
func (h hooked) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.term != nil && h.term.Request != nil {
		if err := h.term.Request(r); err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, &hookError{true, err}
		}
		// What was decided stays: a hook does not choose the target.
		r.URL.Scheme, r.URL.Host, r.Host = h.scheme, h.host, h.shown
	}
	resp, err := h.next.RoundTrip(r)
	if err != nil || h.term == nil || h.term.Response == nil {
		return resp, err
	}
	if err := h.term.Response(resp); err != nil {
		_ = resp.Body.Close()
		return nil, &hookError{false, err}
	}
	return resp, nil
}

// transport makes the client's side of what passes through this gate. Its
// connections are to targets that were decided for, and to the addresses that
// were found then.
func (g *Gate) transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			to, ok := ctx.Value(routeKey{}).(route)
			if !ok {
				return nil, errors.New("no target was decided for")
			}
			if to.addrs == nil {
				// Long after the connection of the client was decided.
				addrs, err := g.p.policy.check(ctx, g.rules, to.t)
				if r, ok := err.(*refusal); ok {
					return nil, g.refuse(to.protocol, to.t.String(), r)
				} else if err != nil {
					return nil, err
				}
				to.addrs = addrs
			}
			return g.dial(ctx, to.t, to.addrs)
		},
		TLSClientConfig:        &tls.Config{RootCAs: g.p.o.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxIdleConns:           32,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// copyBuffers lends the buffers of the package to a reverse proxy.
type copyBuffers struct{}

// Get implements [httputil.BufferPool].
func (copyBuffers) Get() []byte { return *buffers.Get().(*[]byte) }

// Put implements [httputil.BufferPool].
func (copyBuffers) Put(b []byte) { buffers.Put(&b) }

// feed is a listener of connections that were accepted elsewhere.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

// put hands a connection over; false: nobody takes it any more.
func (f *feed) put(ctx context.Context, c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
	case <-ctx.Done():
	}
	return false
}

// Accept implements [net.Listener].
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr implements [net.Listener].
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }
