package scan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text on the way into a document: the document itself, or what a
// part of the view above it decodes to.
type view struct {
	text []byte
	body int  // what stands before it is context that the view above holds, too
	json bool // its strings are decoded one by one
	kind kind
	cost int // encodings around it

	lo, hi int    // what it decodes in the view above
	marks  []mark // of an escaped view: places to begin counting at
	parts  []part // of joined blocks
}

type kind uint8

const (
	document kind = iota
	leaf          // a string of JSON, with the key before it
	unescape      // text with the escapes of a string
	base64run
	hexrun
	percent
	joined // the blocks of a message's content, end to end
)

// viaOf names encodings in findings.
var viaOf = [...]string{joined: "", leaf: "json", unescape: "json", base64run: "base64", hexrun: "hex", percent: "percent"}

// mark says which byte above a decoded byte comes from.
type mark struct{ decoded, raw int }

const markEvery = 1 << 10

// likeJSON says whether text begins like an object, an array or a string of
// JSON.
func likeJSON(text []byte) bool {
	i := skipSpace(text, 0)
	if i == len(text) {
		return false
	}
	switch text[i] {
	case '"':
		return true
	case '{':
		i = skipSpace(text, i+1)
		return i < len(text) && (text[i] == '"' || text[i] == '}')
	case '[':
		if i = skipSpace(text, i+1); i == len(text) {
			return false
		}
		switch c := text[i]; c {
		case '{', '[', ']', '"', '-', 't', 'f', 'n':
			return true
		default:
			return isDigit(c)
		}
	}
	return false
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

type span struct{ start, end int }

// escapedStrings appends the insides of the strings of JSON that hold a
// backslash. Where text is no JSON, what it returns are parts of it that do
// not overlap, all the same.
func escapedStrings(dst []span, text []byte, from int) []span {
	for at := from; ; {
		p := bytes.IndexByte(text[at:], '\\')
		if p < 0 {
			return dst
		}
		p += at
		if bytes.Count(text[at:p], quoteMark)%2 == 0 {
			at = p + 1
			continue
		}
		open := at + bytes.LastIndexByte(text[at:p], '"')
		i := p
		for i < len(text) && text[i] != '"' {
			if text[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i, len(text))
		dst = append(dst, span{open + 1, i})
		if at = i + 1; at >= len(text) {
			return dst
		}
	}
}

var quoteMark = []byte{'"'}

// appendUnescaped appends raw without the escapes of a JSON string, and of
// JavaScript's \x. What is no escape stays. base is where dst began.
func appendUnescaped(dst, raw []byte, marks []mark, base int) ([]byte, []mark) {
	next := markEvery
	for i := 0; i < len(raw); {
		if i >= next {
			marks = append(marks, mark{len(dst) - base, i})
			next = i + markEvery
		}
		p := bytes.IndexByte(raw[i:min(len(raw), next)], '\\')
		if p < 0 {
			p = min(len(raw), next) - i
			dst = append(dst, raw[i:i+p]...)
			i += p
			continue
		}
		dst = append(dst, raw[i:i+p]...)
		i += p
		n := 0
		if dst, n = appendEscape(dst, raw[i:]); n == 0 {
			dst = append(dst, '\\')
			n = 1
		}
		i += n
	}
	return dst, marks
}

// appendEscape appends what the escape at the start of raw stands for, and
// returns its length, 0 when it is none.
func appendEscape(dst, raw []byte) ([]byte, int) {
	if len(raw) < 2 {
		return dst, 0
	}
	switch c := raw[1]; c {
	case '"', '\\', '/', '\'':
		return append(dst, c), 2
	case 'n':
		return append(dst, '\n'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'x':
		if r, ok := hexRune(raw, 2, 2); ok {
			return append(dst, byte(r)), 4
		}
	case 'u':
		r, ok := hexRune(raw, 2, 4)
		if !ok {
			return dst, 0
		}
		n := 6
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if len(raw) > 7 && raw[6] == '\\' && raw[7] == 'u' {
				low, _ = hexRune(raw, 8, 4)
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				n = 12
			}
		}
		return utf8.AppendRune(dst, r), n
	}
	return dst, 0
}

func hexRune(raw []byte, from, n int) (rune, bool) {
	if len(raw) < from+n {
		return 0, false
	}
	r := rune(0)
	for _, b := range raw[from : from+n] {
		d := unhex[b]
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// unhex is the value of a hex digit, -1 for other bytes.
var unhex = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i := range 10 {
		t['0'+i] = int8(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = int8(10+i), int8(10+i)
	}
	return t
}()

// above translates a span of the view to the view above it, whose text is
// raw.
func (v *view) above(raw []byte, s span) span {
	switch v.kind {
	case leaf, unescape:
		return span{v.rawAt(raw, s.start, false), v.rawAt(raw, s.end, true)}
	}
	return span{v.lo, v.hi}
}

// rawAt finds the byte above that a decoded byte comes from; up takes the end
// of an escape for a place within it.
func (v *view) rawAt(raw []byte, n int, up bool) int {
	if n <= v.body {
		return v.lo - v.body + n
	}
	from := mark{}
	n -= v.body
	for lo, hi := 0, len(v.marks); lo < hi; {
		if mid := (lo + hi) / 2; v.marks[mid].decoded <= n {
			from = v.marks[mid]
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	raw = raw[v.lo:v.hi]
	var one [8]byte
	i := from.raw
	for d := from.decoded; i < len(raw) && d < n; {
		size, width := 1, 1
		if raw[i] == '\\' {
			b, k := appendEscape(one[:0], raw[i:])
			if k > 0 {
				size, width = k, len(b)
			}
		}
		if d+width > n && !up {
			break
		}
		d += width
		i += size
	}
	return v.lo + i
}
