package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/catalog"
)

func needs(schema string) *catalog.Server {
	return &catalog.Server{
		Name:     "jira",
		Settings: []catalog.Settings{{Name: "jira", Schema: []byte(schema)}},
		Secrets:  []catalog.Secret{{Name: "jira.token", Env: "TOKEN"}, {Name: "jira.extra", Env: "EXTRA", Optional: true}},
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := needs(`{"type":"object","properties":{"url":{"type":"string","pattern":"^https:"},"level":{"enum":["a","b"]},"n":{"type":"integer"},
		"on":{"type":"object","properties":{"user":{"type":"string"}},"required":["user"]}},"required":["url","on"]}`)
	set := map[string]bool{}
	has := func(name string) bool { return set[name] }
	for _, c := range []struct {
		settings map[string]any
		want     string
	}{
		{nil, `server "jira" cannot start: missing settings: jira.url, jira.on; missing secrets: jira.token`},
		{map[string]any{"url": "https://x", "on": map[string]any{}}, `server "jira" cannot start: missing settings: jira.on.user; missing secrets: jira.token`},
		{map[string]any{"url": "hunter2", "level": "hunter2", "n": "hunter2", "on": map[string]any{"user": "u"}},
			`jira.level: must be one of a, b`},
		{map[string]any{"url": "hunter2", "on": map[string]any{"user": "u"}}, `jira.url: must match ^https:`},
		{map[string]any{"url": "https://x", "n": "hunter2", "on": map[string]any{"user": "u"}}, `jira.n: is string, must be integer`},
	} {
		err := s.Check(map[string]any{"jira": any(c.settings)}, has)
		if e := (*catalog.SettingsError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.settings, err, c.want)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("the error shows a value: %v", err)
		}
	}
	set["jira.token"] = true
	if err := s.Check(map[string]any{"jira": map[string]any{"url": "https://x", "on": map[string]any{"user": "u"}}}, has); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesTheWays(t *testing.T) {
	t.Parallel()
	s := needs(`{"type":"object","properties":{"a":{},"b":{},"c":{}},"anyOf":[{"required":["a"]},{"required":["b","c"]}]}`)
	err := s.Check(nil, func(string) bool { return true })
	if err == nil || err.Error() != `server "jira" cannot start: missing settings: one of (jira.a), (jira.b and jira.c)` {
		t.Error(err)
	}
}

func TestSchemasReadNothingElse(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"file:///etc/passwd", "https://example.com/schema", "other"} {
		err := needs(`{"$ref":"`+ref+`"}`).Check(nil, func(string) bool { return true })
		if err == nil || !strings.Contains(err.Error(), "not valid JSON Schema") {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if err := needs(`{"type":"int"}`).Check(nil, nil); err == nil || !strings.Contains(err.Error(), "jira") {
		t.Errorf("%v", err)
	}
}

func TestProperties(t *testing.T) {
	t.Parallel()
	g := catalog.Settings{Schema: []byte(`{"properties":{"z":{"type":"string","default":"d","description":"Zed"},"o":{"properties":{"y":{"type":"array"},"x":{}},"required":["y"]},"free":{"type":"object"}},"required":["o","z"]}`)}
	var got []string
	for _, p := range g.Properties() {
		got = append(got, fmt.Sprint(p.Name, " ", p.Type, " ", p.Required, " ", string(p.Default)))
	}
	if want := []string{`z string true "d"`, "o.y array true ", "o.x  false ", "free object false "}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := g.Required(); !slices.Equal(got, []string{"z", "o.y"}) {
		t.Errorf("%q", got)
	}
}
