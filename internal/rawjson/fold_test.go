package rawjson_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

func TestCheckFold(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, `"Key%d":1,`, i)
	}
	for _, c := range []struct{ in, path string }{
		{`{"a":1,"b":{"A":1,"a ":2}}`, ""},
		{`{"a":1,"A":2}`, "x.A"},
		{`{"o":[{"Query":1,"query":2}]}`, "x.o[0].query"},
		{`{"k":1,"` + "\u212a" + `":2}`, `x["\u212a"]`},
		{`{"straße":1,"STRAẞE":2}`, `x["STRA\u1e9eE"]`},
		{`{"ς":1,"Σ":2}`, `x["\u03a3"]`},
		{`{"query":1,"\u0051uery":2}`, "x.Query"},
		{`{` + many.String() + `"z":1}`, ""},
		{`{` + many.String() + `"kEY7":1}`, "x.kEY7"},
		{`[1,"a",null]`, ""},
	} {
		err := rawjson.CheckFold([]byte(c.in), "x", 100)
		if (err == nil) != (c.path == "") {
			t.Errorf("%s: %v", c.in, err)
		}
		var f *rawjson.Fault
		if errors.As(err, &f) && (f.Rule != rawjson.RuleCase || f.Path != c.path) {
			t.Errorf("%s: rule %s at %q, want %q", c.in, f.Rule, f.Path, c.path)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, key, want string
		ambiguous     bool
	}{
		{`{"a":1,"b":[2]}`, "b", "[2]", false},
		{`{"a":1}`, "b", "", false},
		{`{"\u0061":1}`, "a", "1", false},
		{`{"A":1}`, "a", "", true},
		{`{"a":1,"A":2}`, "a", "", true},
		{`{"a":1,"X":2,"x":3}`, "a", "", true},
		{`{"a":1,"o":{"X":2,"x":3}}`, "a", "1", false},
		{`{"ſ":1}`, "S", "", true},
		{`[1]`, "a", "", false},
		{`{"a":1,`, "a", "", true},
	} {
		v, ok, amb := rawjson.Lookup([]byte(c.in), c.key)
		if string(v) != c.want || ok != (c.want != "") || amb != c.ambiguous {
			t.Errorf("Lookup(%s, %q) = %q, %v, %v", c.in, c.key, v, ok, amb)
		}
	}
}
