package rawjson

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Kind{
		`null`: Null, `true`: Bool, `false`: Bool, ` -1`: Number, `0`: Number, `9e9`: Number, "\n\"a\"": Str,
		"\t[": Array, `{}`: Object, ``: Invalid, `  `: Invalid, `+1`: Invalid, `x`: Invalid, "\xff": Invalid,
	} {
		if got := KindOf([]byte(in)); got != want {
			t.Errorf("KindOf(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	const doc = ` { "a" : { "b" : [ 1 ] , "\u0063" : "x" } , "n" : null , "d" : 1 , "d" : 2 , "" : 3 } `
	tests := []struct {
		path []string
		want string
		ok   bool
	}{
		{[]string{"a", "b"}, `[ 1 ]`, true},
		{[]string{"a", "c"}, `"x"`, true},
		{[]string{"n"}, `null`, true},
		{[]string{"d"}, `1`, true},
		{[]string{""}, `3`, true},
		{nil, doc, true},
		{[]string{"A"}, ``, false},
		{[]string{"a", "x"}, ``, false},
		{[]string{"n", "x"}, ``, false},
		{[]string{"a", "b", "0"}, ``, false},
	}
	for _, tt := range tests {
		got, ok := Get([]byte(doc), tt.path...)
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("Get(%q) = %q, %v, want %q, %v", tt.path, got, ok, tt.want, tt.ok)
		}
	}
	for _, in := range []string{``, `[]`, `"a"`, `{`, `{"a"`, `{"a":`, `{"a":tru}`, `{"b":1 "a":2}`, `{"b":[}],"a":1}`} {
		if v, ok := Get([]byte(in), "a"); ok {
			t.Errorf("Get(%s) found %q", in, v)
		}
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want []string
		ok   bool
	}{
		{` { "a" : 1 , "\u0062" : [ ] } `, []string{`"a"=1`, `"\u0062"=[ ]`}, true},
		{`[ 1, "x" ,{} ]`, []string{`=1`, `="x"`, `={}`}, true},
		{`{}`, nil, true},
		{` [ ] `, nil, true},
		{`[1,]`, []string{`=1`}, false},
		{`[1 2]`, []string{`=1`}, false},
		{`[1`, []string{`=1`}, false},
		{`[`, nil, false},
		{`[]x`, nil, false},
		{`[1]x`, []string{`=1`}, false},
		{`{"a":1}x`, []string{`"a"=1`}, false},
		{`{"a":1,}`, []string{`"a"=1`}, false},
		{`{"a":[}`, nil, false},
		{`"a"`, nil, false},
		{``, nil, false},
	}
	for _, tt := range tests {
		var got []string
		ok := Each([]byte(tt.in), func(k, v []byte) bool {
			got = append(got, string(k)+"="+string(v))
			return true
		})
		if ok != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("Each(%s) = %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
	for _, in := range []string{`[1,2,oops`, `{"a":1,"b":2,oops`} {
		n := 0
		if ok := Each([]byte(in), func(_, _ []byte) bool { n++; return n < 2 }); !ok || n != 2 {
			t.Errorf("Each(%s) that stops at the second = %v after %d", in, ok, n)
		}
	}
	Each([]byte(`[1]`), func(k, _ []byte) bool {
		if k != nil {
			t.Errorf("an element has the key %q", k)
		}
		return true
	})
}

func TestValid(t *testing.T) {
	t.Parallel()
	// Strings of every length around the steps of the scanner, with one
	// byte that is special at every place.
	for n := range 80 {
		for at := range n + 1 {
			for _, c := range []struct {
				text string
				ok   bool
			}{{"\x00", false}, {"\x1f", false}, {"\x20", true}, {"\x21", true}, {"#", true}, {`\"`, true}, {`\`, false},
				{"\x7f", true}, {"\x80", true}, {"\xff", true}, {"\xa2", true}, {"\xdc", true}, {`\u12aF`, true}, {`\u12g0`, false}, {`"`, false}} {
				in := `"` + strings.Repeat("x", at) + c.text + strings.Repeat("y", n-at) + `"`
				if err := Valid([]byte(in), 0); (err == nil) != c.ok {
					t.Fatalf("Valid(%q) = %v, want ok = %v", in, err, c.ok)
				}
			}
		}
	}
	// And around the windows of long strings.
	for _, n := range []int{2000, 2048, 2056, 2087, 4096, 4144, 9000} {
		plain := strings.Repeat("x", n)
		for _, c := range []string{"", `\n`, "é", "\x01", `\x`, "\n", `"`, "\x7f"} {
			for _, in := range []string{`"` + plain + c + `"`, `"` + plain + c + plain + `"`, `"é` + plain + c + plain + `"`} {
				if err := Valid([]byte(in), 0); (err == nil) != json.Valid([]byte(in)) {
					t.Fatalf("Valid of %d plain bytes and %q: %v", n, c, err)
				}
			}
		}
	}
	if err := Valid([]byte(`[[]]`), 1); fmt.Sprint(err) != `depth: [0] (byte 1): nested deeper than the limit of 1 levels; flatten the value` {
		t.Errorf("got %v", err)
	}
	if err := Valid([]byte(`[1,{"a b":[tru]}]`), 9); fmt.Sprint(err) != `syntax: [1]["a b"][0] (byte 11): unknown word; only true, false and null stand without quotes` {
		t.Errorf("got %v", err)
	}
}

// A fault never repeats a value, and its text is one line of bounded length.
func TestFaultsKeepSecrets(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"`+strings.Repeat("key", 40)+`":`, 100)
	for _, in := range []string{
		`{"jsonrpc":"2.0","id":"hunter2","method":"hunter2\x"}`,
		`{"jsonrpc":"hunter2","id":1,"method":"a"}`,
		`{"jsonrpc":"2.0","id":"hunter2\u0000","method":"a"}`,
		`{"jsonrpc":"2.0","id":1,"params":{"password":"hunter2` + "\n" + `"}}`,
		`{"jsonrpc":"2.0","id":1,"params":{"password":"hunter2" "x"}}`,
		`{"jsonrpc":"2.0","id":1,"params":` + deep + `"hunter2` + "\x01" + `"`,
		`"hunter2"`,
		`hunter2`,
		`{"jsonrpc":"2.0","id":1,"params":["hunter2`,
	} {
		_, err := Split([]byte(in), 200)
		if err == nil {
			t.Errorf("took %s", in)
			continue
		}
		text := err.Error()
		if strings.Contains(text, "hunter2") || strings.ContainsAny(text, "\r\n") || len(text) > 1600 {
			t.Errorf("the error of %.60s: %s", in, text)
		}
	}
}
