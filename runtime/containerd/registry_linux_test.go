package containerd

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		image, url  string
		plain, any  bool
		sent, fails bool
	}{
		{image: "example.com/a", url: "https://example.com/v2/", sent: true},
		{image: "example.com/a", url: "https://EXAMPLE.com/v2/", sent: true},
		{image: "example.com/a", url: "https://cdn.example.com/x"},
		{image: "example.com/a", url: "https://example.com:8443/x"},
		{image: "example.com/a", url: "https://example.org/x"},
		{image: "example.com/a", url: "http://example.com/x", fails: true},
		{image: "example.com/a", url: "http://example.org/x", fails: true},
		{image: "example.com/a", url: "https://auth.example.com/token", any: true, sent: true},
		{image: "example.com/a", url: "http://auth.example.com/token", any: true, fails: true},
		{image: "10.0.0.1:5000/a", url: "http://10.0.0.1:5000/v2/", plain: true, sent: true},
		{image: "10.0.0.1:5000/a", url: "http://10.0.0.1:9000/x", plain: true},
		{image: "a/b", url: "https://registry-1.docker.io/v2/", sent: true},
		{image: "a/b", url: "https://production.cloudflare.docker.com/x"},
		{image: "registry-1.docker.io/a/b", url: "https://index.docker.io/v2/"},
	} {
		ref, err := name.ParseReference(test.image)
		if err != nil {
			t.Fatal(err)
		}
		asked, sent := false, false
		g := guard{hosts: hostsOf(ref.Context()), plain: test.plain, any: test.any, next: roundTripper(func(q *http.Request) (*http.Response, error) {
			asked, sent = true, q.Header.Get("Authorization") != ""
			return &http.Response{}, nil
		})}
		q, err := http.NewRequest(http.MethodGet, test.url, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Basic x")
		_, err = g.RoundTrip(q)
		if (err != nil) != test.fails || asked == test.fails || sent != test.sent || q.Header.Get("Authorization") == "" {
			t.Errorf("%+v: sent %v, %v", test, sent, err)
		}
		if test.fails && !strings.Contains(err.Error(), "Insecure") {
			t.Errorf("%+v: the error does not say what to do: %v", test, err)
		}
	}
}

func TestSameHost(t *testing.T) {
	t.Parallel()
	at := func(s string) *http.Request {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u}
	}
	via := []*http.Request{at("https://a/token")}
	if err := sameHost(at("https://a/other"), via); err != nil {
		t.Error(err)
	}
	if err := sameHost(at("https://b/token"), via); err == nil {
		t.Error("a request for a token went to another host")
	}
	for range 9 {
		via = append(via, at("https://a/"))
	}
	if err := sameHost(at("https://a/"), via); err == nil {
		t.Error("it is redirected for ever")
	}
}
