package interceptor

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Wrap puts interceptors around h; the first listed is the outermost. A
// panic in one of them or in h ends the call with a [*PanicError]; a call
// that [Call.Arg] found to be ambiguous ends with a [*Denial] whatever the
// interceptor makes of it. Without interceptors Wrap returns h.
func Wrap(h Handler, is ...Interceptor) Handler {
	if len(is) == 0 {
		return h
	}
	next := last(h)
	for n := len(is) - 1; n >= 0; n-- {
		next = layer(is[n], next)
	}
	return next
}

// layer is one interceptor of a chain.
func layer(i Interceptor, next Handler) Handler {
	return func(ctx context.Context, c *Call) (*Result, error) {
		if c.fault != nil {
			return nil, c.fault
		}
		return run(ctx, i, c, next)
	}
}

// run calls an interceptor and contains its panic.
func run(ctx context.Context, i Interceptor, c *Call, next Handler) (res *Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, &PanicError{Value: p, Stack: debug.Stack(), where: fmt.Sprintf("%T", i)}
		}
	}()
	res, err = i.Intercept(ctx, c, next)
	if c.fault != nil {
		return nil, c.fault
	}
	return res, err
}

// last is the end of a chain.
func last(h Handler) Handler {
	return func(ctx context.Context, c *Call) (res *Result, err error) {
		if c.fault != nil {
			return nil, c.fault
		}
		defer func() {
			if p := recover(); p != nil {
				res, err = nil, &PanicError{Value: p, Stack: debug.Stack(), where: "the handler"}
			}
		}()
		return h(ctx, c)
	}
}

// PanicError is what a panic in a chain becomes. A peer sees no more of it
// than that something failed; Value and Stack are for the log.
type PanicError struct {
	Value any
	Stack []byte

	where string
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %v", e.where, e.Value) }

// As makes the error one that peers may see: a fixed text.
func (e *PanicError) As(target any) bool {
	if t, ok := target.(**transport.RPCError); ok {
		*t = transport.Errorf(transport.CodeInternal, "internal error: an interceptor failed")
		return true
	}
	return false
}

// Wrapper is the optional interface of an interceptor that holds others.
type Wrapper interface {
	// Unwrap returns the interceptors inside, the outermost first.
	Unwrap() []Interceptor
}

// Waiter is the optional interface of an interceptor that has goroutines of
// its own, such as those of [Monitor] and [Contain].
type Waiter interface {
	// Wait returns when no goroutine of the interceptor runs any more, or
	// when ctx ends, with its error. No call is in the interceptor then.
	Wait(ctx context.Context) error
}

// Wait waits for the goroutines of every [Waiter] among the interceptors and
// those that they wrap. The gateway calls it when it closes.
func Wait(ctx context.Context, is ...Interceptor) error {
	for _, i := range is {
		if w, ok := i.(Waiter); ok {
			if err := w.Wait(ctx); err != nil {
				return err
			}
		}
		if w, ok := i.(Wrapper); ok {
			if err := Wait(ctx, w.Unwrap()...); err != nil {
				return err
			}
		}
	}
	return nil
}
