package strictyaml_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

type doc struct {
	Name    string                   `enum:"alpha,beta"`
	Count   int                      `required:"true"`
	Small   uint8                    //
	Ratio   float64                  //
	On      bool                     //
	Size    int64                    `config:"size,bytes"`
	Wait    time.Duration            `config:"wait,never"`
	Command []string                 `config:"command,one"`
	List    []int                    //
	Env     map[string]secrets.Value //
	Things  strictyaml.Map[thing]    //
	Any     any                      //
	Later   strictyaml.Node          //
	Extra   strictyaml.Ignored       //
	Banned  strictyaml.Node          `refuse:"banned here"`
	BaseURL string                   //
	CPUs    *int                     //
	Func    func()                   // a file cannot hold it
	//lint:ignore U1000 it must not become a key
	hidden string
}

type thing struct{ A, B string }

func decode(text string) (doc, error) {
	var d doc
	root, err := strictyaml.Parse("f", []byte(text))
	if err != nil {
		return d, err
	}
	dec := strictyaml.NewDecoder(nil)
	dec.Decode(root, &d)
	return d, dec.Err()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	d, err := decode(`
name: beta
count: 010
small: 0xff
ratio: 1e3
on: TRUE
size: 16MiB
wait: never
command: npx
list: [1, 0o10, -3]
env: {A: "x ${T}", B: 8080, C: true, D: "", E: "a $${b", F: "${env:G}"}
things:
  z: {a: one}
  y: &y {b: two}
  x: *y
  w:
any: {k: [1, 2.5, yes, true, null, "3"]}
extra: {anything: [at, all]}
banned: []
baseURL: https://x
cpus: 2
`)
	if err != nil {
		t.Fatal(err)
	}
	two := 2
	want := doc{
		Name: "beta", Count: 10, Small: 255, Ratio: 1000, On: true, Size: 16 << 20, Wait: -1,
		Command: []string{"npx"}, List: []int{1, 8, -3}, BaseURL: "https://x", CPUs: &two,
		Any: map[string]any{"k": []any{int64(1), 2.5, "yes", true, nil, "3"}},
		Env: map[string]secrets.Value{
			"A": secrets.Template("x ${T}"), "B": secrets.Template("8080"), "C": secrets.Template("true"),
			"D": secrets.Template(""), "E": secrets.Template("a $${b"), "F": secrets.Template("${G}"),
		},
	}
	got := d
	got.Things, got.Later = nil, strictyaml.Node{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	var order []string
	for _, e := range d.Things {
		order = append(order, fmt.Sprintf("%s=%v@%d", e.Key, e.Value, e.At.Line()))
	}
	if s := strings.Join(order, " "); s != "z={one }@13 y={ two}@14 x={ two}@15 w={ }@16" {
		t.Errorf("things: %s", s)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"count: 1\nnmae: x", `f:2:1: nmae: unknown key; did you mean "name"?`},
		{"count: 1\nbase_url: x", `f:2:1: base_url: unknown key; did you mean "baseURL"?`},
		{"count: 1\nfunc: x", `f:2:1: func: unknown key`},
		{"count: 1\nhidden: x", `f:2:1: hidden: unknown key`},
		{"count: 1\ncount: 2", `f:2:1: count: this key stands twice: first on line 1`},
		{`{"count":1,"any":{"a":1,"a":2}}`, `f:1:25: any.a: this key stands twice: first on line 1`},
		{"name: alpha", `f:1:1: the key "count" is missing`},
		{"count: 1\nname: alfa", `f:2:7: name: "alfa" is none of alpha, beta; did you mean "alpha"?`},
		{"count: one", `f:1:8: count: must be a whole number, not text`},
		{"count: 1.5", `f:1:8: count: must be a whole number, not a number with a fraction`},
		{"count: 99999999999999999999", `f:1:8: count: this number is out of range`},
		{"count: 1\nsmall: 256", `f:2:8: small: this number is out of range`},
		{"count: 1\nsmall: -1", `f:2:8: small: this number is out of range`},
		{"count: 1\nname: 7", `f:2:7: name: must be text, not a number`},
		{"count: 1\nname:", `f:2:6: name: must be text, not empty`},
		{"count: 1\nname: [a]", `f:2:7: name: must be text, not a list`},
		{"count: 1\non: yes", `f:2:5: on: must be true or false, not text; write true`},
		{"count: 1\non: 1", `f:2:5: on: must be true or false, not a number`},
		{"count: 1\nsize: 1.5G", `f:2:7: size: "1.5G" is no number of bytes: write one such as 4096, 64KiB or 16MiB`},
		{"count: 1\nsize: -1", `f:2:7: size: "-1" is no number of bytes: write one such as 4096, 64KiB or 16MiB`},
		{"count: 1\nsize: 99999999999GiB", `f:2:7: size: "99999999999GiB" is no number of bytes: write one such as 4096, 64KiB or 16MiB`},
		{"count: 1\nwait: 30", `f:2:7: wait: "30" has no unit: write 30s or 30m`},
		{"count: 1\nwait: soon", `f:2:7: wait: "soon" is no duration: write one such as 30s, 5m or 1h30m`},
		{"count: 1\nwait: -3s", `f:2:7: wait: "-3s" is negative`},
		{"count: 1\nwait: 0s", `f:2:7: wait: "0s" is zero: leave the key out for the default`},
		{"count: 1\ncommand: {a: b}", `f:2:10: command: must be text or a list, not a mapping`},
		{"count: 1\nlist: [1, two]", `f:2:11: list[1]: must be a whole number, not text`},
		{"count: 1\nlist: 1", `f:2:7: list: must be a list, not a number`},
		{"count: 1\nenv: [A=1]", `f:2:6: env: must be a mapping, not a list`},
		{"count: 1\nenv: {A: [x]}", `f:2:10: env.A: must be text, not a list; write "" for an empty value`},
		{"count: 1\nenv: {A: hunter2 ${B}", `f:2:19: not valid YAML: did not find expected ',' or '}' (while parsing a flow mapping)`},
		{"count: 1\nenv: {A: 'hunter2 ${B'}", `f:2:10: env.A: a ${ has no }; write $${ for a plain ${`},
		{"count: 1\nenv: {A: 'hunter2 ${B x:-c}'}", `f:2:10: env.A: what stands in ${…} is not a name: write ${NAME}, or $${ for a plain ${`},
		{"count: 1\nenv: {A: 'hunter2 ${secret://b}'}", `f:2:10: env.A: a secret reference has the form secret://PROVIDER/PATH or secret://PROVIDER/PATH#FIELD`},
		{"count: 1\nenv: {A: 'se://'}", `f:2:10: env.A: a reference of Docker's has the form se://PATH`},
		{"count: 1\nenv: {A: '${input:key}'}", `f:2:10: env.A: ${input:…} is asked for by an editor: write the name of an environment variable, ${NAME}`},
		{"count: 1\nenv: {A: '${x y}'}", `f:2:10: env.A: what stands in ${…} is not a name: write ${NAME}, or $${ for a plain ${`},
		{"count: 1\nenv: {A: 'secret://vault'}", `f:2:10: env.A: a secret reference has the form secret://PROVIDER/PATH or secret://PROVIDER/PATH#FIELD`},
		{"count: 1\nthings: {a b: {c: 1}}", `f:2:16: things."a b".c: unknown key; did you mean "a"?`},
		{"count: 1\nthings: {t: [1]}", `f:2:13: things.t: must be a mapping, not a list`},
		{"count: 1\n<<: {name: alpha}", `f:2:1: "<<": merge keys are not part of YAML 1.2: repeat the keys`},
		{"count: 1\n[a]: 1", `f:2:1: a key must be text, not a list`},
		{"count: 1\nbanned: [x]", `f:2:9: banned: banned here`},
		{"count: 1\nany: !!binary aGk=", `f:2:6: any: the tag !!binary is not supported`},
		{"[1]", `f:1:1: must be a mapping, not a list`},
		{"plain", `f:1:1: must be a mapping, not text`},
		{"count: 1\n---\ncount: 2", `f:2:1: a second document begins here: one file holds one`},
		{"a: b: c", `f:1:5: not valid YAML: mapping values are not allowed in this context`},
		{"a: *b", `f:1:4: not valid YAML: unknown anchor 'b' referenced`},
		{"count: 1\nany: &a [*a]", `f:1:1: the document is nested too deeply, or an alias stands inside what it names`},
		{"\xff\xfea", `f: the file is not UTF-8`},
		{"any: " + strings.Repeat("[", 100), `f:1:70: not valid YAML: exceeded max depth of 64 (while increasing flow level)`},
		{strings.Repeat("#", 4<<20) + "\n#", `f: the file has more than 4 MiB`},
		{bomb(), `f:1:1: the document has more than 1048576 values once its aliases are expanded`},
	} {
		_, err := decode(tc.text)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%.60q\n got: %v\nwant: %s", tc.text, err, tc.want)
		}
	}
}

// bomb is the "billion laughs" in YAML.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	t.Parallel()
	_, err := decode("things: {x: {q: 1}}\non: maybe\nlist: no\n")
	want := strings.Join([]string{
		`f:1:1: the key "count" is missing`,
		`f:1:14: things.x.q: unknown key; did you mean "a"?`,
		`f:2:5: on: must be true or false, not text`,
		`f:3:7: list: must be a list, not text`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	text := "\ufeff{\n\t\"count\":\t1,\n\t\"baseURL\": \"\\ud83d\\ude00 \\/ \\\\ud83d\\\\ude00 \\u00e9\",\r\n\t\"any\": {\"a\": null}\n}"
	d, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if want := "😀 / \\ud83d\\ude00 é"; d.BaseURL != want {
		t.Errorf("baseURL is %q, want %q", d.BaseURL, want)
	}
}

func TestDigestIgnoresPlaceAndStyle(t *testing.T) {
	t.Parallel()
	digest := func(text string) string {
		d, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		return d.Later.Digest()
	}
	a := digest("count: 1\nlater: {a: [x, \"y\"], b: 1}\n")
	if b := digest("# moved\ncount: 1\n\nlater:\n  a:\n  - x\n  - y\n  b: 1\n"); a != b {
		t.Error("equal values have different digests")
	}
	for _, other := range []string{"{a: [x, y], b: '1'}", "{a: [x], b: 1}", "{a: [xy], b: 1}", "{a: [y, x], b: 1}"} {
		if digest("count: 1\nlater: "+other) == a {
			t.Errorf("%s has the same digest", other)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"count: 1", `{"count":1,"env":{"A":"${B}"}}`, "things: {a: &x {a: b}, c: *x}", bomb(), "? [a]\n: b", "wait: 1h\nsize: 1KiB"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if d, err := decode(text); err == nil {
			_ = d.Later.Digest()
		}
	})
}
