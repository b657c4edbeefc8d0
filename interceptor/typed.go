package interceptor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

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
		v, err := view(c.Params, "params", m.name, m.params)
		if err != nil {
			return nil, err
		}
		if err := f(ctx, c, v.value); err != nil {
			return nil, err
		}
		if c.Params, err = v.over(c.Params); err != nil {
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
		v, err := view(res.Raw, "result", m.name, m.result)
		if err != nil {
			return nil, err
		}
		if err := f(ctx, c, v.value); err != nil {
			return nil, err
		}
		raw, err := v.over(res.Raw)
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
		in, err := view(c.Params, "params", m.name, m.params)
		if err != nil {
			return nil, err
		}
		var (
			res *Result
			out *typed[R]
		)
		got, err := f(ctx, c, in.value, func(ctx context.Context, p *P) (*R, error) {
			in.value = p
			params, err := in.over(c.Params)
			if err != nil {
				return nil, err
			}
			c.Params = params
			if res, err = next(ctx, c); err != nil || res == nil {
				return nil, err
			}
			if out, err = view(res.Raw, "result", m.name, m.result); err != nil {
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
		raw, err := out.over(res.Raw)
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

// typed is a typed view of raw JSON, with a copy of what it was at first.
type typed[T any] struct {
	value *T
	first reflect.Value
}

// view decodes raw. What cannot be decoded, or can be read in two ways, is an
// error that denies the call.
func view[T any](raw json.RawMessage, root, name string, decode func(json.RawMessage) (*T, error)) (*typed[T], error) {
	if raw == nil {
		raw = json.RawMessage("{}")
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
	return &typed[T]{v, clone(reflect.ValueOf(v).Elem())}, nil
}

// describe says what was wrong without repeating values.
func describe(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Sprintf("%s is a %s where the protocol has a %s", t.Field, t.Value, t.Type.Kind())
	}
	return "it is not what the protocol says"
}

// over lays what was edited in the view over raw.
func (t *typed[T]) over(raw json.RawMessage) (json.RawMessage, error) {
	if t.value == nil {
		return raw, nil
	}
	now := reflect.ValueOf(t.value).Elem()
	if reflect.DeepEqual(now.Interface(), t.first.Interface()) {
		return raw, nil
	}
	before, err := encode(t.first.Addr().Interface())
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

// clone returns an addressable deep copy of v, of exported fields.
func clone(v reflect.Value) reflect.Value {
	n := reflect.New(v.Type()).Elem()
	if v.Kind() == reflect.Interface && v.NumMethod() == 0 && !v.IsNil() {
		if c, ok := cloneJSON(v.Interface()); ok {
			n.Set(reflect.ValueOf(c))
			return n
		}
	}
	n.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n.Set(clone(v.Elem()).Addr())
		}
	case reflect.Interface:
		if !v.IsNil() {
			n.Set(clone(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n.Field(i).Set(clone(v.Field(i)))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			n.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			if v.Type().Elem().Kind() == reflect.Uint8 {
				reflect.Copy(n, v)
				break
			}
			for i := range v.Len() {
				n.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			n.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				n.SetMapIndex(it.Key(), clone(it.Value()))
			}
		}
	}
	return n
}

// cloneJSON is clone for what a decoder makes of JSON; false for other types.
func cloneJSON(v any) (any, bool) {
	switch v := v.(type) {
	case string, float64, bool, json.Number:
		return v, true
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			c, ok := cloneJSON(e)
			if !ok && e != nil {
				return nil, false
			}
			m[k] = c
		}
		return m, v != nil
	case []any:
		a := make([]any, len(v))
		for i, e := range v {
			c, ok := cloneJSON(e)
			if !ok && e != nil {
				return nil, false
			}
			a[i] = c
		}
		return a, v != nil
	}
	return nil, false
}
