package rawjson

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, want string
		ok       bool
	}{
		{`"abc"`, "abc", true},
		{` "" `, "", true},
		{`"\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00"`, "\"\\/\b\f\n\r\té😀", true},
		{`"日本"`, "日本", true},
		{`"\u0000"`, "\x00", true},
		{`"\ufffd"`, "\ufffd", true},
		{`"\ud800"`, "", false},
		{`"\ud800\u0041"`, "", false},
		{`"\udc00\ud800"`, "", false},
		{`"\ud800\ud800\udc00"`, "", false},
		{"\"\xff\"", "", false},
		{"\"\xed\xa0\x80\"", "", false},
		{`"a`, "", false},
		{`"a"b`, "", false},
		{`"\x"`, "", false},
		{"\"\n\"", "", false},
		{`1`, "", false},
		{``, "", false},
		{`null`, "", false},
	}
	for _, tt := range tests {
		if got, ok := String([]byte(tt.in)); got != tt.want || ok != tt.ok {
			t.Errorf("String(%q) = %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestKeyIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw, s string
		want   bool
	}{
		{`"a"`, "a", true},
		{`""`, "", true},
		{`"\u0061"`, "a", true},
		{`"\ud83d\ude00"`, "😀", true},
		{`"\n"`, "\n", true},
		{`"a"`, "A", false},
		{`"a"`, "ab", false},
		{`"ab"`, "a", false},
		{`"\u0061"`, `\u0061`, false},
		{`"\n"`, `\n`, false},
		{`"\ud800"`, "\ufffd", false},
		{`"\x"`, "x", false},
		{`"\"`, "", false},
		{`"a`, "a", false},
		{`a`, "", false},
		{`"`, "", false},
		{``, "", false},
		{`"a"b"`, `a"b`, true},
	}
	// The last is no JSON string: the caller hands over a scanned key.
	for _, tt := range tests {
		if got := KeyIs([]byte(tt.raw), tt.s); got != tt.want {
			t.Errorf("KeyIs(%s, %q) = %v, want %v", tt.raw, tt.s, got, tt.want)
		}
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", `""`},
		{"plain <text> & 'more' /", `"plain <text> & 'more' /"`},
		{"a\"b\\c", `"a\"b\\c"`},
		{"\b\f\n\r\t\x00\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
		{"é日😀", `"é日😀"`},
		{"a\u2028b\u2029c\u2027\u202a", "\"a\\u2028b\\u2029c\u2027\u202a\""},
		{"a\xffb\xed\xa0\x80", "\"a\ufffdb\ufffd\ufffd\ufffd\""},
		{"\ufffd", "\"\ufffd\""},
		{strings.Repeat("x", 40) + "\n" + strings.Repeat("y", 40), `"` + strings.Repeat("x", 40) + `\n` + strings.Repeat("y", 40) + `"`},
	}
	for _, tt := range tests {
		if got := string(AppendString([]byte("> "), tt.in)); got != "> "+tt.want {
			t.Errorf("AppendString(%q) = %s, want %s", tt.in, got, tt.want)
		}
		if got := Quote(tt.in); !json.Valid(got) || string(got) != tt.want {
			t.Errorf("Quote(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}
