package docker

import (
	"encoding/json"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/catalog"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
)

// The types of Docker's OCI artifacts: a manifest with that artifactType and
// one layer of the type LayerType, which is the payload.
const (
	CatalogArtifact = "application/vnd.docker.mcp.catalog.v1+json"
	ProfileArtifact = "application/vnd.docker.mcp.profile.v1+json"
	LayerType       = "application/json"
)

// Profile is a set of servers that somebody put together.
type Profile struct {
	ID      string
	Name    string
	Servers []ProfileServer
	Extra   []catalog.Extra
}

// ProfileServer is one server of a [Profile].
type ProfileServer struct {
	Entry

	Config     json.RawMessage // the settings that the profile has for it
	Secrets    string          // the group of the profile's secrets that it uses
	Tools      []string        // those that it may show; nil: all
	CatalogRef string          // the catalog that it came from
	Source     string          // what the profile says it is: a reference or URL
}

// ParseLabel reads the label [Label] of an image: a description of the server
// in the image, as far as an image may describe itself. image is the reference
// that the label was read from; what the label says of an image is ignored.
func ParseLabel(image string, label []byte) (Entry, error) {
	root, err := strictyaml.Parse(Label, label)
	if err != nil {
		return Entry{}, err
	}
	if !root.IsMapping() {
		return Entry{}, &NotCatalogError{Label, "it holds no mapping"}
	}
	name, _ := root.Get("name").Text()
	if name == "" {
		return Entry{}, &NotCatalogError{Label, "the name of the server is missing"}
	}
	r := newReader(name, catalog.Origin{Place: image, Format: FormatLabel}, root)
	r.tile(r.notes.Mapping(root))
	e := r.entry()
	e.narrow()
	e.Server.Image, e.Server.Remotes = image, nil
	return e, nil
}

// ParseArtifact reads the payload of a [CatalogArtifact].
func ParseArtifact(place string, payload []byte, o *Options) (*File, error) {
	root, err := strictyaml.ParseWithin(place, payload, strictyaml.Limits{Size: maxCatalog, Nodes: maxValues})
	if err != nil {
		return nil, err
	}
	if !root.IsMapping() || root.Get("servers").Items() == nil && root.Get("servers").Present() {
		return nil, &NotCatalogError{place, "it is no mapping with a list of servers"}
	}
	opt := o.orDefault()
	f := &File{Format: FormatArtifact, root: root, json: true}
	var notes strictyaml.Notes
	top := notes.Mapping(root)
	f.Title = top.Text("title")
	f.Name = opt.Catalog
	if f.Name == "" {
		f.Name = f.Title
	}
	for _, m := range top.Mappings("servers") {
		p := profileServer(m, catalog.Origin{Catalog: f.Name, Place: place, Digest: opt.Digest, Format: FormatArtifact}, opt.Whole)
		if p.Server == nil {
			continue
		}
		for i, t := range p.Tools { // of a catalog: the tools that it shows
			v, _ := json.Marshal(t)
			p.Server.Extra = append(p.Server.Extra, catalog.Extra{Path: fmt.Sprintf("shown[%d]", i), Value: v})
		}
		f.Entries = append(f.Entries, p.Entry)
	}
	return f, nil
}

// ParseProfile reads the payload of a [ProfileArtifact], or a profile in YAML
// as Docker's gateway exports it.
func ParseProfile(place string, payload []byte, o *Options) (*Profile, error) {
	root, err := strictyaml.ParseWithin(place, payload, strictyaml.Limits{Size: maxCatalog, Nodes: maxValues})
	if err != nil {
		return nil, err
	}
	opt := o.orDefault()
	var notes strictyaml.Notes
	top := notes.Mapping(root)
	if v := top.Text("version"); v != "1" {
		return nil, &NotCatalogError{place, fmt.Sprintf("version is %q; profiles of version 1 can be read", v)}
	}
	p := &Profile{ID: top.Text("id"), Name: top.Text("name")}
	origin := catalog.Origin{Catalog: opt.Catalog, Place: place, Digest: opt.Digest, Format: FormatArtifact}
	if origin.Catalog == "" {
		origin.Catalog = p.Name
	}
	for _, m := range top.Mappings("servers") {
		if s := profileServer(m, origin, opt.Whole); s.Server != nil {
			p.Servers = append(p.Servers, s)
		}
	}
	top.Rest(func(_ string, v strictyaml.Node) {
		p.Extra = append(p.Extra, catalog.Extra{Path: v.Key(), Value: v.JSON()})
	})
	if len(notes.Faults) > 0 {
		return nil, notes.Faults[0]
	}
	return p, nil
}

func profileServer(m *strictyaml.Mapping, origin catalog.Origin, whole bool) ProfileServer {
	p := ProfileServer{Secrets: m.Text("secrets"), CatalogRef: m.Text("catalogRef")}
	if ref := m.Text("catalog_ref"); ref != "" { // so in YAML
		p.CatalogRef = ref
	}
	if m.Get("tools").Present() {
		p.Tools = append([]string{}, m.Texts("tools")...)
	}
	if c := m.Get("config"); c.Present() {
		p.Config = c.JSON()
	}
	typ := m.Text("type")
	source, image, endpoint := m.Text("source"), m.Text("image"), m.Text("endpoint")
	p.Source = source + image + endpoint
	snapshot := m.Mapping("snapshot").Get("server")
	name, _ := snapshot.Get("name").Text()
	if name == "" {
		name = p.Source
	}
	r := newReader(name, origin, m.Node())
	r.tile(r.notes.Mapping(snapshot.At("snapshot.server")))
	e := r.entry()
	if !snapshot.Present() {
		e.Faults = append(e.Faults, Fault{"", m.Node().Line(), "there is no snapshot, so that nothing is known but " + p.Source})
	}
	if !whole {
		e.narrow()
	}
	switch s := e.Server; {
	case typ == "image" && image != "":
		s.Image = image
	case typ == "remote" && endpoint != "":
		transport := ""
		if len(s.Remotes) > 0 {
			transport = s.Remotes[0].Transport
		}
		if len(s.Remotes) == 0 || s.Remotes[0].URL != endpoint {
			s.Remotes = []catalog.Remote{{URL: endpoint, Transport: transport}}
		}
	}
	p.Entry = e
	return p
}

// narrow leaves out what shapes a running server, and notes that it was there.
func (e *Entry) narrow() {
	s := e.Server
	drop := func(there bool, path string) {
		if there {
			e.Dropped = append(e.Dropped, path)
		}
	}
	drop(len(s.Args) > 0, "command")
	drop(len(s.Asks.Mounts) > 0, "volumes")
	drop(s.Asks.User != "", "user")
	drop(len(s.Asks.Hosts) > 0, "allowHosts")
	drop(s.Asks.NoNetwork, "disableNetwork")
	drop(len(s.Asks.HostAliases) > 0, "extraHosts")
	drop(len(s.Secrets) > 0, "secrets")
	drop(s.OAuth != nil, "oauth")
	drop(s.LongLived, "longLived")
	s.Args, s.Asks, s.Secrets, s.OAuth, s.LongLived = nil, catalog.Asks{}, nil, nil, false
	for i, v := range s.Env {
		drop(v.Value != "", fmt.Sprintf("env[%d].value", i))
		s.Env[i].Value = ""
	}
	for i, r := range s.Remotes {
		drop(len(r.Headers) > 0, "remote.headers")
		s.Remotes[i].Headers = nil
	}
	for i, t := range s.Tools {
		drop(t.Container != nil, fmt.Sprintf("tools[%d].container", i))
		s.Tools[i].Container = nil
	}
	s.Extra = nil
}
