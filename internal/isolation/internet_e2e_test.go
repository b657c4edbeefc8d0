//go:build e2e && linux

package isolation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// internet is what the servers of a test can reach through egress: names,
// addresses, and two listeners on loopback, plain and with TLS, that are all
// of its web servers.
type internet struct {
	allowed, denied, metadata string // what its web servers say
	plain, secure             string // where they listen

	mu     sync.Mutex
	dialed []netip.AddrPort
	asked  []string
	told   []runtime.Connection
}

// Its addresses. That of front serves more than one name, as those of large
// providers do.
const (
	front     = "93.184.0.1"
	elsewhere = "93.184.0.3"
	provider  = "169.254.169.254"
)

func newInternet(t *testing.T) *internet {
	t.Helper()
	n := &internet{allowed: mark("allowed"), denied: mark("denied"), metadata: mark("metadata")}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch host, _, _ := strings.Cut(r.Host, ":"); {
		case r.URL.Path == "/redirect":
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		case host == "allowed.example" || strings.HasSuffix(host, ".wild.example"):
			_, _ = fmt.Fprintln(w, n.allowed)
		case host == provider:
			_, _ = fmt.Fprintln(w, n.metadata)
		default:
			_, _ = fmt.Fprintln(w, n.denied)
		}
	})
	for _, s := range []struct {
		at  *string
		tls bool
	}{{&n.plain, false}, {&n.secure, true}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*s.at = l.Addr().String()
		srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		t.Cleanup(func() { _ = srv.Close() })
		if s.tls {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
			go func() { _ = srv.ServeTLS(l, "", "") }()
		} else {
			go func() { _ = srv.Serve(l) }()
		}
	}
	return n
}

// certificate is one that nobody vouches for.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// proxy is the way out to it.
func (n *internet) proxy(t *testing.T) *egress.Proxy {
	t.Helper()
	p, err := egress.New(&egress.Options{
		Resolver: egress.ResolverFunc(n.resolve), Dial: n.dial,
		Events: runtime.Events{Connection: func(c runtime.Connection) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.told = append(n.told, c)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (n *internet) resolve(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	names := map[string]string{
		"allowed.example.": front, "denied.example.": elsewhere, "inner.example.": "127.0.0.1", "cloud.example.": provider,
	}
	if a, ok := names[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	if strings.HasSuffix(host, ".wild.example.") {
		return []netip.Addr{netip.MustParseAddr(front)}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// dial connects to the web servers, and, if it should ever be asked to, to
// what listens on this machine.
func (n *internet) dial(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, addr)
	n.mu.Unlock()
	to := addr.String()
	if slices.Contains([]string{front, elsewhere, provider}, addr.Addr().String()) {
		if to = n.plain; addr.Port() == 443 {
			to = n.secure
		}
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// seen is what was asked and dialled.
func (n *internet) seen() (asked []string, dialed []netip.AddrPort, told []runtime.Connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked), slices.Clone(n.dialed), slices.Clone(n.told)
}
