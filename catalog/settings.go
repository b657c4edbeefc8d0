package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// SettingsError says what keeps a server from starting. It holds names, never
// values.
type SettingsError struct {
	Server  string
	Missing []string // settings, as templates name them
	Secrets []string // required secrets that nobody set
	Invalid []string // "NAME: what is wrong"
}

// Error implements error.
func (e *SettingsError) Error() string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+strings.Join(names, ", "))
		}
	}
	add("missing settings: ", e.Missing)
	add("missing secrets: ", e.Secrets)
	add("settings that are not as the entry asks: ", e.Invalid)
	return fmt.Sprintf("server %q cannot start: %s", e.Server, strings.Join(parts, "; "))
}

// Check tells whether the server has what it needs to start. settings are the
// values by the name of their group, as templates see them; hasSecret tells
// whether a secret is set. The error is a [*SettingsError], or tells that the
// entry's own schema is broken.
func (s *Server) Check(settings map[string]any, hasSecret func(name string) bool) error {
	e := &SettingsError{Server: s.Name}
	for _, g := range s.Settings {
		schema, err := g.compile()
		if err != nil {
			return fmt.Errorf("server %q: the entry's schema of %s is not valid JSON Schema: %w", s.Name, g.Name, err)
		}
		if schema == nil {
			continue
		}
		value, err := plain(settings[g.Name])
		if err != nil {
			return fmt.Errorf("server %q: the settings of %s cannot be written as JSON: %w", s.Name, g.Name, err)
		}
		if value == nil {
			value = map[string]any{}
		}
		var bad *jsonschema.ValidationError
		if err := schema.Validate(value); errors.As(err, &bad) {
			e.add(g.Name, bad)
		} else if err != nil {
			return fmt.Errorf("server %q: %s: %w", s.Name, g.Name, err)
		}
	}
	for _, secret := range s.Secrets {
		if !secret.Optional && !hasSecret(secret.Name) {
			e.Secrets = append(e.Secrets, secret.Name)
		}
	}
	if len(e.Missing)+len(e.Secrets)+len(e.Invalid) == 0 {
		return nil
	}
	return e
}

// Required returns the settings of the group that must be given, by their
// names in the group, nested ones with dots.
func (g Settings) Required() []string {
	var out []string
	g.walk(func(path string, _ json.RawMessage, required bool) {
		if required {
			out = append(out, path)
		}
	})
	return out
}

// Property is one setting of a group.
type Property struct {
	Name        string // in the group; nested ones with dots
	Type        string
	Description string
	Default     json.RawMessage
	Example     json.RawMessage
	Enum        []json.RawMessage
	Required    bool
}

// Properties returns the settings of the group that hold a value themselves,
// in the order of the entry.
func (g Settings) Properties() []Property {
	var out []Property
	g.walk(func(path string, schema json.RawMessage, required bool) {
		var p struct {
			Type        any
			Description string
			Default     json.RawMessage
			Example     json.RawMessage
			Examples    []json.RawMessage
			Enum        []json.RawMessage
		}
		if json.Unmarshal(schema, &p) != nil {
			p.Description = ""
		}
		if p.Example == nil && len(p.Examples) > 0 {
			p.Example = p.Examples[0]
		}
		typ, _ := p.Type.(string)
		out = append(out, Property{Name: path, Type: typ, Description: p.Description, Default: p.Default, Example: p.Example, Enum: p.Enum, Required: required})
	})
	return out
}

// walk calls f for each property that has none below it. One is required when
// all above it are.
func (g Settings) walk(f func(path string, schema json.RawMessage, required bool)) {
	walkSchema(g.Schema, "", true, 0, f)
}

func walkSchema(schema json.RawMessage, prefix string, required bool, depth int, f func(string, json.RawMessage, bool)) {
	var s struct {
		Properties json.RawMessage
		Required   []string
	}
	if depth > 16 || len(schema) == 0 || json.Unmarshal(schema, &s) != nil || len(s.Properties) == 0 {
		return
	}
	eachMember(s.Properties, func(name string, value json.RawMessage) {
		var inner struct{ Properties map[string]json.RawMessage }
		must := required && slices.Contains(s.Required, name)
		if json.Unmarshal(value, &inner) == nil && len(inner.Properties) > 0 {
			walkSchema(value, prefix+name+".", must, depth+1, f)
			return
		}
		f(prefix+name, value, must)
	})
}

// eachMember calls f for the members of an object, in order.
func eachMember(object json.RawMessage, f func(name string, value json.RawMessage)) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return
		}
		f(name, value)
	}
}

// Validate tells whether the schema of the group is valid JSON Schema.
func (g Settings) Validate() error {
	_, err := g.compile()
	return err
}

// compile returns nil for a group without schema.
func (g Settings) compile() (*jsonschema.Schema, error) {
	if len(g.Schema) == 0 {
		return nil, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(g.Schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// schemaURL is the name of the schema while it is compiled; nothing is read
// from there.
const schemaURL = "gatehouse:///settings"

// noLoader keeps an entry from having files or URLs read.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema may refer to itself alone")
}

// plain turns a value into what a JSON decoder gives.
func plain(value any) (any, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(b))
}

// add gathers the leaves of a validation error.
func (e *SettingsError) add(prefix string, err *jsonschema.ValidationError) {
	at := strings.Join(append([]string{prefix}, err.InstanceLocation...), ".")
	switch k := err.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			e.Missing = append(e.Missing, at+"."+name)
		}
		return
	case *kind.AnyOf, *kind.OneOf:
		var ways []string
		for _, c := range err.Causes {
			one := &SettingsError{}
			one.add(prefix, c)
			ways = append(ways, strings.Join(append(one.Missing, one.Invalid...), " and "))
		}
		if len(ways) > 0 {
			e.Missing = append(e.Missing, "one of ("+strings.Join(ways, "), (")+")")
			return
		}
	}
	if len(err.Causes) > 0 {
		for _, c := range err.Causes {
			e.add(prefix, c)
		}
		return
	}
	e.Invalid = append(e.Invalid, at+": "+wrong(err.ErrorKind))
}

// wrong says what a schema asked for, without the value that was given.
func wrong(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s, must be %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		var want []string
		for _, w := range k.Want {
			want = append(want, fmt.Sprint(w))
		}
		return "must be one of " + strings.Join(want, ", ")
	case *kind.Pattern:
		return "must match " + k.Want
	case *kind.Format:
		return "must have the format " + k.Want
	case *kind.AdditionalProperties:
		return "has unknown settings: " + strings.Join(k.Properties, ", ")
	}
	return "breaks the rule " + strings.Join(k.KeywordPath(), ".")
}
