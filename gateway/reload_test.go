package gateway_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func TestReloadKeepsWhatDidNotChange(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("n", number)
	b := testserver.New("b", transport.Legacy).Tool("n", number)
	c := testserver.New("c", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}, {Name: "b", Launcher: b}}})
	p := legacyClient(t, gw, "{}", nil)
	for _, name := range []string{"a__n", "b__n"} {
		p.must("tools/call", `{"name":"`+name+`"}`)
	}
	err := gw.Reload(t.Context(), &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}, {Name: "c", Launcher: c}}})
	if err != nil {
		t.Fatal(err)
	}
	p.note(method("notifications/tools/list_changed"))
	if got := strings.Join(names2(p), " "); got != "a__n c__n" {
		t.Errorf("tools %q", got)
	}
	if got := textOf(p.must("tools/call", `{"name":"a__n"}`)); got != "1" {
		t.Errorf("instance %s of the unchanged server answered", got)
	}
	waitFor(t, func() bool { return len(b.Live()) == 0 })
	if e := p.fails("tools/call", `{"name":"b__n"}`); e.Message != `unknown tool "b__n"` {
		t.Errorf("got %v", e)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("n", number)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}})
	err := gw.Reload(t.Context(), &gateway.Options{Servers: []gateway.Server{{Name: "b", Launcher: a}, {Name: "b"}}, Unprefixed: "z", Limits: gateway.Limits{Calls: -1}})
	want := `Servers[1].Name "b" stands twice: each server has a name of its own
Unprefixed names "z", which is not among Servers
Limits.Calls is negative`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	err = gw.Reload(t.Context(), &gateway.Options{LegacySSE: true, Name: "other"})
	want = "Name cannot be changed while the gateway runs: start a new one\nLegacySSE cannot be changed while the gateway runs: start a new one"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	p := legacyClient(t, gw, "{}", nil)
	if got := strings.Join(names2(p), " "); got != "a__n" {
		t.Errorf("tools %q", got)
	}
}

func TestResourcesOfManyServers(t *testing.T) {
	t.Parallel()
	mk := func(name string) *testserver.Server {
		s := testserver.New(name, transport.Legacy)
		s.List("resources/list", func(string) string {
			return `{"resources":[{"uri":"file:///same","name":"x"},{"uri":"file:///` + name + `","name":"y"}]}`
		})
		s.List("resources/templates/list", func(string) string {
			return `{"resourceTemplates":[{"uriTemplate":"` + name + `://{id}","name":"t"}]}`
		})
		s.Method("resources/read", readOf(name))
		return s
	}
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: mk("a")}, {Name: "b", Launcher: mk("b")}}})
	p := legacyClient(t, gw, "{}", nil)
	for uri, want := range map[string]string{
		"file:///b":                   "b file:///b",
		"b://1":                       "b b://1",
		"a://1":                       "a a://1",
		"file:///same":                "a file:///same",
		"gatehouse://b/file:///same":  "b file:///same",
		"gatehouse://a/file:///other": "a file:///other",
	} {
		res := p.must("resources/read", `{"uri":"`+uri+`"}`)
		contents := get(res, "contents")
		if got := get(strings.Trim(contents, "[]"), "text"); got != want {
			t.Errorf("%s: %s", uri, res)
		}
		if got := get(strings.Trim(contents, "[]"), "uri"); got != uri && uri != "gatehouse://a/file:///other" {
			t.Errorf("%s came back as %s", uri, got)
		}
	}
	list := p.must("resources/list", "{}")
	if !strings.Contains(list, `"gatehouse://b/file:///same"`) || strings.Count(list, `"file:///same"`) != 1 {
		t.Errorf("resources/list: %s", list)
	}
	if e := p.fails("resources/read", `{"uri":"nobody://x"}`); e.Code != transport.CodeResourceNotFound || string(e.Data) != `{"uri":"nobody://x"}` {
		t.Errorf("got %v %s", e, e.Data)
	}
}
