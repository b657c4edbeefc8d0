package docker_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/gatehouse-mcp/gatehouse/catalog"
	"github.com/gatehouse-mcp/gatehouse/catalog/docker"
)

// catalogs is where real catalogs lie, beside the project.
const catalogs = "../../../shared/data/catalogs"

// real calls f for each real document of Docker's formats.
func real(t *testing.T, f func(place string, data, tools []byte)) {
	t.Helper()
	if _, err := os.Stat(catalogs); err != nil {
		t.Skip("the real catalogs are not beside the project (../shared/data/catalogs)")
	}
	var files []string
	for _, pattern := range []string{"docker-v2/*.yaml", "docker-gateway-custom/*.yaml"} {
		more, _ := filepath.Glob(filepath.Join(catalogs, pattern))
		files = append(files, more...)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f(filepath.Base(name), data, nil)
	}
	sources, tools := untar(t, filepath.Join(catalogs, "docker-registry-servers.tar.gz"))
	if len(sources) < 300 {
		t.Fatalf("only %d server.yaml", len(sources))
	}
	for name, data := range sources {
		f(name, data, tools[filepath.Dir(name)+"/tools.json"])
	}
}

func untar(t *testing.T, name string) (sources, tools map[string][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sources, tools = map[string][]byte{}, map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return sources, tools
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Base(h.Name) {
		case "server.yaml":
			sources[h.Name] = data
		case "tools.json":
			tools[h.Name] = data
		}
	}
}

func values(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What was read is written again with all its values.
func TestRealCatalogsAreWrittenAsTheyWereRead(t *testing.T) {
	t.Parallel()
	entries := 0
	real(t, func(place string, data, tools []byte) {
		f, err := docker.Parse(place, data, &docker.Options{Tools: tools})
		if e := (*docker.NotCatalogError)(nil); errors.As(err, &e) && place == "tool_registrations.yaml" {
			return // the list of what is switched on
		}
		if err != nil {
			t.Errorf("%s: %v", place, err)
			return
		}
		entries += len(f.Entries)
		for _, e := range f.Entries {
			for _, fault := range e.Faults {
				t.Errorf("%s: %s: %s: %s", place, e.Server.Name, fault.Path, fault.Message)
			}
		}
		out, err := f.Encode()
		if err != nil {
			t.Errorf("%s: %v", place, err)
			return
		}
		if !reflect.DeepEqual(values(t, data), values(t, out)) {
			t.Errorf("%s: the values changed", place)
		}
		again, err := docker.Parse(place, out, &docker.Options{Tools: tools})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := asJSON(t, f.Servers()), asJSON(t, again.Servers()); a != b {
			t.Errorf("%s: the servers changed:\n%s\n%s", place, a, b)
		}
	})
	if entries < 650 {
		t.Errorf("only %d entries", entries)
	}
}

// asJSON leaves out lines, which a new layout changes.
func asJSON(t *testing.T, servers []*catalog.Server) string {
	t.Helper()
	var copies []catalog.Server
	for _, s := range servers {
		c := *s
		c.Origin.Line = 0
		copies = append(copies, c)
	}
	b, err := json.Marshal(copies)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Nothing of a real entry is overlooked: whichever value changes, the Server
// changes.
func TestNothingOfARealEntryIsLost(t *testing.T) {
	t.Parallel()
	leaves, seen := 0, map[string]int{}
	real(t, func(place string, data, tools []byte) {
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		type entry struct {
			name string
			node *yaml.Node
		}
		root := doc.Content[0]
		entries := []entry{{"", root}}
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == "registry" {
				entries = nil
				for l := root.Content[i+1].Content; len(l) > 1; l = l[2:] {
					entries = append(entries, entry{l[0].Value, l[1]})
				}
			}
		}
		for _, e := range entries {
			read := func() string {
				n := e.node
				if e.name != "" {
					n = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("registry"), {Kind: yaml.MappingNode, Content: []*yaml.Node{scalar(e.name), e.node}}}}
				}
				text, err := yaml.Marshal(n)
				if err != nil {
					t.Fatal(err)
				}
				f, err := docker.Parse(place, text, nil)
				if err != nil {
					return err.Error()
				}
				return asJSON(t, f.Servers()) + fmt.Sprint(f.Entries[0].Faults)
			}
			if place == "tool_registrations.yaml" {
				return
			}
			before := read()
			eachLeaf(e.node, "", func(path string, leaf *yaml.Node) {
				kind := fmt.Sprint(e.name == "", path)
				if seen[kind]++; seen[kind] > 10 {
					return // this kind of value was tried often enough
				}
				old := *leaf
				switch {
				case strings.HasSuffix(path, ".required") && old.Value == "true":
					leaf.Value = "false" // of a secret
				case strings.HasSuffix(path, ".prompts"):
					leaf.Value = "7"
				case leaf.Tag == "!!bool" && old.Value == "true":
					leaf.Value = "false"
				default:
					*leaf = *scalar(old.Value + "~")
				}
				if path == ".longLived" || path == ".disableNetwork" {
					leaf.Value = "false"
				}
				if read() == before {
					t.Errorf("%s: %s: a change of %s (%q) changes nothing", place, e.name, path, old.Value)
				}
				*leaf = old
				leaves++
			})
		}
	})
	t.Logf("%d values", leaves)
	if leaves < 1000 {
		t.Errorf("only %d values were changed", leaves)
	}
}

func scalar(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

func eachLeaf(n *yaml.Node, path string, f func(string, *yaml.Node)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			eachLeaf(n.Content[i+1], path+"."+n.Content[i].Value, f)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			eachLeaf(c, path+"[]", f)
		}
	case yaml.ScalarNode:
		if n.Tag != "!!null" {
			f(path, n)
		}
	}
}

func one(t *testing.T, text string) docker.Entry {
	t.Helper()
	f, err := docker.Parse("f.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Entries) != 1 {
		t.Fatalf("%d entries", len(f.Entries))
	}
	return f.Entries[0]
}

const tile = `
version: 3
name: mine
registry:
  files:
    title: Files
    description: Reads files.
    type: server
    image: mcp/files@sha256:53da89d1da3dfbb61c10f707c1713cfee1f870f7fba5334e126c6c765e37db56
    longLived: true
    command: ["--root", "{{files.paths|into}}"]
    volumes: ["{{files.paths|volume|into}}"]
    user: "1000"
    allowHosts: [api.example.com:443]
    extraHosts: ["db:10.0.0.1"]
    secrets:
      - {name: files.token, env: TOKEN, required: false}
    env:
      - {name: MODE, value: "{{files.mode}}"}
    config:
      - name: files
        description: What may be read
        type: object
        properties: {paths: {type: array, items: {type: string}}, mode: {type: string}}
        required: [paths]
    oauth: {providers: [{provider: example, secret: files.token, env: TOKEN}], scopes: [read]}
    tools:
      - name: read
        description: Reads
        arguments: [{name: path, type: string, desc: Which}, {name: max, type: integer, desc: How much, optional: true}]
        annotations: {readOnlyHint: true}
    metadata: {pulls: 5, category: data, tags: [a], license: MIT, owner: me, registryUrl: "https://x"}
    dateAdded: "2025-05-05T20:04:34Z"
    whatever: [1, {x: y}]
`

func TestCatalogEntry(t *testing.T) {
	t.Parallel()
	e := one(t, tile)
	s := e.Server
	if len(e.Faults) > 0 {
		t.Error(e.Faults)
	}
	if s.Kind() != catalog.KindImage || s.Origin.String() != "mine (f.yaml:6)" || !s.LongLived || s.Added.Year() != 2025 {
		t.Errorf("%+v", s)
	}
	// Nothing but requests.
	want := catalog.Asks{Mounts: []string{"{{files.paths|volume|into}}"}, Hosts: []string{"api.example.com:443"}, HostAliases: []string{"db:10.0.0.1"}, User: "1000"}
	if !reflect.DeepEqual(s.Asks, want) {
		t.Errorf("asks %+v", s.Asks)
	}
	if !s.Secrets[0].Optional {
		t.Error("the secret is optional")
	}
	if got := string(s.Tools[0].Input); got != `{"type":"object","properties":{"path":{"type":"string","description":"Which"},"max":{"type":"integer","description":"How much"}},"required":["path"]}` {
		t.Errorf("input %s", got)
	}
	if got := s.Settings[0].Required(); !slices.Equal(got, []string{"paths"}) {
		t.Errorf("required %v", got)
	}
	extra := map[string]string{}
	for _, x := range s.Extra {
		extra[x.Path] = string(x.Value)
	}
	if !reflect.DeepEqual(extra, map[string]string{"metadata.registryUrl": `"https://x"`, "whatever": `[1,{"x":"y"}]`}) {
		t.Errorf("extra %v", extra)
	}
	if got := e.Path("asks.mounts[0]"); got != "volumes[0]" {
		t.Errorf("path %s", got)
	}
}

func TestPathsOfAServerYAML(t *testing.T) {
	t.Parallel()
	e := one(t, `
name: x
type: server
image: x
about: {title: X}
run: {command: [a], env: {B: c}, user: u}
config:
  env: [{name: A, value: b}]
  secrets: [{name: x.s, env: S}]
`)
	for field, want := range map[string]string{
		"args[0]": "run.command[0]", "env[0].value": "config.env[0].value", "env[1].value": "run.env.B",
		"asks.user": "run.user", "secrets[0].name": "config.secrets[0].name", "image": "image",
	} {
		if got := e.Path(field); got != want {
			t.Errorf("%s is at %s, want %s", field, got, want)
		}
	}
}

// One wrong entry is told, and the others are there.
func TestWrongEntryStopsNothing(t *testing.T) {
	t.Parallel()
	f, err := docker.Parse("f.yaml", []byte("registry:\n  a: {image: x, command: --flag, env: {A: b}}\n  b: {image: y}\n  c: text\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range f.Entries {
		for _, fault := range e.Faults {
			got = append(got, fmt.Sprintf("%s:%d %s: %s", e.Server.Name, fault.Line, fault.Path, fault.Message))
		}
	}
	if s := strings.Join(got, "\n"); s != "a:2 command: must be a list, not text\na:2 env: must be a list, not a mapping\nc:4 : must be a mapping, not text" {
		t.Errorf("faults:\n%s", s)
	}
	if len(f.Entries) != 3 || f.Entries[1].Server.Image != "y" {
		t.Error("the good entry is not there")
	}
}

func TestOtherDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[]":                                   "holds no mapping",
		"a: b":                                 "neither registry nor",
		"mcpServers: {}":                       "configuration of a client",
		"registry: [a]":                        "no mapping of servers",
		"registry: {a: {ref: ''}}":             "switched on",
		"a: [":                                 "not valid YAML",
		"registry: {a: {image: x}}\n---\na: b": "second document",
	} {
		_, err := docker.Parse("f.yaml", []byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f.yaml") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if e := one(t, "ddb:\n  image: x\n"); e.Server.Name != "ddb" || e.Path("image") != "image" {
		t.Errorf("a catalog without registry: %+v", e)
	}
}

func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	bomb := b.String() + "registry: {x: {image: y, config: *a11}}\n"
	for name, text := range map[string]string{
		"aliases": bomb,
		"cycle":   "registry: &r {x: *r}\n",
		"depth":   "registry: {x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
		"flow":    "registry: " + strings.Repeat("{a: ", 5000),
	} {
		if _, err := docker.Parse("f.yaml", []byte(text), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := docker.ParseLabel("i", []byte(text)); err == nil {
			t.Errorf("%s: accepted as a label", name)
		}
		if _, err := docker.ParseArtifact("i", []byte(text), nil); err == nil {
			t.Errorf("%s: accepted as an artifact", name)
		}
	}
}

func TestLabelIsNarrow(t *testing.T) {
	t.Parallel()
	e, err := docker.ParseLabel("registry.example/me@sha256:00", []byte(`{"name":"me","title":"Me","type":"server","image":"other/image",
		"command":["rm"],"volumes":["/:/host"],"user":"root","allowHosts":["evil:443"],"extraHosts":["a:1"],"secrets":[{"name":"x.y","env":"Z"}],
		"env":[{"name":"A","value":"{{me.a}}"}],"remote":{"url":"https://evil","headers":{"A":"b"}},"longLived":true,
		"tools":[{"name":"t","description":"d","container":{"image":"evil","command":["x"]}}],"oauth":{"providers":[{"provider":"p"}]},
		"config":[{"name":"me","type":"object","properties":{"a":{"type":"string"}}}],"policy":{"allow":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := asJSON(t, []*catalog.Server{e.Server})
	want := `[{"name":"me","title":"Me","image":"registry.example/me@sha256:00","env":[{"name":"A"}],"tools":[{"name":"t","description":"d"}],` +
		`"settings":[{"name":"me","schema":{"type":"object","properties":{"a":{"type":"string"}}}}],` +
		`"origin":{"place":"registry.example/me@sha256:00","format":"docker-label"}}]`
	if got != want {
		t.Errorf("the label gives\n%s\nwant\n%s", got, want)
	}
	if s := strings.Join(e.Dropped, " "); s != "command volumes user allowHosts extraHosts secrets oauth longLived env[0].value remote.headers tools[0].container" {
		t.Errorf("dropped %s", s)
	}
}

const artifact = `{"title":"Team","servers":[
	{"type":"image","image":"mcp/a@sha256:1","tools":["t"],"snapshot":{"server":{"name":"a","type":"server","image":"mcp/a@sha256:1","command":["x"],"volumes":["/:/h"]}}},
	{"type":"remote","endpoint":"https://b.example/mcp","snapshot":{"server":{"name":"b","type":"remote","remote":{"url":"https://b.example/mcp","transport_type":"sse"}}}},
	{"type":"image","image":"mcp/c"}]}`

func TestArtifact(t *testing.T) {
	t.Parallel()
	f, err := docker.ParseArtifact("reg/cat@sha256:2", []byte(artifact), &docker.Options{Digest: "sha256:2"})
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := f.Entries[0], f.Entries[1], f.Entries[2]
	if a.Server.Args != nil || !reflect.DeepEqual(a.Dropped, []string{"command", "volumes"}) {
		t.Errorf("an artifact that nobody verified decides how a server runs: %+v, dropped %v", a.Server, a.Dropped)
	}
	if b.Server.Kind() != catalog.KindRemote || b.Server.Remotes[0].Transport != "sse" || b.Server.Origin.Digest != "sha256:2" {
		t.Errorf("%+v", b.Server)
	}
	if len(c.Faults) != 1 || c.Server.Image != "mcp/c" {
		t.Errorf("%+v %v", c.Server, c.Faults)
	}
	if f, err = docker.ParseArtifact("x", []byte(artifact), &docker.Options{Whole: true}); err != nil || len(f.Entries[0].Server.Args) != 1 {
		t.Errorf("%v %v", f, err)
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	p, err := docker.ParseProfile("p.yaml", []byte(`
version: 1
id: dev
name: Dev
servers:
  - type: image
    image: mcp/a
    config: {url: x}
    secrets: default
    tools: []
    catalog_ref: mcp/docker-mcp-catalog:latest
    snapshot: {server: {name: a, image: mcp/a, user: root}}
secrets: {default: {provider: docker-desktop-store}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Servers[0]
	if p.ID != "dev" || s.Tools == nil || len(s.Tools) != 0 || string(s.Config) != `{"url":"x"}` || s.CatalogRef == "" || s.Server.Asks.User != "" || s.Server.Name != "a" {
		t.Errorf("%+v", s)
	}
	if _, err := docker.ParseProfile("p.yaml", []byte("version: 2"), nil); err == nil {
		t.Error("a later version is read")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{tile, artifact, "registry: {a: {<<: {image: x}, image: y}}", "name: x\nabout: {}\nrun: {env: {A: [1]}}", "a: &a [*a]", "registry:\n  ? {}\n  : x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = docker.ParseLabel("i", data)
		_, _ = docker.ParseProfile("p", data, nil)
		for _, parse := range []func(string, []byte, *docker.Options) (*docker.File, error){docker.Parse, docker.ParseArtifact} {
			file, err := parse("f", data, &docker.Options{Tools: data})
			if err != nil {
				if file, err = parse("f", data, nil); err != nil {
					continue
				}
			}
			for _, s := range file.Servers() {
				s.Clone()
			}
			if _, err := file.Encode(); err != nil {
				t.Error(err)
			}
		}
	})
}

func ExampleParse() {
	f, err := docker.Parse("catalog.yaml", []byte(tile), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range f.Servers() {
		fmt.Println(s.Name, s.Kind(), s.Asks.Mounts)
	}
	// Output: files image [{{files.paths|volume|into}}]
}
