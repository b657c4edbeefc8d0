package inject

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// token makes what looks like a credential.
func token(r *rand.Rand, n int, letters string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

const (
	words  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	symbol = words + "+/=&<>\"'%\\ !?:;,._-~"
)

// encoders are what an echo may do to a value, with text around it.
var encoders = map[string]func(before, v, after string) string{
	"as it is":   func(b, v, a string) string { return b + v + a },
	"base64":     func(b, v, a string) string { return base64.StdEncoding.EncodeToString([]byte(b + v + a)) },
	"base64url":  func(b, v, a string) string { return base64.RawURLEncoding.EncodeToString([]byte(b + v + a)) },
	"hex":        func(b, v, a string) string { return hex.EncodeToString([]byte(b + v + a)) },
	"HEX":        func(b, v, a string) string { return strings.ToUpper(hex.EncodeToString([]byte(b + v + a))) },
	"hex of GNU": func(b, v, a string) string { return fmt.Sprintf("% x", b+v+a) },
	"query":      func(b, v, a string) string { return url.QueryEscape(b + v + a) },
	"path":       func(b, v, a string) string { return url.PathEscape(b + v + a) },
	"a URL in a URL": func(b, v, a string) string {
		return url.QueryEscape("/x?" + url.QueryEscape(url.QueryEscape(b+v+a)))
	},
	"every letter in percent": func(b, v, a string) string {
		var s strings.Builder
		for i, c := range []byte(v) {
			fmt.Fprintf(&s, []string{"%%%02x", "%%%02X"}[i%2], c)
		}
		return b + s.String() + a
	},
	"JSON": func(b, v, a string) string { return asJSON(b + v + a) },
	"JSON in JSON in JSON": func(b, v, a string) string {
		return asJSON(asJSON(asJSON(b + v + a)))
	},
	"JSON of PHP": func(b, v, a string) string { return strings.ReplaceAll(asJSON(b+v+a), "/", `\/`) },
	"JSON of .NET": func(b, v, a string) string {
		return strings.NewReplacer("+", `\u002B`, "'", `\u0027`).Replace(asJSON(b + v + a))
	},
	"base64 in JSON of PHP": func(b, v, a string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(b+v+a)), "/", `\/`)
	},
	"base64 in a URL": func(b, v, a string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(b + v + a)))
	},
	"base64 in lines": func(b, v, a string) string {
		return inLines(base64.StdEncoding.EncodeToString([]byte(b+v+a)), 12, "\r\n")
	},
	"base64 in lines in JSON": func(b, v, a string) string {
		return asJSON(inLines(base64.StdEncoding.EncodeToString([]byte(b+v+a)), 12, "\n"))
	},
	"HTML":       func(b, v, a string) string { return html.EscapeString(b + v + a) },
	"HTML twice": func(b, v, a string) string { return html.EscapeString(html.EscapeString(b + v + a)) },
	"HTML in numbers": func(b, v, a string) string {
		var s strings.Builder
		for i, c := range []byte(v) {
			fmt.Fprintf(&s, []string{"&#%d;", "&#x%x;", "&#x00%X;", "&#0%d;"}[i%4], c)
		}
		return b + s.String() + a
	},
	"bytes of C": func(b, v, a string) string {
		var s strings.Builder
		for _, c := range []byte(v) {
			fmt.Fprintf(&s, `\x%02x`, c)
		}
		return b + s.String() + a
	},
	"quoted-printable": func(b, v, a string) string {
		var s strings.Builder
		w := quotedprintable.NewWriter(&s)
		_, _ = w.Write([]byte(b + v + a))
		_ = w.Close()
		return strings.ReplaceAll(s.String(), "=\r\n", "")
	},
	"UTF-16LE": func(b, v, a string) string { return utf16(b+v+a, true) },
	"UTF-16BE": func(b, v, a string) string { return utf16(b+v+a, false) },
}

func asJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func inLines(s string, n int, end string) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + end)
		s = s[n:]
	}
	return b.String() + s
}

// cleaned cleans a text that comes in pieces.
func cleaned(m *matcher, r *rand.Rand, text string) string {
	var out, rest []byte
	for len(text) > 0 {
		n := min(1+r.IntN(20), len(text))
		rest, text = append(rest, text[:n]...), text[n:]
		var used int
		out, used = m.clean(out, rest, text == "")
		rest = append([]byte(nil), rest[used:]...)
	}
	return string(out)
}

func TestEveryForm(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	const placeholder = "PLACEHOLDER"
	for name, encode := range encoders {
		for range 60 {
			letters := words
			if r.IntN(2) == 0 {
				letters = symbol
			}
			v := token(r, 8+r.IntN(40), letters)
			m := newMatcher([][]string{{v}}, []string{placeholder})
			before, after := token(r, r.IntN(9), words), token(r, r.IntN(9), words)
			text := encode(before, v, after)
			got := cleaned(m, r, text)
			if !strings.Contains(got, placeholder) {
				t.Errorf("%s: %q in %q stays: %q", name, v, text, got)
			}
			if whole := m.text(text); whole != got {
				t.Errorf("%s: %q became %q as a whole, and %q in pieces", name, text, whole, got)
			}
			if whole := cleaned(m, r, strings.Repeat(text+"\n", 3)); strings.Count(whole, placeholder) != 3 {
				t.Errorf("%s: three times %q became %q", name, text, whole)
			}
		}
	}
}

// TestOtherText: what holds no value comes through as it is, at once.
func TestOtherText(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	v := token(r, 40, words)
	m := newMatcher([][]string{{v}}, []string{"P"})
	for range 200 {
		text := token(r, 300, symbol+v)
		if i := r.IntN(len(v)); r.IntN(2) == 0 {
			text = text[:100] + v[:i] + "\n" + v[i:] + text[100:]
		}
		if got := cleaned(m, r, text); got != text && !strings.Contains(text, v) {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, event := range []string{"data: hello\n\n", "data: hello\r\n\r\n", "{\"a\":1}\n", "<p>x</p>\r\n", "one two "} {
		if out, used := m.clean(nil, []byte(event), false); string(out) != event || used != len(event) {
			t.Errorf("of %q only %q goes on", event, out)
		}
	}
	// Escapes without an end are given up.
	endless := []byte(v[:1] + strings.Repeat(`\`, 1<<16))
	if out, used := m.clean(nil, endless, false); len(endless)-used > m.longest || !bytes.Equal(out, endless[:used]) {
		t.Errorf("%d bytes wait", len(endless)-used)
	}
}

// TestNothingToLearn: who has others send a text of its own learns nothing of a
// value by how much of it waits, and how long it takes.
func TestNothingToLearn(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		v := token(r, 20+r.IntN(20), words)
		mine, other := newMatcher([][]string{{v}}, []string{"P"}), newMatcher([][]string{{token(r, len(v), words)}}, []string{"P"})
		var names []string
		for name := range encoders {
			names = append(names, name)
		}
		slices.Sort(names)
		var text strings.Builder
		text.WriteString(token(r, r.IntN(3000), symbol))
		for range r.IntN(30) { // beginnings of the value
			encode := encoders[names[r.IntN(len(names))]]
			text.WriteString(encode(token(r, r.IntN(2), " "), v[:r.IntN(len(v)-1)], token(r, r.IntN(2), "\n {x")))
		}
		in := []byte(text.String())
		a, used := mine.clean(nil, in, false)
		if b, n := other.clean(nil, in, false); used != n || !bytes.Equal(a, b) || !bytes.Equal(a, in[:used]) {
			t.Fatalf("of %q, %d bytes go on with one value, %d with another", in, used, n)
		}
		for i, h := 0, mine.tails.scan(); i < len(in); i++ {
			if h.read(in[i]) {
				t.Fatalf("%q is read again at %q, and has no end of the value %s", in, in[:i+1], v)
			}
		}
	}
}

// TestLongestValue: of two values of which one begins the other, the longer one
// is found.
func TestLongestValue(t *testing.T) {
	t.Parallel()
	m := newMatcher([][]string{{"abcdefghij"}, {"abcdefghijklmnop", "ponmlkjihg"}}, []string{"ONE", "TWO"})
	for text, want := range map[string]string{
		"<abcdefghijklmnop>": "<TWO>", "<abcdefghijklmno>": "<ONEklmno>", "<ponmlkjihg>": "<TWO>", "abcdefghij": "ONE",
	} {
		if got := m.text(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	if got := m.text(strings.Repeat(`\`, 100)); got != strings.Repeat(`\`, 100) {
		t.Errorf("backslashes became %s", got)
	}
	if !m.holds("X-ABCDEFGHIJ") || !m.holds("X-"+hex.EncodeToString([]byte("abcdefghij"))) || m.holds("X-Abcdefg") {
		t.Error("names of headers are read wrong")
	}
}

func BenchmarkClean(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	m := newMatcher([][]string{{token(r, 40, words)}}, []string{"P"})
	text := []byte(strings.Repeat(`{"id":12345,"name":"some repository","html_url":"https://example.com/a/b","private":false,"sha":"da39a3ee5e6b4b0d3255bfef95601890afd80709"},`, 100))
	out := make([]byte, 0, len(text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		out, _ = m.clean(out[:0], text, true)
	}
}

func BenchmarkNewMatcher(b *testing.B) {
	v := token(rand.New(rand.NewPCG(5, 6)), 40, words)
	for b.Loop() {
		newMatcher([][]string{{v}}, []string{"P"})
	}
}
