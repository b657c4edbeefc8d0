package interceptor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Before runs f before the call goes on, with a typed view of its params.
// What f changes in them is changed in the message, leaf by leaf; an error of
// f denies the call.
func Before[P, R any](m Method[P, R], f func(context.Context, *Call, *P) error) Interceptor {
	return Func(func(ctx context.Context, c *Call, next Handler) (*Result, error) {
		if !m.is(c) {
			return next(ctx, c)
		}
		v, err := view(c, c.Params, "params", m.name, m.params)
		if err != nil {
			return nil, err
		}
		if err := f(ctx, c, v.value); err != nil {
			return nil, err
		}
		if c.Params, err = v.over(c, c.Params); err != nil {
			return nil, err
		}
		return next(ctx, c)
	})
}

// After runs f on the result when the call succeeded, with a typed view of
// it. What f changes is changed in the message, leaf by leaf; an error of f
// takes the place of the result. A notification has no result, and f is not
// run.
func After[P, R any](m Method[P, R], f func(context.Context, *Call, *R) error) Interceptor {
	return Func(func(ctx context.Context, c *Call, next Handler) (*Result, error) {
		res, err := next(ctx, c)
		if err != nil || res == nil || !m.is(c) {
			return res, err
		}
		v, err := view(c, res.Raw, "result", m.name, m.result)
		if err != nil {
			return nil, err
		}
		if err := f(ctx, c, v.value); err != nil {
			return nil, err
		}
		raw, err := v.over(c, res.Raw)
		if err != nil {
			return nil, err
		}
		return res.with(raw), nil
	})
}

// Around runs f in place of the call. f may call next with params, once, and
// returns the result: that of next, changed or not, or one of its own. The
// params that f passes to next, and the result that it returns, are laid over
// the originals leaf by leaf. The result of a notification is nil.
func Around[P, R any](m Method[P, R], f func(context.Context, *Call, *P, func(context.Context, *P) (*R, error)) (*R, error)) Interceptor {
	return Func(func(ctx context.Context, c *Call, next Handler) (*Result, error) {
		if !m.is(c) {
			return next(ctx, c)
		}
		in, err := view(c, c.Params, "params", m.name, m.params)
		if err != nil {
			return nil, err
		}
		var (
			res *Result
			out *typed[R]
		)
		got, err := f(ctx, c, in.value, func(ctx context.Context, p *P) (*R, error) {
			in.value = p
			params, err := in.over(c, c.Params)
			if err != nil {
				return nil, err
			}
			c.Params = params
			if res, err = next(ctx, c); err != nil || res == nil {
				return nil, err
			}
			if out, err = view(c, res.Raw, "result", m.name, m.result); err != nil {
				return nil, err
			}
			return out.value, nil
		})
		switch {
		case err != nil:
			return nil, err
		case got == nil:
			return nil, nil // a notification, or an error of f that the gateway reports
		case out == nil: // an answer of f's own
			raw, err := encode(got)
			if err != nil {
				return nil, fmt.Errorf("encoding the result of %s: %w", m.name, err)
			}
			return &Result{Raw: raw}, nil
		}
		out.value = got
		raw, err := out.over(c, res.Raw)
		if err != nil {
			return nil, err
		}
		return res.with(raw), nil
	})
}

// with returns the result with other bytes.
func (r *Result) with(raw json.RawMessage) *Result {
	if len(raw) == len(r.Raw) && (len(raw) == 0 || &raw[0] == &r.Raw[0]) {
		return r
	}
	n := *r
	n.Raw = raw
	return &n
}

// typed is a typed view of raw JSON.
type typed[T any] struct {
	value  *T
	raw    json.RawMessage
	decode func(json.RawMessage) (*T, error)
}

// clean is a view that nobody has seen: the next interceptor that looks at
// the same bytes takes it.
type clean struct {
	raw   json.RawMessage
	value any
	taken atomic.Bool // copies of a Call share it
}

// of returns the view of raw that was left by the interceptor before.
func (c *clean) of(raw json.RawMessage) any {
	if c == nil || len(raw) == 0 || len(raw) != len(c.raw) || &raw[0] != &c.raw[0] || !c.taken.CompareAndSwap(false, true) {
		return nil
	}
	return c.value
}

// view decodes raw. What cannot be decoded, or can be read in two ways, is an
// error that denies the call.
func view[T any](c *Call, raw json.RawMessage, root, name string, decode func(json.RawMessage) (*T, error)) (*typed[T], error) {
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	if v, ok := c.clean.of(raw).(*T); ok {
		return &typed[T]{v, raw, decode}, nil
	}
	if err := rawjson.CheckFold(raw, root, maxDepth); err != nil {
		return nil, &Denial{Reason: fmt.Sprintf("an interceptor cannot read %s of %s: %v", root, name, err)}
	}
	v, err := decode(raw)
	if err != nil {
		code := transport.CodeInvalidParams
		if root == "result" {
			code = transport.CodeInternal
		}
		return nil, transport.Errorf(code, "an interceptor cannot read %s of %s: %s", root, name, describe(err))
	}
	return &typed[T]{v, raw, decode}, nil
}

// describe says what was wrong without repeating values.
func describe(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Sprintf("%s is a %s where the protocol has a %s", t.Field, t.Value, t.Type.Kind())
	}
	return "it is not what the protocol says"
}

// over lays what was edited in the view over raw. What was edited is found by
// decoding the bytes of the view once more, which costs less than a deep copy
// of every view.
func (t *typed[T]) over(c *Call, raw json.RawMessage) (json.RawMessage, error) {
	if t.value == nil {
		return raw, nil
	}
	first, err := t.decode(t.raw)
	if err != nil {
		return nil, fmt.Errorf("decoding the original once more: %w", err)
	}
	if equal(reflect.ValueOf(t.value).Elem(), reflect.ValueOf(first).Elem(), 0) {
		c.clean = &clean{raw: t.raw, value: first}
		return raw, nil
	}
	before, err := encode(first)
	if err != nil {
		return nil, fmt.Errorf("encoding the original: %w", err)
	}
	after, err := encode(t.value)
	if err != nil {
		return nil, fmt.Errorf("encoding what an interceptor changed: %w", err)
	}
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	return overlay(raw, before, after), nil
}
