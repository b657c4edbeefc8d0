package interceptor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Outcome says what an interceptor under [Monitor] would have done.
type Outcome string

// The outcomes. What passes unchanged is not reported.
const (
	Denied   Outcome = "denied"   // by a Denial or another error
	Failed   Outcome = "failed"   // by a panic
	Answered Outcome = "answered" // without calling next
	Changed  Outcome = "changed"  // the params or the result
	Asked    Outcome = "asked"    // the client; the question was not sent
	Hidden   Outcome = "hidden"   // an item of a list
	Skipped  Outcome = "skipped"  // not run: too many calls were being watched
)

// Decision is a report of [Monitor].
type Decision struct {
	Outcome Outcome
	Call    *Call           // a copy as the interceptor left it; it has no host
	Err     error           // the error of Denied and Failed
	Params  json.RawMessage // of Changed, when it would have changed them; the question's of Asked
	Result  *Result         // of Answered and Changed
	Item    *Item           // of Hidden, and of a Changed item
}

// Bounds of Monitor.
const (
	maxWatched   = 1_024            // calls that one monitor watches at once
	watchedGrace = 30 * time.Second // what an interceptor may take after the real result
)

// Monitor lets every call pass as if i were not there, and reports what i
// would have done with it.
//
// i gets a copy of the call, in a goroutine of its own, and a next that waits
// for the real result; the original goes on at once, exactly once and with
// its original params. What i asks of the client is not sent: it gets
// [ErrCannotAsk]. What it stores in the session is apart from what others
// store. report is called from any goroutine and must not block; it may be
// nil. An item filter inside hides nothing.
func Monitor(i Interceptor, report func(context.Context, Decision)) Interceptor {
	if report == nil {
		report = func(context.Context, Decision) {}
	}
	return &monitor{i: i, report: report, room: make(chan struct{}, maxWatched)}
}

type monitor struct {
	i      Interceptor
	report func(context.Context, Decision)
	room   chan struct{}
	wg     sync.WaitGroup
}

var (
	_ Interceptor = (*monitor)(nil)
	_ Wrapper     = (*monitor)(nil)
	_ Waiter      = (*monitor)(nil)
)

// Unwrap implements [Wrapper].
func (m *monitor) Unwrap() []Interceptor { return []Interceptor{m.i} }

// Wait implements [Waiter].
func (m *monitor) Wait(ctx context.Context) error { return await(ctx, &m.wg) }

// Intercept implements [Interceptor].
func (m *monitor) Intercept(ctx context.Context, c *Call, next Handler) (*Result, error) {
	select {
	case m.room <- struct{}{}:
	default:
		m.report(ctx, Decision{Outcome: Skipped, Call: c.copied()})
		return next(ctx, c)
	}
	w := &watched{m: m, real: make(chan struct{})}
	copied := c.copied()
	copied.host = &monitorHost{w, c.host}
	m.wg.Go(func() {
		defer func() { <-m.room }()
		w.run(context.WithoutCancel(ctx), copied)
	})
	defer close(w.real)
	w.err = errors.New("the call ended without a result") // should next panic
	res, err := next(ctx, c)
	w.res, w.err = res, err
	return res, err
}

// copied returns a copy of c without its host.
func (c *Call) copied() *Call {
	n := *c
	n.host, n.fault = nil, nil
	return &n
}

// watched is a call that a monitored interceptor looks at.
type watched struct {
	m    *monitor
	real chan struct{} // closed when res and err are the real ones
	res  *Result
	err  error
}

func (w *watched) run(ctx context.Context, c *Call) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	w.m.wg.Go(func() { // bounds what comes after the real result
		select {
		case <-w.real:
		case <-over:
			return
		}
		t := time.AfterFunc(watchedGrace, cancel)
		<-over
		t.Stop()
	})
	before := c.Params
	passed := false
	res, err := run(ctx, w.m.i, c, func(ctx context.Context, c *Call) (*Result, error) {
		passed = true
		if !bytes.Equal(before, c.Params) {
			w.say(ctx, Decision{Outcome: Changed, Call: c, Params: c.Params})
		}
		select {
		case <-w.real:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if w.res == nil || w.err != nil {
			return nil, w.err
		}
		r := *w.res
		return &r, w.err
	})
	var p *PanicError
	switch {
	case errors.As(err, &p):
		w.say(ctx, Decision{Outcome: Failed, Call: c, Err: err})
	case err != nil && !(passed && w.same(err)):
		w.say(ctx, Decision{Outcome: Denied, Call: c, Err: err})
	case err != nil:
	case !passed:
		w.say(ctx, Decision{Outcome: Answered, Call: c, Result: res})
	case w.changed(res):
		w.say(ctx, Decision{Outcome: Changed, Call: c, Result: res})
	}
}

// same reports whether err is the real one, which is known once next returned.
func (w *watched) same(err error) bool {
	select {
	case <-w.real:
		return w.err != nil && errors.Is(err, w.err)
	default:
		return false
	}
}

func (w *watched) changed(res *Result) bool {
	select {
	case <-w.real:
	default:
		return true
	}
	if res == nil || w.res == nil {
		return (res == nil) != (w.res == nil)
	}
	return !bytes.Equal(res.Raw, w.res.Raw)
}

func (w *watched) say(ctx context.Context, d Decision) {
	d.Call = d.Call.copied()
	w.m.report(ctx, d)
}

// monitorHost keeps what a monitored interceptor does from the client and
// from the session.
type monitorHost struct {
	w    *watched
	real Host
}

// Session implements [Host].
func (h *monitorHost) Session() Session {
	if h.real == nil {
		h.real = &memoryHost{}
	}
	return monitorSession{h.real.Session(), fmt.Sprintf("monitor %T ", h.w.m.i)}
}

// Ask implements [Host].
func (h *monitorHost) Ask(ctx context.Context, c *Call, method string, params json.RawMessage) (json.RawMessage, error) {
	asked := c.copied()
	asked.Method = method
	h.w.m.report(ctx, Decision{Outcome: Asked, Call: asked, Params: params})
	return nil, ErrCannotAsk
}

// monitorSession is a session of which others see nothing.
type monitorSession struct {
	Session
	prefix string
}

func (s monitorSession) LoadOrStore(ctx context.Context, key, value string) (string, bool, error) {
	return s.Session.LoadOrStore(ctx, s.prefix+key, value)
}

func (s monitorSession) Load(ctx context.Context, key string) (string, bool, error) {
	return s.Session.Load(ctx, s.prefix+key)
}

func (s monitorSession) Store(ctx context.Context, key, value string) error {
	return s.Session.Store(ctx, s.prefix+key, value)
}

// monitorFilter is a filter inside Monitor.
type monitorFilter struct {
	m *monitor
	f ItemFilter
}

// View implements [ItemFilter].
func (m *monitorFilter) View(c *Call) string { return m.f.View(c) }

// Generation implements [Generations].
func (m *monitorFilter) Generation() uint64 { return generation(m.f) }

// ListOnly implements [ListOnly].
func (m *monitorFilter) ListOnly() bool { return !Hides(m.f) }

// Item implements [ItemFilter].
func (m *monitorFilter) Item(ctx context.Context, c *Call, i *Item) error {
	seen := *i
	call := c.copied()
	err := m.f.Item(ctx, call, &seen)
	switch {
	case err != nil:
		m.m.report(ctx, Decision{Outcome: Denied, Call: call, Err: err, Item: &seen})
	case seen.dropped && !i.dropped:
		m.m.report(ctx, Decision{Outcome: Hidden, Call: call, Item: &seen})
	case !bytes.Equal(seen.Raw, i.Raw):
		m.m.report(ctx, Decision{Outcome: Changed, Call: call, Item: &seen})
	}
	return nil
}
