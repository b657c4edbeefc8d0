package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// The engines.
const (
	kv2     = "kv2"
	kv1     = "kv1"
	dynamic = "dynamic"
)

const (
	defaultTimeout = 10 * time.Second
	defaultMount   = "secret"

	// leaving bounds the time for revoking what is left.
	leaving = 5 * time.Second
)

// Options changes how [New] talks to a server.
type Options struct {
	// Engine is kv2 (the default), kv1 or dynamic.
	Engine string

	// Mount is where the KV engine is mounted [secret].
	Mount string

	// Namespace is that of Vault Enterprise or OpenBao in which all paths
	// are.
	Namespace string

	// CAFile holds the certificates, in PEM, of the authorities that are
	// trusted instead of those of the system.
	CAFile string

	// ServerName is the name in the server's certificate where it is not
	// that of the address.
	ServerName string

	// AllowHTTP allows http instead of https to a loopback address.
	AllowHTTP bool

	// Timeout bounds one request [10 seconds].
	Timeout time.Duration

	// Proxy names the proxy for a request, as in [http.Transport]; nil: none.
	Proxy func(*http.Request) (*url.URL, error)

	// Dial makes the connections instead of a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Logger gets what goes wrong with renewals. Nil: it is not logged.
	Logger *slog.Logger
}

// Client is a provider of the secrets of one server. It is safe for
// concurrent use.
type Client struct {
	base *url.URL
	auth Auth
	o    Options
	http *http.Client

	logins chan struct{} // holds a token while somebody logs in
	alive  context.Context
	die    context.CancelFunc
	tasks  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	token  *token            // nil before the first login
	slots  map[string]*slot  // of dynamic secrets, by path
	held   map[string]*lease // those that may have to be revoked, by id
}

var (
	_ secrets.Provider = (*Client)(nil)
	_ secrets.Lister   = (*Client)(nil)
	_ secrets.Store    = (*Client)(nil)
)

// New makes a provider of a server, such as https://vault.example.com:8200.
// Nothing is asked of the server yet.
func New(address string, auth Auth, o *Options) (*Client, error) {
	c := &Client{
		auth: auth, logins: make(chan struct{}, 1),
		slots: make(map[string]*slot), held: make(map[string]*lease),
	}
	if o != nil {
		c.o = *o
	}
	c.o.Engine, c.o.Timeout = cmp.Or(c.o.Engine, kv2), cmp.Or(c.o.Timeout, defaultTimeout)
	switch {
	case c.o.Engine != kv2 && c.o.Engine != kv1 && c.o.Engine != dynamic:
		return nil, fmt.Errorf("there is no Engine %q: use %s, %s or %s", c.o.Engine, kv2, kv1, dynamic)
	case c.o.Engine == dynamic && c.o.Mount != "":
		return nil, errors.New("the option Mount is of the KV engine: with the Engine dynamic, references hold the whole path")
	case c.o.Timeout < 0:
		return nil, fmt.Errorf("the option Timeout is %v: leave it out for %v", c.o.Timeout, defaultTimeout)
	case strings.ContainsFunc(c.o.Namespace, control):
		return nil, errors.New("the option Namespace holds a control character")
	case auth == nil:
		return nil, errors.New("there is no way to log in: use Token, TokenFile or AppRole")
	}
	c.o.Mount = strings.Trim(cmp.Or(c.o.Mount, defaultMount), "/")
	if _, err := escape(c.o.Mount); err != nil {
		return nil, fmt.Errorf("the option Mount: %w", err)
	}
	if err := auth.check(); err != nil {
		return nil, err
	}
	var err error
	if c.base, err = c.checkAddress(address); err != nil {
		return nil, err
	}
	if c.http, err = c.client(); err != nil {
		return nil, err
	}
	c.alive, c.die = context.WithCancel(context.Background())
	return c, nil
}

// checkAddress reads an address, which is not shown: a password may stand in
// it.
func (c *Client) checkAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the address is no URL: write https://HOST:PORT")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the address holds more than https://HOST:PORT and a path")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, c.checkScheme(u)
}

// checkScheme keeps tokens and secrets from being sent in the clear.
func (c *Client) checkScheme(u *url.URL) error {
	if u.Scheme == "https" {
		return nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	switch loopback := u.Hostname() == "localhost" || err == nil && ip.IsLoopback(); {
	case !loopback:
		return fmt.Errorf("%s is to be reached without TLS, so that everybody on the way could read the secrets: use https", u.Host)
	case !c.o.AllowHTTP:
		return fmt.Errorf("%s is to be reached without TLS: use https, or allow http for a development server on this machine (AllowHTTP)", u.Host)
	}
	return nil
}

func (c *Client) client() (*http.Client, error) {
	t := &http.Transport{
		Proxy: c.o.Proxy, DialContext: c.o.Dial, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: c.o.Timeout, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 4,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.o.ServerName},
	}
	if c.o.CAFile != "" {
		pem, err := os.ReadFile(c.o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CAFile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CAFile: %s holds no certificate in PEM", c.o.CAFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 2 {
			return errors.New("it redirects in a circle: the nodes do not agree on which of them is active")
		}
		return c.checkScheme(r.URL)
	}}, nil
}

// Resolve implements [secrets.Provider].
func (c *Client) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	p, err := c.place(ref)
	if err != nil {
		return secrets.Secret{}, err
	}
	var data map[string]any
	var end time.Time
	if c.o.Engine == dynamic {
		data, end, err = c.borrow(ctx, p)
	} else {
		var v version
		v, err = c.read(ctx, p)
		data, end = v.data, v.end
	}
	if err != nil {
		return secrets.Secret{}, err
	}
	value, err := c.pick(p, data)
	if err != nil {
		return secrets.Secret{}, err
	}
	return secrets.NewSecret(value).Until(end), nil
}

// spawn starts a task that ends with the client. It reports whether the
// client is still open.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.tasks.Go(f)
	}
	return !c.closed
}

// Close ends the renewals and revokes what is left, for at most five seconds.
// It is idempotent.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	c.die()
	c.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	err := c.leave(ctx)
	c.http.CloseIdleConnections()
	return err
}

// leave revokes what is left.
func (c *Client) leave(ctx context.Context) error {
	c.mu.Lock()
	t := c.token
	var ids []string
	for id, l := range c.held {
		if !l.over() {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	switch {
	case t == nil || t.over():
		return nil
	case t.own: // its leases end with it
		_, err := c.send(ctx, t, http.MethodPost, "auth/token/revoke-self", nil, nil)
		return err
	}
	var errs []error
	for _, id := range ids {
		_, err := c.send(ctx, t, http.MethodPut, "sys/leases/revoke", nil, map[string]any{"lease_id": id})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }
