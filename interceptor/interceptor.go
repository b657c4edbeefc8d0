package interceptor

import (
	"context"
	"errors"
)

// Handler handles one call: the rest of the chain and, at its end, the
// server. A JSON-RPC error of the server comes back as a
// [*transport.RPCError]. The result of a notification is nil.
type Handler func(ctx context.Context, c *Call) (*Result, error)

// Interceptor is the one extension point of the library. It sees every
// request and notification in both directions.
//
// Intercept may pass the call on (return next(ctx, c)), change it first,
// change the result, answer without calling next, or deny (see [Denyf]). It
// is safe for concurrent use, calls next at most once, in the goroutine that
// called it, and never keeps the Call after it returned. A panic is contained
// by the gateway and ends the call with an error: fail closed.
type Interceptor interface {
	Intercept(ctx context.Context, c *Call, next Handler) (*Result, error)
}

// Func makes an [Interceptor] of a function.
type Func func(ctx context.Context, c *Call, next Handler) (*Result, error)

// Intercept implements [Interceptor].
func (f Func) Intercept(ctx context.Context, c *Call, next Handler) (*Result, error) {
	return f(ctx, c, next)
}

var _ Interceptor = Func(nil)

// ErrCannotAsk is what [Call.Ask] returns when the client cannot be asked.
var ErrCannotAsk = errors.New("the client cannot be asked")

// ErrDeferred is what next returns for a server's request that left inside
// an input_required result between a modern server and a modern client: its
// answer will come with the client's retry, when the same request passes the
// chain again and next returns the answer. An interceptor that gets it
// returns it.
var ErrDeferred = errors.New("the answer comes with the client's retry")
