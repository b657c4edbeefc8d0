// Package paramheader mirrors arguments of a tool into HTTP headers, as the
// x-mcp-header annotations of its inputSchema ask (2026-07-28, Streamable
// HTTP, custom headers from tool parameters).
//
// [Compile] reads a schema once. Its [Spec] makes the headers of a call for a
// client, and checks those of a call for a server:
//
//	spec, err := paramheader.Compile(schema) // err: the tool is invalid and must not be listed
//	if spec != nil {                         // nil: the schema asks for no headers
//		m.Header = spec.Headers(arguments)
//	}
package paramheader

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Prefix stands before the name that an annotation gives.
const Prefix = "Mcp-Param-"

// Bounds of what one schema may ask for.
const (
	maxHeaders = 64
	maxName    = 128
	maxDepth   = 100
)

// maxSafe is the largest integer of which every JavaScript client is sure.
const maxSafe = 1<<53 - 1

const annotation = "x-mcp-header"

// Spec says which arguments of a tool travel in which headers. It is immutable
// and safe for concurrent use.
type Spec struct{ fields []field }

type field struct {
	path []string // of the property in the arguments
	key  string   // of the header, canonical
}

// Compile reads the annotations of an inputSchema. It returns nil when there
// are none, and an error when one breaks the rules, which makes the tool's
// definition invalid: names are unique tokens, and stand only on properties of
// the types string, integer and boolean, null beside them allowed, that are
// reached from the root through properties alone.
func Compile(inputSchema json.RawMessage) (*Spec, error) {
	if !bytes.Contains(inputSchema, []byte(annotation)) && !bytes.Contains(inputSchema, []byte(`\u`)) {
		return nil, nil
	}
	c := &compiler{seen: make(map[string]string)}
	if err := c.schema(inputSchema, nil, nil, false); err != nil {
		return nil, err
	}
	if len(c.fields) == 0 {
		return nil, nil
	}
	return &Spec{c.fields}, nil
}

type compiler struct {
	fields []field
	seen   map[string]string // lower-case name to place
}

// schema reads one schema. path is where its value is found in the arguments;
// place is where the schema stands. reachable says that only properties led
// here.
func (c *compiler) schema(schema json.RawMessage, path, place []string, reachable bool) error {
	if rawjson.KindOf(schema) != rawjson.Object {
		return nil
	}
	if len(place) > maxDepth {
		return fmt.Errorf("the schema nests more than %d levels", maxDepth)
	}
	var err error
	var kind, name json.RawMessage
	rawjson.Each(schema, func(key, v []byte) bool {
		k, ok := rawjson.String(key)
		if !ok {
			return true
		}
		at := append(place[:len(place):len(place)], k)
		switch k {
		case annotation:
			name = v
		case "type":
			kind = v
		case "properties":
			err = c.members(v, func(p string, s json.RawMessage) error {
				// The root is reached by no step at all; below it, each
				// step must have been one of properties.
				return c.schema(s, append(path[:len(path):len(path)], p), append(at, p), reachable || len(place) == 0)
			})
		case "$defs", "definitions", "patternProperties", "dependentSchemas", "dependencies":
			err = c.members(v, func(p string, s json.RawMessage) error {
				return c.schema(s, nil, append(at, p), false)
			})
		case "allOf", "anyOf", "oneOf", "prefixItems", "items", "additionalItems", "additionalProperties", "contains", "not",
			"if", "then", "else", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema":
			if rawjson.KindOf(v) != rawjson.Array {
				err = c.schema(v, nil, at, false)
				break
			}
			rawjson.Each(v, func(_, s []byte) bool {
				err = c.schema(s, nil, at, false)
				return err == nil
			})
		}
		return err == nil
	})
	if err != nil || name == nil {
		return err
	}
	return c.annotate(name, kind, path, place, reachable)
}

func (c *compiler) members(v json.RawMessage, f func(name string, schema json.RawMessage) error) (err error) {
	if rawjson.KindOf(v) != rawjson.Object {
		return nil
	}
	rawjson.Each(v, func(key, s []byte) bool {
		if name, ok := rawjson.String(key); ok {
			err = f(name, s)
		}
		return err == nil
	})
	return err
}

func (c *compiler) annotate(raw, kind json.RawMessage, path, place []string, reachable bool) error {
	at := strings.Join(place, ".")
	if at == "" {
		at = "the root of the schema"
	}
	name, ok := rawjson.String(raw)
	switch {
	case !ok:
		return fmt.Errorf("%s at %s is not a string", annotation, at)
	case name == "":
		return fmt.Errorf("%s at %s is empty", annotation, at)
	case len(name) > maxName:
		return fmt.Errorf("%s at %s is longer than %d bytes", annotation, at, maxName)
	case !token(name):
		return fmt.Errorf("%s at %s is %q, which is no header name", annotation, at, name)
	case !reachable:
		return fmt.Errorf("%s at %s is on something that properties alone do not lead to", annotation, at)
	case !primitive(kind):
		return fmt.Errorf("%s at %s is on a property whose type is not string, integer or boolean", annotation, at)
	}
	lower := strings.ToLower(name)
	if first, twice := c.seen[lower]; twice {
		return fmt.Errorf("%s %q stands at %s and at %s", annotation, name, first, at)
	}
	if len(c.fields) == maxHeaders {
		return fmt.Errorf("the schema asks for more than %d headers", maxHeaders)
	}
	c.seen[lower] = at
	c.fields = append(c.fields, field{path, http.CanonicalHeaderKey(Prefix + name)})
	return nil
}

// token reports whether s is a field name (RFC 9110, section 5.1).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return true
}

// primitive reports whether a type keyword allows only strings, integers and
// booleans, and perhaps null, for which no header is sent.
func primitive(kind json.RawMessage) bool {
	if rawjson.KindOf(kind) != rawjson.Array {
		s, _ := rawjson.String(kind)
		return s == "string" || s == "integer" || s == "boolean"
	}
	some, all := false, true
	rawjson.Each(kind, func(_, v []byte) bool {
		switch s, _ := rawjson.String(v); s {
		case "string", "integer", "boolean":
			some = true
		case "null":
		default:
			all = false
		}
		return all
	})
	return some && all
}

// Headers returns the headers of a call with the given arguments. An argument
// that is absent or null has none, and neither has one whose value no header
// can stand for.
func (s *Spec) Headers(arguments json.RawMessage) http.Header {
	h := make(http.Header, len(s.fields))
	for _, f := range s.fields {
		if v, ok := f.value(arguments); ok {
			h[f.key] = []string{transport.EncodeHeaderValue(v)}
		}
	}
	return h
}

// Check makes sure that the headers of a call say what its arguments say. The
// error is a [*transport.RPCError] with [transport.CodeHeaderMismatch]. It
// does not show the values.
func (s *Spec) Check(arguments json.RawMessage, h http.Header) error {
	for _, f := range s.fields {
		want, expected := f.value(arguments)
		values := h[f.key]
		switch {
		case !expected && len(values) == 0:
			continue
		case !expected:
			return mismatch(f, "is there, but not the argument %s")
		case len(values) == 0:
			return mismatch(f, "is missing, but the argument %s is there")
		case len(values) > 1:
			return mismatch(f, "stands more than once, for the argument %s")
		}
		got, ok := transport.DecodeHeaderValue(strings.Trim(values[0], " \t"))
		switch {
		case !ok || !utf8.ValidString(got):
			return mismatch(f, "is not valid base64 of text, for the argument %s")
		case got != want && !sameNumber(got, arguments, f):
			return mismatch(f, "does not match the argument %s")
		}
	}
	return nil
}

func mismatch(f field, what string) error {
	return transport.Errorf(transport.CodeHeaderMismatch, "Header mismatch: %s "+what, f.key, strings.Join(f.path, "."))
}

// sameNumber compares a header with an integer argument by value: 42.0 is 42.
func sameNumber(got string, arguments json.RawMessage, f field) bool {
	v, _ := rawjson.Get(arguments, f.path...)
	if rawjson.KindOf(v) != rawjson.Number || rawjson.KindOf([]byte(got)) != rawjson.Number || rawjson.Valid([]byte(got), 1) != nil {
		return false
	}
	a, aerr := strconv.ParseFloat(got, 64)
	b, berr := strconv.ParseFloat(string(v), 64)
	return aerr == nil && berr == nil && a == b && a >= -maxSafe && a <= maxSafe
}

// value returns the text for an argument.
func (f field) value(arguments json.RawMessage) (string, bool) {
	v, ok := rawjson.Get(arguments, f.path...)
	if !ok {
		return "", false
	}
	switch rawjson.KindOf(v) {
	case rawjson.Str:
		return rawjson.String(v)
	case rawjson.Bool:
		return string(v), true
	case rawjson.Number:
		return decimal(string(v)), true
	}
	return "", false
}

// decimal writes an integer that is spelled as 4.2e1 or 42.0 as 42. Anything
// else stays as it is.
func decimal(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n != float64(int64(n)) || n < -maxSafe || n > maxSafe {
		return s
	}
	return strconv.FormatInt(int64(n), 10)
}
