package rawjson

import "encoding/json"

// Kind is the kind of a JSON value.
type Kind byte

// The kinds.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	Str
	Array
	Object
)

// String returns the name of the kind, in lower case.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "bool"
	case Number:
		return "number"
	case Str:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "invalid"
}

// KindOf tells the kind of the value by its first byte; white space before it
// is skipped. It does not check the rest.
func KindOf(v []byte) Kind {
	i := ws(v, 0)
	if i >= len(v) {
		return Invalid
	}
	switch c := v[i]; c {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return Str
	case '[':
		return Array
	case '{':
		return Object
	default:
		if c == '-' || c-'0' <= 9 {
			return Number
		}
	}
	return Invalid
}

// Valid checks that v is exactly one well-formed JSON value (RFC 8259) that
// nests at most depth levels, white space around it allowed. Like
// [json.Valid] it takes strings that are not UTF-8. The error is a [*Fault].
func Valid(v []byte, depth int) error {
	end, c := skip(v, 0, depth)
	if c == codeOK {
		if end = ws(v, end); end == len(v) {
			return nil
		}
		c = codeTrailing
	}
	return fault(v, "", end, c, depth)
}

// Get returns the value at path in an object. Keys are compared decoded; of
// repeated keys the first counts. It reports false when a member is absent,
// something on the way is no object, or the text is malformed before the
// member's end.
func Get(obj []byte, path ...string) (json.RawMessage, bool) {
	v := obj
	for _, name := range path {
		i := ws(v, 0)
		if i >= len(v) || v[i] != '{' {
			return nil, false
		}
		m := members{b: v, pos: i}
		found := false
		for !found && m.next() {
			start := m.pos
			end, c := skip(v, start, noLimit)
			if c != codeOK {
				return nil, false
			}
			m.pos = end
			if found = KeyIs(v[m.key:m.keyEnd], name); found {
				v = v[start:end:end]
			}
		}
		if !found {
			return nil, false
		}
	}
	if len(path) == 0 && KindOf(v) == Invalid {
		return nil, false
	}
	return v, true
}

// Each calls f for each member of an object, with the raw key in its quotes,
// or for each element of an array, with a nil key, until f returns false. It
// returns false when v is neither or is malformed as far as it was read; f
// has then been called for what came before the fault.
func Each(v []byte, f func(key, value []byte) bool) bool {
	i := ws(v, 0)
	if i >= len(v) {
		return false
	}
	switch v[i] {
	case '{':
		m := members{b: v, pos: i}
		for m.next() {
			start := m.pos
			end, c := skip(v, start, noLimit)
			if c != codeOK {
				return false
			}
			m.pos = end
			if !f(v[m.key:m.keyEnd:m.keyEnd], v[start:end:end]) {
				return true
			}
		}
		return m.fault == codeOK && ws(v, m.pos) == len(v)
	case '[':
		return elements(v, i, f)
	}
	return false
}

func elements(v []byte, i int, f func(key, value []byte) bool) bool {
	i = ws(v, i+1)
	if i < len(v) && v[i] == ']' {
		return ws(v, i+1) == len(v)
	}
	for {
		i = ws(v, i)
		end, c := skip(v, i, noLimit)
		if c != codeOK {
			return false
		}
		if !f(nil, v[i:end:end]) {
			return true
		}
		i = ws(v, end)
		switch {
		case i < len(v) && v[i] == ',':
			i++
		case i < len(v) && v[i] == ']':
			return ws(v, i+1) == len(v)
		default:
			return false
		}
	}
}
