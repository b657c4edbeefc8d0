package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// patience bounds what a test waits for.
const patience = 10 * time.Second

// world is an internet of its own: names, addresses, and servers that listen
// on loopback.
type world struct {
	t  testing.TB
	ca *authority // of its servers

	mu     sync.Mutex
	names  map[string][]netip.Addr
	hosts  map[netip.AddrPort]string // where the server really listens
	dialed []netip.AddrPort
	asked  []string
	events []runtime.Connection
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca, err := newAuthority(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, ca: ca, names: map[string][]netip.Addr{}, hosts: map[netip.AddrPort]string{}}
}

// name makes a name resolve to addresses.
func (w *world) name(name string, addrs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = nil
	for _, a := range addrs {
		w.names[name] = append(w.names[name], netip.MustParseAddr(a))
	}
}

// serve makes a server of the world answer at an address.
func (w *world) serve(at string, handle func(net.Conn)) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); handle(c) })
		}
	})
	w.t.Cleanup(func() { _ = l.Close() })
	w.route(at, l.Addr().String())
}

func (w *world) route(at, listens string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[netip.MustParseAddrPort(at)] = listens
}

// serveHTTP makes an HTTP server answer at an address, with TLS for host
// unless host is empty.
func (w *world) serveHTTP(at, host string, h http.Handler) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	if host == "" {
		go func() { _ = srv.Serve(l) }()
	} else {
		srv.TLSConfig = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.ca.leaf(host) }}
		go func() { _ = srv.ServeTLS(l, "", "") }()
	}
	w.t.Cleanup(func() { _ = srv.Close() })
	w.route(at, l.Addr().String())
}

func (w *world) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(w.ca.pem())
	return p
}

// LookupNetIP implements [Resolver].
func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, host)
	name, dotted := strings.CutSuffix(host, ".")
	addrs, ok := w.names[name]
	if !ok || !dotted {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return slices.Clone(addrs), nil
}

func (w *world) dial(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, addr)
	real, ok := w.hosts[addr]
	w.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%s: %w", addr, errors.New("nobody is there"))
	}
	return new(net.Dialer).DialContext(ctx, network, real)
}

func (w *world) reached() []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialed)
}

func (w *world) questions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// event waits for an event.
func (w *world) event(t *testing.T, what string, is func(runtime.Connection) bool) runtime.Connection {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		i := slices.IndexFunc(w.events, is)
		all := slices.Clone(w.events)
		w.mu.Unlock()
		if i >= 0 {
			return all[i]
		}
		if time.Now().After(end) {
			t.Fatalf("no event: %s; there are %+v", what, all)
		}
	}
}

// proxy makes a proxy to the world.
func (w *world) proxy(t testing.TB, o Options) *Proxy {
	t.Helper()
	o.Resolver, o.Dial = w, w.dial
	o.HostAddrs = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("8.0.0.1")}, nil }
	o.Events.Connection = func(c runtime.Connection) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, c)
	}
	o.Roots = w.roots()
	p, err := New(&o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// gate opens a gate on loopback ports of this machine.
func (w *world) gate(t testing.TB, o Options, allow ...string) *Gate {
	t.Helper()
	return w.attach(t, o, Attachment{Server: "test", Allow: allow})
}

// attach is gate with more to say.
func (w *world) attach(t testing.TB, o Options, a Attachment) *Gate {
	t.Helper()
	rules, err := ParseRules(a.Allow)
	if err != nil {
		t.Fatal(err)
	}
	terminated, ca, err := terminations(a)
	if err != nil {
		t.Fatal(err)
	}
	s := &sockets{}
	if s.proxy, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.dns, s.dnsT = []net.PacketConn{c}, []net.Listener{l}
	g := newGate(w.proxy(t, o), s, a, rules)
	g.terminated, g.ca = terminated, ca
	if _, err := g.p.open(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// toCaptured connects as if the connection had been redirected from at.
func (g *Gate) toCaptured(t testing.TB, at string) *net.TCPConn {
	t.Helper()
	c, err := g.dialCaptured(t, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (g *Gate) dialCaptured(t testing.TB, at string) (*net.TCPConn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go g.accept(l, func(c *conn) { g.captured(c, netip.MustParseAddrPort(at)) })
	t.Cleanup(func() { _ = l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn), nil
}

// connectTo asks the proxy for a tunnel and returns it, or the text of the
// refusal.
func (g *Gate) connectTo(t testing.TB, target string) (net.Conn, int, string) {
	t.Helper()
	c, err := net.Dial("tcp", g.sockets.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return tunnelOver(t, c, target)
}

func tunnelOver(t testing.TB, c net.Conn, target string) (net.Conn, int, string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return nil, resp.StatusCode, string(body)
	}
	return &buffered{Conn: c, r: br}, resp.StatusCode, ""
}

// buffered is a connection of which some was read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func (b *buffered) CloseWrite() error { return b.Conn.(*net.TCPConn).CloseWrite() }

// echo hides the types: else io would use pipes that Go keeps for later, and
// that look like a leak.
func echo(c net.Conn) { _, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }

// exchange sends a line and returns what comes back.
func exchange(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line); err != nil {
		return "", err
	}
	b := make([]byte, len(line))
	_, err := io.ReadFull(c, b)
	return string(b), err
}

// refusalOf returns the refusal of a target.
func refusalOf(t *testing.T, g *Gate, target string) runtime.Refusal {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, r := range g.Refusals() {
			if r.Target == target {
				return r
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no refusal of %s; there are %v", target, g.Refusals())
		}
	}
}
