package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/catalog"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
)

// reader makes a Server of an entry.
type reader struct {
	s     *catalog.Server
	notes strictyaml.Notes
	paths map[string]string
	root  *strictyaml.Mapping
}

func newReader(name string, origin catalog.Origin, n strictyaml.Node) *reader {
	origin.Line = n.Line()
	return &reader{s: &catalog.Server{Name: name, Origin: origin}, paths: make(map[string]string)}
}

// at notes where a field of the Server stands in the entry, when that is
// somewhere else.
func (r *reader) at(field, path string) {
	if field != path && path != "" {
		r.paths[field] = path
	}
}

func (r *reader) entry() Entry {
	r.root.Rest(func(_ string, v strictyaml.Node) { r.extra(v) })
	e := Entry{Server: r.s, paths: r.paths}
	for _, f := range r.notes.Faults {
		e.Faults = append(e.Faults, Fault{f.Key, f.Line, f.Message})
	}
	return e
}

// extra keeps a value that Server has no place for.
func (r *reader) extra(n strictyaml.Node) {
	if n.Present() {
		r.s.Extra = append(r.s.Extra, catalog.Extra{Path: n.Key(), Value: n.JSON()})
	}
}

// extraUnless keeps the value of a key unless it is the empty one that
// Docker's own files have there.
func (r *reader) extraUnless(m *strictyaml.Mapping, key, empty string) {
	if n := m.Get(key); n.Present() && string(n.JSON()) != empty {
		r.extra(n)
	}
}

func field(list string, i int, rest string) string { return list + "[" + strconv.Itoa(i) + "]" + rest }

func (r *reader) texts(m *strictyaml.Mapping, key, as string, to *[]string) {
	*to = m.Texts(key)
	for i := range *to {
		r.at(field(as, i, ""), field(m.Node().Get(key).Key(), i, ""))
	}
}

// kind reads the type of an entry, and keeps it where it is not what the rest
// of the entry says.
func (r *reader) kind(m *strictyaml.Mapping) {
	typ := m.Text("type")
	switch kind := r.s.Kind(); {
	case typ == "server" && kind == catalog.KindImage,
		typ == "remote" && kind == catalog.KindRemote,
		typ == "poci" && kind == catalog.KindTools:
	default:
		r.extra(m.Get("type"))
	}
}

// tile reads an entry of a catalog.
func (r *reader) tile(m *strictyaml.Mapping) {
	r.root = m
	s := r.s
	if name := m.Text("name"); name != s.Name {
		r.extra(m.Get("name"))
	}
	s.Title, s.Description = m.Text("title"), m.Text("description")
	s.Icon, s.Readme = m.Text("icon"), m.Text("readme")
	s.Image = m.Text("image")
	r.remote(m.Mapping("remote"))
	if url := m.Text("sseEndpoint"); url != "" {
		s.Remotes = append(s.Remotes, catalog.Remote{URL: url, Transport: "sse"})
		r.at(field("remotes", len(s.Remotes)-1, ".url"), "sseEndpoint")
	}
	s.LongLived, _ = m.Bool("longLived")
	s.Prefix = m.Text("prefix")
	r.run(m)
	r.texts(m, "extraHosts", "asks.hostAliases", &s.Asks.HostAliases)
	r.secrets(m)
	r.env(m)
	r.tools(m)
	for i, c := range m.Mappings("config") {
		r.settings(i, c)
	}
	if o := m.Mapping("oauth"); o != nil {
		s.OAuth = &catalog.OAuth{Scopes: o.Texts("scopes")}
		r.providers(o.Mappings("providers"))
	}
	s.Source.URL, s.Source.Upstream = m.Text("source"), m.Text("upstream")
	r.at("source.url", "source")
	meta := m.Mapping("metadata")
	s.Popularity = catalog.Popularity{Pulls: meta.Int("pulls"), Stars: meta.Int("stars"), GitHubStars: meta.Int("githubStars")}
	if c := meta.Text("category"); c != "" {
		s.Categories = []string{c}
	}
	s.Tags, s.License, s.Publisher = meta.Texts("tags"), meta.Text("license"), meta.Text("owner")
	if text := m.Text("dateAdded"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			r.notes.Note(m.Get("dateAdded"), "is no time of the form 2006-01-02T15:04:05Z")
			r.extra(m.Get("dateAdded"))
		}
		s.Added = t
	}
	r.extraUnless(m, "ref", `""`)
	r.extraUnless(m, "prompts", "0")
	r.extraUnless(m, "resources", "{}")
	r.kind(m)
}

// source reads a server.yaml.
func (r *reader) source(m *strictyaml.Mapping) {
	r.root = m
	s := r.s
	m.Get("name")
	about, meta := m.Mapping("about"), m.Mapping("meta")
	s.Title, s.Description, s.Icon = about.Text("title"), about.Text("description"), about.Text("icon")
	r.at("title", "about.title")
	if c := meta.Text("category"); c != "" {
		s.Categories = []string{c}
	}
	s.Tags = meta.Texts("tags")
	s.Image = m.Text("image")
	s.DynamicTools, _ = m.Mapping("dynamic").Bool("tools")
	s.LongLived, _ = m.Bool("longLived")
	if q := m.Text("requirement"); q != "" {
		s.Requires = []string{q}
	}
	r.remote(m.Mapping("remote"))
	src := m.Mapping("source")
	s.Source = catalog.Source{
		URL: src.Text("project"), Upstream: src.Text("upstream"), Branch: src.Text("branch"),
		Commit: src.Text("commit"), Directory: src.Text("directory"), Build: src.Text("dockerfile"),
	}
	r.at("source.url", "source.project")
	run, config := m.Mapping("run"), m.Mapping("config")
	r.run(run)
	r.secrets(config)
	r.env(config)
	run.Mapping("env").Each(func(name string, v strictyaml.Node) {
		text, ok := v.Text()
		if !ok {
			text = string(v.JSON())
		}
		r.at(field("env", len(s.Env), ".value"), v.Key())
		r.at(field("env", len(s.Env), ".name"), v.Key())
		s.Env = append(s.Env, catalog.Env{Name: name, Value: text})
	})
	r.tools(m)
	g := catalog.Settings{Name: s.Name, Description: config.Text("description")}
	if p := config.Get("parameters"); p.Present() {
		if p.IsMapping() {
			g.Schema = p.JSON()
		} else {
			r.notes.Note(p, "must be a mapping")
			r.extra(p)
		}
	}
	if g.Schema != nil || g.Description != "" {
		s.Settings = []catalog.Settings{g}
		r.at("settings[0]", "config.parameters")
	}
	if list := m.Mappings("oauth"); list != nil {
		s.OAuth = new(catalog.OAuth)
		r.providers(list)
	}
	r.kind(m)
}

func (r *reader) remote(m *strictyaml.Mapping) {
	if m == nil {
		return
	}
	remote := catalog.Remote{URL: m.Text("url"), Transport: m.Text("transport_type")}
	r.at("remotes[0].url", "remote.url")
	r.at("remotes[0].transport", "remote.transport_type")
	m.Mapping("headers").Each(func(name string, v strictyaml.Node) {
		text, ok := v.Text()
		if !ok {
			text = string(v.JSON())
		}
		r.at(field("remotes[0].headers", len(remote.Headers), ".value"), v.Key())
		remote.Headers = append(remote.Headers, catalog.Input{Name: name, Value: text})
	})
	r.s.Remotes = append(r.s.Remotes, remote)
}

func (r *reader) run(m *strictyaml.Mapping) {
	s := r.s
	r.texts(m, "command", "args", &s.Args)
	r.texts(m, "volumes", "asks.mounts", &s.Asks.Mounts)
	r.texts(m, "allowHosts", "asks.hosts", &s.Asks.Hosts)
	s.Asks.User = m.Text("user")
	r.at("asks.user", m.Node().Get("user").Key())
	s.Asks.NoNetwork, _ = m.Bool("disableNetwork")
}

func (r *reader) secrets(m *strictyaml.Mapping) {
	for i, c := range m.Mappings("secrets") {
		required, given := c.Bool("required")
		r.s.Secrets = append(r.s.Secrets, catalog.Secret{
			Name: c.Text("name"), Env: c.Text("env"), Description: c.Text("description"), Example: c.Text("example"),
			Optional: given && !required,
		})
		r.at(field("secrets", i, ""), c.Node().Key())
		r.at(field("secrets", i, ".name"), c.Node().Key()+".name")
		r.at(field("secrets", i, ".env"), c.Node().Key()+".env")
	}
}

func (r *reader) env(m *strictyaml.Mapping) {
	for i, e := range m.Mappings("env") {
		r.s.Env = append(r.s.Env, catalog.Env{Name: e.Text("name"), Value: e.Text("value"), Example: e.Text("example"), Description: e.Text("description")})
		r.at(field("env", i, ""), e.Node().Key())
		r.at(field("env", i, ".name"), e.Node().Key()+".name")
		r.at(field("env", i, ".value"), e.Node().Key()+".value")
	}
}

func (r *reader) settings(i int, m *strictyaml.Mapping) {
	g := catalog.Settings{Name: m.Text("name"), Description: m.Text("description")}
	var b bytes.Buffer
	m.Each(func(key string, v strictyaml.Node) {
		if key == "name" || key == "description" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(key)
		b.Write(name)
		b.WriteByte(':')
		b.Write(v.JSON())
	})
	g.Schema = json.RawMessage("{" + b.String() + "}")
	r.at(field("settings", i, ""), m.Node().Key())
	r.s.Settings = append(r.s.Settings, g)
}

func (r *reader) providers(list []*strictyaml.Mapping) {
	for i, p := range list {
		r.s.OAuth.Providers = append(r.s.OAuth.Providers, catalog.OAuthProvider{
			Provider: p.Text("provider"), Secret: p.Text("secret"), Env: p.Text("env"),
		})
		r.at(field("oauth.providers", i, ".env"), p.Node().Key()+".env")
		r.at(field("oauth.providers", i, ".secret"), p.Node().Key()+".secret")
	}
}

func (r *reader) tools(m *strictyaml.Mapping) {
	for _, t := range m.Mappings("tools") {
		r.tool(t)
	}
}

func (r *reader) tool(t *strictyaml.Mapping) {
	tool := catalog.Tool{Name: t.Text("name"), Title: t.Text("title"), Description: t.Text("description")}
	i := len(r.s.Tools)
	base, as := t.Node().Key(), field("tools", i, "")
	r.at(as+".name", base+".name")
	for _, key := range []string{"inputSchema", "parameters"} {
		if n := t.Get(key); n.Present() && tool.Input == nil && n.IsMapping() {
			tool.Input = n.JSON()
		} else {
			r.extra(n)
		}
	}
	if list := t.Get("arguments"); list.Present() {
		if tool.Input == nil {
			tool.Input = arguments(t.Mappings("arguments"))
		} else {
			r.extra(list)
		}
	}
	if n := t.Get("annotations"); n.Present() {
		tool.Annotations = n.JSON()
	}
	if c := t.Mapping("container"); c != nil {
		tool.Container = &catalog.Container{Image: c.Text("image"), Args: c.Texts("command"), AskedMounts: c.Texts("volumes"), AskedUser: c.Text("user")}
		in := c.Node().Key()
		r.at(as+".container.image", in+".image")
		r.at(as+".container.askedUser", in+".user")
		for j := range tool.Container.Args {
			r.at(field(as+".container.args", j, ""), field(in+".command", j, ""))
		}
		for j := range tool.Container.AskedMounts {
			r.at(field(as+".container.askedMounts", j, ""), field(in+".volumes", j, ""))
		}
	}
	r.s.Tools = append(r.s.Tools, tool)
}

// arguments makes a JSON Schema of Docker's list of arguments.
func arguments(list []*strictyaml.Mapping) json.RawMessage {
	var props, required bytes.Buffer
	for _, a := range list {
		name, _ := json.Marshal(a.Text("name"))
		if props.Len() > 0 {
			props.WriteByte(',')
		}
		props.Write(name)
		props.WriteString(":{")
		sep := ""
		for _, k := range [...][2]string{{"type", "type"}, {"desc", "description"}} {
			if text := a.Text(k[0]); text != "" {
				value, _ := json.Marshal(text)
				fmt.Fprintf(&props, "%s%q:%s", sep, k[1], value)
				sep = ","
			}
		}
		if items := a.Get("items"); items.Present() {
			fmt.Fprintf(&props, "%s\"items\":%s", sep, items.JSON())
		}
		props.WriteByte('}')
		if optional, _ := a.Bool("optional"); !optional {
			if required.Len() > 0 {
				required.WriteByte(',')
			}
			required.Write(name)
		}
	}
	out := `{"type":"object","properties":{` + props.String() + `}`
	if required.Len() > 0 {
		out += `,"required":[` + required.String() + `]`
	}
	return json.RawMessage(out + "}")
}

// toolsFile reads a tools.json: a list of tools.
func (r *reader) toolsFile(data []byte) error {
	root, err := strictyaml.Parse("tools.json", data)
	if err != nil {
		return err
	}
	root = root.At("tools.json")
	if root.Items() == nil && (!root.IsMapping() || len(root.Keys()) > 0) {
		r.notes.Note(root, "must be a list of tools")
		r.extra(root)
	}
	for _, n := range root.Items() {
		if t := r.notes.Mapping(n); t != nil {
			r.tool(t)
			t.Rest(func(_ string, v strictyaml.Node) { r.extra(v) })
		}
	}
	return nil
}
