package rawjson

import (
	"bytes"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical returns the canonical form of v, for digests: no white space,
// members sorted by the bytes of their decoded keys, strings with the fewest
// escapes, numbers byte for byte. Two texts with one canonical form mean the
// same to every reader. It is not RFC 8785, which rounds numbers.
//
// The error is a [*Fault]: v is malformed, is not UTF-8, or has a key twice in
// one object. A lone surrogate stays an escape.
func Canonical(v []byte) ([]byte, error) {
	keys := keyset{b: v}
	end, c := scan(v, 0, noLimit, &keys)
	if c == codeOK {
		if end = ws(v, end); end != len(v) {
			c = codeTrailing
		}
	}
	if c != codeOK {
		return nil, fault(v, "", end, c, nil)
	}
	t := tree{b: v}
	t.parse()
	return t.append(make([]byte, 0, len(v))), nil
}

// span is a piece of the document, or, with negative bounds (^i), of the
// strings that had to be written anew.
type span struct{ from, to int }

// node is one value of a document. It holds no pointers, which spares the
// garbage collector a large document.
type node struct {
	key        span // canonical, with quotes; empty in an array
	text       span // the canonical scalar, "{" or "["
	child, end int  // the children are kids[child:end]
}

// tree is a well-formed document whose values are nodes.
type tree struct {
	b       []byte
	written []byte // strings that are not canonical in b
	nodes   []node
	kids    []int // indices of nodes, those of one container side by side
}

func (t *tree) bytes(s span) []byte {
	if s.from < 0 {
		return t.written[^s.from:^s.to]
	}
	return t.b[s.from:s.to]
}

// str returns the canonical form of the string b[from:to].
func (t *tree) str(from, to int) span {
	if bytes.IndexByte(t.b[from:to], '\\') < 0 {
		return span{from, to}
	}
	start := len(t.written)
	t.written = appendCanonical(t.written, t.b[from:to])
	return span{^start, ^len(t.written)}
}

// parse reads the document. A container's children are known when it closes;
// until then they wait on a stack.
func (t *tree) parse() {
	type open struct{ node, first int }
	var (
		opens   []open
		pending []int
		key     span
		isKey   bool
	)
	// A value is followed by a comma or closes a container. Commas in
	// strings count too, so the guess is bounded.
	guess := 1 + bytes.Count(t.b, []byte{','}) + bytes.Count(t.b, []byte{'{'}) + bytes.Count(t.b, []byte{'['})
	t.nodes = make([]node, 0, min(guess, 16+len(t.b)/8))
	t.kids = make([]int, 0, cap(t.nodes))
	add := func(text span) int {
		n := len(t.nodes)
		t.nodes = append(t.nodes, node{key: key, text: text})
		pending = append(pending, n)
		key = span{}
		return n
	}
	for i := 0; i < len(t.b); {
		switch c := t.b[i]; c {
		case ' ', '\n', '\r', '\t', ':':
			i++
		case ',':
			i++
			isKey = t.b[t.nodes[opens[len(opens)-1].node].text.from] == '{'
		case '"':
			end, _ := scanString(t.b, i)
			s := t.str(i, end)
			if isKey {
				key, isKey = s, false
			} else {
				add(s)
			}
			i = end
		case '{', '[':
			n := add(span{i, i + 1})
			opens = append(opens, open{n, len(pending)})
			isKey = c == '{'
			i++
		case '}', ']':
			o := opens[len(opens)-1]
			opens = opens[:len(opens)-1]
			kids := pending[o.first:]
			if c == '}' {
				slices.SortFunc(kids, func(a, b int) int {
					return compareKeys(t.bytes(t.nodes[a].key), t.bytes(t.nodes[b].key))
				})
			}
			n := &t.nodes[o.node]
			n.child = len(t.kids)
			t.kids = append(t.kids, kids...)
			n.end = len(t.kids)
			pending = pending[:o.first]
			isKey = false
			i++
		default:
			start := i
			for i < len(t.b) && t.b[i] > ' ' && t.b[i] != ',' && t.b[i] != ']' && t.b[i] != '}' {
				i++
			}
			add(span{start, i})
		}
	}
}

// compareKeys orders canonical keys by their decoded text.
func compareKeys(a, b []byte) int {
	a, b = a[1:len(a)-1], b[1:len(b)-1]
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return bytes.Compare(a, b)
	}
	ta, _ := unescape(nil, a)
	tb, _ := unescape(nil, b)
	return bytes.Compare(ta, tb)
}

// append writes the tree.
func (t *tree) append(out []byte) []byte {
	type frame struct{ node, next int }
	stack := []frame{{0, -1}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		n := &t.nodes[f.node]
		if f.next < 0 {
			if n.key != (span{}) {
				out = append(append(out, t.bytes(n.key)...), ':')
			}
			text := t.bytes(n.text)
			out = append(out, text...)
			if c := text[0]; c != '{' && c != '[' {
				stack = stack[:len(stack)-1]
				continue
			}
			f.next = n.child
		}
		if f.next == n.end {
			out = append(out, t.b[n.text.from]+2) // '{' and '}', '[' and ']' are two apart
			stack = stack[:len(stack)-1]
			continue
		}
		if f.next > n.child {
			out = append(out, ',')
		}
		kid := t.kids[f.next]
		f.next++
		stack = append(stack, frame{kid, -1})
	}
	return out
}

// appendCanonical appends a well-formed string with the fewest escapes.
func appendCanonical(dst, raw []byte) []byte {
	dst = append(dst, '"')
	for s := raw[1 : len(raw)-1]; len(s) > 0; {
		n := bytes.IndexByte(s, '\\')
		if n < 0 {
			dst = append(dst, s...)
			break
		}
		dst = append(dst, s[:n]...)
		s = s[n:]
		length := 2
		if s[1] == 'u' {
			length = 6
			r, _ := hex4(s, 2)
			if utf16.IsSurrogate(r) {
				low := rune(0)
				if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
					low, _ = hex4(s, 8)
				}
				if utf16.DecodeRune(r, low) == utf8.RuneError {
					dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
					s = s[6:]
					continue
				}
				length = 12
			}
		}
		var buf [4]byte
		text, _ := unescape(buf[:0], s[:length])
		if c := text[0]; c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(dst, c)
		} else {
			dst = append(dst, text...)
		}
		s = s[length:]
	}
	return append(dst, '"')
}
