package gateway

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many may work at once. Those who wait are let in fairly:
// one of each principal in turn, in the order they came.
type turns struct {
	mu      sync.Mutex
	free    int
	order   []string // principals that wait, the next first
	waiting map[string][]chan struct{}
}

func newTurns(n int) *turns { return &turns{free: n, waiting: make(map[string][]chan struct{})} }

// take waits for a turn.
func (t *turns) take(ctx context.Context, principal string) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	ch := make(chan struct{})
	if len(t.waiting[principal]) == 0 {
		t.order = append(t.order, principal)
	}
	t.waiting[principal] = append(t.waiting[principal], ch)
	t.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	q := t.waiting[principal]
	if i := slices.Index(q, ch); i >= 0 {
		t.set(principal, slices.Delete(q, i, i+1))
		t.mu.Unlock()
		return ctx.Err()
	}
	t.mu.Unlock()
	t.give() // the turn came as ctx ended
	return ctx.Err()
}

// give hands the turn on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	p := t.order[0]
	t.order = t.order[1:]
	q := t.waiting[p]
	close(q[0])
	if len(q) > 1 {
		t.order = append(t.order, p)
	}
	if len(q) == 1 {
		delete(t.waiting, p)
	} else {
		t.waiting[p] = q[1:]
	}
}

func (t *turns) set(p string, q []chan struct{}) {
	if len(q) > 0 {
		t.waiting[p] = q
		return
	}
	delete(t.waiting, p)
	if i := slices.Index(t.order, p); i >= 0 {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

// gate lets calls to one instance through: all at once, or, once exclusive,
// one at a time.
type gate struct {
	mu        sync.Mutex
	active    int
	exclusive bool
	waiting   []chan struct{}
}

func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if !g.exclusive || g.active == 0 {
		g.active++
		g.mu.Unlock()
		return nil
	}
	ch := make(chan struct{})
	g.waiting = append(g.waiting, ch)
	g.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.waiting, ch); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.mu.Unlock()
		return ctx.Err()
	}
	g.mu.Unlock()
	g.leave()
	return ctx.Err()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	if len(g.waiting) > 0 && g.active == 0 {
		g.active++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// close makes the gate let one in at a time from now on.
func (g *gate) close() {
	g.mu.Lock()
	g.exclusive = true
	g.mu.Unlock()
}
