package gateway

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// server is what the gateway knows of one configured server. It lives as long
// as its definition stays the same, over reloads.
type server struct {
	Server
	prefix     string // of names; see Prefix
	bare       bool   // its names carry no prefix
	definition string
	secrets    secrets.Provider

	calls   atomic.Int64
	removed atomic.Bool // by a reload

	mu      sync.Mutex
	only    transport.Era   // the one era it speaks, once that is known
	peer    *transport.Peer // of the newest handshake; nil before the first
	lastErr string
	known   map[knownKey]*knownLists
	lists   map[listHash]*list // every list in use, so that equal ones are one
}

// definitionOf tells when two launchers make the same thing.
func definitionOf(l runtime.Launcher) string {
	if d, ok := l.(interface{ Definition() string }); ok {
		return d.Definition()
	}
	return fmt.Sprintf("%T %p", l, l)
}

// sameAs reports whether the instances of s may serve for o.
func (s *server) sameAs(o *server) bool {
	a, b := s.Server, o.Server
	if s.definition != o.definition || s.prefix != o.prefix || s.bare != o.bare || !slices.Equal(a.Secrets, b.Secrets) {
		return false
	}
	a.Launcher, b.Launcher, a.Secrets, b.Secrets = nil, nil, nil, nil
	return a.Name == b.Name && a.Instance == b.Instance && a.Interactive == b.Interactive &&
		a.IdleTimeout == b.IdleTimeout && a.StartTimeout == b.StartTimeout && a.Eager == b.Eager && a.MaxInstances == b.MaxInstances && a.Warm == b.Warm && a.Probe == b.Probe
}

// setPeer notes what a handshake told. other says that the server did not
// speak the era that was tried first: the next handshake need not try it.
func (s *server) setPeer(p *transport.Peer, other bool) {
	s.mu.Lock()
	s.peer, s.lastErr = p, ""
	if other {
		s.only = p.Era
	}
	s.mu.Unlock()
}

// onlyEra returns the one era that the server is known to speak; 0 when it
// may speak both.
func (s *server) onlyEra() transport.Era {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.only
}

func (s *server) setError(text string) {
	s.mu.Lock()
	s.lastErr = text
	s.mu.Unlock()
}

// lastPeer returns what the newest handshake told; nil before the first.
func (s *server) lastPeer() *transport.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// snapshot is one configuration: immutable, swapped whole.
type snapshot struct {
	opts       *Options
	servers    []*server // in the order of the configuration
	byName     map[string]*server
	byPrefix   map[string]*server
	unprefixed *server

	chain    []interceptor.Interceptor
	own      bool                     // the host's interceptors are in it, who may ask clients and keep results
	handler  interceptor.Handler      // chain and terminal
	filters  []interceptor.ItemFilter // what lists pass
	hiders   []interceptor.ItemFilter // those whose decisions bind calls too
	learners []interceptor.Learner

	views   *viewCache
	listIDs *atomic.Uint64 // the gateway's
}

// newSnapshot builds the snapshot of valid options. Servers whose definition
// is unchanged are taken over from old, which may be nil.
func (g *Gateway) newSnapshot(o *Options, chain []interceptor.Interceptor, old *snapshot) *snapshot {
	s := &snapshot{
		opts:     o,
		byName:   make(map[string]*server, len(o.Servers)),
		byPrefix: make(map[string]*server, len(o.Servers)),
		chain:    chain,
		own:      len(o.Interceptors) > 0,
		views:    newViewCache(),
		listIDs:  &g.listIDs,
	}
	s.handler = interceptor.Wrap(terminal, s.chain...)
	s.filters = interceptor.Filters(s.chain...)
	for _, f := range s.filters {
		if interceptor.Hides(f) {
			s.hiders = append(s.hiders, f)
		}
	}
	s.learners = interceptor.Learners(s.chain...)
	for _, cfg := range o.Servers {
		srv := &server{
			Server:     cfg,
			prefix:     Prefix(cfg.Name),
			bare:       cfg.Name == o.Unprefixed,
			definition: definitionOf(cfg.Launcher),
			secrets:    declared{g, cfg.Secrets},
			known:      make(map[knownKey]*knownLists),
			lists:      make(map[listHash]*list),
		}
		if old != nil {
			if prev := old.byName[cfg.Name]; prev != nil && prev.sameAs(srv) {
				srv = prev
			}
		}
		s.servers = append(s.servers, srv)
		s.byName[cfg.Name] = srv
		s.byPrefix[srv.prefix] = srv
		if srv.bare {
			s.unprefixed = srv
		}
	}
	return s
}

// exposed returns the name that clients know a tool or prompt of srv by.
func (s *snapshot) exposed(srv *server, name string) string {
	if !srv.bare {
		return exposedName(srv.prefix, name)
	}
	if prefix, _, ok := splitName(name); ok {
		if other := s.byPrefix[prefix]; other != nil && other != srv {
			return exposedName(srv.prefix, name)
		}
	}
	return name
}

// byExposed finds the server that an exposed name belongs to by its prefix
// alone. rest is the server's own name unless that was folded or cut.
func (s *snapshot) byExposed(name string) (srv *server, rest string) {
	if prefix, rest, ok := splitName(name); ok {
		if srv := s.byPrefix[prefix]; srv != nil && (!srv.bare || s.exposed(srv, rest) == name) {
			return srv, rest
		}
	}
	if s.unprefixed != nil {
		return s.unprefixed, name
	}
	return nil, name
}

// backoff returns how long the n-th start in a row waits: the first restart
// comes at once.
func backoff(n int) time.Duration {
	if n <= 1 {
		return 0
	}
	return min(time.Second<<min(n-2, 10), time.Minute)
}
