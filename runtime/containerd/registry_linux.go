package containerd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry resolves the images of a registry, with the credentials that the
// keychain has for the repository.
func (r *Runtime) registry(ref reference) remotes.Resolver {
	g := guard{next: r.transport, hosts: hostsOf(ref.repo), plain: slices.Contains(r.o.Insecure, ref.repo.RegistryStr())}
	credentials := func(host string) (string, string, error) {
		if r.o.Keychain == nil || !g.knows(host) {
			return "", "", nil
		}
		a, err := authn.Resolve(r.ctx, r.o.Keychain, ref.repo)
		if err != nil {
			return "", "", err
		}
		c, err := authn.Authorization(r.ctx, a)
		if err != nil {
			return "", "", err
		}
		if c.IdentityToken != "" {
			return "", c.IdentityToken, nil
		}
		return c.Username, c.Password, nil
	}
	tokens := g
	tokens.any = true
	auth := &http.Client{Transport: tokens, CheckRedirect: sameHost}
	return own{docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithClient(&http.Client{Transport: g}),
		docker.WithPlainHTTP(func(host string) (bool, error) { return slices.Contains(r.o.Insecure, host), nil }),
		docker.WithAuthorizer(docker.NewDockerAuthorizer(docker.WithAuthClient(auth), docker.WithAuthCreds(credentials))),
	)})}
}

// hostsOf are the hosts that a registry is asked at. Docker's has another name
// than its images.
func hostsOf(repo name.Repository) []string {
	if repo.RegistryStr() == name.DefaultRegistry {
		return []string{name.DefaultRegistry, "registry-1.docker.io"}
	}
	return []string{repo.RegistryStr()}
}

// guard carries the requests to a registry and to where it redirects them.
// What authorizes a request goes to the registry alone: net/http would pass it
// on to other ports and to subdomains. A registry with TLS leads to none
// without.
type guard struct {
	next  http.RoundTripper
	hosts []string // of the registry
	plain bool     // it is spoken to without TLS
	any   bool     // the registry chooses who gets credentials: who makes tokens
}

func (g guard) knows(host string) bool {
	return slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// RoundTrip implements [http.RoundTripper].
func (g guard) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Scheme != "https" && !g.plain {
		if q.Body != nil {
			_ = q.Body.Close()
		}
		return nil, fmt.Errorf("the registry %s leads to %s without TLS; list the registry in Insecure if that is meant", g.hosts[0], q.URL.Host)
	}
	if !g.any && !g.knows(q.URL.Host) {
		q = q.Clone(q.Context())
		q.Header.Del("Authorization")
	}
	return g.next.RoundTrip(q)
}

// sameHost refuses that a request with credentials is redirected to another
// host.
func sameHost(q *http.Request, via []*http.Request) error {
	if first := via[0].URL; q.URL.Host != first.Host {
		return fmt.Errorf("a request for a token is redirected from %s to %s", first.Host, q.URL.Host)
	}
	if len(via) >= 10 {
		return fmt.Errorf("stopped after %d redirects", len(via))
	}
	return nil
}

// own is a resolver that fetches from its registry alone. A manifest can name
// other places of a layer, which could be any URL that the gateway reaches.
type own struct{ remotes.Resolver }

// Fetcher implements [remotes.Resolver].
func (o own) Fetcher(ctx context.Context, ref string) (remotes.Fetcher, error) {
	f, err := o.Resolver.Fetcher(ctx, ref)
	if err != nil {
		return nil, err
	}
	return remotes.FetcherFunc(func(ctx context.Context, d imagespec.Descriptor) (io.ReadCloser, error) {
		if len(d.URLs) > 0 {
			return nil, fmt.Errorf("its content %s is to be fetched from a URL outside of the registry, which is never done; push the image again with all of its layers", d.Digest)
		}
		return f.Fetch(ctx, d)
	}), nil
}

// newTransport carries requests to registries. It reads no environment.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConns:        10,
		ForceAttemptHTTP2:   true,
	}
}
