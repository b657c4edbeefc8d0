package catalog

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// CacheOptions are the options of [Cache]. The zero value has the defaults, in
// brackets.
type CacheOptions struct {
	// For is how long a list counts as fresh [5 minutes].
	For time.Duration

	// Stale is how old a list may get that is used because the source is
	// away [1 hour]; after that the source's error is the answer. Negative:
	// never.
	Stale time.Duration

	// Now is the clock [time.Now].
	Now func() time.Time
}

// Cached is a Catalog that remembers the list of another one. It is safe for
// concurrent use: one caller refreshes, the others wait for it or for the end
// of their context.
type Cached struct {
	source Lister
	o      CacheOptions
	turn   chan struct{} // holds one token: whoever has it refreshes

	mu      sync.Mutex
	servers []*Server
	byName  map[string]*Server
	read    time.Time // zero: nothing was read yet
	tried   time.Time
	err     error // of the last refresh
}

var _ Catalog = (*Cached)(nil)

// Cache remembers what source lists.
func Cache(source Lister, o *CacheOptions) *Cached {
	c := &Cached{source: source, turn: make(chan struct{}, 1)}
	if o != nil {
		c.o = *o
	}
	c.o.For = cmp.Or(c.o.For, 5*time.Minute)
	c.o.Stale = cmp.Or(c.o.Stale, time.Hour)
	if c.o.Now == nil {
		c.o.Now = time.Now
	}
	return c
}

// Resolve implements [Catalog].
func (c *Cached) Resolve(ctx context.Context, name string) (*Server, error) {
	servers, byName, err := c.get(ctx)
	if err != nil {
		return nil, err
	}
	if s, ok := byName[name]; ok {
		return s, nil
	}
	return nil, notFound(name, servers)
}

// List implements [Catalog].
func (c *Cached) List(ctx context.Context) ([]*Server, error) {
	servers, _, err := c.get(ctx)
	return slices.Clone(servers), err
}

// State returns when the list was read, and the error of the last attempt to
// read it anew: a list with an error is a stale one.
func (c *Cached) State() (read time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read, c.err
}

// Forget makes the next call ask the source, whatever is remembered.
func (c *Cached) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers, c.byName, c.read, c.tried, c.err = nil, nil, time.Time{}, time.Time{}, nil
}

func (c *Cached) get(ctx context.Context) ([]*Server, map[string]*Server, error) {
	if servers, byName, ok := c.remembered(); ok {
		return servers, byName, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if servers, byName, ok := c.remembered(); ok { // another caller was faster
		return servers, byName, nil
	}
	servers, err := c.source.List(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.servers, c.byName = merge(servers)
		c.read, c.tried, c.err = c.o.Now(), c.o.Now(), nil
		return c.servers, c.byName, nil
	}
	if ctx.Err() == nil { // the source's fault, not the caller's
		c.tried, c.err = c.o.Now(), err
	}
	if !c.read.IsZero() && c.o.Now().Sub(c.read) <= c.o.Stale {
		return c.servers, c.byName, nil
	}
	return nil, nil, err
}

// remembered returns the list while it is fresh, or while it may be stale and
// the source failed a moment ago.
func (c *Cached) remembered() ([]*Server, map[string]*Server, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	switch {
	case c.read.IsZero():
		return nil, nil, false
	case now.Sub(c.read) < c.o.For:
	case c.err != nil && now.Sub(c.read) <= c.o.Stale && now.Sub(c.tried) < c.o.For/10:
	default:
		return nil, nil, false
	}
	return c.servers, c.byName, true
}
