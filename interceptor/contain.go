package interceptor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Bounds limits what the failure of an interceptor may do. The zero value
// changes nothing: no limit of time, and a failure denies the call.
type Bounds struct {
	// Timeout is how long the interceptor may take by itself, without the
	// time that the rest of the chain takes; 0: as long as it likes. One
	// that does not heed its context is left behind, and its goroutine runs
	// until it does.
	Timeout time.Duration

	// FailOpen lets the call pass when the interceptor fails: by a panic, by
	// its timeout, or by an error that is no decision ([*Denial],
	// [*transport.RPCError], [*transport.Error]) and did not come from the
	// rest of the chain.
	FailOpen bool

	// Report is told of every failure. It must not block.
	Report func(ctx context.Context, c *Call, err error)
}

// Contain runs an interceptor within bounds.
func Contain(i Interceptor, b Bounds) Interceptor { return &bounded{i: i, b: b} }

type bounded struct {
	i  Interceptor
	b  Bounds
	wg sync.WaitGroup
}

var (
	_ Interceptor = (*bounded)(nil)
	_ Wrapper     = (*bounded)(nil)
	_ Waiter      = (*bounded)(nil)
)

// Unwrap implements [Wrapper].
func (b *bounded) Unwrap() []Interceptor { return []Interceptor{b.i} }

// Wait implements [Waiter].
func (b *bounded) Wait(ctx context.Context) error { return await(ctx, &b.wg) }

// await waits for a group, or for the end of ctx.
func await(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { // ends with the group
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interceptors still run: %w", ctx.Err())
	}
}

// passage is what became of next.
type passage struct {
	called bool
	res    *Result
	err    error
}

// Intercept implements [Interceptor].
func (b *bounded) Intercept(ctx context.Context, c *Call, next Handler) (*Result, error) {
	var p passage
	own := *c // as it was, for a call that passes an interceptor that failed
	pass := func(ctx context.Context, c *Call) (*Result, error) {
		p.called = true
		p.res, p.err = next(ctx, c)
		return p.res, p.err
	}
	var res *Result
	var err error
	if b.b.Timeout > 0 {
		res, err = b.timed(ctx, c, pass)
	} else {
		res, err = run(ctx, b.i, c, pass)
	}
	if err == nil || p.called && errors.Is(err, p.err) || decision(err) {
		return res, err
	}
	if b.b.Report != nil {
		b.b.Report(ctx, c, err)
	}
	switch {
	case !b.b.FailOpen || ctx.Err() != nil:
		return nil, err
	case p.called:
		return p.res, p.err
	}
	*c = own
	return next(ctx, c)
}

// decision reports whether an error is what an interceptor decided, and no
// failure of it.
func decision(err error) bool {
	var (
		p *PanicError
		d *Denial
		r *transport.RPCError
		t *transport.Error
	)
	switch {
	case errors.As(err, &p), errors.Is(err, errTimeout):
		return false
	case errors.As(err, &d), errors.As(err, &r), errors.As(err, &t):
		return true
	}
	return errors.Is(err, ErrDeferred)
}

var errTimeout = transport.Errorf(transport.CodeTimeout, "an interceptor did not decide in time")

// onward is a call of next by an interceptor that runs in a goroutine of its
// own.
type onward struct {
	ctx  context.Context
	call *Call
	done chan passage
}

// timed runs the interceptor in a goroutine of its own, and the rest of the
// chain in that of the caller.
func (b *bounded) timed(ctx context.Context, c *Call, next Handler) (*Result, error) {
	ictx, cancel := context.WithCancel(ctx)
	defer cancel()
	own := *c // the goroutine's, which may outlive this call
	on := make(chan onward)
	end := make(chan passage, 1)
	b.wg.Go(func() {
		res, err := run(ictx, b.i, &own, func(ctx context.Context, c *Call) (*Result, error) {
			o := onward{ctx, c, make(chan passage, 1)}
			select {
			case on <- o:
			case <-ictx.Done():
				return nil, context.Cause(ictx)
			}
			p := <-o.done // the caller always answers
			return p.res, p.err
		})
		end <- passage{res: res, err: err}
	})
	left := b.b.Timeout
	for {
		began := time.Now()
		t := time.NewTimer(left)
		select {
		case p := <-end:
			t.Stop()
			*c = own
			return p.res, p.err
		case o := <-on:
			t.Stop()
			left = max(left-time.Since(began), time.Millisecond)
			*c = *o.call
			res, err := next(o.ctx, c)
			*o.call = *c
			o.done <- passage{res: res, err: err}
		case <-t.C:
			return nil, fmt.Errorf("%T took longer than %s: %w", b.i, b.b.Timeout, errTimeout)
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		}
	}
}
