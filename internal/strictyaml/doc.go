// Package strictyaml reads YAML 1.2 and JSON into Go structs and reports every
// fault with its place: unknown and duplicate keys, wrong types, values out of
// range.
//
//	root, err := strictyaml.Parse("gatehouse.yaml", data)
//	d := strictyaml.NewDecoder(nil)
//	d.Decode(root, &file)
//	if err := d.Err(); err != nil { … } // gatehouse.yaml:3:5: servers.a.ulr: unknown key; did you mean "url"?
//
// # Structs
//
// A field's key is the name in its `config` tag, else in its `json` tag, else
// the Go name in camel case (MaxLine: maxLine, PublicURL: publicURL). Fields
// that a file cannot hold (functions, channels, interfaces with methods) and
// those tagged `config:"-"` have no key. Behind the name stand options:
//
//	config:"maxLine,bytes"      a number of bytes: 4096, 64KiB, 16MiB
//	config:"idleTimeout,never"  a duration that may be "never", which is -1
//	config:"command,one"        a list of strings that may be one string
//	enum:"a,b"                  one of these strings
//	required:"true"             must be there
//	refuse:"why"                a known key that is not supported unless empty, with the reason
//	doc:"text"                  its description in the JSON Schema
//
// Durations have a unit (30s, 5m, 1h30m). A [secrets.Value] is text in which
// ${NAME} and secret:// references may stand.
//
// # Scalars
//
// Types follow the core schema of YAML 1.2 (section 10.3.2): yes and no are
// text, 010 is ten, 0o10 is eight.
//
// # Bounds
//
// A document has at most [MaxSize] bytes, 64 levels, and a million nodes after
// its aliases are expanded. Errors show keys and places, never the text of a
// value that may be secret.
package strictyaml
