package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
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
	g.decode(client, o, route{protocol: protocol, t: t}, term)
}

// added are the fields that the server of net/http adds to a response that
// lacks them.
var added = []string{"Content-Type", "Date"}

// forwarded are the fields that a reverse proxy takes out of a request.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// pass sends a request on and its response back.
func (g *Gate) pass(w http.ResponseWriter, r *http.Request, to route, scheme string, term *Termination) {
	host := to.t.String()
	shown := r.Host // as it came, without the port where it had none
	next := to.via
	if next == nil {
		next = g.out
	}
	withoutSwitch(r.Header)
	for _, name := range added {
		w.Header()[name] = nil
	}
	p := httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = scheme, host, shown
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery
			pr.Out.URL.User = nil
			for _, name := range forwarded {
				if v, ok := pr.In.Header[name]; ok {
					pr.Out.Header[name] = v
				}
			}
		},
		Transport:     hooked{next, term, scheme, host, shown},
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
			return g.dialRoute(ctx, to)
		},
		TLSClientConfig:        &tls.Config{RootCAs: g.p.o.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxConnsPerHost:        g.p.o.MaxConns,
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
