package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestHTTPClientTLS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		httpReply(w, &m, `{"proto":"`+r.Proto+`"}`)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the stranger is expected
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())

	c, err := NewHTTPClient(srv.URL, &HTTPClientOptions{TLS: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for range 3 {
		got, err := c.Call(t.Context(), httpAsk("tools/list", `{}`), nil)
		if err != nil || string(got.Result) != `{"proto":"HTTP/2.0"}` {
			t.Fatalf("got %v and %v", got, err)
		}
	}

	stranger, err := NewHTTPClient(srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close() }()
	_, err = stranger.Call(t.Context(), httpAsk("tools/list", `{}`), nil)
	var e *Error
	if !errors.As(err, &e) || e.Sent || !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("an unknown certificate: %v", err)
	}
}

func TestHTTPClientProxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		httpReply(w, &m, `{"for":"`+r.URL.String()+`"}`)
	}))
	defer proxy.Close()
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewHTTPClient("http://far.test/mcp", &HTTPClientOptions{Proxy: http.ProxyURL(to)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	got, err := c.Call(t.Context(), httpAsk("tools/list", `{}`), nil)
	if err != nil || string(got.Result) != `{"for":"http://far.test/mcp"}` {
		t.Errorf("got %v and %v", got, err)
	}
}
