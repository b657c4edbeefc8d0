package rawjson

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"
)

// fewKeys is how many keys of an object are compared one by one as they come.
// An object with more is sorted when it closes.
const fewKeys = 16

// keyRef is one key of an object that is still open.
type keyRef struct {
	hash uint64
	pos  int // of the opening quote in the input
	off  int // of the text: in the input, or in keyset.decoded when escaped
	n    int // its length; negative (^n) when it lies in decoded
}

// keyset finds keys that stand twice in one object. The keys of all open
// objects lie in one list; before those of each object stands an entry whose
// pos is the start of the object around it.
type keyset struct {
	b       []byte
	start   int // of the innermost object's keys in the list
	n       int // the length of the list, which is first[:n] or, if longer, more
	first   [56]keyRef
	more    []keyRef
	decoded []byte
	fold    bool // compare under Unicode simple case folding
}

// from returns the list from i on.
func (s *keyset) from(i int) []keyRef {
	if s.n <= len(s.first) {
		return s.first[i:s.n]
	}
	return s.more[i:s.n]
}

func (s *keyset) push(k keyRef) {
	switch {
	case s.n < len(s.first):
		s.first[s.n] = k
	case s.n == len(s.first):
		s.more = append(append(s.more[:0], s.first[:]...), k)
	default:
		s.more = append(s.more[:s.n], k)
	}
	s.n++
}

// open begins an object.
func (s *keyset) open() {
	s.push(keyRef{pos: s.start})
	s.start = s.n
}

// close ends the innermost object. It reports the place of the first repeated
// key if the object had too many keys to be compared one by one.
func (s *keyset) close() (at int, dup bool) {
	if s.n-s.start > fewKeys {
		at, dup = s.sorted(s.from(s.start))
	}
	outer := s.from(s.start - 1)[0].pos
	s.n = s.start - 1
	s.start = outer
	return at, dup
}

func (s *keyset) sorted(keys []keyRef) (at int, dup bool) {
	slices.SortFunc(keys, func(a, b keyRef) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		if c := bytes.Compare(s.text(a), s.text(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.pos, b.pos)
	})
	for i := 1; i < len(keys); i++ {
		a, b := keys[i-1], keys[i]
		if a.hash == b.hash && (!dup || b.pos < at) && bytes.Equal(s.text(a), s.text(b)) {
			at, dup = b.pos, true
		}
	}
	return at, dup
}

// text returns the decoded text of a key.
func (s *keyset) text(k keyRef) []byte {
	if k.n < 0 {
		return s.decoded[k.off : k.off+^k.n]
	}
	return s.b[k.off : k.off+k.n]
}

// add records the key b[start:end], quotes included, of the innermost object.
//
// Lone surrogates count as U+FFFD, which is what many decoders make of them:
// two keys that some reader takes for one are one.
func (s *keyset) add(start, end int, fl strFlags) code {
	k := keyRef{pos: start, off: start + 1, n: end - start - 2}
	if fl&flagHigh != 0 && !utf8.Valid(s.b[start:end]) {
		return codeUTF8
	}
	if fl&flagEscape != 0 {
		off := len(s.decoded)
		s.decoded, _ = unescape(s.decoded, s.b[start+1:end-1])
		k.off, k.n = off, ^(len(s.decoded) - off)
	}
	if s.fold {
		s.foldLast(&k)
	}
	k.hash = hash(s.text(k))
	if mine := s.from(s.start); len(mine) < fewKeys {
		for i := range mine {
			if mine[i].hash == k.hash && bytes.Equal(s.text(mine[i]), s.text(k)) {
				return codeDuplicate
			}
		}
	}
	s.push(k)
	return codeOK
}

// last returns the decoded text of the key that was added last.
func (s *keyset) last() []byte { return s.text(s.from(s.n - 1)[0]) }

// foldLast makes k stand for its folded text.
func (s *keyset) foldLast(k *keyRef) {
	text := s.text(*k)
	plain := true
	for _, c := range text {
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return
	}
	off := len(s.decoded)
	s.decoded = appendFolded(s.decoded, text)
	k.off, k.n = off, ^(len(s.decoded) - off)
}

// appendFolded appends one and the same text for all texts that are equal
// under Unicode simple case folding. What it appends for ASCII is lower case.
func appendFolded(dst, text []byte) []byte {
	for len(text) > 0 {
		c := text[0]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if least < utf8.RuneSelf {
			least = unicode.ToLower(least)
		}
		dst = utf8.AppendRune(dst, least)
	}
	return dst
}

// CheckFold makes sure that no object in v, at whatever depth, holds two keys
// that are equal under Unicode simple case folding: readers that ignore case
// take them for one. It refuses what [Valid] refuses, and invalid UTF-8. The
// error is a [*Fault] whose path begins with root.
func CheckFold(v []byte, root string, depth int) error {
	keys := keyset{b: v, fold: true}
	at, c := scan(v, 0, depth, &keys)
	switch {
	case c == codeOK:
		return nil
	case c == codeDuplicate:
		c = codeFold
	}
	return fault(v, root, at, c, depth)
}

// Lookup returns the value of a key in an object, like [Get], and reports
// whether the object can be read in two ways: two of its keys are equal under
// Unicode simple case folding, or one of them equals key only so. Values are
// not looked into.
func Lookup(obj []byte, key string) (value json.RawMessage, ok, ambiguous bool) {
	i := ws(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return nil, false, false
	}
	var buf [64]byte
	folded := appendFolded(buf[:0], []byte(key))
	keys := keyset{b: obj, fold: true}
	keys.open()
	m := members{b: obj, pos: i}
	for m.next() {
		if keys.add(m.key, m.keyEnd, m.flags) != codeOK {
			return nil, false, true
		}
		exact := KeyIs(obj[m.key:m.keyEnd], key)
		if !exact && bytes.Equal(keys.last(), folded) {
			return nil, false, true
		}
		start := m.pos
		end, c := skip(obj, start, noLimit)
		if c != codeOK {
			return nil, false, true
		}
		m.pos = end
		if exact {
			value, ok = obj[start:end:end], true
		}
	}
	if m.fault != codeOK {
		return nil, false, true
	}
	if _, dup := keys.close(); dup {
		return nil, false, true
	}
	return value, ok, false
}

// hash need not resist an attacker: keys with one hash are compared, and
// sorting them takes n log n comparisons whatever their hashes are.
func hash(b []byte) uint64 {
	const m = 0x9e3779b97f4a7c15
	h := uint64(len(b)) * m
	for len(b) >= 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b), m)
		h = hi ^ lo
		b = b[8:]
	}
	var x uint64
	for i, c := range b {
		x |= uint64(c) << (8 * i)
	}
	hi, lo := bits.Mul64(h^x, m)
	return hi ^ lo
}

// foldKey writes the lower-case form of key under Unicode simple folding to
// buf. It reports false when that form cannot be an ASCII name that fits:
// U+212A (the Kelvin sign) and U+017F (the long s) are the only characters
// beyond ASCII that fold to a letter of ASCII.
func foldKey(buf *[64]byte, key []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(key); i++ {
		c := key[i]
		switch {
		case n == len(buf):
			return nil, false
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c < utf8.RuneSelf:
		case c == 0xc5 && i+1 < len(key) && key[i+1] == 0xbf:
			c = 's'
			i++
		case c == 0xe2 && i+2 < len(key) && key[i+1] == 0x84 && key[i+2] == 0xaa:
			c = 'k'
			i += 2
		default:
			return nil, false
		}
		buf[n] = c
		n++
	}
	return buf[:n], true
}
