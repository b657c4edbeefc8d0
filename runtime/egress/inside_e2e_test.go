//go:build e2e && linux

package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
)

// A program inside is this test binary, started in the namespace with the
// gate's resolv.conf in the place of the machine's.
const insideEnv = "EGRESS_TEST_INSIDE"

func TestMain(m *testing.M) {
	if s := os.Getenv(insideEnv); s != "" {
		inside(s)
	}
	os.Exit(m.Run())
}

// order is what a program inside is to do.
type order struct {
	Get     string // a URL
	Lookup  string // a name
	Server  string // the resolver to ask, instead of the one of resolv.conf
	Network string // of the dialling [tcp]
	Roots   []byte // authorities, PEM
	Insist  string // the server name of TLS, instead of the host's
}

// outcome is what it saw.
type outcome struct {
	Status int
	Body   string
	Addrs  []string
	Err    string
	Errno  syscall.Errno
}

func inside(s string) {
	var o order
	if err := json.Unmarshal([]byte(s), &o); err != nil {
		panic(err)
	}
	got := o.run()
	b, err := json.Marshal(got)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(b))
	os.Exit(0)
}

func (o order) run() (got outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	failed := func(err error) outcome {
		got.Err = err.Error()
		errors.As(err, &got.Errno)
		return got
	}
	r := &net.Resolver{PreferGo: true}
	if o.Server != "" {
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, o.Server)
		}
	}
	if o.Lookup != "" {
		addrs, err := r.LookupHost(ctx, o.Lookup)
		if err != nil {
			return failed(err)
		}
		got.Addrs = addrs
		return got
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.Roots)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: o.Insist},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if o.Network != "" {
				network = o.Network
			}
			return (&net.Dialer{Resolver: r}).DialContext(ctx, network, addr)
		},
	}
	if u := os.Getenv("HTTPS_PROXY"); u != "" {
		tr.Proxy = http.ProxyFromEnvironment
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Get, nil)
	if err != nil {
		return failed(err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return failed(err)
	}
	got.Status, got.Body = resp.StatusCode, string(b)
	return got
}

// box is a namespace with a gate.
type box struct {
	t    testing.TB
	ns   *netns.NS
	gate *Gate
	conf string
}

func (w *world) box(t testing.TB, o Options, allow ...string) *box {
	t.Helper()
	return w.boxFor(t, o, Attachment{Server: "test", Allow: allow})
}

func (w *world) boxFor(t testing.TB, o Options, a Attachment) *box {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	g, err := w.proxy(t, o).Attach(t.Context(), ns.File(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	b := &box{t: t, ns: ns, gate: g, conf: filepath.Join(t.TempDir(), "resolv.conf")}
	if err := os.WriteFile(b.conf, g.ResolvConf(), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

// exec runs a program inside and returns what it printed. Its mounts are its
// own.
func (b *box) exec(env []string, argv ...string) string {
	b.t.Helper()
	script := `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	cmd := exec.CommandContext(b.t.Context(), "unshare", append([]string{"-m", "--propagation", "private", "sh", "-c", script, b.conf}, argv...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := b.ns.Do(cmd.Start); err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.t.Logf("%v: %v: %s%s", argv, err, out.String(), errs.String())
	}
	return out.String()
}

func (b *box) do(o order, env ...string) outcome {
	b.t.Helper()
	j, err := json.Marshal(o)
	if err != nil {
		b.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	out := b.exec(append(env, insideEnv+"="+string(j)), self)
	var got outcome
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		b.t.Fatalf("the program inside said %q: %v", out, err)
	}
	return got
}

func (b *box) dial(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	c, err := b.ns.Dial(ctx, network, addr)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(patience))
		b.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// outside is the internet of these tests.
func outside(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1", "2606:2800::1")
	w.name("web.example", "93.184.0.2")
	w.name("evil.example", "93.184.0.3")
	w.name("inner.example", "10.0.0.1")
	w.name("six.example", "2606:2800::6")
	hello := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(rw, r, "http://evil.example/", http.StatusFound)
		case "/meta":
			http.Redirect(rw, r, "http://169.254.169.254/", http.StatusFound)
		default:
			_, _ = fmt.Fprintf(rw, "hello from %s", r.Host)
		}
	})
	w.serveHTTP("93.184.0.1:443", "api.example", hello)
	w.serveHTTP("[2606:2800::6]:443", "six.example", hello)
	w.serveHTTP("93.184.0.2:80", "", hello)
	w.serveHTTP("93.184.0.3:80", "", hello)
	w.serveHTTP("93.184.0.3:443", "evil.example", hello)
	w.serve("10.2.3.4:5432", echo)
	w.serve("[fd12::4]:5432", echo)
	return w
}

func reset(err error) bool {
	return err != nil && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED))
}

func has(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
