package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// sent resolves what an instance sends with each request. Its errors hold no
// secret, and neither does the URL that errors of the transport show: the
// parameters are added behind it.
type sent struct {
	provider secrets.Provider
	headers  []string // that have references
	query    map[string]secrets.Value
	origin   url.URL // to which the query belongs
	next     http.RoundTripper
}

var _ http.RoundTripper = (*sent)(nil)

func (s *sent) resolve(ctx context.Context, what, name string, v secrets.Value) (string, error) {
	r, err := v.Resolve(secrets.WithKey(ctx, name), s.provider)
	if err != nil {
		return "", fmt.Errorf("resolving %s %s: %w", what, name, err)
	}
	return r.Reveal(), nil
}

func (s *sent) header(ctx context.Context, all map[string]secrets.Value) (http.Header, error) {
	h := make(http.Header, len(s.headers))
	for _, name := range s.headers {
		text, err := s.resolve(ctx, "header", name, all[name])
		if err != nil {
			return nil, err
		}
		h[name] = []string{text}
	}
	return h, nil
}

// RoundTrip implements [http.RoundTripper].
func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != s.origin.Scheme || !strings.EqualFold(r.URL.Host, s.origin.Host) {
		return s.next.RoundTrip(r)
	}
	more := make(url.Values, len(s.query))
	for name, v := range s.query {
		text, err := s.resolve(r.Context(), "query parameter", name, v)
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, err
		}
		more.Set(name, text)
	}
	r2 := r.Clone(r.Context())
	r2.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+more.Encode(), "&")
	return s.next.RoundTrip(r2)
}
