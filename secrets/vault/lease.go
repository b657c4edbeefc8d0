package vault

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// span is the life of a token or of a lease.
type span struct {
	since time.Time // when it began

	mu        sync.Mutex
	ends      time.Time // zero: never
	ttl       time.Duration
	renewable bool
}

// begin sets how long it lives from now on; 0 is for ever.
func (s *span) begin(ttl time.Duration, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.ttl, s.renewable = time.Now(), ttl, renewable && ttl > 0
	if ttl > 0 {
		s.ends = s.since.Add(ttl)
	}
}

// end returns when it ends; the zero time: never.
func (s *span) end() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends
}

// over reports whether it has ended.
func (s *span) over() bool {
	t := s.end()
	return !t.IsZero() && !time.Now().Before(t)
}

// fresh reports whether it is worth being handed out: more than a tenth of
// its time is left.
func (s *span) fresh() bool {
	t := s.end()
	return t.IsZero() || time.Until(t) > s.ttl/10
}

// extend sets a new end from a renewal, and reports whether it is later than
// the old one: what cannot live longer is not.
func (s *span) extend(ttl time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.ends
	s.ends = time.Now().Add(ttl)
	return s.ends.Sub(old) > time.Second
}

// keep renews something in the background until it cannot live longer or the
// client is closed.
func (c *Client) keep(s *span, what string, renew func(ctx context.Context) (time.Duration, error)) {
	if s.renewable {
		c.spawn(func() { c.renewals(s, what, renew) })
	}
}

func (c *Client) renewals(s *span, what string, renew func(ctx context.Context) (time.Duration, error)) {
	ctx := c.alive
	wait := time.Until(s.end()) * 2 / 3
	for {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		if s.over() {
			return
		}
		ttl, err := renew(ctx)
		left := time.Until(s.end())
		switch code := status(err); {
		case err == nil && !s.extend(ttl):
			return // it is at the end of what it may live
		case err == nil:
			wait = ttl * 2 / 3
		case ctx.Err() != nil:
			return
		case code == http.StatusForbidden || code == http.StatusBadRequest || code == http.StatusNotFound:
			c.warn("it was revoked, or cannot be renewed", what, err)
			s.extend(0)
			return
		case left <= 0:
			c.warn("it has ended without a renewal", what, err)
			return
		default:
			c.warn("it was not renewed yet", what, err)
			wait = max(left/5, min(time.Second, left))
		}
	}
}

func (c *Client) warn(msg, what string, err error) {
	if c.o.Logger != nil {
		c.o.Logger.Warn(what+" of Vault: "+msg, "address", c.base.Host, "error", err)
	}
}

// lease is what one reading of a path gave, with the token that it dies with.
type lease struct {
	span
	id    string
	data  map[string]any
	token *token
}

// end returns when it ends.
func (l *lease) end() time.Time {
	own, token := l.span.end(), l.token.end()
	if own.IsZero() || !token.IsZero() && token.Before(own) {
		return token
	}
	return own
}

func (l *lease) fresh() bool { return l.span.fresh() && l.token.fresh() }
func (l *lease) over() bool  { return l.span.over() || l.token.over() }

// slot holds the lease of a path that is handed out.
type slot struct {
	turn  chan struct{} // holds a token while somebody reads
	lease *lease
}

// borrow returns the credentials of a path, new ones if there are none that
// live on.
func (c *Client) borrow(ctx context.Context, p place) (map[string]any, time.Time, error) {
	c.mu.Lock()
	s := c.slots[p.path]
	if s == nil {
		s = &slot{turn: make(chan struct{}, 1)}
		c.slots[p.path] = s
	}
	c.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, time.Time{}, fmt.Errorf("asking Vault at %s for %s: %w", c.base.Host, p.path, context.Cause(ctx))
	}
	if s.lease != nil && s.lease.fresh() {
		return s.lease.data, s.lease.end(), nil
	}
	a, t, err := c.doAs(ctx, http.MethodGet, p.escaped, nil, nil)
	if _, ok := absent(err); ok {
		return nil, time.Time{}, c.missing(p, "there is nothing at this path: make the role, or correct the reference")
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	data, err := c.fields(p, a.Data)
	if err != nil || a.LeaseID == "" { // nothing that ends
		return data, time.Time{}, err
	}
	c.mu.Lock()
	l := &lease{id: a.LeaseID, data: data, token: t}
	l.begin(seconds(a.LeaseDuration), a.Renewable)
	for id, old := range c.held {
		if old.over() {
			delete(c.held, id)
		}
	}
	c.held[l.id] = l
	c.mu.Unlock()
	s.lease = l
	c.keep(&l.span, "the lease of "+p.path, func(ctx context.Context) (time.Duration, error) {
		a, err := c.do(ctx, http.MethodPut, "sys/leases/renew", nil, map[string]any{"lease_id": l.id, "increment": int64(l.ttl / time.Second)})
		if err != nil {
			return 0, err
		}
		return seconds(a.LeaseDuration), nil
	})
	return l.data, l.end(), nil
}
