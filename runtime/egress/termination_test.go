package egress

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// trusting makes a TLS configuration of a server inside that trusts the proxy.
func trusting(g *Gate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.CA())
	return &tls.Config{RootCAs: pool}
}

// shop is a target that tells what it got.
func shop(w *world) {
	w.name("api.example", "93.184.0.1")
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		rw.Header().Set("X-Secret", r.Header.Get("Authorization"))
		_, _ = fmt.Fprintf(rw, "%s %s %s %s %q auth=%q", r.Proto, r.Method, r.Host, r.URL.RequestURI(), b, r.Header.Get("Authorization"))
	})
	w.serveHTTP("93.184.0.1:443", "api.example", h)
	w.serveHTTP("93.184.0.1:80", "", h)
}

// injecting puts a credential in and takes it out again.
func injecting(allow ...string) Attachment {
	return Attachment{
		Server: "test", Allow: allow, Terminate: []string{"api.example:443", "api.example:22"},
		Hooks: Hooks{
			Request: func(r *http.Request) error {
				if r.URL.Path == "/forbidden" {
					return errors.New("not this path")
				}
				r.Header.Set("Authorization", r.URL.Scheme+"://"+r.URL.Host)
				// None of these has an effect: the target was decided on.
				r.URL.Host, r.URL.Scheme, r.Host = "evil.example:1", "ftp", "evil.example"
				return nil
			},
			Response: func(r *http.Response) error {
				r.Header.Del("X-Secret")
				if r.Request.URL.Path == "/leaks" {
					return errors.New("it holds too much")
				}
				return nil
			},
		},
	}
}

func fetch(t *testing.T, c *http.Client, url, body string) (int, string, http.Header) {
	t.Helper()
	resp, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestTermination(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop(w)
	g := w.attach(t, Options{}, injecting("api.example:443", "api.example:80"))
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		client := through(g, trusting(g))
		if proto == "HTTP/1.1" {
			tr := client.Transport.(*http.Transport)
			tr.ForceAttemptHTTP2 = false
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		defer client.CloseIdleConnections()
		for range 3 {
			resp, err := client.Post("https://api.example/x?q=1;2", "text/plain", strings.NewReader("hi"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := `POST api.example /x?q=1;2 "hi" auth="https://api.example:443"`; !strings.Contains(string(b), want) || resp.Proto != proto {
				t.Errorf("%s: got %s %s, want %s", proto, resp.Proto, b, want)
			}
			if resp.Header.Get("X-Secret") != "" {
				t.Error("the hook for responses did not run")
			}
		}
		if code, body, _ := fetch(t, client, "https://api.example/forbidden", ""); code != http.StatusForbidden || !strings.Contains(body, "the request was refused: not this path") {
			t.Errorf("got %d %s", code, body)
		}
		if code, body, _ := fetch(t, client, "https://api.example/leaks", ""); code != http.StatusBadGateway || !strings.Contains(body, "the response was refused: it holds too much") || strings.Contains(body, "auth") {
			t.Errorf("got %d %s", code, body)
		}
	}
	// Plain HTTP passes the hooks as well, whichever way it comes.
	plain := through(g, nil)
	defer plain.CloseIdleConnections()
	if _, body, _ := fetch(t, plain, "http://api.example/y", ""); !strings.Contains(body, `auth="http://api.example:80"`) {
		t.Errorf("forwarded: %s", body)
	}
	four, _ := g.names.addrs("api.example")
	for _, at := range []string{":80", ":443"} {
		var c net.Conn = g.toCaptured(t, four.String()+at)
		want := `HTTP/1.1 GET api.example / "" auth="http://api.example:80"`
		if at == ":443" {
			cfg := trusting(g)
			cfg.ServerName = "api.example"
			c, want = tls.Client(c, cfg), `auth="https://api.example:443"`
		}
		if body, err := get(c, "api.example"); err != nil || !strings.Contains(body, want) {
			t.Errorf("captured %s: %q, %v", at, body, err)
		}
		_ = c.Close()
	}
	end := w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended && c.Protocol == "tcp" })
	if end.Sent < 50 || end.Received < 50 {
		t.Errorf("got %+v", end)
	}
	for _, a := range w.reached() {
		if a.Addr() != netip.MustParseAddr("93.184.0.1") {
			t.Errorf("dialled %s", a)
		}
	}
}

func TestTerminationRefusesTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop(w)
	g := w.attach(t, Options{}, injecting("api.example:443", "api.example:22"))
	for name, tt := range map[string]struct{ to, send, want string }{
		"another protocol": {"api.example:22", "SSH-2.0-x\r\n", "only HTTP and TLS are passed on"},
		"a lying SNI":      {"api.example:443", string(clientHello(t, &tls.Config{ServerName: "evil.example"})), "another host"},
		"no SNI":           {"api.example:443", string(clientHello(t, &tls.Config{InsecureSkipVerify: true})), "names no host"},
		"not TLS":          {"api.example:443", "\x16\x03\x01\x00\x05xxxxxxxxx", "not a client hello"},
	} {
		c, _, _ := g.connectTo(t, tt.to)
		if got, err := exchange(c, tt.send); err == nil {
			t.Errorf("%s: answered %q", name, got)
		}
		w.event(t, name, func(c runtime.Connection) bool { return strings.Contains(c.Reason, tt.want) && c.Target == tt.to })
	}
	// Another host on a connection that began with the right one.
	c, _, _ := g.connectTo(t, "api.example:443")
	cfg := trusting(g)
	cfg.ServerName = "api.example"
	tc := tls.Client(c, cfg)
	br := bufio.NewReader(tc)
	for host, want := range map[string]int{"api.example": 200, "evil.example": 421, "api.example:443": 200, "api.example:80": 421} {
		_, _ = fmt.Fprintf(tc, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
}

// TestStreamsOfOtherHosts: each stream of a connection of HTTP/2 must be for the
// host that the connection is to, also where a certificate would be good for
// both, and nothing of others is sent over its connections to the target.
func TestStreamsOfOtherHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, host := range []string{"a.wild.example", "b.wild.example"} {
		at := fmt.Sprintf("93.184.0.%d", i+1)
		w.name(host, at)
		w.serveHTTP(at+":443", host, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(rw, "%s at %s over %s", r.Host, host, r.Proto)
		}))
	}
	g := w.attach(t, Options{}, Attachment{Server: "test", Allow: []string{"*.wild.example:443"}, Terminate: []string{"*.wild.example:443"}})
	client := through(g, trusting(g))
	defer client.CloseIdleConnections()
	for _, tt := range []struct {
		to, host, want string
		code           int
	}{
		{"a.wild.example", "", "a.wild.example at a.wild.example over HTTP/2.0", 200},
		{"a.wild.example", "b.wild.example", "this connection is for a.wild.example:443 alone", 421},
		{"a.wild.example", "evil.example", "this connection is for a.wild.example:443 alone", 421},
		{"a.wild.example", "A.WILD.example.", "at a.wild.example", 200},
		{"b.wild.example", "", "b.wild.example at b.wild.example over HTTP/2.0", 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+tt.to+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != tt.code || resp.ProtoMajor != 2 || !strings.Contains(string(b), tt.want) {
			t.Errorf("%q on a connection to %s: %s %s", tt.host, tt.to, resp.Status, b)
		}
	}
}

// TestTerminationChecksTheTarget has targets that are not who they say.
func TestTerminationChecksTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	var served atomic.Int64
	w.serveHTTP("93.184.0.1:443", "evil.example", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	g := w.attach(t, Options{}, injecting("api.example:443"))
	client := through(g, trusting(g))
	defer client.CloseIdleConnections()
	if code, body, _ := fetch(t, client, "https://api.example/", ""); code != http.StatusBadGateway || !strings.Contains(body, "certificate is valid for evil.example") {
		t.Errorf("got %d %s", code, body)
	}
	// A name that has moved into the network since the connection was made.
	w.name("api.example", "169.254.169.254")
	if code, body, _ := fetch(t, client, "https://api.example/", ""); code != http.StatusForbidden || !strings.Contains(body, "metadata") {
		t.Errorf("got %d %s", code, body)
	}
	refusalOf(t, g, "api.example:443")
	if served.Load() != 0 {
		t.Error("a request reached another host")
	}
}

// TestTerminatedUpgrade carries a connection that stops being HTTP, and a
// body that comes bit by bit.
func TestTerminatedUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	next := make(chan struct{})
	w.serveHTTP("93.184.0.1:443", "api.example", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(rw, "one\n")
			_ = http.NewResponseController(rw).Flush()
			<-next
			_, _ = io.WriteString(rw, "two\n")
			return
		}
		c, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, buf)
	}))
	g := w.attach(t, Options{}, injecting("api.example:443"))
	c, _, _ := g.connectTo(t, "api.example:443")
	cfg := trusting(g)
	cfg.ServerName = "api.example"
	tc := tls.Client(c, cfg)
	_, _ = io.WriteString(tc, "GET / HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	br := bufio.NewReader(tc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	for _, line := range []string{"hello\n", "again\n"} {
		_, _ = io.WriteString(tc, line)
		if got, err := br.ReadString('\n'); err != nil || got != line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	_ = c.Close()

	client := through(g, trusting(g))
	defer client.CloseIdleConnections()
	resp, err = client.Get("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br = bufio.NewReader(resp.Body)
	if line, err := br.ReadString('\n'); err != nil || line != "one\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	close(next)
	if line, err := br.ReadString('\n'); err != nil || line != "two\n" {
		t.Fatalf("got %q, %v", line, err)
	}
}

// TestPinned has clients that take no certificate but one of their own.
func TestPinned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop(w)
	g := w.attach(t, Options{}, injecting("api.example:443"))
	const want = "does not take the certificate of the gateway's proxy"
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, _, _ := g.connectTo(t, "api.example:443")
		tc := tls.Client(c, &tls.Config{ServerName: "api.example", RootCAs: w.roots(), MaxVersion: version})
		if err := tc.Handshake(); err == nil {
			t.Fatal("it took the certificate")
		}
		_ = tc.Close()
	}
	w.event(t, "of a refused certificate", func(c runtime.Connection) bool {
		return strings.Contains(c.Reason, want) && c.Target == "api.example:443" && !strings.Contains(c.Reason, "without a request")
	})
	c, _, _ := g.connectTo(t, "api.example:443")
	cfg := trusting(g)
	cfg.ServerName = "api.example"
	tc := tls.Client(c, cfg)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	_ = tc.Close() // which is what a client does that compares the key afterwards
	w.event(t, "of a pinned key", func(c runtime.Connection) bool {
		return strings.Contains(c.Reason, want) && strings.Contains(c.Reason, "without a request")
	})
	for _, r := range g.Refusals() {
		if !strings.Contains(r.Reason, want) {
			t.Errorf("refused: %+v", r)
		}
	}
}

// TestTargetsOwnWords has a target speak where no hook listens.
func TestTargetsOwnWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	cert, err := w.ca.leaf("api.example")
	if err != nil {
		t.Fatal(err)
	}
	w.serve("93.184.0.1:443", func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}})
		r, err := http.ReadRequest(bufio.NewReader(s))
		if err != nil {
			return
		}
		auth := r.Header.Get("Authorization")
		if r.URL.Path == "/early" {
			_, _ = fmt.Fprintf(s, "HTTP/1.1 103 Early Hints\r\nX-Early: %s\r\n\r\nHTTP/1.1 200 %[1]s\r\nContent-Length: 0\r\n\r\n", auth)
			return
		}
		_, _ = fmt.Fprintf(s, "%s is not HTTP\r\n\r\n", auth)
	})
	g := w.attach(t, Options{}, injecting("api.example:443"))
	for _, path := range []string{"/early", "/broken"} {
		c, _, _ := g.connectTo(t, "api.example:443")
		cfg := trusting(g)
		cfg.ServerName = "api.example"
		tc := tls.Client(c, cfg)
		_, _ = fmt.Fprintf(tc, "GET %s HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n", path)
		got, _ := io.ReadAll(tc)
		if strings.Contains(string(got), "https://api.example") {
			t.Errorf("%s: the target's words came through: %s", path, got)
		}
		if path == "/broken" && !strings.Contains(string(got), "502") {
			t.Errorf("got %s", got)
		}
	}
}

// TestHookPanics: what a hook did not finish goes nowhere.
func TestHookPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop(w)
	a := injecting("api.example:443")
	a.Hooks.Request = func(*http.Request) error { panic("boom") }
	g := w.attach(t, Options{}, a)
	client := through(g, trusting(g))
	defer client.CloseIdleConnections()
	if resp, err := client.Get("https://api.example/"); err == nil {
		t.Errorf("answered %s", resp.Status)
		_ = resp.Body.Close()
	}
	if got := w.reached(); len(got) != 0 {
		t.Errorf("dialled %v", got)
	}
}

func TestCloseEndsTerminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	w.serveHTTP("93.184.0.1:443", "api.example", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	g := w.attach(t, Options{}, injecting("api.example:443"))
	client := through(g, trusting(g))
	defer client.CloseIdleConnections()
	failed := make(chan error, 1)
	go func() {
		resp, err := client.Get("https://api.example/")
		if err == nil {
			_ = resp.Body.Close()
			err = fmt.Errorf("answered %s", resp.Status)
		}
		failed <- err
	}()
	for end := time.Now().Add(patience); len(w.reached()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	done := make(chan struct{})
	go func() { _ = g.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
	select {
	case <-failed:
	case <-time.After(patience):
		t.Fatal("the client still waits")
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	rules, err := ParseRules([]string{"api.example:443", "*.wild.example:443"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAuthority(rules)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.pem()) {
		t.Fatal("no certificate in the PEM")
	}
	for _, host := range []string{"api.example", "a.wild.example"} {
		c, err := a.leaf(host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
			t.Error(err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "other.example"}); err == nil {
			t.Errorf("%s is good for others", host)
		}
		if again, _ := a.leaf(host); again != c {
			t.Error("made anew")
		}
		if c.Leaf.NotAfter.After(time.Now().Add(25*time.Hour)) || c.Leaf.IsCA {
			t.Errorf("got %v", c.Leaf)
		}
	}
	// Whatever its key signs, it is good for no other name and for no address.
	other, err := a.leaf("evil.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "evil.example"}); err == nil {
		t.Error("it vouches for a name that it is not for")
	}
	for i := range maxLeaves {
		a.leaves[fmt.Sprint(i)] = a.leaves["api.example"]
	}
	if _, err := a.leaf("one-more.example"); err != nil || len(a.leaves) > maxLeaves+3 {
		t.Errorf("%d certificates, %v", len(a.leaves), err)
	}
}
