package remote_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func ExampleNew() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"authorization":%q}}`, r.Header.Get("Authorization"))
	}))
	defer srv.Close()

	l := remote.New(srv.URL, &remote.Options{
		Headers: map[string]secrets.Value{"Authorization": secrets.Template("Bearer ${TOKEN}")},
	})
	vault := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.NewSecret("t0k3n"), nil
	})
	inst, err := l.Launch(context.Background(), runtime.Key{Server: "docs", Secrets: vault})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = inst.Stop(context.Background()) }()
	reply, err := inst.Conn().Call(context.Background(), &transport.Message{ID: json.RawMessage(`"a"`), Method: "ping"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(reply.ID), string(reply.Result))
	// Output: "a" {"authorization":"Bearer t0k3n"}
}

func TestLaunchFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, url string
		headers   map[string]secrets.Value
		want      string
	}{
		{"userinfo", "https://me:hidden@example.com/mcp?key=hidden", nil, "the server's URL https://example.com/mcp holds a user name or password: put credentials into a header"},
		{"scheme", "file:///etc/passwd", nil, "is not http or https"},
		{"own header", "https://example.com/", map[string]secrets.Value{"content-length": secrets.Plain("1")}, "the header Content-Length is the transport's own"},
		{"missing secret", "https://example.com/", map[string]secrets.Value{"Authorization": secrets.Template("Bearer ${TOKEN}")}, "resolving header Authorization: TOKEN: no secrets provider is configured"},
		{"injection", "https://example.com/", map[string]secrets.Value{"X": secrets.Plain("hidden\r\nY: 1")}, "the value of the header X holds characters that are not allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := remote.New(tt.url, &remote.Options{Headers: tt.headers})
			_, err := l.Launch(t.Context(), runtime.Key{Server: "x"})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if err := remote.New("ftp://x", nil).Check(); err == nil {
		t.Error("Check takes ftp")
	}
	if err := remote.New("http://x", &remote.Options{RoundTripper: http.DefaultTransport, TLS: &tls.Config{}}).Check(); err == nil {
		t.Error("Check takes a RoundTripper and TLS")
	}
	if err := remote.New("http://x", &remote.Options{Headers: map[string]secrets.Value{"A": secrets.Template("${B}")}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	of := func(url string, o *remote.Options) string { return remote.New(url, o).Definition() }
	token := map[string]secrets.Value{"authorization": secrets.Plain("Bearer hidden"), "X": secrets.Template("${TOKEN}")}
	a := of("https://example.com/mcp?key=hidden", &remote.Options{Headers: token})
	if strings.Contains(a, "hidden") {
		t.Errorf("the definition shows a secret: %s", a)
	}
	if !strings.Contains(a, "${TOKEN}") || !strings.Contains(a, "https://example.com/mcp") {
		t.Errorf("the definition does not say what it should: %s", a)
	}
	if b := of("https://example.com/mcp?key=hidden", &remote.Options{Headers: token}); a != b {
		t.Errorf("the same thing has two definitions: %s and %s", a, b)
	}
	for _, b := range []string{
		of("https://example.com/mcp?key=other", &remote.Options{Headers: token}),
		of("https://example.com/other?key=hidden", &remote.Options{Headers: token}),
		of("https://example.com/mcp?key=hidden", nil),
		of("https://example.com/mcp?key=hidden", &remote.Options{Headers: token, DisableSSE: true}),
		of("https://example.com/mcp?key=hidden", &remote.Options{Headers: token, TLS: &tls.Config{}}),
	} {
		if a == b {
			t.Errorf("two things have one definition: %s", b)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	inst, err := remote.New("http://127.0.0.1:1/", nil).Launch(t.Context(), runtime.Key{Server: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if inst.Conn() != inst.Conn() {
		t.Error("Conn gives two values")
	}
	for range 2 {
		if err := inst.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if e := <-inst.Wait(); e.Reason != runtime.Stopped {
		t.Errorf("it ended as %v", e)
	}
	if _, ok := <-inst.Wait(); ok {
		t.Error("Wait gives a second exit")
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Session-Id") != "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Mcp-Session-Id", "s")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}`))
	}))
	defer srv.Close()
	inst, err := remote.New(srv.URL, nil).Launch(t.Context(), runtime.Key{Server: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inst.Stop(t.Context()) }()
	inst.Conn().Listen(nil)
	_, err = transport.Handshake(t.Context(), inst.Conn(), transport.HandshakeOptions{Prefer: transport.Legacy, Only: true})
	if !errors.Is(err, transport.ErrSessionExpired) {
		t.Errorf("got %v", err)
	}
	if e := <-inst.Wait(); e.Reason != runtime.Disconnected || !errors.Is(e.Err, transport.ErrSessionExpired) {
		t.Errorf("it ended as %v", e)
	}
}
