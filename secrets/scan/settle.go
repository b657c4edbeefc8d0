package scan

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
)

// add notes what a rule found in the view at depth d.
func (w *worker) add(d int, r *rule, s span, value []byte) {
	w.note(d, s, value, candidate{Finding: Finding{Rule: r.ID, Severity: r.Severity, Action: w.s.actions[r.place]}, weight: r.weight}, "")
}

// addKnown notes a value that the scanner was told of.
func (w *worker) addKnown(d int, s span, value, via string) {
	w.note(d, s, []byte(value), candidate{Finding: Finding{Rule: KnownSecret, Severity: High, Action: w.s.knownAct}, weight: byValue}, via)
}

// note translates the place of a finding to the document.
func (w *worker) note(d int, s span, value []byte, c candidate, via string) {
	if s.end <= w.levels[d].body && d > 0 {
		return // the view above has found it
	}
	mac := hmac.New(sha256.New, w.s.key)
	mac.Write(value)
	var sum [32]byte
	c.Fingerprint = hex.EncodeToString(mac.Sum(sum[:0])[:8])
	if len(w.s.allow) > 0 {
		c.sum = sha256.Sum256(value)
	}
	c.depth = uint8(d)
	var vias []string
	if via != "" {
		vias = append(vias, via)
	}
	for ; d > 0; d-- {
		v := &w.levels[d].view
		if v.kind == joined {
			slices.Reverse(vias)
			c.Via = strings.Join(vias, " ")
			w.notePieces(d, s, c)
			return
		}
		// The escapes of the document's own strings are none.
		if d > 1 || v.kind != leaf {
			vias = append(vias, viaOf[v.kind])
		}
		s = v.above(w.levels[d-1].text, s)
	}
	slices.Reverse(vias)
	c.Via = strings.Join(vias, " ")
	c.Start, c.End = s.start, s.end
	w.found = append(w.found, c)
}

// settle appends the findings to dst: one for each place, by place, with
// their paths.
func (w *worker) settle(dst []Finding, json bool) []Finding {
	if json {
		w.paths()
	}
	found := w.found
	// At one place the better comes first.
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), better(a, b))
	})
	kept := found[:0]
	for _, c := range found {
		if c.Start >= c.End {
			continue
		}
		n := len(kept)
		if n == 0 || c.Start >= kept[n-1].End {
			kept = append(kept, c)
			continue
		}
		// They overlap: the one that says more stays, and covers both.
		last := &kept[n-1]
		start, end := last.Start, max(last.End, c.End)
		switch {
		case last.Fingerprint == c.Fingerprint && c.depth != last.depth:
			// The same secret, in a text and in what that decodes to.
			if c.depth < last.depth {
				*last = c
			}
			continue
		case better(c, *last) < 0:
			*last = c
		}
		last.Start, last.End = start, end
	}
	for _, c := range kept {
		if !w.s.allowed(&c, w.tool) {
			dst = append(dst, c.Finding)
		}
	}
	return dst
}

// better is negative when a says more than b about one place.
func better(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.depth, b.depth), cmp.Compare(b.End-b.Start, a.End-a.Start), cmp.Compare(a.Rule, b.Rule))
}

func (s *Scanner) allowed(c *candidate, tool string) bool {
	return slices.ContainsFunc(s.allow, func(a allow) bool {
		if a.Rule != "" {
			if ok, _ := path.Match(a.Rule, c.Rule); !ok {
				return false
			}
		}
		if a.Tool != "" {
			if ok, _ := path.Match(a.Tool, tool); !ok {
				return false
			}
		}
		return (a.Path == "" || glob(a.Path, c.Path)) && (a.sum == nil || [32]byte(a.sum) == c.sum)
	})
}

// paths gives the candidates the paths of the leaves they begin in, and cuts
// them off where these end.
func (w *worker) paths() {
	slices.SortStableFunc(w.found, func(a, b candidate) int { return cmp.Compare(a.Start, b.Start) })
	i := 0
	t := tokens{text: w.levels[0].text}
	for i < len(w.found) && t.next() {
		for i < len(w.found) && w.found[i].Start < t.end {
			c := &w.found[i]
			if c.Start >= t.start || t.start < c.End {
				c.Path = t.path()
				c.Start = max(c.Start, t.start)
				c.End = min(c.End, t.end)
			}
			i++
		}
	}
}

// tokens walks over the scalars of a JSON document, keys included. It does
// not check it.
type tokens struct {
	text       []byte
	at         int
	start, end int  // of the scalar: of a string, its inside
	str, key   bool // it is a string, a key
	stack      []frame
}

type frame struct {
	array  bool
	wanted bool // a key comes next
	index  int
	key    span
}

func (t *tokens) next() bool {
	for t.at < len(t.text) {
		top := len(t.stack) - 1
		switch c := t.text[t.at]; c {
		case ' ', '\n', '\t', '\r', ':':
			t.at++
		case ',':
			t.at++
			if top >= 0 {
				t.stack[top].index++
				t.stack[top].wanted = !t.stack[top].array
			}
		case '{', '[':
			t.at++
			t.stack = append(t.stack, frame{array: c == '[', wanted: c == '{'})
		case '}', ']':
			t.at++
			if top >= 0 {
				t.stack = t.stack[:top]
			}
		case '"':
			i := t.at + 1
			for i < len(t.text) && t.text[i] != '"' {
				if t.text[i] == '\\' {
					i++
				}
				i++
			}
			i = min(i, len(t.text))
			t.start, t.end, t.at, t.str = t.at+1, i, i+1, true
			t.key = top >= 0 && t.stack[top].wanted
			if t.key {
				t.stack[top].wanted, t.stack[top].key = false, span{t.start, t.end}
			}
			return true
		default:
			i := t.at
			for i < len(t.text) && !ends(t.text[i]) {
				i++
			}
			i = max(i, t.at+1)
			t.start, t.end, t.at, t.str, t.key = t.at, i, i, false, false
			return true
		}
	}
	return false
}

func ends(b byte) bool {
	switch b {
	case ' ', '\n', '\t', '\r', ':', ',', '{', '}', '[', ']', '"':
		return true
	}
	return false
}

// path is where the walk is.
func (t *tokens) path() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, f := range t.stack {
		if f.array {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(f.index))
			b.WriteByte(']')
			continue
		}
		key, _ := appendUnescaped(nil, t.text[f.key.start:f.key.end], nil, 0)
		if simple(key) {
			b.WriteByte('.')
			b.Write(key)
			continue
		}
		b.WriteString("['")
		b.WriteString(strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strings.ToValidUTF8(string(key), "\uFFFD")))
		b.WriteString("']")
	}
	return b.String()
}

func simple(key []byte) bool {
	for i, c := range key {
		if !isLetter(c) && c != '_' && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return len(key) > 0
}
