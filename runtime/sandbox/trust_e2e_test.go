//go:build e2e && linux

package sandbox

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// fetchArg makes this test binary a client of one address.
const fetchArg = "fetch"

func fetch(url string) {
	c := http.Client{Timeout: 10 * time.Second}
	res, err := c.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Fprintln(os.Stderr, string(body), err)
}

// TestAuthorityOfTheProxy: a server trusts the proxy that looks into its
// connections, and still the system's authorities; without such a proxy
// nothing changes.
func TestAuthorityOfTheProxy(t *testing.T) {
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from the target") }))
	defer target.Close()
	roots := x509.NewCertPool()
	roots.AddCert(target.Certificate())
	var seen atomic.Int32
	o := egress.Options{
		Roots: roots,
		Resolver: egress.ResolverFunc(func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("1.2.3.4")}, nil
		}),
		Dial: func(ctx context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target.Listener.Addr().String())
		},
		Terminate: func(string, string, uint16) *egress.Termination {
			return &egress.Termination{Request: func(*http.Request) error { seen.Add(1); return nil }}
		},
	}
	proxy, err := egress.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	r, err := New(t.TempDir(), &Options{Egress: proxy})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := probe()
	spec.Command = []string{spec.Command[0], fetchArg, "https://example.com/"}
	spec.Network.Allow = []string{"example.com:443"}
	i := started(t, r, spec)
	e := <-i.Wait()
	if all := strings.Join(e.Stderr, "\n"); !strings.Contains(all, "hello from the target") || seen.Load() != 1 {
		t.Errorf("it got %q, and the hooks saw %d requests", all, seen.Load())
	}
	const system = "/etc/ssl/certs/ca-certificates.crt"
	count := fmt.Sprintf("for f in %s %s; do grep -c BEGIN $f; done >&2; cmp %[1]s %[2]s >&2; env | grep -c =%[2]s >&2", system, trusted)
	before, err := os.ReadFile(system)
	if err != nil {
		t.Fatal(err)
	}
	have := strings.Count(string(before), "BEGIN CERTIFICATE")
	allow := func(s *runtime.Spec) { s.Network.Allow = spec.Network.Allow }
	if e := script(t, r, count, allow); strings.Join(e.Stderr, " ") != fmt.Sprintf("%d %[1]d %d", have+1, len(trustVariables)) {
		t.Errorf("of %d authorities it sees %q", have, e.Stderr)
	}
	if e := script(t, r, "grep -c BEGIN "+system+" >&2; ls "+trusted+" >&2", nil); len(e.Stderr) != 2 || e.Stderr[0] != fmt.Sprint(have) {
		t.Errorf("without a network it sees %q", e.Stderr)
	}
	if e := script(t, testRuntime(t), "grep -c BEGIN "+system+" >&2; ls "+trusted+" >&2", allow); len(e.Stderr) != 2 || e.Stderr[0] != fmt.Sprint(have) {
		t.Errorf("of a proxy that looks into nothing it sees %q", e.Stderr)
	}
}
