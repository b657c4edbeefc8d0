package interceptor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Arg returns an argument of a tool call or prompt: the value at path below
// params.arguments, a key or, in an array, an index for each step.
//
//	c.Arg("query").String()
//	c.Arg("files", "0", "path").String()
//
// It is exact: keys match byte for byte, numbers keep their digits. Where an
// object on the way holds two keys that differ only in case, or spells the
// wanted key in another case, readers disagree about what it says: Arg then
// denies the call, whatever the interceptor goes on to do, and returns a
// Value that does not exist.
func (c *Call) Arg(path ...string) Value {
	v, ok := rawjson.Get(c.Params, "arguments")
	if !ok {
		return Value{}
	}
	for i, key := range path {
		switch rawjson.KindOf(v) {
		case rawjson.Object:
			next, ok, ambiguous := rawjson.Lookup(v, key)
			if ambiguous {
				c.ambiguous(path[:i+1])
				return Value{}
			}
			if !ok {
				return Value{}
			}
			v = next
		case rawjson.Array:
			n, err := strconv.ParseUint(key, 10, 31)
			if err != nil {
				return Value{}
			}
			if v, ok = element(v, int(n)); !ok {
				return Value{}
			}
		default:
			return Value{}
		}
	}
	return Value{bytes.TrimSpace(v)}
}

// ambiguous denies the call.
func (c *Call) ambiguous(path []string) {
	if c.fault == nil {
		c.fault = &Denial{Reason: fmt.Sprintf(
			"the arguments can be read in two ways: beside or in place of %q there is a key that differs only in case; send each key once and spelled as the tool's schema has it",
			strings.Join(path, "."))}
	}
}

func element(array json.RawMessage, n int) (v json.RawMessage, ok bool) {
	rawjson.Each(array, func(_, e []byte) bool {
		if n == 0 {
			v, ok = e, true
		}
		n--
		return !ok
	})
	return v, ok
}

// SetArg replaces the argument at path, or adds it; every other byte of the
// params stays. value is encoded as JSON; a [json.RawMessage] is put in as it
// is. Objects that are missing on the way are made. An index must exist, and
// the path must have at least one step.
func (c *Call) SetArg(value any, path ...string) error {
	raw, err := encode(value)
	if err != nil {
		return fmt.Errorf("encoding the argument %s: %w", strings.Join(path, "."), err)
	}
	return c.editArg(raw, path)
}

// DeleteArg removes the argument at path. An element of an array cannot be
// removed; set the array.
func (c *Call) DeleteArg(path ...string) error { return c.editArg(nil, path) }

func (c *Call) editArg(raw json.RawMessage, path []string) error {
	if len(path) == 0 {
		return fmt.Errorf("the path to the argument is empty")
	}
	args, ok := rawjson.Get(c.Params, "arguments")
	if !ok {
		if raw == nil {
			return nil
		}
		args = json.RawMessage("{}")
	}
	args, err := edit(args, raw, path)
	if err != nil {
		return fmt.Errorf("the argument %s: %w", strings.Join(path, "."), err)
	}
	c.Params = rawjson.Set(c.Params, args, "arguments")
	return nil
}

// edit sets or, with a nil value, deletes what is at path in v.
func edit(v, value json.RawMessage, path []string) (json.RawMessage, error) {
	if rawjson.KindOf(v) != rawjson.Array {
		if len(path) == 1 {
			if value == nil {
				return rawjson.Delete(v, path[0]), nil
			}
			return rawjson.Set(v, value, path[0]), nil
		}
		child, ok := rawjson.Get(v, path[0])
		if !ok && value == nil {
			return v, nil
		}
		child, err := edit(child, value, path[1:])
		if err != nil {
			return nil, err
		}
		return rawjson.Set(v, child, path[0]), nil
	}
	n, err := strconv.ParseUint(path[0], 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%q is no index of an array", path[0])
	}
	old, ok := element(v, int(n))
	if !ok {
		return nil, fmt.Errorf("the array has no element %d", n)
	}
	if len(path) > 1 {
		if value, err = edit(old, value, path[1:]); err != nil {
			return nil, err
		}
	} else if value == nil {
		return nil, fmt.Errorf("an element of an array cannot be removed")
	}
	return replaceElement(v, int(n), value), nil
}

// replaceElement returns array with another n-th element.
func replaceElement(array json.RawMessage, n int, value json.RawMessage) json.RawMessage {
	out := append(make(json.RawMessage, 0, len(array)+len(value)), '[')
	i := 0
	rawjson.Each(array, func(_, e []byte) bool {
		if i > 0 {
			out = append(out, ',')
		}
		if i == n {
			e = value
		}
		out = append(out, e...)
		i++
		return true
	})
	return append(out, ']')
}

// Value is an argument. The zero value does not exist.
type Value struct{ raw json.RawMessage }

// Exists reports whether the argument was sent.
func (v Value) Exists() bool { return v.raw != nil }

// Raw returns the JSON as it was sent; nil when it does not exist. The bytes
// are immutable.
func (v Value) Raw() json.RawMessage { return v.raw }

// String returns the decoded text of a string, and the JSON of anything else;
// "" when the argument does not exist. What is no valid text in a string
// (half of a surrogate pair) reads as U+FFFD.
func (v Value) String() string {
	if len(v.raw) == 0 || v.raw[0] != '"' {
		return string(v.raw)
	}
	if s, ok := rawjson.String(v.raw); ok {
		return s
	}
	var s string
	if json.Unmarshal(v.raw, &s) != nil { // cannot be: the message was checked
		return string(v.raw)
	}
	return s
}

// Int64 returns an integer; false when the argument is none or does not fit.
func (v Value) Int64() (int64, bool) {
	n, err := strconv.ParseInt(string(v.raw), 10, 64)
	return n, err == nil && v.raw[0] != '+'
}

// Bool returns a boolean; false when the argument is none.
func (v Value) Bool() (value, ok bool) {
	return string(v.raw) == "true", string(v.raw) == "true" || string(v.raw) == "false"
}

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) (json.RawMessage, error) {
	if raw, ok := v.(json.RawMessage); ok {
		if err := rawjson.Valid(raw, maxDepth); err != nil {
			return nil, err
		}
		return raw, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// maxDepth bounds the nesting of what an interceptor puts in and of what is
// decoded for a typed view.
const maxDepth = 1_000
