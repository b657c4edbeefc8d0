package strictyaml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Mapping reads a mapping of a format that belongs to somebody else: what has
// the wrong type is noted, nothing is refused, and what nobody asked for is
// left for [Mapping.Rest]. The nil Mapping is absent and answers with zeros.
//
// A mapping with merge keys ("<<") has the keys that it merges.
type Mapping struct {
	n     Node
	pairs []pair
	used  []bool
	inner []*Mapping
	notes *Notes
}

// Notes gathers the faults that readers of one document find.
type Notes struct{ Faults []*Fault }

// Note notes a fault at the place of n.
func (t *Notes) Note(n Node, format string, args ...any) {
	t.Faults = append(t.Faults, n.Fault(format, args...))
}

// Mapping begins reading n; nil when n is absent, empty or no mapping, which
// is noted.
func (t *Notes) Mapping(n Node) *Mapping {
	y := deref(n.y)
	switch {
	case y == nil, y.Kind == yaml.ScalarNode && scalarType(y) == typeNull:
		return nil
	case y.Kind != yaml.MappingNode:
		t.Note(n, "must be a mapping, not %s", describe(y))
		return nil
	}
	m := &Mapping{n: n, notes: t}
	m.add(n, y, 0)
	m.used = make([]bool, len(m.pairs))
	return m
}

func (m *Mapping) add(n Node, y *yaml.Node, depth int) {
	var merged []*yaml.Node
	at := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := deref(y.Content[i])
		if k.Kind != yaml.ScalarNode {
			m.notes.Note(n, "a key must be text, not %s", describe(k))
			continue
		}
		if v := deref(y.Content[i+1]); k.Value == "<<" && k.Style == 0 {
			if v.Kind == yaml.SequenceNode {
				merged = append(merged, v.Content...)
			} else {
				merged = append(merged, v)
			}
			continue
		}
		p := pair{key: k.Value, at: n.child(y.Content[i], k.Value), value: n.child(y.Content[i+1], k.Value)}
		if line, twice := at[p.key]; twice {
			m.notes.Note(p.at, "this key stands twice: first on line %d", line)
			continue
		}
		at[p.key] = p.at.y.Line
		if depth == 0 || !slices.ContainsFunc(m.pairs, func(q pair) bool { return q.key == p.key }) {
			m.pairs = append(m.pairs, p)
		}
	}
	for _, v := range merged {
		if v = deref(v); v.Kind == yaml.MappingNode && depth < maxDepth {
			m.add(n, v, depth+1)
		}
	}
}

// Node returns the value as a whole.
func (m *Mapping) Node() Node {
	if m == nil {
		return Node{}
	}
	return m.n
}

// Get returns the value of a key and counts it as read; absent when it has no
// value.
func (m *Mapping) Get(key string) Node {
	if m == nil {
		return Node{}
	}
	for i, p := range m.pairs {
		if p.key == key {
			m.used[i] = true
			if y := deref(p.value.y); y.Kind == yaml.ScalarNode && scalarType(y) == typeNull {
				return Node{}
			}
			return p.value
		}
	}
	return Node{}
}

// Has reports whether the key is there, with or without a value.
func (m *Mapping) Has(key string) bool {
	return m != nil && slices.ContainsFunc(m.pairs, func(p pair) bool { return p.key == key })
}

// Each calls f for each pair in order and counts it as read.
func (m *Mapping) Each(f func(key string, value Node)) {
	if m == nil {
		return
	}
	for i, p := range m.pairs {
		m.used[i] = true
		f(p.key, p.value)
	}
}

// Text returns the text of a key; a number or truth value as it is written.
func (m *Mapping) Text(key string) string {
	s, _ := m.text(m.Get(key))
	return s
}

func (m *Mapping) text(n Node) (string, bool) {
	y := deref(n.y)
	switch {
	case y == nil:
		return "", false
	case y.Kind != yaml.ScalarNode:
		m.notes.Note(n, "must be text, not %s", describe(y))
		return "", false
	}
	return y.Value, true
}

// Bool returns the truth value of a key, given whether there is one.
func (m *Mapping) Bool(key string) (value, given bool) {
	n := m.Get(key)
	y := deref(n.y)
	if y == nil {
		return false, false
	}
	if y.Kind == yaml.ScalarNode && y.Style == 0 {
		switch strings.ToLower(y.Value) { // as YAML 1.1 has them
		case "true", "yes", "on":
			return true, true
		case "false", "no", "off":
			return false, true
		}
	}
	m.notes.Note(n, "must be true or false, not %s", describe(y))
	return false, false
}

// Int returns the whole number of a key.
func (m *Mapping) Int(key string) int64 {
	n := m.Get(key)
	y := deref(n.y)
	if y == nil {
		return 0
	}
	if y.Kind == yaml.ScalarNode && scalarType(y) == typeInt {
		if i, err := parseInt(y.Value); err == nil {
			return i
		}
	}
	m.notes.Note(n, "must be a whole number, not %s", describe(y))
	return 0
}

// Items returns the items of a list.
func (m *Mapping) Items(key string) []Node {
	n := m.Get(key)
	y := deref(n.y)
	if y == nil {
		return nil
	}
	if y.Kind != yaml.SequenceNode {
		m.notes.Note(n, "must be a list, not %s", describe(y))
		return nil
	}
	return n.Items()
}

// Texts returns the items of a list of texts.
func (m *Mapping) Texts(key string) []string {
	var out []string
	for _, n := range m.Items(key) {
		if s, ok := m.text(n); ok {
			out = append(out, s)
		}
	}
	return out
}

// Mapping begins reading the mapping of a key.
func (m *Mapping) Mapping(key string) *Mapping {
	if m == nil {
		return nil
	}
	in := m.notes.Mapping(m.Get(key))
	if in != nil {
		m.inner = append(m.inner, in)
	}
	return in
}

// Mappings begins reading each mapping of a list.
func (m *Mapping) Mappings(key string) []*Mapping {
	var out []*Mapping
	for _, n := range m.Items(key) {
		if in := m.notes.Mapping(n); in != nil {
			m.inner = append(m.inner, in)
			out = append(out, in)
		}
	}
	return out
}

// Rest calls f for each value that nobody asked for, in this mapping and in
// those that were begun from it. An empty value counts as one.
func (m *Mapping) Rest(f func(key string, value Node)) {
	if m == nil {
		return
	}
	for i, p := range m.pairs {
		if !m.used[i] {
			f(p.key, p.value)
		}
	}
	for _, in := range m.inner {
		in.Rest(f)
	}
}

// Items returns the items of a list; nil for anything else.
func (n Node) Items() []Node {
	y := deref(n.y)
	if y == nil || y.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, len(y.Content))
	for i, c := range y.Content {
		items[i] = n.child(c, "["+strconv.Itoa(i)+"]")
	}
	return items
}

// JSON returns the value as JSON, keys in their order. It is "null" for an
// absent one.
func (n Node) JSON() json.RawMessage {
	var b bytes.Buffer
	n.json(&b)
	return b.Bytes()
}

func (n Node) json(b *bytes.Buffer) {
	y := deref(n.y)
	if y == nil {
		b.WriteString("null")
		return
	}
	switch y.Kind {
	case yaml.MappingNode:
		m := new(Notes).Mapping(n)
		b.WriteByte('{')
		for i, p := range m.pairs {
			if i > 0 {
				b.WriteByte(',')
			}
			quoteJSON(b, p.key)
			b.WriteByte(':')
			p.value.json(b)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range y.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			Node{y: c}.json(b)
		}
		b.WriteByte(']')
	default:
		scalarJSON(b, y)
	}
}

func scalarJSON(b *bytes.Buffer, y *yaml.Node) {
	switch scalarType(y) {
	case typeNull:
		b.WriteString("null")
		return
	case typeBool:
		b.WriteString(strings.ToLower(y.Value))
		return
	case typeInt, typeFloat:
		if json.Valid([]byte(y.Value)) {
			b.WriteString(y.Value)
			return
		}
		if i, err := parseInt(y.Value); err == nil && scalarType(y) == typeInt {
			fmt.Fprint(b, i)
			return
		}
		if x, err := parseFloat(y.Value); err == nil {
			if out, err := json.Marshal(x); err == nil {
				b.Write(out)
				return
			}
		}
	}
	quoteJSON(b, y.Value)
}

func quoteJSON(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil {
		b.Truncate(b.Len() - 1) // the newline
	}
}

// YAML returns the value for an encoder. It must not be changed by anybody
// who did not parse the document.
func (n Node) YAML() *yaml.Node { return n.y }

// At returns n as the root of paths: those of what is in it begin with key.
func (n Node) At(key string) Node {
	n.key = key
	return n
}

// File returns the name that the document was parsed under.
func (n Node) File() string { return n.file }

// IsMapping reports whether n is a mapping.
func (n Node) IsMapping() bool {
	y := deref(n.y)
	return y != nil && y.Kind == yaml.MappingNode
}

// Strings calls f for each text in n, at any depth.
func (n Node) Strings(f func(at Node, text string)) {
	y := deref(n.y)
	if y == nil {
		return
	}
	switch y.Kind {
	case yaml.MappingNode:
		for _, p := range new(Notes).Mapping(n).pairs {
			p.value.Strings(f)
		}
	case yaml.SequenceNode:
		for _, c := range n.Items() {
			c.Strings(f)
		}
	case yaml.ScalarNode:
		if scalarType(y) == typeText {
			f(n, y.Value)
		}
	}
}
