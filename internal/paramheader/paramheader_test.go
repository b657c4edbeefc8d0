package paramheader_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/paramheader"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func Example() {
	spec, err := paramheader.Compile(json.RawMessage(`{
		"type": "object",
		"properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(spec.Headers(json.RawMessage(`{"region":"us-west1","query":"SELECT 1"}`)))
	fmt.Println(spec.Check(json.RawMessage(`{"region":"us-west1"}`), http.Header{"Mcp-Param-Region": {"eu"}}))
	// Output:
	// map[Mcp-Param-Region:[us-west1]]
	// Header mismatch: Mcp-Param-Region does not match the argument region (-32020)
}

func props(s string) string { return `{"type":"object","properties":{` + s + `}}` }

func TestCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, schema, err string }{
		{"none", props(`"a":{"type":"string"}`), ""},
		{"string", props(`"a":{"type":"string","x-mcp-header":"A"}`), ""},
		{"integer", props(`"a":{"type":"integer","x-mcp-header":"A"}`), ""},
		{"boolean", props(`"a":{"type":"boolean","x-mcp-header":"A"}`), ""},
		{"nullable", props(`"a":{"type":["string","null"],"x-mcp-header":"A"}`), ""},
		{"nested", props(`"o":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}`), ""},
		{"a property of that name", props(`"x-mcp-header":{"type":"string"}`), ""},
		{"data", props(`"a":{"type":"object","default":{"x-mcp-header":""},"enum":[{"x-mcp-header":""}],"examples":[{"x-mcp-header":""}],"const":{"x-mcp-header":""}}`), ""},
		{"no schema", ``, ""},
		{"a boolean schema", `true`, ""},
		{"empty", props(`"a":{"type":"string","x-mcp-header":""}`), "x-mcp-header at properties.a is empty"},
		{"no string", props(`"a":{"type":"string","x-mcp-header":7}`), "is not a string"},
		{"object", props(`"a":{"type":"object","x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"array", props(`"a":{"type":"array","x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"null", props(`"a":{"type":"null","x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"only null", props(`"a":{"type":["null"],"x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"number", props(`"a":{"type":"number","x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"or number", props(`"a":{"type":["string","number"],"x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"no type", props(`"a":{"x-mcp-header":"A"}`), "type is not string, integer or boolean"},
		{"twice", props(`"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"A"}`), `x-mcp-header "A" stands at properties.a and at properties.b`},
		{"twice but for case", props(`"a":{"type":"string","x-mcp-header":"MyField"},"b":{"type":"string","x-mcp-header":"myfield"}`), "stands at"},
		{"space", props(`"a":{"type":"string","x-mcp-header":"My Region"}`), "no header name"},
		{"colon", props(`"a":{"type":"string","x-mcp-header":"A:B"}`), "no header name"},
		{"not ASCII", props(`"a":{"type":"string","x-mcp-header":"Région"}`), "no header name"},
		{"control", props(`"a":{"type":"string","x-mcp-header":"A\r\nB"}`), "no header name"},
		{"long", props(`"a":{"type":"string","x-mcp-header":"` + strings.Repeat("A", 200) + `"}`), "longer than 128 bytes"},
		{"root", `{"type":"string","x-mcp-header":"A"}`, "x-mcp-header at the root of the schema is on something that properties alone do not lead to"},
		{"items", props(`"l":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}`), "x-mcp-header at properties.l.items is on"},
		{"below items", props(`"l":{"type":"array","items":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}`), "properties.l.items.properties.a"},
		{"anyOf", `{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}`, "properties alone do not lead to"},
		{"then", `{"then":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}`, "properties alone do not lead to"},
		{"$defs", `{"$defs":{"d":{"type":"string","x-mcp-header":"A"}}}`, "properties alone do not lead to"},
		{"escaped", props(`"a":{"type":"number","x-mcp\u002dheader":"A"}`), "type is not string, integer or boolean"},
		{"deep", strings.Repeat(`{"properties":{"a":`, 200) + `{"type":"string","x-mcp-header":"A"}` + strings.Repeat(`}}`, 200), "nests more than 100 levels"},
		{"many", props(many(65)), "more than 64 headers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := paramheader.Compile(json.RawMessage(tt.schema))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	if spec, err := paramheader.Compile(json.RawMessage(props(`"x-mcp-header":{"type":"string"}`))); spec != nil || err != nil {
		t.Errorf("a schema without annotations gives %v and %v", spec, err)
	}
}

func many(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`"a%d":{"type":"string","x-mcp-header":"A%d"}`, i, i))
	}
	return strings.Join(out, ",")
}

const schema = `{"properties":{
	"s":{"type":"string","x-mcp-header":"S"},
	"i":{"type":"integer","x-mcp-header":"I"},
	"b":{"type":"boolean","x-mcp-header":"B"},
	"o":{"type":"object","properties":{"s":{"type":"string","x-mcp-header":"deep"}}}}}`

func compile(t *testing.T) *paramheader.Spec {
	t.Helper()
	spec, err := paramheader.Compile(json.RawMessage(schema))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	spec := compile(t)
	for args, want := range map[string]string{
		``:                                    "",
		`{}`:                                  "",
		`[]`:                                  "",
		`{"s":null,"i":null}`:                 "",
		`{"s":"us-west1"}`:                    "S=us-west1",
		`{"s":""}`:                            "S=",
		`{"s":" x"}`:                          "S==?base64?IHg=?=",
		`{"s":"Hello, 世界"}`:                   "S==?base64?SGVsbG8sIOS4lueVjA==?=",
		`{"s":"line1\nline2"}`:                "S==?base64?bGluZTEKbGluZTI=?=",
		`{"s":"\ud800"}`:                      "",
		`{"i":42,"b":false}`:                  "B=false I=42",
		`{"i":42.0}`:                          "I=42",
		`{"i":-4.2e1}`:                        "I=-42",
		`{"i":9007199254740993}`:              "I=9007199254740993",
		`{"i":4.5}`:                           "I=4.5",
		`{"o":{"s":"x"},"s":{"a":1}}`:         "Deep=x",
		`{"o":{"s":[]},"deep":"no","S":"no"}`: "",
	} {
		var got []string
		for k, v := range spec.Headers(json.RawMessage(args)) {
			got = append(got, strings.TrimPrefix(k, "Mcp-Param-")+"="+v[0])
		}
		sort.Strings(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s gives %q, want %q", args, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	spec := compile(t)
	for _, tt := range []struct {
		args string
		h    http.Header
		err  string
	}{
		{`{}`, nil, ""},
		{`{"s":"x"}`, http.Header{"Mcp-Param-S": {"x"}}, ""},
		{`{"s":"x"}`, http.Header{"Mcp-Param-S": {" x "}}, ""},
		{`{"s":"Hello"}`, http.Header{"Mcp-Param-S": {"=?base64?SGVsbG8=?="}}, ""},
		{`{"s":"=?base64?SGVsbG8="}`, http.Header{"Mcp-Param-S": {"=?base64?SGVsbG8="}}, ""},
		{`{"s":"SGVsbG8="}`, http.Header{"Mcp-Param-S": {"SGVsbG8="}}, ""},
		{`{"i":42}`, http.Header{"Mcp-Param-I": {"42.0"}}, ""},
		{`{"i":42.0}`, http.Header{"Mcp-Param-I": {"42"}}, ""},
		{`{"b":true}`, http.Header{"Mcp-Param-B": {"true"}}, ""},
		{`{"s":null}`, http.Header{"Mcp-Param-Other": {"x"}}, ""},
		{`{"s":"secret"}`, nil, "Header mismatch: Mcp-Param-S is missing, but the argument s is there"},
		{`{"s":"secret"}`, http.Header{"Mcp-Param-S": {"hidden"}}, "Header mismatch: Mcp-Param-S does not match the argument s"},
		{`{"s":"x"}`, http.Header{"Mcp-Param-S": {"x", "x"}}, "Header mismatch: Mcp-Param-S stands more than once, for the argument s"},
		{`{}`, http.Header{"Mcp-Param-S": {"x"}}, "Header mismatch: Mcp-Param-S is there, but not the argument s"},
		{`{"s":"Hello"}`, http.Header{"Mcp-Param-S": {"=?base64?SGVsbG8?="}}, "is not valid base64"},
		{`{"s":"Hello"}`, http.Header{"Mcp-Param-S": {"=?base64?SGVs!!!bG8=?="}}, "is not valid base64"},
		{`{"s":"42"}`, http.Header{"Mcp-Param-S": {"42.0"}}, "does not match"},
		{`{"i":42}`, http.Header{"Mcp-Param-I": {"43"}}, "does not match"},
		{`{"i":9007199254740993}`, http.Header{"Mcp-Param-I": {"9007199254740992"}}, "does not match"},
		{`{"b":true}`, http.Header{"Mcp-Param-B": {"True"}}, "does not match"},
		{`{"o":{"s":"x"}}`, http.Header{}, "Mcp-Param-Deep is missing, but the argument o.s is there"},
	} {
		err := spec.Check(json.RawMessage(tt.args), tt.h)
		var r *transport.RPCError
		if tt.err == "" && err != nil || tt.err != "" && (!errors.As(err, &r) || r.Code != transport.CodeHeaderMismatch || !strings.Contains(r.Message, tt.err)) {
			t.Errorf("%s with %v: got %v, want %q", tt.args, tt.h, err, tt.err)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("the error shows a value: %v", err)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add(schema, `{"s":"x","i":1e2,"b":true}`)
	f.Fuzz(func(t *testing.T, schema, args string) {
		if !json.Valid([]byte(schema)) || !json.Valid([]byte(args)) {
			return
		}
		spec, err := paramheader.Compile(json.RawMessage(schema))
		if err != nil || spec == nil {
			return
		}
		if err := spec.Check(json.RawMessage(args), spec.Headers(json.RawMessage(args))); err != nil {
			t.Errorf("%s: the headers of %s do not match it: %v", schema, args, err)
		}
	})
}
