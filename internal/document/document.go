// Package document finds and changes secrets in the files that hold several:
// NAME=VALUE lines, JSON and YAML; and in those that hold one.
//
//	doc, err := document.Parse(document.FormatOf("secrets.yaml"), "secrets.yaml", data)
//	value, ok, err := doc.Get("github/token") // {github: {token: …}}
//	err = doc.Set("github/token", "new")
//	data, err = doc.Bytes()
//
// In JSON and YAML a reference names the keys on the way to a value, parted by
// / or #: a/b, a#b and a/b#c. Values are text, numbers and truth values as
// they are written; null is none. Lists cannot be looked into, and a key that
// holds / or # cannot be reached. YAML keeps its comments, JSON is written
// with sorted keys.
//
// Errors name keys and lines, never values.
package document

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/dotenv"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Format is how a file holds secrets.
type Format string

// The formats.
const (
	Dotenv Format = "dotenv" // NAME=VALUE lines
	JSON   Format = "json"
	YAML   Format = "yaml"
	Plain  Format = "plain" // one secret, the whole file without the newline at its end
)

// FormatOf tells a format by the name of a file: .env, .env.local and
// prod.env are NAME=VALUE lines, what has no known ending is plain.
func FormatOf(path string) Format {
	name := strings.ToLower(filepath.Base(path))
	switch filepath.Ext(name) {
	case ".json":
		return JSON
	case ".yaml", ".yml":
		return YAML
	}
	if strings.HasSuffix(name, ".env") || strings.HasPrefix(name, ".env.") {
		return Dotenv
	}
	return Plain
}

// Check says what is wrong with a format that somebody configured; empty is
// that of [FormatOf].
func (f Format) Check() error {
	if all := []Format{Dotenv, JSON, YAML, Plain}; f != "" && !slices.Contains(all, f) {
		return fmt.Errorf("there is no format %q: use dotenv, json, yaml or plain", string(f))
	}
	return nil
}

// Document is a parsed file. It is not safe for concurrent use.
type Document struct {
	body
	format Format
	name   string
}

// body is what the formats differ in. A name is one or more keys.
type body interface {
	// get returns a value; errIsMapping and errIsList when there are more.
	get(keys []string) (value string, ok bool, err error)
	set(keys []string, value string) error
	remove(keys []string) (bool, error)
	names() [][]string
	bytes() ([]byte, error)
}

var (
	errIsMapping = errors.New("holds several values: name one of them behind a / or #")
	errIsList    = errors.New("is a list, and none can be looked into: put the value under a key")
	errUnder     = errors.New("stands below a value that is no mapping")
	errNoFields  = errors.New("names a field, and this kind of file has none: leave out the # and what follows")
)

// Parse reads what a file holds. name is that of the secret in a plain one.
func Parse(f Format, name string, data []byte) (*Document, error) {
	var b body
	var err error
	switch f {
	case Dotenv:
		var d *dotenv.Document
		if d, err = dotenv.Parse(data); err == nil {
			b = lines{d}
		}
	case JSON:
		b, err = parseJSON(data)
	case YAML:
		b, err = parseYAML(data)
	case Plain:
		b = &plain{name: name, data: data}
	default:
		err = f.Check()
	}
	if err != nil {
		return nil, err
	}
	return &Document{b, f, name}, nil
}

// keys parts a reference.
func keys(ref secrets.Ref) ([]string, error) {
	path, field := ref.Cut()
	parts := strings.Split(path, "/")
	if field != "" {
		parts = append(parts, strings.Split(field, "/")...)
	}
	if slices.Contains(parts, "") {
		return nil, fmt.Errorf("%q has an empty part: write NAME, or NAME/NAME", string(ref))
	}
	return parts, nil
}

// with calls f with the keys of a reference and names it in errors.
func with[T any](ref secrets.Ref, f func(keys []string) (T, error)) (T, error) {
	var none T
	parts, err := keys(ref)
	if err != nil {
		return none, err
	}
	v, err := f(parts)
	if err != nil {
		return none, fmt.Errorf("%s %w", ref, err)
	}
	return v, nil
}

// Get returns the value that a reference names.
func (d *Document) Get(ref secrets.Ref) (value string, ok bool, err error) {
	value, err = with(ref, func(keys []string) (v string, err error) {
		v, ok, err = d.get(keys)
		return v, err
	})
	return value, ok && err == nil, err
}

// List returns the references of all values that can be reached, sorted.
func (d *Document) List() []secrets.Ref {
	refs := []secrets.Ref{}
	for _, keys := range d.names() {
		if !slices.ContainsFunc(keys, func(k string) bool { return k == "" || strings.ContainsAny(k, "/#") }) {
			refs = append(refs, secrets.Ref(strings.Join(keys, "/")))
		}
	}
	slices.Sort(refs)
	return refs
}

// Set adds or replaces a value.
func (d *Document) Set(ref secrets.Ref, value string) error {
	_, err := with(ref, func(keys []string) (struct{}, error) { return struct{}{}, d.set(keys, value) })
	return err
}

// Remove removes a value, and reports whether it was there. What it leaves
// empty stays.
func (d *Document) Remove(ref secrets.Ref) (bool, error) { return with(ref, d.remove) }

// Bytes writes the document. What would not be read as it is here, such as a
// character that YAML does not have, is an error.
func (d *Document) Bytes() ([]byte, error) {
	want := d.values() // first: writing YAML may change its nodes
	data, err := d.bytes()
	if err != nil {
		return nil, err
	}
	again, err := Parse(d.format, d.name, data)
	if err != nil || !maps.Equal(want, again.values()) {
		return nil, fmt.Errorf("a file of %s cannot hold this as it is: leave out characters that cannot be printed, and write NAME: VALUE in lines of their own", d.format)
	}
	d.body = again.body
	return data, nil
}

func (d *Document) values() map[secrets.Ref]string {
	all := map[secrets.Ref]string{}
	for _, ref := range d.List() {
		all[ref], _, _ = d.Get(ref)
	}
	return all
}

// lines are the NAME=VALUE lines of dotenv.
type lines struct{ d *dotenv.Document }

// name is the one of keys; what stands between slashes is part of it.
func (lines) name(keys []string) string { return strings.Join(keys, "/") }

func (l lines) get(keys []string) (string, bool, error) {
	v, ok := l.d.Get(l.name(keys))
	return v, ok, nil
}

func (l lines) set(keys []string, value string) error { return l.d.Set(l.name(keys), value) }

func (l lines) remove(keys []string) (bool, error) { return l.d.Remove(l.name(keys)), nil }

func (l lines) names() [][]string {
	var all [][]string
	for _, n := range l.d.Names() {
		all = append(all, strings.Split(n, "/"))
	}
	return all
}

func (l lines) bytes() ([]byte, error) { return l.d.Bytes(), nil }

// plain is one secret.
type plain struct {
	name string
	data []byte
}

func (p *plain) get(keys []string) (string, bool, error) {
	if len(keys) != 1 {
		return "", false, errNoFields
	}
	if keys[0] != p.name {
		return "", false, nil
	}
	return TrimNewline(string(p.data)), true, nil
}

func (p *plain) set(keys []string, value string) error {
	if len(keys) != 1 || keys[0] != p.name {
		return fmt.Errorf("is not in this file, which holds one secret: %s", p.name)
	}
	p.data = AddNewline(value)
	return nil
}

func (p *plain) remove([]string) (bool, error) {
	return false, errors.New("is all that this file holds: remove the file")
}

func (p *plain) names() [][]string { return [][]string{{p.name}} }

func (p *plain) bytes() ([]byte, error) { return p.data, nil }

// TrimNewline removes one end of line, which editors and commands put behind
// a secret.
func TrimNewline(s string) string {
	if line, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(line, "\r")
	}
	return s
}

// AddNewline adds an end of line to a secret that ends with one, so that
// TrimNewline leaves it its own.
func AddNewline(s string) []byte {
	if TrimNewline(s) != s {
		s += "\n"
	}
	return []byte(s)
}
