package strictyaml

import (
	"encoding"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Ignored is the type of a field whose value is accepted and not looked at.
type Ignored struct{}

// Entry is one pair of a [Map].
type Entry[T any] struct {
	Key   string
	At    Node // the value
	Value T
}

// Map is a mapping that keeps its order.
type Map[T any] []Entry[T]

// mapping is what every Map implements, whatever it holds.
type mapping interface {
	add(key string, at Node) any // returns a pointer to the new value
	element() reflect.Type
}

func (m *Map[T]) add(key string, at Node) any {
	*m = append(*m, Entry[T]{Key: key, At: at})
	return &(*m)[len(*m)-1].Value
}

func (m *Map[T]) element() reflect.Type { return reflect.TypeFor[T]() }

var (
	typeNode     = reflect.TypeFor[Node]()
	typeIgnored  = reflect.TypeFor[Ignored]()
	typeValue    = reflect.TypeFor[secrets.Value]()
	typeSecret   = reflect.TypeFor[secrets.Secret]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeMapping  = reflect.TypeFor[mapping]()
	typeTexter   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is one field of a struct as a file sees it.
type field struct {
	index    []int
	key      string
	typ      reflect.Type
	doc      string
	refuse   string
	enum     []string
	required bool
	bytes    bool
	never    bool
	one      bool
}

// fields returns what a file can set in a struct, those of embedded structs
// included.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("config")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && !tagged && !settable(sf.Type, true) {
			for _, f := range fields(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		if !sf.IsExported() || !settable(sf.Type, false) {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		if !tagged {
			name, _, _ = strings.Cut(sf.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
		}
		if name == "" {
			name = camel(sf.Name)
		}
		f := field{index: []int{i}, key: name, typ: sf.Type, doc: sf.Tag.Get("doc"), refuse: sf.Tag.Get("refuse"), required: sf.Tag.Get("required") == "true"}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		for _, o := range strings.Split(opts, ",") {
			switch o {
			case "bytes":
				f.bytes = true
			case "never":
				f.never = true
			case "one":
				f.one = true
			}
		}
		out = append(out, f)
	}
	return out
}

// settable reports whether a file can hold a value of type t. With leaf it
// reports whether t is one value rather than a group of fields.
func settable(t reflect.Type, leaf bool) bool {
	switch {
	case isNode(t), t == typeIgnored, t == typeValue, reflect.PointerTo(t).Implements(typeMapping), reflect.PointerTo(t).Implements(typeTexter):
		return true
	case t == typeSecret: // a secret is named, never written into a file
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Struct:
		return !leaf
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Slice, reflect.Pointer:
		return settable(t.Elem(), leaf)
	case reflect.Map:
		return t.Key().Kind() == reflect.String && settable(t.Elem(), leaf)
	}
	return false
}

// camel turns a Go name into a key: MaxLine becomes maxLine, PublicURL
// publicURL, URL url, CPUs cpus.
func camel(name string) string {
	r := []rune(name)
	upper := 0
	for upper < len(r) && unicode.IsUpper(r[upper]) {
		upper++
	}
	switch {
	case upper == len(r), upper == len(r)-1 && r[upper] == 's':
		return strings.ToLower(name)
	case upper > 1:
		upper--
	}
	return strings.ToLower(string(r[:upper])) + string(r[upper:])
}

// isNode reports whether t is Node or a type made of it.
func isNode(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.ConvertibleTo(typeNode)
}
