//go:build e2e && linux

package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	gatehouse "github.com/gatehouse-mcp/gatehouse/runtime"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
)

var listed = []string{"api.example:443", "six.example:443", "web.example:80", "inner.example:443", "10.2.3.4:5432", "[fd12::/16]:5432"}

// TestProgramsThatIgnoreTheProxy run with no proxy variables.
func TestProgramsThatIgnoreTheProxy(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	roots := w.ca.pem()
	for what, tt := range map[string]struct {
		order
		want string
		err  string
	}{
		"by name":               {order{Get: "https://api.example/"}, "hello from api.example", ""},
		"by name, IPv6":         {order{Get: "https://api.example/", Network: "tcp6"}, "hello from api.example", ""},
		"only IPv6 outside":     {order{Get: "https://six.example/", Network: "tcp4"}, "hello from six.example", ""},
		"plain HTTP":            {order{Get: "http://web.example/"}, "hello from web.example", ""},
		"hard-coded resolver":   {order{Get: "https://api.example/", Server: "8.8.8.8:53"}, "hello from api.example", ""},
		"hard-coded, IPv6":      {order{Get: "https://api.example/", Server: "[2001:4860:4860::8888]:53"}, "hello from api.example", ""},
		"denied name":           {order{Get: "https://evil.example/"}, "", "no such host"},
		"denied by 8.8.8.8":     {order{Lookup: "evil.example", Server: "8.8.8.8:53"}, "", "no such host"},
		"denied by IPv6":        {order{Lookup: "evil.example", Server: "[2606:4700:4700::1111]:53"}, "", "no such host"},
		"a tunnel in DNS":       {order{Lookup: "c2VjcmV0.t.evil.example"}, "", "no such host"},
		"denied port":           {order{Get: "http://api.example/"}, "", "reset"},
		"denied address":        {order{Get: "http://93.184.0.3/"}, "", "reset"},
		"denied address, IPv6":  {order{Get: "http://[2606:2800::3]/"}, "", "reset"},
		"metadata":              {order{Get: "http://169.254.169.254/latest/"}, "", "reset"},
		"a redirect":            {order{Get: "http://web.example/redirect"}, "", "no such host"},
		"a redirect, metadata":  {order{Get: "http://web.example/meta"}, "", "reset"},
		"a name of the network": {order{Get: "https://inner.example/"}, "", "reset"},
		"a lying SNI":           {order{Get: "https://api.example/", Insist: "evil.example"}, "", "reset"},
	} {
		tt.Roots = roots
		got := b.do(tt.order)
		if tt.err == "reset" && strings.HasSuffix(got.Err, "EOF") {
			got.Err += ", reset" // the other end of the same refusal, when it is read first
		}
		if tt.err == "" && !strings.Contains(got.Body, tt.want) || !strings.Contains(got.Err, tt.err) || tt.err != "" && got.Err == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	for target, allow := range map[string]string{
		"evil.example": "evil.example:443", "c2VjcmV0.t.evil.example": "", "api.example:80": "api.example:80", "93.184.0.3:80": "93.184.0.3:80",
		"[2606:2800::3]:80": "[2606:2800::3]:80", "169.254.169.254:80": "", "inner.example:443": "10.0.0.1:443", "api.example:443": "",
	} {
		if r := refusalOf(t, b.gate, strings.ToLower(target)); allow != "" && r.Allow != allow {
			t.Errorf("%s: %+v", target, r)
		}
	}
	for _, a := range w.reached() {
		switch a.String() {
		case "93.184.0.1:443", "[2606:2800::1]:443", "[2606:2800::6]:443", "93.184.0.2:80":
		default:
			t.Errorf("dialled %s", a)
		}
	}
	for _, q := range w.questions() {
		if strings.Contains(q, "evil") {
			t.Errorf("%s was resolved", q)
		}
	}
}

func TestProgramsThatHeedTheProxy(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	var env []string
	for k, v := range b.gate.Env() {
		env = append(env, k+"="+v)
	}
	roots := w.ca.pem()
	has(t, "CONNECT", b.do(order{Get: "https://api.example/", Roots: roots}, env...).Body, "hello from api.example")
	has(t, "plain HTTP", b.do(order{Get: "http://web.example/"}, env...).Body, "hello from web.example")
	has(t, "denied", b.do(order{Get: "http://evil.example/"}, env...).Body, `["evil.example:80"]`)
	has(t, "denied CONNECT", b.do(order{Get: "https://evil.example/"}, env...).Err, "Forbidden")
	has(t, "metadata", b.do(order{Get: "http://169.254.169.254/"}, env...).Body, "a metadata address")
	has(t, "lying SNI", b.do(order{Get: "https://api.example/", Roots: roots, Insist: "evil.example"}, env...).Err, "reset")
	has(t, "reason", refusalOf(t, b.gate, "api.example:443").Reason, "evil.example")
	has(t, "redirect", b.do(order{Get: "http://web.example/redirect"}, env...).Body, "evil.example:80 was refused")
	for to, want := range map[string]string{"169.254.169.254:80": "metadata", "[fd00:ec2::254]:80": "metadata", "127.0.0.1:22": "loopback", "evil.example:443": "not on the list"} {
		c, err := b.dial("tcp", "127.0.0.1:3128")
		if err != nil {
			t.Fatal(err)
		}
		if _, code, text := tunnelOver(t, c, to); code != http.StatusForbidden || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", to, code, text)
		}
	}
}

// TestLibc asks with the C library.
func TestLibc(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	has(t, "getent", b.exec(nil, "getent", "ahosts", "api.example"), "198.18.0.")
	has(t, "getent", b.exec(nil, "getent", "ahostsv4", "api.example"), "198.18.0.")
	has(t, "getent", b.exec(nil, "getent", "ahostsv6", "api.example"), "fd67:")
	if out := b.exec(nil, "getent", "ahosts", "evil.example"); out != "" {
		t.Errorf("got %q", out)
	}
	refusalOf(t, b.gate, "evil.example")
}

// TestDNSInside asks resolvers of the world outside, over UDP and TCP.
func TestDNSInside(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	for _, addr := range []string{"8.8.8.8:53", "[2001:4860:4860::8888]:53", "127.0.0.1:53", "[::1]:53", "127.0.0.53:53"} {
		for _, network := range []string{"udp", "tcp"} {
			for name, found := range map[string]int{"api.example.": 1, "evil.example.": 0} {
				c, err := b.dial(network, addr)
				if err != nil {
					t.Fatal(err)
				}
				q := question(t, name, dnsmessage.TypeA, true)
				if network == "tcp" {
					q = append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
				}
				if _, err := c.Write(q); err != nil {
					t.Fatal(err)
				}
				a := make([]byte, 1500)
				n, err := c.Read(a)
				if err != nil {
					t.Fatalf("%s %s: %v", network, addr, err)
				}
				if a = a[:n]; network == "tcp" {
					a = a[2:]
				}
				if m := reply(t, a); len(m.Answers) != found {
					t.Errorf("%s %s: %s: %+v", network, addr, name, m)
				}
				_ = c.Close()
			}
		}
	}
	if q := w.questions(); len(q) != 0 {
		t.Errorf("the resolver outside was asked for %v", q)
	}
}

// TestManyAtOnce opens connections from many goroutines, by name and by
// address, over both families.
func TestManyAtOnce(t *testing.T) {
	w := outside(t)
	w.name("a.example", "93.184.0.7")
	w.serve("93.184.0.7:7", echo)
	b := w.box(t, Options{}, append(listed, "a.example:7")...)
	four, six := b.gate.names.addrs("a.example")
	addrs := []string{four.String() + ":7", "[" + six.String() + "]:7", "10.2.3.4:5432", "[fd12::4]:5432"}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 20 {
				c, err := b.ns.Dial(t.Context(), "tcp", addrs[(i+j)%len(addrs)])
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				line := fmt.Sprintf("%d says %d\n", i, j)
				if got, err := exchange(c, line); err != nil || got != line {
					t.Errorf("got %q, %v", got, err)
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if r := b.gate.Refusals(); len(r) != 0 {
		t.Errorf("refusals %v", r)
	}
}

func TestAddressesOnTheList(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	for _, addr := range []string{"10.2.3.4:5432", "[fd12::4]:5432"} {
		c, err := b.dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchange(c, "select 1\n"); err != nil || got != "select 1\n" {
			t.Errorf("%s: got %q, %v", addr, got, err)
		}
		end := w.event(t, "ended", func(c gatehouse.Connection) bool { return c.Allowed && c.Target == addr })
		if end.Protocol != "tcp" {
			t.Errorf("got %+v", end)
		}
	}
	for _, addr := range []string{"10.2.3.5:5432", "10.2.3.4:22", "[fd13::4]:5432", "[fd12::4]:22"} {
		c, err := b.dial("tcp", addr)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if !reset(err) {
			t.Errorf("%s: %v", addr, err)
		}
		refusalOf(t, b.gate, addr)
	}
}

func TestLoopbackIsLeftAlone(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{})
	for _, addr := range []string{"127.0.0.1:8000", "[::1]:8000", "127.9.9.9:8000"} {
		l, err := b.ns.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				echo(c)
				_ = c.Close()
			}
		}()
		c, err := b.dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchange(c, "x\n"); err != nil || got != "x\n" {
			t.Errorf("%s: got %q, %v", addr, got, err)
		}
		_ = l.Close()
	}
	if r := b.gate.Refusals(); len(r) != 0 {
		t.Errorf("refusals %v", r)
	}
}

func TestNoOtherWayOut(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	// Straight to the port for redirected connections.
	for _, addr := range []string{"127.0.0.1:15001", "[::1]:15001"} {
		c, err := b.dial("tcp", addr)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if !reset(err) {
			t.Errorf("%s: %v", addr, err)
		}
		refusalOf(t, b.gate, addr)
	}
	// Redirected to that port, under another address.
	if c, err := b.dial("tcp", "8.8.8.8:15001"); err == nil {
		if _, err := c.Read(make([]byte, 1)); !reset(err) {
			t.Errorf("8.8.8.8:15001: %v", err)
		}
		refusalOf(t, b.gate, "8.8.8.8:15001")
	}
	// Datagrams go nowhere.
	for _, addr := range []string{"8.8.8.8:443", "[2606:4700::1111]:443", "10.2.3.4:5432", "255.255.255.255:67"} {
		c, err := b.dial("udp", addr)
		if err != nil {
			continue
		}
		_, err = c.Write([]byte("x"))
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	// A synthetic address that was never given.
	c, err := b.dial("tcp", "198.18.9.9:443")
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if !reset(err) {
		t.Errorf("%v", err)
	}
	has(t, "reason", refusalOf(t, b.gate, "198.18.9.9:443").Reason, "stands for no name")
	if got := w.reached(); len(got) != 0 {
		t.Errorf("dialled %v", got)
	}
}

func TestClosedGateFailsClosed(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	c, err := b.dial("tcp", "10.2.3.4:5432")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(c, "x\n"); err != nil {
		t.Fatal(err)
	}
	if err := b.gate.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !reset(err) {
		t.Errorf("a connection outlived its gate: %v", err)
	}
	for _, addr := range []string{"127.0.0.1:3128", "10.2.3.4:5432", "198.18.0.1:443", "8.8.8.8:53", "[fd12::4]:5432", "[2606:4700::1111]:443"} {
		if _, err := b.dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	u, err := b.dial("udp", "8.8.8.8:53")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = u.Write([]byte("x"))
	if _, err := u.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("DNS: %v", err)
	}
	// The namespace can be attached again, as by a gateway after its death.
	g, err := w.proxy(t, Options{}).Attach(t.Context(), b.ns.File(), Attachment{Server: "test", Allow: listed})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	c, err = b.dial("tcp", "10.2.3.4:5432")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := exchange(c, "x\n"); err != nil || got != "x\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := w.proxy(t, Options{}).Attach(t.Context(), b.ns.File(), Attachment{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("two gates: %v", err)
	}
}

func TestProxyOnly(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{ProxyOnly: true}, listed...)
	c, err := b.dial("tcp", "127.0.0.1:3128")
	if err != nil {
		t.Fatal(err)
	}
	c, code, _ := tunnelOver(t, c, "10.2.3.4:5432")
	if code != http.StatusOK {
		t.Fatalf("got %d", code)
	}
	if got, err := exchange(c, "x\n"); err != nil || got != "x\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.dial("tcp", "10.2.3.4:5432"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("got %v", err)
	}
}

func TestAttachNeedsANamespace(t *testing.T) {
	p := outside(t).proxy(t, Options{})
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, f := range []*os.File{nil, null} {
		if _, err := p.Attach(t.Context(), f, Attachment{Server: "s"}); err == nil || !strings.Contains(err.Error(), "egress of server s") {
			t.Errorf("got %v", err)
		}
	}
}

// TestTerminatedInside ends TLS in the proxy for a program that ignores it.
func TestTerminatedInside(t *testing.T) {
	w := outside(t)
	b := w.boxFor(t, Options{}, Attachment{
		Server: "test", Allow: listed, Terminate: []string{"api.example:443"},
		Hooks: Hooks{Response: func(r *http.Response) error {
			r.Header.Del("Content-Length")
			r.ContentLength = -1
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader("hooked: "), r.Body), r.Body}
			return nil
		}},
	})
	has(t, "terminated", b.do(order{Get: "https://api.example/", Roots: b.gate.CA()}).Body, "hooked: hello from api.example")
	has(t, "tunnelled", b.do(order{Get: "https://six.example/", Roots: w.ca.pem()}).Body, "hello from six.example")
	has(t, "lying SNI", b.do(order{Get: "https://api.example/", Roots: b.gate.CA(), Insist: "evil.example"}).Err, "reset")
}

// TestNothingIsLeft opens and closes 200 gates, with traffic.
func TestNothingIsLeft(t *testing.T) {
	w := outside(t)
	p := w.proxy(t, Options{})
	cycle := func() {
		ns, err := netns.New()
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		g, err := p.Attach(t.Context(), ns.File(), Attachment{Server: "test", Allow: listed})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		c, err := ns.Dial(t.Context(), "tcp", "10.2.3.4:5432")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := exchange(c, "x\n"); err != nil {
			t.Fatal(err)
		}
		four, _ := g.names.addrs("web.example")
		h, err := ns.Dial(t.Context(), "tcp", four.String()+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if got, err := get(h, "web.example"); err != nil || got != "hello from web.example" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	count := func() (fds, goroutines, threads int) {
		f, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		th, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(f), runtime.NumGoroutine(), len(th)
	}
	for range 5 {
		cycle()
	}
	time.Sleep(100 * time.Millisecond)
	fds, gos, threads := count()
	for range 200 {
		cycle()
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		f, g, th := count()
		if f <= fds && g <= gos && th <= threads+8 {
			break
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("descriptors %d, then %d; goroutines %d, then %d; threads %d, then %d\n%s", fds, f, gos, g, threads, th, buf[:runtime.Stack(buf, true)])
		}
	}
	if len(p.gates) != 0 {
		t.Errorf("%d gates are kept", len(p.gates))
	}
}

func BenchmarkAttach(b *testing.B) {
	p := newWorld(b).proxy(b, Options{})
	for b.Loop() {
		ns, err := netns.New()
		if err != nil {
			b.Fatal(err)
		}
		g, err := p.Attach(b.Context(), ns.File(), Attachment{Server: "test", Allow: listed})
		if err != nil {
			b.Fatal(err)
		}
		_ = g.Close()
		_ = ns.Close()
	}
}

// BenchmarkConnection measures a connection with one exchange: straight over
// loopback, captured, and through the proxy. The dialling of the captured
// ones enters the namespace, which "enter" measures alone.
func BenchmarkConnection(b *testing.B) {
	w := newWorld(b)
	w.name("a.example", "93.184.0.1")
	w.serve("93.184.0.1:7", echo)
	real := w.hosts[netip.MustParseAddrPort("93.184.0.1:7")]
	box := w.box(b, Options{}, "a.example:7")
	box.gate.pace.mu.Lock()
	box.gate.pace.rate = 1e9
	box.gate.pace.mu.Unlock()
	four, _ := box.gate.names.addrs("a.example")
	run := func(b *testing.B, dial func() (net.Conn, error)) {
		for b.Loop() {
			c, err := dial()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := exchange(c, "hello\n"); err != nil {
				b.Fatal(err)
			}
			if c, ok := c.(*net.TCPConn); ok {
				_ = c.SetLinger(0) // keep the ports free
			}
			_ = c.Close()
		}
	}
	b.Run("straight", func(b *testing.B) { run(b, func() (net.Conn, error) { return net.Dial("tcp", real) }) })
	b.Run("captured", func(b *testing.B) {
		run(b, func() (net.Conn, error) { return box.ns.Dial(b.Context(), "tcp", four.String()+":7") })
	})
	b.Run("connect", func(b *testing.B) {
		run(b, func() (net.Conn, error) {
			c, err := box.ns.Dial(b.Context(), "tcp", "127.0.0.1:3128")
			if err != nil {
				return nil, err
			}
			c, _, _ = tunnelOver(b, c, "a.example:7")
			return c, nil
		})
	})
	b.Run("enter", func(b *testing.B) {
		for b.Loop() {
			_ = box.ns.Do(func() error { return nil })
		}
	})
}
