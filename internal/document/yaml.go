package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// mapping is a YAML document whose top is a mapping.
type mapping struct {
	doc *yaml.Node // with the comments before and behind the mapping
	top *yaml.Node
}

// notBlank finds the first line that is no comment.
var notBlank = regexp.MustCompile(`(?m)^[ \t]*[^ \t\r\n#]`)

func parseYAML(data []byte) (*mapping, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text")
	}
	doc := &yaml.Node{}
	if notBlank.Match(data) {
		err := yaml.Load(data, doc)
		var at *yaml.LoadError
		switch { // the text of an error may show what stands there
		case errors.As(err, &at) && at.Mark.Line > 0:
			return nil, fmt.Errorf("line %d is not valid YAML", at.Mark.Line)
		case err != nil:
			return nil, errors.New("it is not one document of valid YAML")
		}
	} else { // comments at most
		doc.Kind = yaml.DocumentNode
		doc.Content = []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: string(bytes.TrimSpace(data))}}
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, errors.New("it is no mapping: write NAME: VALUE")
	}
	return &mapping{doc, top}, check(top, 0)
}

// check refuses what stands for something else, and names that stand twice.
func check(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: the YAML is nested more than %d levels deep", n.Line, maxDepth)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases (& and *) are not read here: write the value itself, in quotes if it begins so", n.Line)
	}
	seen := map[string]int{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: a name is no plain text", c.Line)
			}
			if first, twice := seen[c.Value]; twice {
				return fmt.Errorf("%q stands in line %d and again in line %d: remove one", c.Value, first, c.Line)
			}
			seen[c.Value] = c.Line
		}
		if err := check(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// find returns the index of a name in a mapping; -1 when it is not there.
func find(m *yaml.Node, name string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// parent finds the mapping that holds the last key; nil when there is none.
// With build it is made.
func (m *mapping) parent(keys []string, build bool) (*yaml.Node, error) {
	at := m.top
	for _, k := range keys[:len(keys)-1] {
		i := find(at, k)
		switch {
		case i >= 0 && at.Content[i+1].Kind == yaml.MappingNode:
			at = at.Content[i+1]
		case i >= 0 && at.Content[i+1].Kind == yaml.SequenceNode:
			return nil, errIsList
		case i >= 0 && !isNull(at.Content[i+1]):
			return nil, errUnder
		case !build:
			return nil, nil
		default:
			made := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			put(at, i, k, made)
			at = made
		}
	}
	return at, nil
}

// put places a value in a mapping: at index i, or at the end when i is -1.
func put(m *yaml.Node, i int, name string, v *yaml.Node) {
	if i >= 0 {
		v.LineComment = m.Content[i+1].LineComment
		m.Content[i+1] = v
		return
	}
	m.Content = append(m.Content, text(name), v)
}

// text makes a scalar that is read as text, whatever it looks like.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsAny(s, "\r\n") {
		n.Style = yaml.DoubleQuotedStyle // a comment can stand behind it
	}
	return n
}

func (m *mapping) get(keys []string) (string, bool, error) {
	p, err := m.parent(keys, false)
	if err != nil || p == nil {
		return "", false, err
	}
	i := find(p, keys[len(keys)-1])
	if i < 0 {
		return "", false, nil
	}
	switch v := p.Content[i+1]; {
	case v.Kind == yaml.MappingNode:
		return "", false, errIsMapping
	case v.Kind == yaml.SequenceNode:
		return "", false, errIsList
	case isNull(v):
		return "", false, nil
	default:
		return v.Value, true, nil
	}
}

func (m *mapping) set(keys []string, value string) error {
	if !utf8.ValidString(value) {
		return errNoText
	}
	if _, _, err := m.get(keys); err != nil { // what holds several is not replaced by one
		return err
	}
	p, err := m.parent(keys, true)
	if err != nil {
		return err
	}
	name := keys[len(keys)-1]
	put(p, find(p, name), name, text(value))
	return nil
}

func (m *mapping) remove(keys []string) (bool, error) {
	_, ok, err := m.get(keys)
	if err != nil || !ok {
		return false, err
	}
	p, err := m.parent(keys, false)
	if err != nil {
		return false, err
	}
	i := find(p, keys[len(keys)-1])
	p.Content = append(p.Content[:i:i], p.Content[i+2:]...)
	return true, nil
}

func (m *mapping) names() [][]string { return below(m.top, nil) }

func below(n *yaml.Node, prefix []string) [][]string {
	var all [][]string
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := append(prefix[:len(prefix):len(prefix)], n.Content[i].Value)
		switch v := n.Content[i+1]; {
		case v.Kind == yaml.MappingNode:
			all = append(all, below(v, name)...)
		case v.Kind == yaml.ScalarNode && !isNull(v):
			all = append(all, name)
		}
	}
	return all
}

func (m *mapping) bytes() ([]byte, error) {
	return yaml.Dump(m.doc, yaml.WithIndent(2))
}
