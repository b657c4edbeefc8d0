package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// maxKnown is how many values a scanner knows: older ones, which rotation has
// replaced, are forgotten first.
const maxKnown = 4096

// known finds values that the scanner was told of. It is never changed.
type known struct {
	values []string   // as they came
	weak   []weakPair // found as whole leaves under their keys only

	forms []form
	skip  []uint8  // by hash of three bytes: how far the next place may be
	first []uint16 // by hash of the end of a form's head: the form, from 1
	next  []uint16 // the next form with that hash
}

type weakPair struct {
	value, key string // the key folded as [names] has them
}

// form is how a value may be written.
type form struct {
	text  string
	value string
	kind  kind // of the run around it
}

const (
	minKnown = 8 // bytes that a value needs to be looked for anywhere
	hashBits = 15
)

// Weak reports whether a value is too short or too simple to be looked for
// anywhere: [Scanner.Learn] then has it found as a whole leaf of JSON under
// its keys only.
func Weak(value string) bool {
	v := []byte(value)
	return len(v) < minKnown || distinct(v) < 5 || entropy(v) < 2.2 || weakPassword(v) || ordered(v)
}

// Learn has the scanner find a value from now on, under the rule
// [KnownSecret]: as it is, and in base64, hex and percent encoding. One that
// is [Weak] is found only as a whole leaf under one of the keys. It is safe
// for concurrent use with scans.
func (s *Scanner) Learn(v secrets.Secret, keys ...string) {
	value := v.Reveal()
	if value == "" {
		return
	}
	s.learning.Lock()
	defer s.learning.Unlock()
	old := s.known.Load()
	if old == nil {
		old = &known{}
	}
	k := &known{values: old.values, weak: old.weak}
	if Weak(value) {
		k.weak = slices.Clone(k.weak)
		for _, key := range keys {
			if p := (weakPair{value, foldName(key)}); p.key != "" && !slices.Contains(k.weak, p) {
				k.weak = append(k.weak, p)
			}
		}
		if len(k.weak) == len(old.weak) {
			return
		}
		k.weak = k.weak[max(0, len(k.weak)-maxKnown):]
		k.forms, k.skip, k.first, k.next = old.forms, old.skip, old.first, old.next
		s.known.Store(k)
		return
	}
	if slices.Contains(k.values, value) {
		return
	}
	k.values = append(slices.Clone(k.values), value)
	k.values = k.values[max(0, len(k.values)-maxKnown):]
	k.index()
	s.known.Store(k)
}

func foldName(key string) string {
	var b []byte
	for i := range len(key) {
		if isNameByte(key[i]) {
			b = append(b, fold(key[i]))
		}
	}
	return string(b)
}

// index prepares the search: of each form the first minKnown bytes are looked
// for from their end, so that most bytes of a text are never read.
func (k *known) index() {
	seen := map[string]bool{}
	for _, v := range k.values {
		for _, f := range formsOf(v) {
			if len(f.text) >= minKnown && !seen[f.text] && len(k.forms) < maxStates-1 {
				seen[f.text] = true
				k.forms = append(k.forms, f)
			}
		}
	}
	k.skip = bytes.Repeat([]byte{minKnown - 2}, 1<<hashBits)
	k.first = make([]uint16, 1<<hashBits)
	k.next = make([]uint16, len(k.forms)+1)
	for i, f := range k.forms {
		for j := 2; j < minKnown; j++ {
			h := hash3(f.text[j-2], f.text[j-1], f.text[j])
			k.skip[h] = min(k.skip[h], uint8(minKnown-1-j))
		}
		h := hash3(f.text[minKnown-3], f.text[minKnown-2], f.text[minKnown-1])
		k.next[i+1] = k.first[h]
		k.first[h] = uint16(i + 1)
	}
}

func hash3(a, b, c byte) uint32 {
	return (uint32(a)<<16 | uint32(b)<<8 | uint32(c)) * 0x9E3779B1 >> (32 - hashBits)
}

// formsOf lists how a value may be written.
func formsOf(v string) []form {
	fs := []form{{v, v, document}}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		// What stands before it moves a value within base64 by one or two
		// bytes; characters that hold bits of neighbours are left out.
		for skew, lost := range [...]int{0, 2, 3} {
			text := enc.EncodeToString(append(make([]byte, skew), v...))
			whole := (skew + len(v)) * 8 / 6
			fs = append(fs, form{text[lost:whole], v, base64run})
		}
	}
	low := hex.EncodeToString([]byte(v))
	fs = append(fs, form{low, v, hexrun}, form{string(bytes.ToUpper([]byte(low))), v, hexrun})
	for _, text := range []string{url.QueryEscape(v), url.PathEscape(v), percentAll(v, false), percentAll(v, true)} {
		fs = append(fs, form{text, v, percent}, form{lowerPercents(text), v, percent})
	}
	return fs
}

// percentAll encodes every byte but letters and digits, and those, too.
func percentAll(v string, letters bool) string {
	const digits = "0123456789ABCDEF"
	var b []byte
	for i := range len(v) {
		if c := v[i]; isAlnum(c) && !letters {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func lowerPercents(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			b[i+1], b[i+2] = fold(b[i+1]), fold(b[i+2])
			i += 2
		}
	}
	return string(b)
}

// exact finds known values in the view at depth d.
func (w *worker) exact(k *known, d int) {
	if w.s.knownAct == Off {
		return
	}
	text := w.levels[d].text
	if len(k.forms) > 0 {
		for i := minKnown - 1; i < len(text); {
			h := hash3(text[i-2], text[i-1], text[i])
			if n := k.skip[h]; n > 0 {
				i += int(n)
				continue
			}
			start := i - minKnown + 1
			end := i + 1
			for n := k.first[h]; n != 0; n = k.next[n] {
				f := &k.forms[n-1]
				if len(text)-start >= len(f.text) && string(text[start:start+len(f.text)]) == f.text {
					w.addKnown(d, around(text, span{start, start + len(f.text)}, f.kind), f.value, viaOf[f.kind])
					end = max(end, start+len(f.text)-minKnown)
				}
			}
			i = end
		}
	}
	for i := range k.weak {
		w.exactLeaf(d, &k.weak[i])
	}
}

// around is the run of base64 or hex around a form.
func around(text []byte, s span, k kind) span {
	class := uint8(0)
	switch k {
	case base64run:
		class = inBase64
	case hexrun:
		class = hexDigit
	default:
		return s
	}
	for s.start > 0 && runClass[text[s.start-1]]&class != 0 {
		s.start--
	}
	for s.end < len(text) && (runClass[text[s.end]]&class != 0 || class == inBase64 && text[s.end] == '=') {
		s.end++
	}
	return s
}

// exactLeaf finds a weak value where it is the whole leaf under its key.
func (w *worker) exactLeaf(d int, p *weakPair) {
	text := w.levels[d].text
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(p.value))
		if i < 0 {
			return
		}
		i += at
		end := i + len(p.value)
		at = i + 1
		j := i
		if j > 0 && end < len(text) && text[j-1] == '"' && text[end] == '"' {
			j--
		} else if end < len(text) && (isNameByte(text[end]) || text[end] == '.') {
			continue
		}
		for j > 0 && skipSpace(text[:j], j-1) == j {
			j--
		}
		if j == 0 || text[j-1] != ':' && text[j-1] != '=' {
			continue
		}
		name, _ := nameEnd(text, j-1)
		if name > 0 && w.isName(text, name, p.key) {
			w.addKnown(d, span{i, end}, p.value, "")
		}
	}
}

// isName says whether the name that ends at end is key.
func (w *worker) isName(text []byte, end int, key string) bool {
	w.fold = w.fold[:0]
	i := end
	for i > 0 && end-i < 2*maxName && (isNameByte(text[i-1]) || text[i-1] == '_' || text[i-1] == '-' || text[i-1] == '.') {
		i--
	}
	for _, b := range text[i:end] {
		if isNameByte(b) {
			w.fold = append(w.fold, fold(b))
		}
	}
	return string(w.fold) == key
}
