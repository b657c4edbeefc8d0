// Package injecttest is the end-to-end test of secrets that a confined server
// uses without having them. Each driver that confines runs it.
package injecttest

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Service is a host of the test that needs a credential. It echoes and stores.
type Service struct {
	Proxy  *egress.Proxy // by which everything reaches the service
	Events runtime.Events

	mu     sync.Mutex
	got    []string // what the host saw as Authorization
	stored string
	told   []runtime.Injection
	secret string
}

// Bound is the host that the secret is bound to, Other another one; both are
// the service. Other speaks without TLS as well.
const (
	Bound = "api.bound.test"
	Other = "other.test"
)

// NewService starts the service, with HTTP/2.
func NewService(t testing.TB) *Service {
	t.Helper()
	s := &Service{secret: "s3cret" + hex.EncodeToString([]byte(t.Name()))[:16] + "+/x"}
	h := http.HandlerFunc(s.serve)
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	cert, roots := Certificate(t, Bound)
	srv.TLS = cert
	srv.StartTLS()
	open := httptest.NewServer(h)
	t.Cleanup(func() { srv.Close(); open.Close() })
	s.Events.Injection = func(i runtime.Injection) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, i)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	var err error
	s.Proxy, err = egress.New(&egress.Options{
		Roots: pool,
		Resolver: egress.ResolverFunc(func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("1.2.3.4")}, nil
		}),
		Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			at := srv.Listener.Addr()
			if to.Port() == 80 {
				at = open.Listener.Addr()
			}
			return new(net.Dialer).DialContext(ctx, network, at.String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Proxy.Close() })
	return s
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	auth := r.Header.Get("Authorization")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, auth)
	switch r.URL.Path {
	case "/echo":
		w.Header().Set("X-Echo", auth)
		_, _ = fmt.Fprintf(w, "%s %s %x %q", auth, base64.StdEncoding.EncodeToString([]byte(auth)), auth, auth)
	case "/store":
		s.stored = auth
	case "/read":
		_, _ = io.WriteString(w, "you stored "+s.stored)
	}
}

// Use is how the server is given the secret.
func (s *Service) Use(spec *runtime.Spec) {
	spec.Network.Allow = []string{Bound + ":443", Bound + ":80", Other + ":80"}
	spec.Secrets = []runtime.SecretUse{{
		Name: "token", Value: secrets.Template("${TOKEN}"), Env: "TOKEN", File: "/run/secrets/token",
		Hosts: []runtime.SecretHost{{Host: Bound}},
		Source: secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
			return secrets.NewSecret(s.secret), nil
		}),
	}}
}

func ask(t *testing.T, i runtime.Instance, method, arg string) string {
	t.Helper()
	params, err := json.Marshal(map[string]string{"arg": arg})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := i.Conn().Call(t.Context(), &transport.Message{ID: json.RawMessage("1"), Method: method, Params: params}, nil)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if reply.Error != nil {
		t.Fatalf("%s %s: %v", method, arg, transport.ParseRPCError(reply.Error))
	}
	return string(reply.Result)
}

// Run has a server, which is the probe of runtimetest, use the secret, and
// looks for it everywhere. pids are the processes of the instance.
func Run(t *testing.T, s *Service, i runtime.Instance, pids func() []int) {
	var env []string
	if err := json.Unmarshal([]byte(ask(t, i, "probe/env", "")), &env); err != nil {
		t.Fatal(err)
	}
	placeholder := ""
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "TOKEN="); ok {
			placeholder = p
		}
	}
	if !strings.HasPrefix(placeholder, "ghplaceholder_") {
		t.Fatalf("the server has %q", placeholder)
	}
	forms := map[string]string{
		"as it is": s.secret, "hex": hex.EncodeToString([]byte(s.secret)),
		"base64": base64.StdEncoding.EncodeToString([]byte("Bearer " + s.secret))[12:32],
	}
	for _, url := range []string{"https://" + Bound + "/echo", "https://" + Bound + "/store", "https://" + Bound + "/read"} {
		answer := ask(t, i, "probe/fetch", url+" Bearer "+placeholder)
		for name, form := range forms {
			if strings.Contains(answer, form) {
				t.Errorf("%s gives it away, %s: %s", url, name, answer)
			}
		}
		if !strings.Contains(answer, "HTTP/2.0 200") || !strings.HasSuffix(url, "/store") && !strings.Contains(answer, placeholder) {
			t.Errorf("%s answered %s", url, answer)
		}
		if got := s.last(); got != "Bearer "+s.secret {
			t.Errorf("%s got %q", url, got)
		}
	}
	for _, url := range []string{"http://" + Other + "/", "http://" + Bound + "/"} {
		ask(t, i, "probe/fetch", url+" Bearer "+placeholder)
		if got := s.last(); got != "Bearer "+placeholder {
			t.Errorf("%s got %q", url, got)
		}
	}
	s.mu.Lock()
	told := fmt.Sprintf("%+v", s.told)
	s.mu.Unlock()
	for _, want := range []string{"Target:" + Bound + ":443 Injected:true", "Target:" + Other + ":80 Injected:false Reason:it is not bound to this host", "Target:" + Bound + ":80 Injected:false Reason:the request is not sent over TLS"} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %s; but %s", want, told)
		}
	}
	if strings.Contains(told, s.secret) {
		t.Error("an event holds the secret")
	}
	all := pids()
	if len(all) == 0 {
		t.Fatal("the instance has no processes, so that nothing is shown")
	}
	found := 0
	for _, pid := range all {
		found += search(t, pid, placeholder, s.secret)
	}
	if found == 0 {
		t.Error("not even the placeholder was found, so that nothing is shown")
	}
}

func (s *Service) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return ""
	}
	return s.got[len(s.got)-1]
}

// Secret is the credential that the service knows.
func (s *Service) Secret() string { return s.secret }

// Served tells whether the service got the secret since it was asked last.
func (s *Service) Served() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return len(got) > 0 && got[len(got)-1] == "Bearer "+s.secret
}

// search looks for the secret in a process: its memory, environment and files.
// It returns how often the placeholder is there.
func search(t *testing.T, pid int, placeholder, secret string) (found int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	look := func(where string, b []byte) {
		found += bytes.Count(b, []byte(placeholder))
		for _, s := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))[:24]} {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("process %d has the secret in %s", pid, where)
			}
		}
	}
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(dir + "/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil || !strings.Contains(strings.Fields(line)[1], "r") {
			continue
		}
		const most = 64 << 20
		for at := from; at < to; at += most {
			b := make([]byte, min(most+4096, to-at))
			n, _ := mem.ReadAt(b, at) // guard pages and the like cannot be read
			look("its memory at "+strings.TrimSpace(line), b[:n])
		}
	}
	if b, err := os.ReadFile(dir + "/environ"); err == nil {
		look("its environment", b)
	}
	for _, root := range []string{"/run", "/tmp", "/etc", "/dev/shm", "/var", "/home", "/root"} {
		_ = filepath.WalkDir(dir+"/root"+root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if info, err := e.Info(); err != nil || info.Size() > 64<<20 {
				return nil
			}
			if b, err := os.ReadFile(p); err == nil {
				look("the file "+p, b)
			}
			return nil
		})
	}
	return found
}
