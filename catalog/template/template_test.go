package template_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/catalog/template"
)

type m = map[string]any

// The cases of pkg/eval's own tests, and what its code does beside them.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		settings m
		want     any
	}{
		{"constant", nil, "constant"},
		{"", nil, ""},
		{"{{key0}}", m{"key0": "value0"}, "value0"},
		{"{{ key1 }}", m{"key1": "value1"}, "value1"},
		{"{{k1}}:{{k2}}", m{"k1": "v1", "k2": "v2"}, "v1:v2"},
		{"{{top.key}}", m{"top": m{"key": "child"}}, "child"},
		{"{{top . key}}", m{"top": m{"key": "child"}}, "child"},
		{"{{top.key|ignored}}", m{"top": m{"key": "child"}}, "child"},
		{"{{unknown}}", nil, ""},
		{"{{top.unknown}}", m{"top": nil}, ""},
		{"{{top.key.deeper}}", m{"top": m{"key": "text"}}, ""},
		{"{{a.jira.url}}", m{"a": m{"jira": m{"url": "URL"}}}, "URL"},

		// A lone term keeps its type; several become text.
		{"{{k}}", m{"k": []string{"v1", "v2"}}, []string{"v1", "v2"}},
		{"{{k}}", m{"k": 8080}, 8080},
		{"{{k}}", m{"k": true}, true},
		{"port {{k}}", m{"k": 8080}, "port 8080"},
		{"{{k}}!", m{"k": []string{"a", "b"}}, "[a b]!"},

		{"{{p|volume}}", m{"p": "v"}, "v:v"},
		{"{{p|volume}}", m{"p": ""}, ""},
		{"{{p|volume}}", m{"p": `C:\test\folder`}, `C:\test\folder:/C/test/folder`},
		{"{{p|volume}}", m{"p": []string{"v", "w"}}, []string{"v:v", "w:w"}},
		{"{{p|volume}}", m{"p": []any{"v", 1}}, []string{"v:v", "1:1"}},
		{"{{p|volume}}", m{"p": `\\host\share`}, `\\host\share:\\host\share`},
		{"{{p|volume-target}}", m{"p": "path"}, "path"},
		{"{{p|volume-target}}", m{"p": `C:\file`}, "/C/file"},
		{"{{p|volume-target}}", m{"p": `d:\parent\file`}, "/d/parent/file"},
		{"{{p|volume-target}}:/src", m{"p": "/home"}, "/home:/src"},
		{"{{p|volume-target}}", m{"p": `C:/file`}, "C:/file"},
		{"{{p|volume-targe|into}}", m{"p": []string{"a", "b"}}, []string{"a", "b"}},

		{"{{k|into}}", m{"k": "v"}, []string{"v"}},
		{"{{k|into}}", m{}, []string{""}},
		{"{{k | into }}", m{"k": "v"}, []string{"v"}},
		{"{{k|into}}", m{"k": []any{"v1", 2}}, []string{"v1", "2"}},
		{"{{k|first}}", m{"k": "v"}, "v"},
		{"{{k|first}}", m{"k": []string{"v1", "v2"}}, "v1"},
		{"{{k|first}}", m{"k": []string{}}, ""},
		{"{{k|first}}", m{"k": nil}, ""},
		{"{{k|first|into}}", m{"k": []string{"v1", "v2"}}, []string{"v1"}},
		{"{{k|last}}", m{"k": "v"}, "v"},
		{"{{k|last}}", m{"k": []string{"v1", "v2"}}, "v2"},
		{"{{k|last}}", m{"k": []string{}}, ""},
		{"{{k|last|into}}", m{"k": []string{"v1", "v2"}}, []string{"v2"}},

		{"{{k|or:default}}", m{"k": nil}, "default"},
		{"{{k|or:default}}", m{"k": ""}, "default"},
		{"{{k|or:default}}", m{"k": "v"}, "v"},
		{"{{k|or:default}}", m{"k": 1}, "1"},
		{"{{k|or: default }}", m{}, " default "},
		{"{{k| or:default}}", m{}, ""},
		{"{{k|or:v}}", m{"k": []string{}}, "v"},
		{"{{k|or:[]}}", m{"k": []string{}}, []string{}},
		{"{{k|or:[a, b]}}", m{"k": []string{}}, []string{"a", " b"}},
		{"{{k|or:[a]}}", m{"k": ""}, "[a]"},
		{"{{k|or:[a]}}", m{"k": []string{"v"}}, []string{"v"}},
		{"{{k|or:[]|volume|into}}", m{"k": []any{"/x"}}, []string{"/x:/x"}},

		{"{{k|mount_as:/path}}", m{"k": nil}, ""},
		{"{{k|mount_as:/path}}", m{"k": "/local"}, "/local:/path"},
		{"{{k|mount_as:/logs:ro}}", m{"k": "/local"}, "/local:/logs:ro"},
		{"{{k|mount_as:/path}}", m{"k": []string{}}, ""},
		{"{{k|mount_as:/path}}", m{"k": []string{"/local", "/ignored"}}, "/local:/path"},
		{"{{k|mount_as: /path }}", m{"k": "/local"}, "/local:/path"},
		{"{{k| mount_as:/path}}", m{"k": "/local"}, "/local"},

		// Braces that belong to no term disappear.
		{"{a}", nil, "a"},
		{"{{a", nil, "a"},
		{`{"x": "{{k}}"}`, m{"k": "v"}, `"x": "v"`},
		{"{{{k}}}", m{"k": "v", "{k": "w"}, "w"},
	} {
		got := template.Evaluate(c.text, c.settings)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("Evaluate(%q, %v) = %#v, want %#v", c.text, c.settings, got, c.want)
		}
	}
}

func TestListSplices(t *testing.T) {
	t.Parallel()
	got := template.List([]string{"--root", "{{fs.paths|volume-target|into}}", "{{fs.port}}", "{{none}}", "-v"},
		m{"fs": m{"paths": []any{"/a", `C:\b`}, "port": 80}})
	if want := []string{"--root", "/a", "/C/b", "80", "", "-v"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := template.List([]string{"{{p|or:[]|volume|into}}"}, m{"p": []any{}}); len(got) != 0 {
		t.Errorf("an empty list gives %q, want no argument at all", got)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	text := "{{ a . b |volume}}:{{a.b}}/{{c|safe| or:x|into}}"
	if got := template.Paths(text); !reflect.DeepEqual(got, []string{"a.b", "c"}) {
		t.Errorf("paths %q", got)
	}
	if got := template.Ignored(text); !reflect.DeepEqual(got, []string{"safe", " or:x"}) {
		t.Errorf("ignored %q", got)
	}
	if template.Is("{a} ${B} }}{{") || !template.Is("{{}}") {
		t.Error("terms are not told from other braces")
	}
	if !template.Stray(`{"x": "{{k}}"}`) || template.Stray("{{k}}:{{l}}") || template.Stray(`{"x": 1}`) {
		t.Error("stray braces are not told from terms")
	}
	if got := template.Variables("Bearer ${TOKEN} $TOKEN $$ $1 ${A-b} $_x"); !reflect.DeepEqual(got, []string{"TOKEN", "_x"}) {
		t.Errorf("variables %q", got)
	}
}

func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{"{{a.b|volume|into}}", "{{{{}}}}", "{{a|or:[x,y]|first}}", "{{a\n}}", "}}{{", "{{a|mount_as:}}:{{b|last}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings := m{"a": m{"b": []any{"x", nil, 1}}, "b": `C:\x`, "": "empty"}
		whole := template.Text(text, settings)
		if !strings.ContainsAny(text, "{}") && whole != text {
			t.Errorf("%q has no term and became %q", text, whole)
		}
		template.List([]string{text}, settings)
		if len(template.Paths(text)) > 0 != template.Is(text) {
			t.Errorf("%q: terms and paths disagree", text)
		}
		template.Ignored(text)
		template.Stray(text)
		template.Variables(text)
	})
}

func ExampleList() {
	settings := map[string]any{"files": map[string]any{"paths": []string{"/home/me/a", "/home/me/b"}}}
	fmt.Println(template.List([]string{"serve", "{{files.paths|volume|into}}"}, settings))
	// Output: [serve /home/me/a:/home/me/a /home/me/b:/home/me/b]
}
