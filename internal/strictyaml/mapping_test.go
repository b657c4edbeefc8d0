package strictyaml_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
)

func TestMapping(t *testing.T) {
	t.Parallel()
	root, err := strictyaml.Parse("f.yaml", []byte(`
defaults: &d {type: server, image: other}
entry:
  <<: *d
  image: mine
  port: 8080
  on: yes
  args: [a, 1]
  odd: 1
  remote: {url: u, more: {x: 1}}
  bad: text
  schema: {z: 0x10, a: .5, t: yes, n: ~, s: "<1>"}
  image: twice
`))
	if err != nil {
		t.Fatal(err)
	}
	var notes strictyaml.Notes
	m := notes.Mapping(root.Get("entry").At(""))
	on, given := m.Bool("on")
	got := []any{m.Text("type"), m.Text("image"), m.Text("port"), on, given, m.Int("port"), m.Texts("args"), m.Mapping("remote").Text("url"), m.Mapping("none").Text("x"), m.Has("none")}
	if want := []any{"server", "mine", "8080", true, true, int64(8080), []string{"a", "1"}, "u", "", false}; !reflect.DeepEqual(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if s := string(m.Get("schema").JSON()); s != `{"z":16,"a":0.5,"t":"yes","n":null,"s":"<1>"}` {
		t.Errorf("JSON is %s", s)
	}
	m.Mapping("bad")
	rest := map[string]string{}
	m.Rest(func(_ string, v strictyaml.Node) { rest[v.Key()] = string(v.JSON()) })
	if want := map[string]string{"odd": "1", "remote.more": `{"x":1}`}; !reflect.DeepEqual(rest, want) {
		t.Errorf("rest is %v, want %v", rest, want)
	}
	var faults []string
	for _, f := range notes.Faults {
		faults = append(faults, f.Key+": "+f.Message)
	}
	if s := strings.Join(faults, "\n"); s != "image: this key stands twice: first on line 5\nbad: must be a mapping, not text" {
		t.Errorf("faults:\n%s", s)
	}
}
