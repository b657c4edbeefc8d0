package secrets

import (
	"context"
	"sync"
	"time"
)

// CacheOptions changes how [NewCache] keeps secrets.
type CacheOptions struct {
	// TTL is how long a secret is kept at most [1 minute]. One that ends
	// sooner by itself ([Secret.Expires]) is kept until then.
	TTL time.Duration

	// Timeout bounds one question to the provider, however many wait for
	// its answer [30 seconds].
	Timeout time.Duration
}

// Cache keeps what a provider resolved for a while, and asks it once for all
// who want the same secret at the same time. Errors are not kept, and a secret
// that has ended is never given. It is safe for concurrent use.
type Cache struct {
	p Provider
	o CacheOptions

	mu      sync.Mutex
	entries map[Ref]*entry
}

var _ Provider = (*Cache)(nil)

// entry is one secret, or the question for it that is on its way.
type entry struct {
	done  chan struct{} // closed when s and err are set
	s     Secret
	err   error
	until time.Time
}

// NewCache puts a cache before p.
func NewCache(p Provider, o *CacheOptions) *Cache {
	c := &Cache{p: p, entries: make(map[Ref]*entry)}
	if o != nil {
		c.o = *o
	}
	if c.o.TTL <= 0 {
		c.o.TTL = time.Minute
	}
	if c.o.Timeout <= 0 {
		c.o.Timeout = 30 * time.Second
	}
	return c
}

// Resolve implements [Provider]. The question to the provider outlives a
// caller that gives up, for the others who wait.
func (c *Cache) Resolve(ctx context.Context, ref Ref) (Secret, error) {
	c.mu.Lock()
	e := c.entries[ref]
	if e == nil || e.over() {
		e = &entry{done: make(chan struct{})}
		c.entries[ref] = e
		go c.ask(context.WithoutCancel(ctx), ref, e)
	}
	c.mu.Unlock()
	select {
	case <-e.done:
		return e.s, e.err
	case <-ctx.Done():
		return Secret{}, ctx.Err()
	}
}

// over reports whether the entry was answered and is not to be used any more.
func (e *entry) over() bool {
	select {
	case <-e.done:
		return !time.Now().Before(e.until)
	default:
		return false
	}
}

// ask puts the question to the provider; it ends at the latest with the
// timeout, if the provider heeds its context.
func (c *Cache) ask(ctx context.Context, ref Ref, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	e.s, e.err = c.p.Resolve(ctx, ref)
	e.until = time.Now().Add(c.o.TTL)
	if t := e.s.Expires(); !t.IsZero() && t.Before(e.until) {
		e.until = t
	}
	close(e.done)
	if e.err != nil {
		c.drop(ref, e)
	}
}

func (c *Cache) drop(ref Ref, e *entry) {
	c.mu.Lock()
	if c.entries[ref] == e {
		delete(c.entries, ref)
	}
	c.mu.Unlock()
}

// Forget drops a secret, so that the next question goes to the provider: for
// when a server refused it.
func (c *Cache) Forget(ref Ref) {
	c.mu.Lock()
	delete(c.entries, ref)
	c.mu.Unlock()
}

// Unwrap returns the provider behind the cache.
func (c *Cache) Unwrap() Provider { return c.p }
