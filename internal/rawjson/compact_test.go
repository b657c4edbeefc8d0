package rawjson

import "testing"

func TestCompact(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"{\n\t\"a b\" : [ 1.50 , \"x\\n y\" ],\r\n \"c\" : -0e+1 }\n", `{"a b":[1.50,"x\n y"],"c":-0e+1}`},
		{"\n\"é \u2028\"\n", "\"é \u2028\""},
		{"[\n]", `[]`},
		// Not JSON, but still one line.
		{"{\"a\nb\":1,\n", `{"ab":1,`},
		{"\x01\n\x02", "\x01\x02"},
		{"\"\\\n", `"\`},
	}
	for _, tt := range tests {
		if got := Compact([]byte(tt.in)); string(got) != tt.want {
			t.Errorf("Compact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	in := []byte(`{ "a" : 1 }`)
	if got := Compact(in); len(got) != len(in) || &got[0] != &in[0] {
		t.Errorf("Compact(%s) = %s, want the same slice", in, got)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{` { "b" : 1 , "a" : [ 2.0 , true , null , { } , [ ] ] } `, `{"a":[2.0,true,null,{},[]],"b":1}`},
		{`"\u0041\/\"\\\u000a\u001F\u007f\u00e9\u2028"`, "\"A/\\\"\\\\\\n\\u001f\x7fé\u2028\""},
		{`"\uD83D\uDE00"`, `"😀"`},
		{`"\uD83D\u0041\uDE00"`, `"\ud83dA\ude00"`},
		{`{"\u0062":1,"a":2,"":3}`, `{"":3,"a":2,"b":1}`},
		{`{"a\u0001":1,"a ":2,"a\"":3,"a!":4}`, `{"a\u0001":1,"a ":2,"a!":4,"a\"":3}`},
		{`{"😀":1,"\uffee":2}`, `{"` + "\uffee" + `":2,"😀":1}`},
		{`{"z":{"y":[{"b":1,"a":2}],"x":0},"a":{}}`, `{"a":{},"z":{"x":0,"y":[{"a":2,"b":1}]}}`},
		{`-0.0e1`, `-0.0e1`},
		{`""`, `""`},
	}
	for _, tt := range tests {
		got, err := Canonical([]byte(tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("Canonical(%s) = %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for in, want := range map[string]string{
		`{"a":1,"\u0061":2}`: `duplicate-key: a (byte 7): the key stands twice in its object; send it once`,
		`{"a":[1}`:           `syntax: a[0] (byte 7): a comma or ] is missing after the element`,
		"[\"\xff\"]":         `invalid-utf8: [0] (byte 2): bytes that are not UTF-8; encode the text as UTF-8`,
		`1 2`:                `syntax: the top level (byte 2): text follows the value; send exactly one value`,
		``:                   `syntax: the top level (byte 0): the text ends within a value; send the whole value`,
	} {
		if got, err := Canonical([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("Canonical(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
}
