package secretset

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
)

// piece is text or JSON, with the place of what is secret in it: mid. In what
// is harmless mid is empty.
type piece struct {
	before, mid, after string
	json               bool // an object, not text
}

// hole is where a template takes a piece.
const hole = "§"

// around puts p into the hole of a template.
func (p piece) around(template string) piece {
	pre, post, ok := strings.Cut(template, hole)
	if !ok {
		panic("secretset: a template without a hole: " + template)
	}
	return piece{before: pre + p.before, mid: p.mid, after: p.after + post}
}

// object says that p is a JSON object.
func (p piece) object() piece {
	p.json = true
	return p
}

// each changes the parts by a function that changes every character by
// itself.
func (p piece) each(f func(string) string) piece {
	return piece{before: f(p.before), mid: f(p.mid), after: f(p.after)}
}

func (p piece) String() string { return p.before + p.mid + p.after }

// whole changes all of p at once: afterwards nothing tells the secret from
// its surroundings.
func (p piece) whole(f func(string) string) piece { return piece{mid: f(p.String())} }

// quoted is p as a JSON string.
func (p piece) quoted() piece {
	q := p.each(quote)
	return piece{before: `"` + q.before, mid: q.mid, after: q.after + `"`}
}

// quote escapes what JSON demands, and no more.
func quote(s string) string {
	var out strings.Builder
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteRune(c)
		case c == '\n':
			out.WriteString(`\n`)
		case c == '\r':
			out.WriteString(`\r`)
		case c == '\t':
			out.WriteString(`\t`)
		case c < 0x20:
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

// The ways in which JSON may escape what it need not.

// escapeAll writes every character as \uXXXX.
func escapeAll(s string) string {
	var out strings.Builder
	for _, c := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&out, `\u%04x`, c)
	}
	return out.String()
}

// escapeSome writes as \uXXXX what is neither a letter nor a digit, and in
// capitals, as some languages do.
func escapeSome(s string) string {
	var out strings.Builder
	for _, c := range utf16.Encode([]rune(s)) {
		if c < 0x80 && strings.IndexByte(alnum, byte(c)) >= 0 {
			out.WriteByte(byte(c))
			continue
		}
		fmt.Fprintf(&out, `\u%04X`, c)
	}
	return out.String()
}

// escapeHTML is what Go does to < > & and PHP to the slash.
func escapeHTML(s string) string {
	return strings.NewReplacer(`<`, `\u003c`, `>`, `\u003e`, `&`, `\u0026`, `=`, `\u003d`, `'`, `\u0027`, `+`, `\u002b`, `/`, `\/`).Replace(quote(s))
}

// Encodings of whole texts.

func toBase64(s string) string    { return base64.StdEncoding.EncodeToString([]byte(s)) }
func toBase64URL(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
func toHex(s string) string       { return hex.EncodeToString([]byte(s)) }

// toBase64Lines breaks the lines where GitHub's API for contents does.
func toBase64Lines(s string) string {
	body := toBase64(s)
	var out strings.Builder
	for ; len(body) > 60; body = body[60:] {
		out.WriteString(body[:60] + "\n")
	}
	return out.String() + body
}

// toUTF16 is what PowerShell takes as an encoded command.
func toUTF16(s string) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// percent escapes what a query must; percentAll everything.
func percent(s string) string { return url.QueryEscape(s) }

func percentAll(s string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, "%%%02X", s[i])
	}
	return out.String()
}
