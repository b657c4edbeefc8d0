package strictyaml

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds of a document.
const (
	MaxSize  = 4 << 20 // bytes
	maxDepth = 64
	maxNodes = 1 << 20 // visited, each use of an alias counted
)

// Limits bounds a document; zero fields have the defaults above.
type Limits struct {
	Size  int // bytes
	Nodes int // visited, each use of an alias counted
}

// Node is one value of a document, with its place. As the type of a field it
// keeps the value for a later [Decoder.Decode]. The zero Node is absent.
type Node struct {
	y    *yaml.Node
	file string
	key  string
}

// Parse reads one document. An empty one gives an empty mapping. The error is
// a [*Fault].
func Parse(file string, data []byte) (Node, error) { return ParseWithin(file, data, Limits{}) }

// ParseWithin is Parse with other bounds.
func ParseWithin(file string, data []byte, within Limits) (Node, error) {
	within = Limits{Size: cmp.Or(within.Size, MaxSize), Nodes: cmp.Or(within.Nodes, maxNodes)}
	fail := func(line, col int, format string, args ...any) (Node, error) {
		return Node{}, &Fault{File: file, Line: line, Column: col, Message: fmt.Sprintf(format, args...)}
	}
	if len(data) > within.Size {
		return fail(0, 0, "the file has more than %d MiB", within.Size>>20)
	}
	if !utf8.Valid(data) {
		return fail(0, 0, "the file is not UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if json.Valid(data) {
		data = fromJSON(data)
	}
	l, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys(false),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return fail(0, 0, "%v", err)
	}
	doc := new(yaml.Node)
	if err := l.Load(doc); err != nil && !errors.Is(err, io.EOF) {
		return fail(place(err))
	}
	second := new(yaml.Node)
	if err := l.Load(second); !errors.Is(err, io.EOF) {
		if err != nil {
			return fail(place(err))
		}
		return fail(second.Line, second.Column, "a second document begins here: one file holds one")
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		if c := doc.Content[0]; c.Kind != yaml.ScalarNode || scalarType(c) != typeNull {
			root = c
		}
	}
	left := within.Nodes
	if msg := measure(root, 0, &left); msg != "" {
		if left < 0 {
			msg = fmt.Sprintf("the document has more than %d values once its aliases are expanded", within.Nodes)
		}
		return fail(root.Line, root.Column, "%s", msg)
	}
	return Node{y: root, file: file}, nil
}

// measure walks the document with its aliases expanded, so that whoever comes
// after need not fear its size or a cycle.
func measure(y *yaml.Node, depth int, left *int) string {
	if depth > 2*maxDepth {
		return "the document is nested too deeply, or an alias stands inside what it names"
	}
	if *left--; *left < 0 {
		return "too many values"
	}
	y = deref(y)
	for _, c := range y.Content {
		if msg := measure(c, depth+1, left); msg != "" {
			return msg
		}
	}
	return ""
}

// place parts an error of the YAML library into line, column and message.
func place(err error) (line, col int, format string, arg any) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return 0, 0, "%v", err
	}
	msg := "not valid YAML: " + e.Message
	if e.ContextMsg != "" {
		msg += " (" + e.ContextMsg + ")"
	}
	return int(e.Mark.Line), int(e.Mark.Column), "%s", msg
}

var surrogates = regexp.MustCompile(`\\*\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)

// fromJSON turns valid JSON into YAML of the same meaning: tabs stand only
// between tokens there, where YAML wants blanks, and a pair of surrogates is
// written as one character.
func fromJSON(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	return surrogates.ReplaceAllFunc(data, func(m []byte) []byte {
		slashes := len(m) - 11
		if slashes%2 == 0 { // the u belongs to an escaped backslash
			return m
		}
		hi, _ := strconv.ParseUint(string(m[slashes+1:slashes+5]), 16, 16)
		lo, _ := strconv.ParseUint(string(m[slashes+7:]), 16, 16)
		return fmt.Appendf(m[:slashes:slashes], "U%08X", utf16.DecodeRune(rune(hi), rune(lo)))
	})
}

// Present reports whether the value is in the document.
func (n Node) Present() bool { return n.y != nil }

// Line returns the line of the value, from 1.
func (n Node) Line() int {
	if n.y == nil {
		return 0
	}
	return n.y.Line
}

// Get returns the value of a key of a mapping; the zero Node when there is
// none.
func (n Node) Get(key string) Node {
	y := deref(n.y)
	if y == nil || y.Kind != yaml.MappingNode {
		return Node{}
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if k := deref(y.Content[i]); k != nil && k.Kind == yaml.ScalarNode && k.Value == key {
			return n.child(y.Content[i+1], key)
		}
	}
	return Node{}
}

// Keys returns the keys of a mapping in order, nil for anything else.
func (n Node) Keys() []string {
	y := deref(n.y)
	if y == nil || y.Kind != yaml.MappingNode {
		return nil
	}
	var keys []string
	for i := 0; i+1 < len(y.Content); i += 2 {
		if k := deref(y.Content[i]); k != nil && k.Kind == yaml.ScalarNode {
			keys = append(keys, k.Value)
		}
	}
	return keys
}

// Text returns the value of a scalar that is text.
func (n Node) Text() (string, bool) {
	y := deref(n.y)
	if y == nil || y.Kind != yaml.ScalarNode || scalarType(y) != typeText {
		return "", false
	}
	return y.Value, true
}

// Key returns the path of the value, such as servers.files.env.
func (n Node) Key() string { return n.key }

// Empty returns an empty mapping that stands where n does, under a key of n
// or, when that is "", in the place of n.
func (n Node) Empty(key string) Node {
	y := &yaml.Node{Kind: yaml.MappingNode}
	if n.y != nil {
		y.Line, y.Column = n.y.Line, n.y.Column
	}
	if key != "" {
		return n.child(y, key)
	}
	n.y = y
	return n
}

// Fault makes a fault at the place of n.
func (n Node) Fault(format string, args ...any) *Fault {
	f := &Fault{File: n.file, Key: n.key, Message: fmt.Sprintf(format, args...)}
	if n.y != nil {
		f.Line, f.Column = n.y.Line, n.y.Column
	}
	return f
}

// Digest is equal for two values that mean the same, wherever they stand. It
// tells nothing of the value.
func (n Node) Digest() string {
	h := sha256.New()
	var walk func(y *yaml.Node)
	walk = func(y *yaml.Node) {
		if y = deref(y); y == nil {
			return
		}
		fmt.Fprintf(h, "%d %d %d ", y.Kind, len(y.Value), len(y.Content))
		if y.Kind == yaml.ScalarNode {
			fmt.Fprintf(h, "%d %s ", scalarType(y), y.Value)
		}
		for _, c := range y.Content {
			walk(c)
		}
	}
	walk(n.y)
	return hex.EncodeToString(h.Sum(nil))
}

func (n Node) child(y *yaml.Node, key string) Node {
	if strings.HasPrefix(key, "[") {
		return Node{y, n.file, n.key + key}
	}
	if !simpleKey.MatchString(key) {
		key = strconv.Quote(key)
	}
	if n.key != "" {
		key = n.key + "." + key
	}
	return Node{y, n.file, key}
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// deref follows an alias. An alias of an alias cannot be written.
func deref(y *yaml.Node) *yaml.Node {
	if y != nil && y.Kind == yaml.AliasNode {
		return y.Alias
	}
	return y
}
