// Package remote makes instances of a server that runs elsewhere and is
// reached by a URL. An instance is a conversation: a session in the legacy
// era, merely a client in the modern one.
//
//	docs := remote.New("https://mcp.example.com/mcp", &remote.Options{
//		Headers: map[string]secrets.Value{
//			"Authorization": secrets.Template("Bearer ${DOCS_TOKEN}"),
//		},
//	})
//
// Headers and parameters of the query are resolved for each request, with the
// secrets that the server may see, so that one that was rotated is used at once;
// one that is missing fails the start. They are sent to the origin of the URL
// alone. The instances of one launcher share their connections. Streamable HTTP
// of both eras is spoken, and HTTP+SSE of 2024-11-05 with servers that know
// nothing else.
//
// The URL is checked when an instance is started, and its error does not show
// it in full: no user name and password may stand in it, and a query is taken
// for secret.
package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Options configures [New]. The zero value is useful.
type Options struct {
	// Headers are sent with every request, and Query are parameters that are
	// added to its URL. References in them are resolved for each request.
	Headers map[string]secrets.Value
	Query   map[string]secrets.Value

	// TLS configures https [the system's roots]; Proxy chooses a proxy
	// [none; the environment is not read].
	TLS   *tls.Config
	Proxy func(*http.Request) (*url.URL, error)

	// RoundTripper carries the requests instead of one of the launcher's
	// own. TLS, Proxy and HeaderTimeout are then its own affair.
	RoundTripper http.RoundTripper

	// HeaderTimeout bounds the wait for the header of an answer [the call's
	// context alone].
	HeaderTimeout time.Duration

	// DisableSSE forbids the fallback to HTTP+SSE (2024-11-05).
	DisableSSE bool

	// Reply bounds one message from the server in bytes [64 MiB].
	Reply int64
}

// Launcher makes instances of one remote server. It is safe for concurrent
// use.
type Launcher struct {
	url string
	o   Options
	rt  http.RoundTripper
	err error // what is wrong with the configuration
}

var _ runtime.Launcher = (*Launcher)(nil)

// New returns the launcher of the server at rawURL. It does not connect; what
// is wrong with its arguments is reported by [Launcher.Check] and by Launch.
func New(rawURL string, o *Options) *Launcher {
	l := &Launcher{url: rawURL}
	if o != nil {
		l.o = *o
		l.o.Headers = make(map[string]secrets.Value, len(o.Headers))
		for k, v := range o.Headers {
			l.o.Headers[http.CanonicalHeaderKey(k)] = v
		}
		l.o.Query = maps.Clone(o.Query)
	}
	if l.rt = l.o.RoundTripper; l.rt == nil {
		l.rt = transport.NewRoundTripper(&transport.RoundTripperOptions{
			TLS: l.o.TLS, Proxy: l.o.Proxy, HeaderTimeout: l.o.HeaderTimeout,
		})
	} else if l.o.TLS != nil || l.o.Proxy != nil || l.o.HeaderTimeout != 0 {
		l.err = errors.New("remote.Options: RoundTripper excludes TLS, Proxy and HeaderTimeout, which are its own affair")
	}
	return l
}

// Check reports what is wrong with the launcher's configuration, secrets
// aside.
func (l *Launcher) Check() error {
	if l.err != nil {
		return l.err
	}
	h := make(http.Header, len(l.o.Headers))
	for k := range l.o.Headers {
		h[k] = nil
	}
	c, err := transport.NewHTTPClient(l.url, &transport.HTTPClientOptions{Header: h, RoundTripper: l.rt})
	if err != nil {
		return err
	}
	return c.Close()
}

// Definition implements the optional method of [runtime.Launcher]. It holds no
// secret: the query of the URL shows as a checksum.
func (l *Launcher) Definition() string {
	d := struct {
		URL        string                   `json:"url"`
		Query      string                   `json:"query,omitempty"`
		Headers    map[string]secrets.Value `json:"headers,omitempty"`
		Parameters map[string]secrets.Value `json:"parameters,omitempty"`
		Timeout    time.Duration            `json:"headerTimeout,omitempty"`
		DisableSSE bool                     `json:"disableSSE,omitempty"`
		Reply      int64                    `json:"reply,omitempty"`
		Own        string                   `json:"own,omitempty"`
	}{Headers: l.o.Headers, Parameters: l.o.Query, Timeout: l.o.HeaderTimeout, DisableSSE: l.o.DisableSSE, Reply: l.o.Reply}
	if u, err := transport.ParseServerURL(l.url); err == nil {
		q := u.RawQuery
		u.RawQuery, u.ForceQuery = "", false
		d.URL = u.String()
		if q != "" {
			h := fnv.New64a()
			h.Write([]byte(q))
			d.Query = fmt.Sprintf("%016x", h.Sum64())
		}
	}
	// What cannot be compared is taken by identity.
	var own []string
	if l.o.RoundTripper != nil {
		own = append(own, fmt.Sprintf("round tripper %p", l))
	}
	if l.o.TLS != nil {
		own = append(own, fmt.Sprintf("tls %p", l.o.TLS))
	}
	if l.o.Proxy != nil {
		own = append(own, fmt.Sprintf("proxy %p", l))
	}
	slices.Sort(own)
	d.Own = strings.Join(own, ", ")
	b, err := json.Marshal(d)
	if err != nil { // no field can fail
		return err.Error()
	}
	return string(b)
}

// Launch implements [runtime.Launcher]. It resolves what is sent, to see that it
// is there, and does not connect: the first call does.
func (l *Launcher) Launch(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
	if l.err != nil {
		return nil, l.err
	}
	s := sent{provider: k.Secrets, query: l.o.Query, next: l.rt}
	fixed := http.Header{}
	for name, v := range l.o.Headers {
		text, err := s.resolve(ctx, "header", name, v)
		if err != nil {
			return nil, err
		}
		if fixed[name] = []string{text}; len(v.Refs()) > 0 {
			s.headers = append(s.headers, name)
		}
	}
	for name, v := range l.o.Query {
		if _, err := s.resolve(ctx, "query parameter", name, v); err != nil {
			return nil, err
		}
	}
	o := &transport.HTTPClientOptions{
		Header: fixed, RoundTripper: l.rt, DisableSSE: l.o.DisableSSE, Reply: l.o.Reply,
	}
	if len(s.headers) > 0 {
		o.HeaderFunc = func(ctx context.Context) (http.Header, error) { return s.header(ctx, l.o.Headers) }
	}
	if len(s.query) > 0 {
		u, err := transport.ParseServerURL(l.url)
		if err != nil {
			return nil, err
		}
		s.origin = *u
		o.RoundTripper = &s
	}
	c, err := transport.NewHTTPClient(l.url, o)
	if err != nil {
		return nil, err
	}
	i := &instance{conn: c, stopping: make(chan struct{}), exit: make(chan runtime.Exit, 1), gone: make(chan struct{})}
	go i.watch()
	return i, nil
}

// instance is one conversation with the server.
type instance struct {
	conn     *transport.HTTPClient
	stop     sync.Once
	stopping chan struct{}
	exit     chan runtime.Exit
	gone     chan struct{} // closed when watch has ended
}

var _ runtime.Instance = (*instance)(nil)

// Conn implements [runtime.Instance].
func (i *instance) Conn() transport.Conn { return i.conn }

// Wait implements [runtime.Instance].
func (i *instance) Wait() <-chan runtime.Exit { return i.exit }

// watch tells how the conversation ended. It ends with the conn, which Stop
// closes.
func (i *instance) watch() {
	defer close(i.gone)
	<-i.conn.Done()
	e := runtime.Exit{Reason: runtime.Disconnected, Code: -1, Err: i.conn.Err()}
	select {
	case <-i.stopping:
		e = runtime.Exit{Reason: runtime.Stopped, Code: -1}
	default:
	}
	i.exit <- e
	close(i.exit)
}

// Stop implements [runtime.Instance]. The session is ended within the bound of
// [transport.HTTPClient.Close], or when ctx ends.
func (i *instance) Stop(ctx context.Context) error {
	i.stop.Do(func() { close(i.stopping) })
	closed := make(chan error, 1)
	go func() { closed <- i.conn.Close() }() // bounded by Close itself
	select {
	case err := <-closed:
		<-i.gone
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
