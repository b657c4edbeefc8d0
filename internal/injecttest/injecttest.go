// Package injecttest is the end-to-end test of secrets that a confined server
// uses without having them. Each driver that confines runs it.
package injecttest

import (
	"bytes"
	"compress/gzip"
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
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	conns  []runtime.Connection
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
		Events: runtime.Events{Connection: func(c runtime.Connection) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns = append(s.conns, c)
		}},
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
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, auth)
	h := w.Header()
	switch r.URL.Path {
	case "/echo":
		h.Set("X-Echo", auth)
		_, _ = fmt.Fprintf(w, "%s %s %x %q", auth, base64.StdEncoding.EncodeToString([]byte(auth)), auth, auth)
	case "/store":
		s.stored = auth
	case "/read":
		_, _ = io.WriteString(w, "you stored "+s.stored)
	case "/mirror":
		_, _ = fmt.Fprintf(w, "%s %s %v %q %v %v", r.Method, r.RequestURI, r.Header, body, r.Trailer, r.TransferEncoding)
	case "/headers":
		h.Set("Trailer", "X-End, X-"+hex.EncodeToString([]byte(auth)))
		h.Set("X-"+hex.EncodeToString([]byte(auth)), "1")
		h.Add("Set-Cookie", "t="+url.QueryEscape(auth))
		w.WriteHeader(http.StatusOK)
		h.Set("X-End", base64.URLEncoding.EncodeToString([]byte("x"+auth)))
		h.Set(http.TrailerPrefix+"X-More", auth)
	case "/redirect":
		http.Redirect(w, r, "http://"+Other+"/?t="+url.QueryEscape(auth), http.StatusFound)
	case "/encoded":
		h.Set("Content-Encoding", r.URL.RawQuery+auth)
	case "/brotli":
		h.Set("Content-Encoding", "br")
		_, _ = io.WriteString(w, auth)
	case "/lie":
		h.Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, auth)
	case "/zipped":
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, auth)
		_ = z.Close()
	case "/part":
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, auth[:len(auth)-1])
	case "/ranges":
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(auth))
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
	all := pids()
	if len(all) == 0 {
		t.Fatal("the instance has no processes, so that nothing is shown")
	}
	traffic := listen(t, all[0])
	for _, url := range []string{"https://" + Bound + "/echo", "https://" + Bound + "/store", "https://" + Bound + "/read"} {
		answer := ask(t, i, "probe/fetch", url+" Bearer "+placeholder)
		s.gaveNothing(t, url, answer)
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
	attack(t, s, i, placeholder)
	s.mu.Lock()
	told := fmt.Sprintf("%+v %+v", s.told, s.conns)
	s.mu.Unlock()
	for _, want := range []string{"Target:" + Bound + ":443 Injected:true", "Target:" + Other + ":80 Injected:false Reason:it is not bound to this host", "Target:" + Bound + ":80 Injected:false Reason:the request is not sent over TLS"} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %s; but %s", want, told)
		}
	}
	s.gaveNothing(t, "an event", told)
	heard := traffic()
	if !bytes.Contains(heard, []byte(placeholder)) || bytes.Contains(heard, []byte(s.secret)) {
		t.Errorf("of %d bytes of traffic inside, the placeholder is in them: %v, the secret: %v",
			len(heard), bytes.Contains(heard, []byte(placeholder)), bytes.Contains(heard, []byte(s.secret)))
	}
	found := 0
	for _, pid := range all {
		noDump(t, pid)
		found += search(t, pid, placeholder, s.secret)
	}
	if found == 0 {
		t.Error("not even the placeholder was found, so that nothing is shown")
	}
}

// gaveNothing looks for the secret in an answer.
func (s *Service) gaveNothing(t *testing.T, what, answer string) {
	t.Helper()
	for name, form := range map[string]string{
		"as it is": s.secret, "hex": hex.EncodeToString([]byte(s.secret)), "percent": url.QueryEscape(s.secret),
		"base64":                   base64.StdEncoding.EncodeToString([]byte("Bearer " + s.secret))[12:32],
		"base64 with another byte": base64.URLEncoding.EncodeToString([]byte("xBearer " + s.secret))[12:32],
		"as a name":                strings.TrimRight(s.secret, "+/x"),
	} {
		if strings.Contains(strings.ToLower(answer), strings.ToLower(form)) {
			t.Errorf("%s gives it away, %s: %s", what, name, answer)
		}
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

// Refused tells whether a connection to the host was refused for a reason.
func (s *Service) Refused(reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.conns, func(c runtime.Connection) bool { return strings.Contains(c.Reason, reason) })
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

// noDump looks whether a process could leave its memory in a core dump.
func noDump(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Errorf("the limits of process %d are %s, %v", pid, limits, err)
	}
	if kinds, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", pid)); err != nil || strings.Trim(string(kinds), "0\n") != "" {
		t.Errorf("a core dump of process %d has memory of the kinds %s, %v", pid, kinds, err)
	}
}

// search looks for the secret in a process: its memory, environment and files.
// It returns how often the placeholder is there.
func search(t *testing.T, pid int, placeholder, secret string) (found int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	look := func(where string, b []byte) {
		found += bytes.Count(b, []byte(placeholder))
		for _, s := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))[:24], hex.EncodeToString([]byte(secret))} {
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
	file := func(p string) {
		if info, err := os.Stat(p); err != nil || !info.Mode().IsRegular() || info.Size() > 64<<20 {
			return
		}
		if b, err := os.ReadFile(p); err == nil {
			look("the file "+p, b)
		}
	}
	open, _ := filepath.Glob(dir + "/fd/*") // also those that have no name any more
	for _, p := range open {
		file(p)
	}
	files := 0
	_ = filepath.WalkDir(dir+"/root/", func(p string, e fs.DirEntry, err error) error {
		switch rel := "/" + strings.TrimLeft(strings.TrimPrefix(p, dir+"/root"), "/"); {
		case err != nil:
			return nil
		case e.IsDir() && (rel == "/proc" || rel == "/sys" || rel == "/usr" || strings.HasPrefix(rel, "/lib")): // the system's
			return fs.SkipDir
		case e.Type().IsRegular():
			files++
			file(p)
		}
		return nil
	})
	if files == 0 {
		t.Errorf("process %d has no files, so that nothing is shown", pid)
	}
	return found
}
