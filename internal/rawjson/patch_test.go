package rawjson

import (
	"fmt"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	t.Parallel()
	tests := []struct{ obj, value, path, want string }{
		{`{"a":1}`, `2`, "a", `{"a":2}`},
		{` { "a" : 1 , "b" : 1.0e+5 } `, `[2]`, "a", ` { "a" : [2] , "b" : 1.0e+5 } `},
		{`{"a":1}`, `2`, "b", `{"a":1,"b":2}`},
		{"{\n  \"a\": 1\n}", `2`, "b", "{\n  \"a\": 1,\"b\":2\n}"},
		{`{}`, `2`, "b", `{"b":2}`},
		{`{ }`, `2`, "b", `{"b":2 }`},
		{``, `2`, "b", `{"b":2}`},
		{`null`, `2`, "b.c", `{"b":{"c":2}}`},
		{`[1]`, `2`, "b", `{"b":2}`},
		{`{"a":{"x":1}}`, `2`, "a.y.z", `{"a":{"x":1,"y":{"z":2}}}`},
		{`{"a":{"x":1},"b":0}`, `2`, "a.x", `{"a":{"x":2},"b":0}`},
		{`{"a":null,"b":0}`, `2`, "a.x", `{"a":{"x":2},"b":0}`},
		{`{"a":"text","b":0}`, `2`, "a.x", `{"a":{"x":2},"b":0}`},
		{`{"a":[{"x":1}],"b":0}`, `2`, "a.x", `{"a":{"x":2},"b":0}`},
		{`{"\u0061":1}`, `2`, "a", `{"\u0061":2}`},
		{`{"a":1,"a":3}`, `2`, "a", `{"a":2,"a":3}`},
		{`{"a":1}`, ``, "a", `{"a":null}`},
		{`{"a":1}`, `2`, "k\"\n", `{"a":1,"k\"\n":2}`},
		{`{"a":1}`, `2`, "", `2`},
		// Malformed before the place: as it was.
		{`{"a":1`, `2`, "b", `{"a":1`},
		{`{"a":tru,"b":1}`, `2`, "b", `{"a":tru,"b":1}`},
		{`{"a":{"x":1 "y"},"b":1}`, `2`, "a.z", `{"a":{"x":1 "y"},"b":1}`},
	}
	for _, tt := range tests {
		before := tt.obj
		obj := []byte(tt.obj)
		got := Set(obj, []byte(tt.value), split(tt.path)...)
		if string(got) != tt.want {
			t.Errorf("Set(%s, %s, %s)\n got %s\nwant %s", tt.obj, tt.value, tt.path, got, tt.want)
		}
		if string(obj) != before {
			t.Errorf("Set(%s, %s, %s) changed its input to %s", before, tt.value, tt.path, obj)
		}
	}
}

func split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	tests := []struct{ obj, path, want string }{
		{`{"a":1}`, "a", `{}`},
		{` { "a" : 1 } `, "a", ` {  } `},
		{`{ "a":1, "b":2, "c":3 }`, "a", `{ "b":2, "c":3 }`},
		{`{ "a":1, "b":2, "c":3 }`, "b", `{ "a":1, "c":3 }`},
		{`{ "a":1, "b":2, "c":3 }`, "c", `{ "a":1, "b":2 }`},
		{`{"a":{"x":1,"y":2},"b":3}`, "a.x", `{"a":{"y":2},"b":3}`},
		{`{"a":{"x":1},"b":3}`, "a.x", `{"a":{},"b":3}`},
		{`{"\u0061":1,"b":2}`, "a", `{"b":2}`},
		{`{"a":1,"a":2}`, "a", `{"a":2}`},
	}
	for _, tt := range tests {
		if got := Delete([]byte(tt.obj), split(tt.path)...); string(got) != tt.want {
			t.Errorf("Delete(%s, %s)\n got %s\nwant %s", tt.obj, tt.path, got, tt.want)
		}
	}
	for _, tt := range []struct{ obj, path string }{
		{`{"a":1}`, "b"}, {`{"a":1}`, "a.b"}, {`{"a":{"b":1}}`, "a.c"}, {`[1]`, "a"}, {`{"a":1}`, ""}, {`{"a":1,"b"}`, "b"}, {`null`, "a"},
	} {
		obj := []byte(tt.obj)
		if got := Delete(obj, split(tt.path)...); len(got) != len(obj) || &got[0] != &obj[0] {
			t.Errorf("Delete(%s, %s) = %s, want the same slice", tt.obj, tt.path, got)
		}
	}
	if got := Delete(nil, "a"); got != nil {
		t.Errorf("Delete(nil) = %s", got)
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	set := func(path, value string) Edit { return Edit{Path: split(path), Value: []byte(value)} }
	del := func(path string) Edit { return Edit{Path: split(path)} }
	tests := []struct {
		obj   string
		edits []Edit
		want  string
	}{
		{`{ "a":1, "b":2, "c":3, "d":4 }`, []Edit{del("a"), del("b")}, `{ "c":3, "d":4 }`},
		{`{ "a":1, "b":2, "c":3, "d":4 }`, []Edit{del("c"), del("b")}, `{ "a":1, "d":4 }`},
		{`{ "a":1, "b":2, "c":3, "d":4 }`, []Edit{del("d"), del("c")}, `{ "a":1, "b":2 }`},
		{`{ "a":1, "b":2, "c":3, "d":4 }`, []Edit{del("a"), del("b"), del("c"), del("d")}, `{  }`},
		{`{ "a":1, "b":2, "c":3, "d":4 }`, []Edit{del("a"), del("c"), set("e", "5")}, `{ "b":2, "d":4,"e":5 }`},
		{`{ "a":1, "b":2 }`, []Edit{del("a"), del("b"), set("e", "5")}, `{ "e":5 }`},
		{`{"a":1,"b":2}`, []Edit{set("b", "3"), set("a", "0"), del("x")}, `{"a":0,"b":3}`},
		{`{"a":{"x":1,"y":2},"b":2}`, []Edit{set("a.y", "3"), del("a.x"), set("a.z", "4"), set("b", "0")}, `{"a":{"y":3,"z":4},"b":0}`},
		{`{}`, []Edit{set("m.a", "1"), del("m.c"), set("k", "2"), set("m.b", "3")}, `{"m":{"a":1,"b":3},"k":2}`},
		{`{"m":0}`, []Edit{set("m.a", "1"), del("m.c"), set("m.b.x", "3")}, `{"m":{"a":1,"b":{"x":3}}}`},
		{`{"m":0}`, []Edit{del("m.c"), del("x.y")}, `{"m":0}`},
		// One within another: in order.
		{`{"a":1}`, []Edit{set("a", `{"x":1}`), set("a.y", "2")}, `{"a":{"x":1,"y":2}}`},
		{`{"a":{"x":1}}`, []Edit{set("a.x", "2"), del("a")}, `{}`},
		{`{"a":1}`, []Edit{set("a", "2"), set("a", "3")}, `{"a":3}`},
		{`{"a":1}`, []Edit{set("", `{"b":1}`), set("a", "3")}, `{"b":1,"a":3}`},
		{`{"a":1}`, nil, `{"a":1}`},
		{`{"a":1}`, []Edit{{Path: []string{"a"}, Value: []byte{}}}, `{"a":null}`},
	}
	for _, tt := range tests {
		if got := Apply([]byte(tt.obj), tt.edits...); string(got) != tt.want {
			t.Errorf("Apply(%s, %s)\n got %s\nwant %s", tt.obj, tt.edits, got, tt.want)
		}
	}
}

func TestApplyMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{63, 64, 65, 200} {
		var edits []Edit
		want := `{"z":0`
		for i := range n {
			edits = append(edits, Edit{Path: []string{fmt.Sprint("k", i)}, Value: fmt.Append(nil, i)})
			want += fmt.Sprintf(`,"k%d":%d`, i, i)
		}
		if got := Apply([]byte(`{"z":0}`), edits...); string(got) != want+"}" {
			t.Errorf("%d edits: got %s", n, got)
		}
	}
}

func TestPatchAllocatesOnlyTheCopy(t *testing.T) {
	obj := []byte(`{"name":"a","_meta":{"progressToken":1}}`)
	value := []byte(`"b"`)
	edits := []Edit{{Path: []string{"name"}, Value: value}, {Path: []string{"_meta", "x"}, Value: value}}
	for name, f := range map[string]func(){
		"Set":    func() { Set(obj, value, "_meta", "progressToken") },
		"Delete": func() { Delete(obj, "name") },
		"Apply":  func() { Apply(obj, edits...) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 1 {
			t.Errorf("%s: %v allocations, want 1", name, n)
		}
	}
}
