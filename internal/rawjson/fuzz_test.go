package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// standardDepth is how deeply encoding/json nests.
const standardDepth = 10_000

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+7,"x\u00e9\n",true,false,null,{}]}`, `01`, `"\ud800"`, "\"\xff\"", `[1,]`, `{"a" 1}`, ` `, `"` + strings.Repeat("abcdefg é", 9) + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		err := Valid(v, standardDepth)
		if (err == nil) != json.Valid(v) {
			t.Fatalf("Valid: %v, encoding/json: %v", err, json.Valid(v))
		}
		if err != nil {
			checkFault(t, err, v)
		}
		line := Compact(v)
		if bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("Compact left a line break: %q", line)
		}
		Each(v, func(k, e []byte) bool {
			if k != nil && !json.Valid(k) || !json.Valid(e) && len(v) < standardDepth {
				t.Fatalf("Each gave %q: %q", k, e)
			}
			return true
		})
		if err != nil {
			return
		}
		var want, got bytes.Buffer
		_ = json.Compact(&want, v)
		_ = json.Compact(&got, line)
		if want.String() != got.String() {
			t.Fatalf("Compact changed the value: %q", line)
		}
		checkCanonical(t, v)
	})
}

// checkCanonical checks that the canonical form means what v means, and that
// it is its own canonical form.
func checkCanonical(t *testing.T, v []byte) {
	c, err := Canonical(v)
	if err != nil {
		checkFault(t, err, v)
		if utf8.Valid(v) && !repeats(v) {
			t.Fatalf("Canonical: %v", err)
		}
		return
	}
	if again, err := Canonical(c); err != nil || !bytes.Equal(again, c) {
		t.Fatalf("the canonical form of %s is %s, %v", c, again, err)
	}
	if a, b := standard(t, v), standard(t, c); a != b {
		t.Fatalf("Canonical changed the value from %s to %s", a, b)
	}
}

// standard is the value as encoding/json reads it.
func standard(t *testing.T, v []byte) string {
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// repeats reports whether an object anywhere in v, which is valid JSON, has a
// key twice, as encoding/json decodes keys.
func repeats(v []byte) bool {
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	type level struct {
		keys map[string]bool
		key  bool // a key comes next
	}
	var levels []*level
	for {
		tok, err := d.Token()
		if err != nil {
			return false
		}
		var top *level
		if len(levels) > 0 {
			top = levels[len(levels)-1]
		}
		if s, ok := tok.(string); ok && top != nil && top.keys != nil && top.key {
			if top.keys[s] {
				return true
			}
			top.keys[s] = true
			top.key = false
			continue
		}
		if tok == json.Delim('}') || tok == json.Delim(']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if top != nil {
			top.key = true
		}
		switch tok {
		case json.Delim('{'):
			levels = append(levels, &level{keys: map[string]bool{}, key: true})
		case json.Delim('['):
			levels = append(levels, &level{})
		}
	}
}

func checkFault(t *testing.T, err error, in []byte) {
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("%v is no *Fault", err)
	}
	if f.Offset < 0 || f.Offset > len(in) || f.Rule == "" || f.Detail == "" || strings.Contains(f.Detail, "%!") || strings.ContainsAny(f.Error(), "\r\n") || !utf8.ValidString(f.Error()) {
		t.Fatalf("ill-formed fault %+v", f)
	}
}

// rawMember is a member of an object as encoding/json splits it.
type rawMember struct {
	key   string
	value string
}

// membersOf reads the members of the object v; false when v is no object.
func membersOf(v []byte) ([]rawMember, bool) {
	d := json.NewDecoder(bytes.NewReader(v))
	tok, err := d.Token()
	if err != nil || tok != json.Delim('{') {
		return nil, false
	}
	var out []rawMember
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		out = append(out, rawMember{tok.(string), string(value)})
	}
	_, err = d.Token()
	if _, end := d.Token(); err != nil || end != io.EOF {
		return nil, false
	}
	return out, true
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1]}}}`,
		`{"jsonrpc":"2.0","id":"x","result":{},"extra":1,"more":[]}`,
		`{"jsonrpc":"2.0","id":1,"id":2}`, `{"jsonrpc":"2.0","ID":1}`, `{"jsonrpc":"2.0","\u0069d":1e999}`, `{"jsonrpc":"2.0"`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		env, err := Split(b, standardDepth)
		want, object := membersOf(b)
		if err != nil {
			checkFault(t, err, b)
			if show(Envelope{Method: env.Method, Params: env.Params, Result: env.Result, Error: env.Error, Extra: env.Extra}) != "" {
				t.Fatalf("a refused message kept %s", show(env))
			}
			if object && json.Valid(b) && plainMessage(b, want) {
				t.Fatalf("refused a good message: %v", err)
			}
			return
		}
		if !json.Valid(b) || !object {
			t.Fatal("accepted what is no JSON object")
		}
		var got []rawMember
		if !Each(append(append([]byte{'{'}, env.Extra...), '}'), func(k, v []byte) bool {
			key, ok := String(k)
			if !ok {
				t.Fatalf("extra key %q", k)
			}
			got = append(got, rawMember{key, string(v)})
			return true
		}) {
			t.Fatalf("the extra members are malformed: %q", env.Extra)
		}
		for _, p := range []struct {
			key string
			v   json.RawMessage
		}{{"id", env.ID}, {"method", env.Method}, {"params", env.Params}, {"result", env.Result}, {"error", env.Error}} {
			if p.v != nil {
				got = append(got, rawMember{p.key, string(p.v)})
			}
		}
		want = slices.DeleteFunc(want, func(m rawMember) bool { return m.key == "jsonrpc" })
		byKey := func(a, b rawMember) int { return strings.Compare(a.key, b.key) }
		slices.SortFunc(got, byKey)
		slices.SortFunc(want, byKey)
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// plainMessage reports whether a message is so simple that it must be
// accepted.
func plainMessage(b []byte, ms []rawMember) bool {
	if bytes.ContainsAny(b, "\\") || !utf8.Valid(b) {
		return false
	}
	seen := map[string]bool{}
	version := false
	for _, m := range ms {
		fold := strings.ToLower(strings.Map(func(r rune) rune {
			switch r {
			case 'ſ':
				return 's'
			case 'K':
				return 'k'
			}
			return r
		}, m.key))
		if seen[fold] || fold != m.key {
			return false
		}
		seen[fold] = true
		switch m.key {
		case "jsonrpc":
			version = m.value == `"2.0"`
		case "id":
			var f float64
			var s string
			if json.Unmarshal([]byte(m.value), &f) != nil && json.Unmarshal([]byte(m.value), &s) != nil {
				return false
			}
		case "method":
			if m.value[0] != '"' {
				return false
			}
		}
	}
	return version
}

func FuzzCheckParams(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","arguments":{"a":1,"a":2}}`, `{"_meta":{"progressToken":"x"},"ref":{"name":"\ud800"}}`,
		`{"a":[{"b":1,"\u0062":2}]}`, `{"Name":1}`, "{\"x\":\"\xff\"}", `{"arguments":{"\ud800":1,"\ufffd":2}}`,
		`{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"a":0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := CheckParams(b, standardDepth)
		_, object := membersOf(b)
		object = object && json.Valid(b)
		if err == nil {
			if !object || !utf8.Valid(b) || repeats(b) {
				t.Fatalf("accepted: object %v, UTF-8 %v, repeated key %v", object, utf8.Valid(b), repeats(b))
			}
			return
		}
		checkFault(t, err, b)
		var fault *Fault
		errors.As(err, &fault)
		switch fault.Rule {
		case RuleDuplicate:
			// The text may be malformed further on.
			if object && utf8.Valid(b) && !repeats(b) {
				t.Fatalf("no key stands twice: %v", err)
			}
		case RuleUTF8:
			if utf8.Valid(b) {
				t.Fatalf("the text is UTF-8: %v", err)
			}
		case RuleSyntax, RuleEnvelope, RuleDepth:
			if object {
				t.Fatalf("refused an object: %v", err)
			}
		}
	})
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "abc", "a\"\\\n\x00", "é\u2028😀", "\xff\xed\xa0\x80", `\ud83d\ude00`, `\ud800`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := Quote(s)
		valid := strings.ToValidUTF8(s, "\ufffd")
		if utf8.ValidString(s) {
			valid = s
		}
		var std string
		if err := json.Unmarshal(q, &std); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		got, ok := String(q)
		if !ok || got != std || utf8.ValidString(s) && got != valid {
			t.Fatalf("String(%s) = %q, %v; encoding/json %q; want %q", q, got, ok, std, valid)
		}
		if !KeyIs(q, got) || KeyIs(q, got+"x") {
			t.Fatalf("KeyIs(%s, %q)", q, got)
		}
		if bytes.ContainsAny(q, "\u2028\u2029\r\n") || !utf8.Valid(q) {
			t.Fatalf("Quote(%q) = %s", s, q)
		}
		// As the inside of a string: strict, but where it decodes as
		// encoding/json does.
		raw := []byte(`"` + s + `"`)
		got, ok = String(raw)
		err := json.Unmarshal(raw, &std)
		switch {
		case ok && (err != nil || got != std):
			t.Fatalf("String(%q) = %q; encoding/json %q, %v", raw, got, std, err)
		case !ok && err == nil && !strings.ContainsRune(std, utf8.RuneError):
			t.Fatalf("String(%q) failed; encoding/json %q", raw, std)
		case ok && !KeyIs(raw, got):
			t.Fatalf("KeyIs(%q, %q)", raw, got)
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{ "a":1, "b":{"c":[1.0] , "d":"x"} }`), "a", "b", `{"n":1}`)
	f.Add([]byte(`{"a":{"b":{}},"a":2}`), "a", "b", `2`)
	f.Add([]byte(`{}`), "x", "y", `[]`)
	f.Add([]byte(`null`), "", "\xff", `null`)
	f.Fuzz(func(t *testing.T, obj []byte, k1, k2, value string) {
		if !json.Valid([]byte(value)) || strings.TrimSpace(value) != value || !utf8.ValidString(k1) || !utf8.ValidString(k2) {
			return
		}
		v := []byte(value)
		if !json.Valid(obj) {
			// Nothing to promise but that nothing breaks.
			Set(obj, v, k1, k2)
			Delete(obj, k1)
			Delete(obj, k1, k2)
			Apply(obj, Edit{[]string{k1}, v}, Edit{[]string{k2, k1}, nil})
			Get(obj, k1, k2)
			return
		}
		if strings.Contains(string(obj), `\ud`) || strings.Contains(string(obj), `\uD`) || !utf8.Valid(obj) {
			return // The model reads lone surrogates as U+FFFD.
		}
		before := string(obj)
		ms, _ := membersOf(obj)

		out := Set(obj, v, k1)
		same(t, "Set", out, modelSet(ms, k1, value))
		if old, ok := Get(obj, k1); ok {
			if back := Set(out, old, k1); string(back) != before {
				t.Fatalf("setting the old value again gave %q, want %q", back, before)
			}
		} else if back := Delete(out, k1); KindOf(obj) == Object && string(back) != before {
			t.Fatalf("deleting what was added gave %q, want %q", back, before)
		}

		same(t, "Delete", Delete(obj, k1), modelDelete(ms, k1), obj)

		var inner []rawMember
		if i := slices.IndexFunc(ms, func(m rawMember) bool { return m.key == k1 }); i >= 0 {
			inner, _ = membersOf([]byte(ms[i].value))
		}
		out = Set(obj, v, k1, k2)
		got, ok := Get(out, k1)
		if !ok {
			t.Fatalf("Set of two keys: %q has no %q", out, k1)
		}
		same(t, "inner Set", got, modelSet(inner, k2, value))
		same(t, "outer Set", out, modelSet(ms, k1, string(got)))
		if got, ok := Get(out, k1, k2); !ok || string(got) != value {
			t.Fatalf("got %q after setting %q", got, value)
		}

		// Independent edits at once are edits one after the other.
		edits := []Edit{{[]string{k1, "a"}, v}, {[]string{k2 + "'"}, nil}, {[]string{k1, "b", k2}, v}, {[]string{k1, k2 + "cc"}, nil}, {[]string{k2 + "\""}, v}}
		at := Apply(obj, edits...)
		seq := obj
		for _, e := range edits {
			seq = Apply(seq, e)
		}
		if a, b := tidy(t, at), tidy(t, seq); a != b {
			t.Fatalf("at once %s, one by one %s", a, b)
		}
		if string(obj) != before {
			t.Fatalf("the input was changed to %q", obj)
		}
	})
}

// tidy strips white space but keeps order and repeated keys.
func tidy(t *testing.T, v []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, v); err != nil {
		t.Fatalf("%v: %q", err, v)
	}
	return b.String()
}

// same checks that out has the members want; an object that is the model of
// something else must be that, unchanged.
func same(t *testing.T, what string, out []byte, want []rawMember, original ...[]byte) {
	got, ok := membersOf(out)
	if !ok && len(original) > 0 && bytes.Equal(out, original[0]) {
		return
	}
	if !ok || !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func modelSet(ms []rawMember, key, value string) []rawMember {
	ms = slices.Clone(ms)
	for i := range ms {
		if ms[i].key == key {
			ms[i].value = value
			return ms
		}
	}
	return append(ms, rawMember{key, value})
}

func modelDelete(ms []rawMember, key string) []rawMember {
	ms = slices.Clone(ms)
	for i := range ms {
		if ms[i].key == key {
			return slices.Delete(ms, i, i+1)
		}
	}
	return ms
}
