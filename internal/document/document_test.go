package document_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-mcp/gatehouse/internal/document"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func TestFormatOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]document.Format{
		"/a/.env": document.Dotenv, ".env.local": document.Dotenv, "prod.ENV": document.Dotenv,
		"a.json": document.JSON, "a.yml": document.YAML, "a.yaml": document.YAML,
		"id_rsa": document.Plain, "environment": document.Plain,
	} {
		if got := document.FormatOf(path); got != want {
			t.Errorf("%s is %s", path, got)
		}
	}
	if document.Format("toml").Check() == nil || document.YAML.Check() != nil || document.Format("").Check() != nil {
		t.Error("the formats are dotenv, json, yaml and plain")
	}
}

const (
	asYAML = "# tokens\ngithub:\n  token: abc # of the team\n  port: 010\n  on: true\n\"1\": one\nnone: null\nlist: [a]\na/b: hidden\n"
	asJSON = `{"github":{"token":"abc","port":10.0,"on":true},"1":"one","none":null,"list":["<"],"a/b":"hidden"}`
)

func TestGet(t *testing.T) {
	t.Parallel()
	for format, in := range map[document.Format]string{document.YAML: asYAML, document.JSON: asJSON} {
		d, err := document.Parse(format, "", []byte(in))
		if err != nil {
			t.Fatal(err)
		}
		for ref, want := range map[secrets.Ref]string{
			"github/token": "abc", "github#token": "abc", "github/on": "true", "1": "one",
			"none": "-", "nothing": "-", "github/nothing": "-", "x/y#z": "-",
			"github":         "github holds several values: name one",
			"list":           "list is a list",
			"list/0":         "list/0 is a list",
			"github/token/x": "github/token/x stands below a value",
			"a/b":            "-",
			"/x":             `"/x" has an empty part`,
		} {
			v, ok, err := d.Get(ref)
			switch {
			case err != nil:
				v = err.Error()
			case !ok:
				v = "-"
			}
			if ok && v != want || !ok && !strings.HasPrefix(v, want) {
				t.Errorf("%s: %s is %q", format, ref, v)
			}
		}
		if got := fmt.Sprint(d.List()); got != "[1 github/on github/port github/token]" {
			t.Errorf("%s: it lists %s", format, got)
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format   document.Format
		in, want string
	}{
		{document.YAML, asYAML, "# tokens\ngithub:\n  token: '123' # of the team\n  port: 010\n  new: \"two\\nlines\"\n\"1\": one\nnone:\n  deep: x\nlist: [a]\na/b: hidden\n"},
		{document.JSON, asJSON, "{\n  \"1\": \"one\",\n  \"a/b\": \"hidden\",\n  \"github\": {\n    \"new\": \"two\\nlines\",\n    \"port\": 10.0,\n    \"token\": \"123\"\n  },\n  \"list\": [\n    \"<\"\n  ],\n  \"none\": {\n    \"deep\": \"x\"\n  }\n}\n"},
	} {
		d, err := document.Parse(c.format, "", []byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct {
			ref   secrets.Ref
			value string
		}{{"github/token", "123"}, {"github/new", "two\nlines"}, {"none/deep", "x"}} {
			if err := d.Set(s.ref, s.value); err != nil {
				t.Error(err)
			}
		}
		for _, ref := range []secrets.Ref{"github", "list", "list/a", "github/token/x"} {
			if d.Set(ref, "x") == nil {
				t.Errorf("%s: %s was replaced", c.format, ref)
			}
		}
		if d.Set("x", "\xff") == nil {
			t.Error("bytes that are no text were taken")
		}
		for range 2 {
			if _, err := d.Remove("github/on"); err != nil {
				t.Error(err)
			}
		}
		out, err := d.Bytes()
		if err != nil || string(out) != c.want {
			t.Errorf("%s: %v\n%s", c.format, err, out)
		}
		again, err := document.Parse(c.format, "", out)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok, _ := again.Get("github/new"); !ok || v != "two\nlines" {
			t.Errorf("%s: it is read as %q", c.format, v)
		}
	}
}

// A file that is empty, or not there yet, can be written to.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for format, ins := range map[document.Format][]string{
		document.Dotenv: {"", "# c\n"}, document.JSON: {"", "{}"}, document.YAML: {"", "# c\n", "{}"},
	} {
		for _, in := range ins {
			d, err := document.Parse(format, "", []byte(in))
			if err != nil {
				t.Fatalf("%s %q: %v", format, in, err)
			}
			if err := d.Set("a", "no: 'b"); err != nil {
				t.Error(err)
			}
			out, err := d.Bytes()
			if err != nil {
				t.Error(err)
			}
			again, err := document.Parse(format, "", out)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if v, _, _ := again.Get("a"); v != "no: 'b" || strings.Contains(in, "# c") != strings.Contains(string(out), "# c") {
				t.Errorf("%s: %q", format, out)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	d, err := document.Parse(document.Plain, "key", []byte("a\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok, err := d.Get("key"); v != "a\n" || !ok || err != nil {
		t.Errorf("%q %v %v", v, ok, err)
	}
	if _, ok, err := d.Get("other"); ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, err := d.Get("key#field"); err == nil {
		t.Error("it has fields")
	}
	if !slices.Equal(d.List(), []secrets.Ref{"key"}) {
		t.Error(d.List())
	}
	for _, v := range []string{"x", "x\n", "x\r", "x\r\n", "\n", "\xff\x00"} {
		if err := d.Set("key", v); err != nil {
			t.Error(err)
		}
		if got, _, _ := d.Get("key"); got != v {
			t.Errorf("%q is read as %q", v, got)
		}
	}
	if _, err := d.Remove("key"); err == nil || d.Set("other", "x") == nil {
		t.Error("it holds one secret, and always")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format   document.Format
		in, want string
	}{
		{document.JSON, "{\n\"a\": hidden}", "line 2 is not valid JSON"},
		{document.JSON, `{"a": "hidden`, "too early"},
		{document.JSON, `{"a": "hidden"} x`, "behind the JSON object"},
		{document.JSON, `{"a": 1, "a": "hidden"}`, `"a" stands twice`},
		{document.JSON, `["hidden"]`, "no JSON object"},
		{document.JSON, "{\"a\": \"hidden\xff\"}", "UTF-8"},
		{document.JSON, strings.Repeat(`{"a":`, 100), "64 levels"},
		{document.YAML, "a: *hidden\n", "line 1 is not"},
		{document.YAML, "a: &hidden x\n", "line 1: anchors and aliases"},
		{document.YAML, "a: 1\na: hidden\n", ""},
		{document.YAML, "a: 1\n b: hidden\n", "line 2 is not valid YAML"},
		{document.YAML, "a: 1\n---\nb: hidden\n", ""},
		{document.YAML, "hidden\n", "no mapping"},
		{document.YAML, "{a: b}: hidden\n", "line 1: a name is no plain text"},
		{document.YAML, "a: hidden\xff\n", "UTF-8"},
		{document.YAML, strings.Repeat("{a: ", 100) + strings.Repeat("}", 100), "64 levels"},
		{document.Dotenv, "hidden", "line 1"},
		{"toml", "hidden", "no format"},
	} {
		_, err := document.Parse(c.format, "", []byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s %q: %v", c.format, c.in, err)
		}
	}
}

// What is set is read, and nothing else changes.
func FuzzSet(f *testing.F) {
	f.Add(asYAML, true, "github/token", "a: 'b\" #\n c")
	f.Add(asJSON, false, "github/new", " \t\u2028\u0085<")
	f.Add("a: |\n  b\n", true, "b", "- ?")
	f.Fuzz(func(t *testing.T, in string, yaml bool, ref, value string) {
		format := document.JSON
		if yaml {
			format = document.YAML
		}
		d, err := document.Parse(format, "", []byte(in))
		if err != nil {
			return
		}
		want := map[secrets.Ref]string{}
		for _, r := range d.List() {
			want[r], _, _ = d.Get(r)
		}
		name := strings.Trim(strings.ReplaceAll(ref, "#", "/"), "/")
		if d.Set(secrets.Ref(name), value) != nil {
			return
		}
		want[secrets.Ref(name)] = value
		out, err := d.Bytes()
		if err != nil && !yaml && strings.IndexFunc(in+ref+value, func(r rune) bool { return r != '\n' && (r == utf8.RuneError || !unicode.IsPrint(r)) }) < 0 {
			t.Fatalf("%v: %q, %q", err, ref, value)
		}
		if err != nil {
			return // such as a character that YAML cannot hold, or a form that its writer gets wrong
		}
		again, err := document.Parse(format, "", out)
		if err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		got := map[secrets.Ref]string{}
		for _, r := range again.List() {
			got[r], _, _ = again.Get(r)
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Fatalf("%q is read as %q from %q", want, got, out)
		}
	})
}
