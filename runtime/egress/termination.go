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
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"sync"
	"time"
)

// Hooks see the HTTP that a gate reads. They are called concurrently. The text
// of their errors is sent to the confined server and told as a refusal: it must
// hold no secret.
type Hooks struct {
	// Request sees each request before it is sent, and may change its
	// header, path, query and body; not where it goes. An error answers it
	// with 403. nil: nothing. Its URL is whole, with the port; the scheme
	// is "https" where the request leaves over TLS, with a certificate of
	// the target that was verified for its name, and "http" elsewhere.
	Request func(*http.Request) error

	// Response sees the header of each response before it is passed on, and
	// may change it and replace its body. An error answers with 502. nil:
	// nothing. Where it is set, informational responses (1xx) lose their
	// header, and errors of the target's own wording are not shown.
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

// terminations reads the targets whose TLS ends in a gate, and makes the
// authority for them.
func terminations(a Attachment) (Rules, *authority, error) {
	rules, err := ParseRules(a.Terminate)
	if err != nil || len(rules) == 0 {
		return nil, nil, err
	}
	for _, r := range rules {
		if !r.Named() {
			return nil, nil, fmt.Errorf("%s is no name with one port; TLS ends for those alone", r)
		}
	}
	ca, err := newAuthority(rules)
	return rules, ca, err
}

// terminates reports whether the TLS to a target ends here.
func (g *Gate) terminates(t target) bool { return t.named() && g.terminated.name(t.host, t.port) }

// handshake ends the TLS of a client.
func (g *Gate) handshake(d *decoded) (*tls.Conn, error) {
	t := d.route.t
	c := tls.Server(d, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return g.ca.leaf(t.hostname())
		},
	})
	ctx, cancel := context.WithTimeout(g.ctx, g.p.o.HelloTimeout)
	defer cancel()
	err := c.HandshakeContext(ctx)
	if err != nil && g.ctx.Err() == nil {
		g.refuse(d.route.protocol, t.String(), &refusal{reason: fmt.Sprintf("%s (%v)", pinned, err)})
	}
	return c, err
}

// pinned is what it means when a client does not go on with our certificate.
const pinned = "the client does not take the certificate of the gateway's proxy, which ends its TLS since a secret is bound to this host: it pins certificates, or trusts a list of its own instead of SSL_CERT_FILE and its like"

// unused tells of a client that left once it had seen the certificate.
func (g *Gate) unused(d *decoded) {
	if !d.asked.Load() && g.ctx.Err() == nil {
		g.refuse(d.route.protocol, d.route.t.String(), &refusal{reason: pinned + " (it ended the connection without a request)"})
	}
}

// terminate serves the HTTP on a connection to t, and returns when it has
// ended. Anything else on it is refused, since it would pass the hooks by.
func (g *Gate) terminate(protocol string, t target, client *conn, had []byte) {
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
	g.decode(client, o, route{protocol: protocol, t: t})
}

// added are the fields that the server of net/http adds to a response that
// lacks them.
var added = []string{"Content-Type", "Date"}

// forwarded are the fields that a reverse proxy takes out of a request.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// pass sends a request on and its response back.
func (g *Gate) pass(w http.ResponseWriter, r *http.Request, to route, scheme string) {
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
		Transport:     hooked{next, g, to, scheme, shown},
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
	next          http.RoundTripper
	g             *Gate
	to            route
	scheme, shown string
}

// RoundTrip implements [http.RoundTripper].
func (h hooked) RoundTrip(r *http.Request) (*http.Response, error) {
	request, response := h.g.hooks.Request, h.g.hooks.Response
	if request != nil {
		if err := request(r); err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, h.refuse(&hookError{true, err})
		}
		// What was decided stays: a hook does not choose the target.
		r.URL.Scheme, r.URL.Host, r.Host = h.scheme, h.to.t.String(), h.shown
	}
	if response == nil {
		return h.next.RoundTrip(r)
	}
	// Informational responses pass a hook by, so they go on without a header.
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error { clear(header); return nil },
	}))
	resp, err := h.next.RoundTrip(r)
	if err != nil {
		return nil, plainly(err)
	}
	if err := response(resp); err != nil {
		_ = resp.Body.Close()
		return nil, h.refuse(&hookError{false, err})
	}
	return resp, nil
}

// refuse tells the refusal of a hook.
func (h hooked) refuse(err *hookError) error {
	h.g.refuse(h.to.protocol, h.to.t.String(), &refusal{reason: err.Error()})
	return err
}

// plainly returns an error of a round trip without the words of the target,
// which could be what a hook keeps back.
func plainly(err error) error {
	var (
		cert *tls.CertificateVerificationError
		op   *net.OpError
		none *noConnection
	)
	for _, fine := range []any{&cert, &op, &none} {
		if errors.As(err, fine) {
			return err
		}
	}
	for _, fine := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, fine) {
			return fine
		}
	}
	return errors.New("the target did not answer as HTTP demands")
}

// noConnection is why there is no connection to a target.
type noConnection struct{ error }

func (e *noConnection) Unwrap() error { return e.error }

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
			c, err := g.dialRoute(ctx, to)
			if err != nil {
				return nil, &noConnection{err}
			}
			return c, nil
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
