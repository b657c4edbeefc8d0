package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Decoder fills structs from nodes and gathers every fault on the way. It is
// used by one goroutine.
type Decoder struct {
	faults []error
	seen   map[string]bool
	refs   func(Node, secrets.Value)
}

// NewDecoder makes a Decoder. refs, which may be nil, is told every
// [secrets.Value] that holds references.
func NewDecoder(refs func(Node, secrets.Value)) *Decoder {
	return &Decoder{seen: make(map[string]bool), refs: refs}
}

// Decode fills what out points to. Fields whose key is absent keep their
// value.
func (d *Decoder) Decode(n Node, out any) {
	if n.Present() {
		d.value(n, reflect.ValueOf(out).Elem(), field{})
	}
}

// DecodeBeside is Decode for a mapping in which the given keys belong to
// somebody else.
func (d *Decoder) DecodeBeside(n Node, out any, others ...string) {
	if n.Present() {
		d.structure(n, reflect.ValueOf(out).Elem(), others...)
	}
}

// Pairs calls f for each pair of a mapping in order and notes duplicate keys.
// What is no mapping is a fault.
func (d *Decoder) Pairs(n Node, f func(key string, at, value Node)) {
	if deref(n.y).Kind != yaml.MappingNode {
		d.Fault(n, "must be a mapping, not %s", describe(n.y))
		return
	}
	for _, p := range d.pairs(n) {
		f(p.key, p.at, p.value)
	}
}

// Fault notes a fault at the place of n.
func (d *Decoder) Fault(n Node, format string, args ...any) { d.add(n.Fault(format, args...)) }

// Failed returns how many faults there are so far.
func (d *Decoder) Failed() int { return len(d.faults) }

// Faulty reports whether n or something in it has a fault so far.
func (d *Decoder) Faulty(n Node) bool {
	return slices.ContainsFunc(d.faults, func(err error) bool {
		rest, ok := strings.CutPrefix(err.(*Fault).Key, n.key)
		return ok && (n.key == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// Err joins the faults in the order of the file; nil when there are none.
func (d *Decoder) Err() error {
	slices.SortStableFunc(d.faults, func(a, b error) int {
		x, y := a.(*Fault), b.(*Fault)
		if x.Line != y.Line {
			return x.Line - y.Line
		}
		return x.Column - y.Column
	})
	return errors.Join(d.faults...)
}

// add keeps one fault of each kind at each place: a value may be read twice.
func (d *Decoder) add(f *Fault) {
	if text := f.Error(); !d.seen[text] {
		d.seen[text] = true
		d.faults = append(d.faults, f)
	}
}

// pair is one key with its value.
type pair struct {
	key   string
	at    Node // the key
	value Node
}

// pairs returns the pairs of a mapping, without duplicates.
func (d *Decoder) pairs(n Node) []pair {
	y := deref(n.y)
	first := make(map[string]int)
	var out []pair
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := deref(y.Content[i])
		at := n
		at.y = y.Content[i]
		if k.Kind != yaml.ScalarNode || scalarType(k) == typeNull || scalarType(k) == typeOther {
			d.Fault(at, "a key must be text, not %s", describe(k))
			continue
		}
		p := pair{key: k.Value, at: n.child(y.Content[i], k.Value), value: n.child(y.Content[i+1], k.Value)}
		if line, twice := first[p.key]; twice {
			d.Fault(p.at, "this key stands twice: first on line %d", line)
			continue
		}
		first[p.key] = p.at.y.Line
		out = append(out, p)
	}
	return out
}

func (d *Decoder) value(n Node, v reflect.Value, f field) {
	y := deref(n.y)
	t := v.Type()
	switch {
	case f.refuse != "":
		if y.Kind == yaml.ScalarNode && scalarType(y) != typeNull || len(y.Content) > 0 {
			d.Fault(n, "%s", f.refuse)
		}
		return
	case t == typeIgnored:
		return
	case isNode(t):
		v.Set(reflect.ValueOf(n).Convert(t))
		return
	case t == typeValue:
		d.secret(n, v)
		return
	case reflect.PointerTo(t).Implements(typeMapping):
		d.entries(n, v.Addr().Interface().(mapping))
		return
	case reflect.PointerTo(t).Implements(typeTexter):
		s, ok := n.Text()
		if !ok {
			d.Fault(n, "must be text, not %s", describe(y))
		} else if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			d.Fault(n, "%v", err)
		}
		return
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, p.Elem(), f)
		v.Set(p)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.plainMap(n, v, f)
	case reflect.Slice:
		d.list(n, v, f)
	case reflect.Interface:
		if x := d.any(n); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, y, v, f)
	}
}

func (d *Decoder) structure(n Node, v reflect.Value, others ...string) {
	if deref(n.y).Kind != yaml.MappingNode {
		if deref(n.y).Kind == yaml.ScalarNode && scalarType(deref(n.y)) == typeNull {
			d.required(n, v.Type(), nil)
			return // "key:" with nothing under it
		}
		d.Fault(n, "must be a mapping, not %s", describe(n.y))
		return
	}
	fs := fields(v.Type())
	known := slices.Clone(others)
	for _, f := range fs {
		if f.refuse == "" && f.typ != typeIgnored {
			known = append(known, f.key)
		}
	}
	given := make(map[string]bool)
	for _, p := range d.pairs(n) {
		i := slices.IndexFunc(fs, func(f field) bool { return f.key == p.key })
		switch {
		case i >= 0:
			given[p.key] = true
			d.value(p.value, v.FieldByIndex(fs[i].index), fs[i])
		case slices.Contains(others, p.key):
		case p.key == "<<":
			d.Fault(p.at, "merge keys are not part of YAML 1.2: repeat the keys")
		default:
			d.Fault(p.at, "unknown key%s", Hint(p.key, known))
		}
	}
	d.required(n, v.Type(), given)
}

func (d *Decoder) required(n Node, t reflect.Type, given map[string]bool) {
	for _, f := range fields(t) {
		if f.required && !given[f.key] {
			d.Fault(n, "the key %q is missing", f.key)
		}
	}
}

func (d *Decoder) entries(n Node, m mapping) {
	if deref(n.y).Kind != yaml.MappingNode {
		if scalarType(deref(n.y)) != typeNull || deref(n.y).Kind != yaml.ScalarNode {
			d.Fault(n, "must be a mapping, not %s", describe(n.y))
		}
		return
	}
	for _, p := range d.pairs(n) {
		d.value(p.value, reflect.ValueOf(m.add(p.key, p.value)).Elem(), field{})
	}
}

func (d *Decoder) plainMap(n Node, v reflect.Value, f field) {
	if deref(n.y).Kind != yaml.MappingNode {
		if scalarType(deref(n.y)) != typeNull || deref(n.y).Kind != yaml.ScalarNode {
			d.Fault(n, "must be a mapping, not %s", describe(n.y))
		}
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, p := range d.pairs(n) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(p.value, e, field{enum: f.enum, bytes: f.bytes})
		m.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

func (d *Decoder) list(n Node, v reflect.Value, f field) {
	y := deref(n.y)
	inner := field{enum: f.enum, bytes: f.bytes}
	if y.Kind != yaml.SequenceNode {
		switch {
		case f.one && y.Kind == yaml.ScalarNode && scalarType(y) != typeNull:
			s := reflect.MakeSlice(v.Type(), 1, 1)
			d.value(n, s.Index(0), inner)
			v.Set(s)
		case f.one:
			d.Fault(n, "must be text or a list, not %s", describe(y))
		default:
			d.Fault(n, "must be a list, not %s", describe(y))
		}
		return
	}
	s := reflect.MakeSlice(v.Type(), len(y.Content), len(y.Content))
	for i, c := range y.Content {
		d.value(n.child(c, fmt.Sprintf("[%d]", i)), s.Index(i), inner)
	}
	v.Set(s)
}

// secret reads a [secrets.Value]: text, or a number or truth value as it is
// written, since the environment knows text alone.
func (d *Decoder) secret(n Node, v reflect.Value) {
	y := deref(n.y)
	if y.Kind != yaml.ScalarNode || scalarType(y) == typeNull || scalarType(y) == typeOther {
		d.Fault(n, `must be text, not %s; write "" for an empty value`, describe(y))
		return
	}
	text, err := template(y.Value)
	if err != nil {
		d.Fault(n, "%v", err)
		return
	}
	val := secrets.Template(text)
	v.Set(reflect.ValueOf(val))
	if d.refs != nil && len(val.Refs()) > 0 {
		d.refs(n, val)
	}
}

// any decodes a value whose type nothing prescribes.
func (d *Decoder) any(n Node) any {
	y := deref(n.y)
	switch y.Kind {
	case yaml.MappingNode:
		m := make(map[string]any)
		for _, p := range d.pairs(n) {
			m[p.key] = d.any(p.value)
		}
		return m
	case yaml.SequenceNode:
		l := make([]any, 0, len(y.Content))
		for i, c := range y.Content {
			l = append(l, d.any(n.child(c, fmt.Sprintf("[%d]", i))))
		}
		return l
	}
	switch scalarType(y) {
	case typeNull:
		return nil
	case typeBool:
		return strings.EqualFold(y.Value, "true")
	case typeInt:
		if i, err := parseInt(y.Value); err == nil {
			return i
		}
		d.Fault(n, "this number is out of range")
		return nil
	case typeFloat:
		if x, err := parseFloat(y.Value); err == nil {
			return x
		}
		d.Fault(n, "this number is out of range")
		return nil
	case typeOther:
		d.Fault(n, "the tag %s is not supported", y.Tag)
		return nil
	}
	return y.Value
}
