package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep mappings may be nested.
const maxDepth = 64

// object is a JSON object: its values are objects, strings, json.Numbers,
// truth values, nil, and []any for lists, which are kept as they are.
type object map[string]any

func parseJSON(data []byte) (object, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return object{}, nil
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decode(dec, 0)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax): // its text may show what stands there
		return nil, fmt.Errorf("line %d is not valid JSON", 1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the JSON ends too early")
	case err != nil:
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the JSON object")
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("it is no JSON object: write {\"NAME\": \"VALUE\"}")
	}
	return o, nil
}

// decode reads one value. What is read into a map loses names that stand
// twice, so that tools would not agree on which of the two counts.
func decode(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the JSON is nested more than %d levels deep", maxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name := k.(string)
			if _, twice := o[name]; twice {
				return nil, fmt.Errorf("%q stands twice: remove one", name)
			}
			if o[name], err = decode(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := decode(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	return t, nil
}

// parent finds the object that holds the last key; nil when there is none.
// With make it is made.
func (o object) parent(keys []string, build bool) (object, error) {
	for _, k := range keys[:len(keys)-1] {
		switch next := o[k].(type) {
		case object:
			o = next
		case nil:
			if !build {
				return nil, nil
			}
			made := object{}
			o[k] = made
			o = made
		case []any:
			return nil, errIsList
		default:
			return nil, errUnder
		}
	}
	return o, nil
}

func (o object) get(keys []string) (string, bool, error) {
	p, err := o.parent(keys, false)
	if err != nil || p == nil {
		return "", false, err
	}
	switch v := p[keys[len(keys)-1]].(type) {
	case nil:
		return "", false, nil
	case string:
		return v, true, nil
	case object:
		return "", false, errIsMapping
	case []any:
		return "", false, errIsList
	default:
		return fmt.Sprint(v), true, nil // json.Number and bool
	}
}

func (o object) set(keys []string, value string) error {
	if !utf8.ValidString(value) {
		return errNoText
	}
	_, _, err := o.get(keys)
	if err != nil { // what holds several is not replaced by one
		return err
	}
	p, err := o.parent(keys, true)
	if err != nil {
		return err
	}
	p[keys[len(keys)-1]] = value
	return nil
}

func (o object) remove(keys []string) (bool, error) {
	_, ok, err := o.get(keys)
	if err != nil || !ok {
		return false, err
	}
	p, err := o.parent(keys, false)
	if err != nil {
		return false, err
	}
	delete(p, keys[len(keys)-1])
	return true, nil
}

func (o object) names() [][]string { return o.below(nil) }

func (o object) below(prefix []string) [][]string {
	var all [][]string
	for k, v := range o {
		name := append(prefix[:len(prefix):len(prefix)], k)
		switch v := v.(type) {
		case nil, []any:
		case object:
			all = append(all, v.below(name)...)
		default:
			all = append(all, name)
		}
	}
	return all
}

func (o object) bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(o)
	return b.Bytes(), err
}

var errNoText = errors.New("has a value that is no UTF-8 text, which this kind of file cannot hold")
