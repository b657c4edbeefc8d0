package egress

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	w.serveHTTP("93.184.0.1:443", "api.example", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "hello from "+r.Host)
	}))
	g := w.gate(t, Options{}, "api.example:443")
	c, _, _ := g.connectTo(t, "api.example:443")
	tc := tls.Client(c, &tls.Config{ServerName: "api.example", RootCAs: w.roots()})
	body, err := get(tc, "api.example")
	if err != nil || body != "hello from api.example" {
		t.Errorf("got %q, %v", body, err)
	}
	_ = c.Close()
	if got := w.reached(); len(got) != 1 || got[0].String() != "93.184.0.1:443" {
		t.Errorf("dialled %v", got)
	}
	w.event(t, "allowed", func(c runtime.Connection) bool {
		return c == runtime.Connection{Server: "test", Target: "api.example:443", Protocol: "connect", Allowed: true}
	})
	end := w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended })
	if end.Sent < 200 || end.Received < 200 || !end.Allowed || end.Target != "api.example:443" {
		t.Errorf("got %+v", end)
	}
	if r := g.Refusals(); len(r) != 0 {
		t.Errorf("refusals %v", r)
	}
}

func get(c net.Conn, host string) (string, error) {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	w.name("inner.example", "10.0.0.1")
	w.name("down.example", "93.184.0.9")
	g := w.gate(t, Options{}, "*.example:443", "10.9.0.0/16:443")
	for to, want := range map[string]struct {
		code int
		text string
	}{
		"evil.test:443":               {403, `the connection to evil.test:443 was refused: it is not on the list; to allow it: network: {allow: ["evil.test:443"]}`},
		"api.example:22":              {403, `["api.example:22"]`},
		"inner.example:443":           {403, `it resolves to 10.0.0.1, a private address that is not on the list; to allow it: network: {allow: ["10.0.0.1:443"]}`},
		"169.254.169.254:80":          {403, "the connection to 169.254.169.254:80 was refused: it is a metadata address that is not on the list\n"},
		"[fd00:ec2::254]:80":          {403, "[fd00:ec2::254]:80 was refused: it is a metadata address"},
		"[::ffff:169.254.169.254]:80": {403, "169.254.169.254:80 was refused: it is a metadata address"},
		"127.0.0.1:443":               {403, "a loopback address"},
		"localhost:443":               {403, "localhost:443 was refused"},
		"0.0.0.0:443":                 {403, "an unspecified address"},
		"198.18.0.9:443":              {403, "stands for no name"},
		"8.8.8.8:53":                  {403, `["8.8.8.8:53"]`},
		"127.1:443":                   {400, "last part is a number"},
		"api.example":                 {400, "not HOST:PORT"},
		"missing.example:443":         {502, "no such host"},
		"down.example:443":            {502, "nobody is there"},
	} {
		if _, code, text := g.connectTo(t, to); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("%s: got %d %q", to, code, text)
		}
	}
	for _, a := range w.reached() {
		if a.String() != "93.184.0.9:443" {
			t.Errorf("dialled %s", a)
		}
	}
	r := refusalOf(t, g, "evil.test:443")
	if r.Allow != "evil.test:443" || r.Count != 1 || time.Since(r.Last) > patience {
		t.Errorf("got %+v", r)
	}
	g.connectTo(t, "evil.test:443")
	if r := g.Refusals(); r[len(r)-1].Target != "evil.test:443" || r[len(r)-1].Count != 2 {
		t.Errorf("got %+v", r)
	}
	w.event(t, "refused", func(c runtime.Connection) bool {
		return c == runtime.Connection{Server: "test", Target: "evil.test:443", Protocol: "connect", Reason: "it is not on the list"}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	var r record
	for i := range 100 {
		r.add(runtime.Refusal{Target: fmt.Sprint(i)})
	}
	if all := r.all(); len(all) != maxRefusals || all[maxRefusals-1].Target != "99" {
		t.Errorf("got %v", all)
	}
}

func TestLyingNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	w.serve("93.184.0.1:443", echo)
	w.serve("93.184.0.1:80", echo)
	w.serve("10.9.0.1:443", echo)
	for name, tt := range map[string]struct{ to, send, want string }{
		"SNI":         {"api.example:443", string(clientHello(t, &tls.Config{ServerName: "evil.example"})), `its TLS hello is for "evil.example", another host`},
		"no SNI":      {"api.example:443", string(clientHello(t, &tls.Config{InsecureSkipVerify: true})), "names no host"},
		"Host":        {"api.example:80", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", `its HTTP request is for "evil.example", another host`},
		"SNI on 80":   {"api.example:80", string(clientHello(t, &tls.Config{ServerName: "evil.example"})), "another host"},
		"not TLS":     {"api.example:443", "\x16\x03\x01\x00\x05xxxxxxxxx", "not a client hello"},
		"true":        {"api.example:443", string(clientHello(t, &tls.Config{ServerName: "api.example"})), ""},
		"by address":  {"10.9.0.1:443", string(clientHello(t, &tls.Config{ServerName: "evil.example"})), ""},
		"other words": {"api.example:443", "hello, I am neither", ""},
	} {
		for _, way := range []string{"connect", "tcp"} {
			g := w.gate(t, Options{}, "api.example:443", "api.example:80", "10.9.0.0/16:443")
			var c net.Conn
			if way == "connect" {
				c, _, _ = g.connectTo(t, tt.to)
			} else {
				to, _ := parseTarget(tt.to, 0)
				at := to.addr
				if to.named() {
					at, _ = g.names.addrs(to.host)
				}
				c = g.toCaptured(t, fmt.Sprintf("%s:%d", at, to.port))
			}
			got, err := exchange(c, tt.send)
			if tt.want == "" {
				if err != nil || got != tt.send {
					t.Errorf("%s, %s: got %q, %v", name, way, got, err)
				}
				continue
			}
			if err == nil {
				t.Errorf("%s, %s: answered %q", name, way, got)
			}
			if r := refusalOf(t, g, tt.to); !strings.Contains(r.Reason, tt.want) || r.Allow != "" {
				t.Errorf("%s, %s: got %+v", name, way, r)
			}
			w.event(t, "refused", func(c runtime.Connection) bool { return c.Protocol == way && strings.Contains(c.Reason, tt.want) })
		}
	}
}

// TestPeerSpeaksFirst also carries half-closes both ways.
func TestPeerSpeaksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("mail.example", "93.184.0.1")
	w.serve("93.184.0.1:25", func(c net.Conn) {
		_, _ = io.WriteString(c, "220 ready\r\n")
		b, _ := io.ReadAll(c) // until the client has closed its side
		_, _ = fmt.Fprintf(c, "got %q", b)
	})
	g := w.gate(t, Options{}, "mail.example:25")
	four, _ := g.names.addrs("mail.example")
	proxied, _, _ := g.connectTo(t, "mail.example:25")
	for _, c := range []net.Conn{proxied, g.toCaptured(t, four.String()+":25")} {
		br := bufio.NewReader(c)
		if line, err := br.ReadString('\n'); err != nil || line != "220 ready\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		if _, err := io.WriteString(c, "HELO me"); err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(br); err != nil || string(rest) != `got "HELO me"` {
			t.Errorf("got %q, %v", rest, err)
		}
	}
}

// TestWordsWithoutEnd speaks a protocol that begins like an HTTP request, and
// waits for answers; then it becomes one.
func TestWordsWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("a.example", "93.184.0.1")
	heard := make(chan string, 1)
	w.serve("93.184.0.1:7", func(c net.Conn) {
		var said strings.Builder
		_, _ = io.Copy(io.MultiWriter(&said, c), struct{ io.Reader }{c})
		heard <- said.String()
	})
	g := w.gate(t, Options{}, "a.example:7")
	c, _, _ := g.connectTo(t, "a.example:7")
	for _, word := range []string{"G", "ET", " ", "/", " HTTP"} {
		if got, err := exchange(c, word); err != nil || got != word {
			t.Fatalf("%q: got %q, %v", word, got, err)
		}
	}
	for _, word := range []string{"/", "1.1\r\n", "Host: ", "evil.example\r\n"} {
		if _, err := io.WriteString(c, word); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got, err := exchange(c, "\r\n"); err == nil {
		t.Fatalf("a lying request was answered: %q", got)
	}
	if r := refusalOf(t, g, "a.example:7"); !strings.Contains(r.Reason, "evil.example") {
		t.Errorf("got %v", r)
	}
	if got := <-heard; got != "GET / HTTP" {
		t.Errorf("the target was told %q", got)
	}
}

func TestTargetEndsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("a.example", "93.184.0.1")
	got := make(chan string, 1)
	w.serve("93.184.0.1:7", func(c net.Conn) {
		_, _ = io.WriteString(c, "bye")
		_ = c.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	g := w.gate(t, Options{}, "a.example:7")
	c, _, _ := g.connectTo(t, "a.example:7")
	if b, err := io.ReadAll(c); err != nil || string(b) != "bye" {
		t.Fatalf("got %q, %v", b, err)
	}
	_, _ = io.WriteString(c, "still here\n")
	_ = c.Close()
	if s := <-got; s != "still here\n" {
		t.Errorf("got %q", s)
	}
	end := w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended })
	if end.Sent != 11 || end.Received != 3 {
		t.Errorf("got %+v", end)
	}
}

// through makes an HTTP client that heeds the gate's proxy.
func through(g *Gate, cfg *tls.Config) *http.Client {
	u := &url.URL{Scheme: "http", Host: g.sockets.proxy.Addr().String()}
	return &http.Client{Timeout: patience, Transport: &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: cfg, ForceAttemptHTTP2: true}}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("web.example", "93.184.0.1")
	w.name("evil.example", "93.184.0.2")
	w.serveHTTP("93.184.0.1:80", "", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(rw, r, "http://evil.example/", http.StatusFound)
		case "/meta":
			http.Redirect(rw, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		default:
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(rw, "%s %s %s %q %v", r.Method, r.Host, r.URL.RequestURI(), b, r.Header)
		}
	}))
	g := w.gate(t, Options{}, "web.example:80")
	client := through(g, nil)
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://web.example/x?a=1;b=%zz", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if got := string(b); !strings.HasPrefix(got, `POST web.example /x?a=1;b=%zz "body"`) || strings.Contains(got, "Proxy") || strings.Contains(got, "Forwarded") {
		t.Errorf("got %s", got)
	}
	end := w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended && c.Protocol == "http" })
	if end.Sent < 20 || end.Received < int64(len(b)) || end.Target != "web.example:80" {
		t.Errorf("got %+v", end)
	}
	for path, target := range map[string]string{"/redirect": "evil.example:80", "/meta": "169.254.169.254:80"} {
		resp, err := client.Get("http://web.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(b), "the connection to "+target+" was refused") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
	for _, a := range w.reached() {
		if a.String() != "93.184.0.1:80" {
			t.Errorf("dialled %s", a)
		}
	}
}

func TestPlainHTTPOddities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("web.example", "93.184.0.1")
	w.serveHTTP("93.184.0.1:80", "", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, r.Host) }))
	g := w.gate(t, Options{}, "web.example:80")
	for send, want := range map[string]string{
		"GET http://web.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                "200 OK web.example",
		"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n":                                                   "400 Bad Request this is a",
		"GET https://web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n":                                "400 Bad Request this is a",
		"GET http://user@web.example/ HTTP/1.1\r\nHost: web.example\r\n\r\n":                            "200 OK web.example",
		"GET http://web.example:80/ HTTP/1.1\r\nHost: web.example\r\nHost: b\r\n\r\n":                   "400 Bad Request",
		"GET http://web.example/ HTTP/1.1\r\nHost: b\r\nX: " + strings.Repeat("x", 90<<10) + "\r\n\r\n": "431 Request Header Fields Too Large",
		"CONNECT web.example:80 HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nHost: web.example\r\n\r\n":            "200 Connection established",
	} {
		c, err := net.Dial("tcp", g.sockets.proxy.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, send)
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: send[:strings.IndexByte(send, ' ')]})
		if err != nil {
			t.Errorf("%.50q: %v", send, err)
			continue
		}
		body := make([]byte, 11)
		_, _ = io.ReadAtLeast(resp.Body, body, 11)
		if got := resp.Status + " " + string(body); !strings.HasPrefix(got, want) {
			t.Errorf("%.50q: got %q", send, got)
		}
		_ = c.Close()
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("a.example", "93.184.0.1")
	w.serve("93.184.0.1:7", echo)
	g := w.gate(t, Options{MaxConns: 2, HelloTimeout: 50 * time.Millisecond}, "a.example:7")
	one, _, _ := g.connectTo(t, "a.example:7")
	two, _, _ := g.connectTo(t, "a.example:7")
	if _, code, text := g.connectTo(t, "a.example:7"); code != http.StatusServiceUnavailable || !strings.Contains(text, "too many connections") {
		t.Errorf("got %d %q", code, text)
	}
	four, _ := g.names.addrs("a.example")
	if c, err := g.dialCaptured(t, four.String()+":7"); err == nil {
		if _, err := exchange(c, "x\n"); err == nil {
			t.Error("a connection over the bound")
		}
	}
	for _, c := range []net.Conn{one, two} {
		if got, err := exchange(c, "hello\n"); err != nil || got != "hello\n" {
			t.Errorf("got %q, %v", got, err)
		}
		_ = c.Close()
	}
	// The slots come back.
	w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended })
	for end := time.Now().Add(patience); len(g.slots) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d slots are taken", len(g.slots))
		}
	}
	slow, _, _ := g.connectTo(t, "a.example:7")
	_, _ = slow.Write([]byte{22, 3})
	if b, err := io.ReadAll(slow); err == nil {
		t.Errorf("a slow hello was answered: %q", b)
	}
	if r := refusalOf(t, g, "a.example:7"); !strings.Contains(r.Reason, "did not come within 50ms") {
		t.Errorf("got %v", r)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("a.example", "93.184.0.1")
	w.serve("93.184.0.1:7", echo)
	g := w.gate(t, Options{IdleTimeout: 800 * time.Millisecond}, "a.example:7")
	c, _, _ := g.connectTo(t, "a.example:7")
	for range 6 {
		time.Sleep(200 * time.Millisecond)
		if _, err := exchange(c, "x"); err != nil {
			t.Fatalf("a connection in use was ended: %v", err)
		}
	}
	if _, err := io.ReadAll(c); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an idle connection ended with %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("a.example", "93.184.0.1")
	w.serve("93.184.0.1:7", echo)
	g := w.gate(t, Options{}, "a.example:7")
	c, _, _ := g.connectTo(t, "a.example:7")
	if _, err := exchange(c, "x"); err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", g.sockets.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Close(); _ = g.Close(); _ = g.p.Close() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
	if _, err := io.ReadAll(c); err == nil {
		t.Error("a connection outlived its gate")
	}
	if _, err := net.Dial("tcp", g.sockets.proxy.Addr().String()); err == nil {
		t.Error("a closed gate listens")
	}
	if _, err := g.p.open(newGate(g.p, &sockets{}, Attachment{Server: "late"}, nil)); err == nil {
		t.Error("a closed proxy opens gates")
	}
	if len(g.p.gates) != 0 {
		t.Error("a closed gate is kept")
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, err := New(nil); err != nil {
		t.Errorf("nil options: %v", err)
	}
	for want, o := range map[string]*Options{
		"MaxConns":     {MaxConns: -1},
		"DialTimeout":  {DialTimeout: -1},
		"HelloTimeout": {HelloTimeout: -1},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	p, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Attach(t.Context(), nil, Attachment{Server: "s", Allow: []string{"bad"}}); err == nil || !strings.Contains(err.Error(), `egress of server s: allow-list entry "bad"`) {
		t.Errorf("got %v", err)
	}
	for entry, want := range map[string]string{"10.0.0.1:443": "is no name", "a.example:*": "is no name", "*:443": "a lone *"} {
		if _, err := p.Attach(t.Context(), nil, Attachment{Server: "s", Terminate: []string{entry}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", entry, err)
		}
	}
}
