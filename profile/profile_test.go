package profile_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/profile"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names profile.Names
		yes   string
		no    string
	}{
		{profile.Names{}, "a read *", ""},
		{profile.Names{Allow: []string{}}, "", "a read"},
		{profile.Names{Allow: []string{"read_*", "list"}}, "read_ read_file list", "list_all Read_file xread_ write"},
		{profile.Names{Deny: []string{"*delete*"}}, "read dele_te", "delete xdelete delete_x xdeletex"},
		{profile.Names{Allow: []string{"*"}, Deny: []string{"a*b*c"}}, "a ab acb abcd", "abc axbxc abcbc aabcc"},
		{profile.Names{Allow: []string{"a*a"}}, "aa aba aaa", "a ab ba"},
	} {
		for _, name := range strings.Fields(test.yes) {
			if !test.names.Has(name) {
				t.Errorf("%v lacks %q", test.names, name)
			}
		}
		for _, name := range strings.Fields(test.no) {
			if test.names.Has(name) {
				t.Errorf("%v has %q", test.names, name)
			}
		}
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	p := &profile.Profile{Name: "dev", Servers: map[string]profile.Server{
		"files": {Tools: profile.Names{Allow: []string{"read"}}}, "all": {},
	}}
	if !p.Allows("files", "read") || p.Allows("files", "write") || !p.Allows("all", "x") || p.Allows("other", "read") {
		t.Error("the profile allows other tools than it says")
	}
	if err := p.Check([]string{"files", "all", "more"}); err != nil {
		t.Error(err)
	}
	p = &profile.Profile{Name: "a b", Servers: map[string]profile.Server{"gone": {Tools: profile.Names{Deny: []string{""}}}}}
	err := p.Check([]string{"files"})
	for _, want := range []string{`"a b" is no name`, `no server "gone"`, "empty pattern"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
