package docker

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/gatehouse-mcp/gatehouse/catalog"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
)

// The formats, as they stand in [catalog.Origin].
const (
	FormatCatalog  = "docker-catalog"  // registry: {NAME: …}
	FormatRegistry = "docker-registry" // server.yaml
	FormatEntry    = "docker-entry"    // one entry of a catalog in a file of its own
	FormatArtifact = "docker-artifact" // an OCI artifact
	FormatLabel    = "docker-label"    // the label of an image
)

// Label is the label by which an image describes itself.
const Label = "io.docker.server.metadata"

// Options are the options of the parsers.
type Options struct {
	// Tools is the tools.json that lies beside a server.yaml.
	Tools []byte

	// Whole reads all of an artifact: see the package's comment.
	Whole bool

	// Catalog is the name in [catalog.Origin]; empty for the document's own.
	Catalog string

	// Digest is the digest by which an artifact was read.
	Digest string
}

func (o *Options) orDefault() Options {
	if o == nil {
		return Options{}
	}
	return *o
}

// File is a document that was read.
type File struct {
	Format  string
	Version string // of a catalog: "2", "3"
	Name    string
	Title   string
	Entries []Entry // in the order of the document

	root strictyaml.Node
	json bool
}

// Entry is one server of a document.
type Entry struct {
	Server *catalog.Server
	Faults []Fault

	// Dropped names what was left out of an artifact.
	Dropped []string

	paths map[string]string
}

// Fault is something that could not be read.
type Fault struct {
	Path    string // in the entry
	Line    int    // in the file, from 1
	Message string
}

// Path returns where a field of the Server stands in the entry as it is
// written. The field is named by the keys of its JSON, such as
// asks.mounts[0].
func (e Entry) Path(field string) string {
	if p, ok := e.paths[field]; ok {
		return p
	}
	return field
}

// Servers returns the servers of all entries.
func (f *File) Servers() []*catalog.Server {
	out := make([]*catalog.Server, len(f.Entries))
	for i, e := range f.Entries {
		out[i] = e.Server
	}
	return out
}

// NotCatalogError says that a document is well formed and something else.
type NotCatalogError struct{ Place, Why string }

// Error implements error.
func (e *NotCatalogError) Error() string {
	return fmt.Sprintf("%s: this is no catalog of Docker's: %s", e.Place, e.Why)
}

const (
	maxCatalog = 64 << 20
	maxValues  = 8 << 20
)

// Parse reads a catalog file, a server.yaml or a file with one entry,
// whichever it is. place is the name of the file for errors and origins. The
// error is a [*NotCatalogError], or tells why the document cannot be read.
func Parse(place string, data []byte, o *Options) (*File, error) {
	root, err := strictyaml.ParseWithin(place, data, strictyaml.Limits{Size: maxCatalog, Nodes: maxValues})
	if err != nil {
		return nil, err
	}
	f := &File{root: root, json: json.Valid(data)}
	no := func(why string) (*File, error) { return nil, &NotCatalogError{place, why} }
	switch {
	case !root.IsMapping():
		return no("it holds no mapping")
	case root.Get("registry").Present():
		if !root.Get("registry").IsMapping() {
			return no("registry is no mapping of servers")
		}
		return f.readCatalog(place, root.Get("registry"), o.orDefault())
	case root.Get("mcpServers").Present():
		return no("it is the configuration of a client")
	case root.Get("name").Present() && isSource(root):
		return f.readOne(place, FormatRegistry, o.orDefault())
	case root.Get("name").Present() && isEntry(root):
		return f.readOne(place, FormatEntry, o.orDefault())
	case bare(root):
		return f.readCatalog(place, root, o.orDefault())
	}
	return no("it has neither registry nor the name and type of a server")
}

// isSource tells a server.yaml by keys that entries of a catalog do not have.
func isSource(root strictyaml.Node) bool {
	for _, key := range []string{"about", "meta", "run", "dynamic", "requirement"} {
		if root.Get(key).Present() {
			return true
		}
	}
	return root.Get("source").IsMapping() || root.Get("config").IsMapping()
}

func isEntry(root strictyaml.Node) bool {
	for _, key := range []string{"type", "image", "remote", "sseEndpoint"} {
		if root.Get(key).Present() {
			return true
		}
	}
	return false
}

// bare tells a catalog whose author left out the key registry.
func bare(root strictyaml.Node) bool {
	keys := root.Keys()
	for _, key := range keys {
		if e := root.Get(key); !e.IsMapping() || !isEntry(e) {
			return false
		}
	}
	return len(keys) > 0
}

func (f *File) readCatalog(place string, servers strictyaml.Node, o Options) (*File, error) {
	f.Format = FormatCatalog
	var notes strictyaml.Notes
	if top := notes.Mapping(f.root); servers.Key() != "" {
		f.Version, f.Name, f.Title = top.Text("version"), top.Text("name"), top.Text("displayName")
	}
	names := notes.Mapping(servers)
	if names == nil {
		return f, nil
	}
	wanted := 0
	names.Each(func(name string, n strictyaml.Node) {
		keys := n.Keys()
		if len(keys) > 1 || len(keys) == 1 && keys[0] != "ref" {
			wanted++
		}
	})
	if all := servers.Keys(); wanted == 0 && len(all) > 0 {
		return nil, &NotCatalogError{place, "its entries say nothing of servers; it is the list of those that are switched on"}
	}
	origin := catalog.Origin{Catalog: o.Catalog, Place: place, Digest: o.Digest, Format: FormatCatalog}
	if origin.Catalog == "" {
		origin.Catalog = f.Name
	}
	names.Each(func(name string, n strictyaml.Node) {
		r := newReader(name, origin, n)
		r.tile(r.notes.Mapping(n.At("")))
		f.Entries = append(f.Entries, r.entry())
	})
	if len(notes.Faults) > 0 && len(f.Entries) > 0 {
		for _, fault := range notes.Faults {
			f.Entries[0].Faults = append(f.Entries[0].Faults, Fault{fault.Key, fault.Line, fault.Message})
		}
	}
	return f, nil
}

func (f *File) readOne(place, format string, o Options) (*File, error) {
	f.Format = format
	name, _ := f.root.Get("name").Text()
	origin := catalog.Origin{Catalog: o.Catalog, Place: place, Digest: o.Digest, Format: format}
	r := newReader(name, origin, f.root)
	m := r.notes.Mapping(f.root)
	if format == FormatRegistry {
		r.source(m)
		if o.Tools != nil {
			if err := r.toolsFile(o.Tools); err != nil {
				return nil, err
			}
		}
	} else {
		r.tile(m)
	}
	f.Name = name
	f.Entries = []Entry{r.entry()}
	return f, nil
}

// Encode writes the document anew: the same values in the same order, with
// their comments. A document that was JSON is JSON again.
func (f *File) Encode() ([]byte, error) {
	if f.json {
		var b bytes.Buffer
		if err := json.Indent(&b, f.root.JSON(), "", "  "); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
		return b.Bytes(), nil
	}
	var b bytes.Buffer
	d, err := yaml.NewDumper(&b, yaml.WithIndent(2))
	if err != nil {
		return nil, err
	}
	if err := d.Dump(f.root.YAML()); err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
