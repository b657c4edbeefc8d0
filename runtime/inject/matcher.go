package inject

import (
	"slices"
	"strings"
)

// matcher finds values in text, in every form. It does not change, and is safe
// for concurrent use.
//
// Who chooses a text that it cleans, and sees what comes out of it, must not
// learn a value bit by bit: from how much of the text is held back, or how long
// the work takes. So both depend on the text, and on the value only where its
// end was found, of a length that nobody guesses at once.
type matcher struct {
	forms   []form
	tails   *tails
	longest int       // bytes of a match
	white   [256]bool // white space that a form has
	put     []string  // the placeholders, by owner
	names   *matcher  // finds the values in lower case; nil in that one
}

// escaped is how many bytes the escapes of one character may take on average,
// before a match is given up: a text could have no end else.
const escaped = 16

// newMatcher makes one. Of each owner there may be several values.
func newMatcher(values [][]string, placeholders []string) *matcher {
	m, folded := &matcher{put: placeholders}, &matcher{put: placeholders}
	for owner, all := range values {
		for _, v := range all {
			m.forms = append(m.forms, forms(v, owner)...)
			folded.forms = append(folded.forms, forms(strings.ToLower(v), owner)...)
		}
	}
	m.prepare()
	folded.prepare()
	m.names = folded
	return m
}

func (m *matcher) prepare() {
	m.tails = newTails(m.forms)
	for _, f := range m.forms {
		m.longest = max(m.longest, escaped*len(f.text))
		for _, c := range []byte(f.text) {
			m.white[c] = m.white[c] || c == ' ' || c == '\t' || c == '\n'
		}
	}
}

// match reads b from its beginning. It returns the length of the longest match
// and whose it is; open: what follows decides.
func (m *matcher) match(b []byte) (length, owner int, open bool) {
	var room [2][32]state
	now, next := room[0][:0], room[1][:0]
	for i := range m.forms {
		now = append(now, state{form: int32(i)})
	}
	for i, c := range b {
		if i == m.longest {
			return length, owner, false
		}
		next = next[:0]
		for _, s := range now {
			var accepted bool
			next, accepted = m.step(next, s, c)
			if accepted {
				length, owner = i+1, m.forms[s.form].owner
			}
		}
		if len(next) == 0 {
			return length, owner, false
		}
		slices.SortFunc(next, compare)
		next = slices.Compact(next)
		now, next = next, now
	}
	return length, owner, true
}

func compare(a, b state) int {
	switch {
	case a.form != b.form:
		return int(a.form - b.form)
	case a.pos != b.pos:
		return int(a.pos - b.pos)
	case a.in != b.in:
		return int(a.in) - int(b.in)
	case a.alt != b.alt:
		return int(a.alt) - int(b.alt)
	}
	return int(a.n) - int(b.n)
}

// clean appends in to out with placeholders in the place of values, and returns
// how many bytes of in it has used. The rest may become a match; with end set
// there is none.
func (m *matcher) clean(out, in []byte, end bool) (_ []byte, used int) {
	hold := len(in)
	if !end {
		hold = m.hold(in)
	}
	from := 0
	h := m.tails.scan()
	for i := 0; i < len(in); i++ {
		if !h.read(in[i]) {
			continue
		}
		start, length, owner, open := m.first(in[from:], i-from, end)
		start += from
		switch {
		case open && !end || length > 0 && start >= hold:
			hold = min(hold, start)
			return append(out, in[from:hold]...), hold
		case length > 0:
			out = append(append(out, in[from:start]...), m.put[owner]...)
			from = start + length
			i = from - 1
			h.reset()
		}
	}
	hold = max(hold, from)
	return append(out, in[from:hold]...), hold
}

// first finds the first match that has a byte in it, or may have one: with end
// set, one that is not complete is none.
func (m *matcher) first(b []byte, at int, end bool) (start, length, owner int, open bool) {
	for start = max(0, at-m.longest); start <= at; start++ {
		length, owner, open = m.match(b[start:])
		if start+length > at || open && !end {
			return start, length, owner, open
		}
	}
	return at, 0, 0, false
}

// hold returns from where on a text may be the beginning of a match, of whatever
// value: from behind the last white space that no match goes over.
func (m *matcher) hold(in []byte) int {
	least := max(0, len(in)-m.longest)
	for p := len(in); p > least; p-- {
		if m.ends(in, p) {
			return p
		}
	}
	return least
}

// ends tells whether no match goes on behind a place.
func (m *matcher) ends(in []byte, p int) bool {
	c := in[p-1]
	if m.white[c] {
		return false
	}
	switch c {
	case '\t':
		return true
	case ' ': // may stand between bytes in hex
		return p < 2 || !strings.ContainsRune(hexDigits, rune(lower(in[p-2])))
	case '\n': // and a line's end in base64
		p--
		if p > 0 && in[p-1] == '\r' {
			p--
		}
		return p == 0 || strings.IndexByte(letters+"+/-_;", in[p-1]) < 0 // a ; ends an escape
	}
	return false
}

// text is clean for a whole text.
func (m *matcher) text(s string) string {
	out, _ := m.clean(nil, []byte(s), true)
	return string(out)
}

// holds reports whether a name, of which the case means nothing, has a value
// in it.
func (m *matcher) holds(name string) bool {
	name = strings.ToLower(name)
	return m.names.text(name) != name
}
