package scan

import "bytes"

const (
	maxName  = 64      // of a key [bytes]
	maxValue = 8 << 10 // of a value of a key in text [bytes]
	maxItems = 64      // of a list under a key
)

// pair looks at the operator at op: whether the name before it is a key that
// rules ask for, and what follows a secret.
func (w *worker) pair(d, op int) {
	text := w.levels[d].text
	if op == 0 || op+2 >= len(text) {
		return
	}
	if text[op] == '=' {
		if text[op+1] == '=' {
			return
		}
		switch text[op-1] {
		case '=', '!', '<', '>', ':', '+', '*', '|', '^':
			return
		}
	}
	end, quoted := nameEnd(text, op)
	if end == 0 || text[op] == ':' && !quoted && bytes.HasSuffix(text[:end], []byte("PASS")) && (end == 4 || !isNameByte(text[end-5]) && text[end-5] != '_') {
		return // tests print PASS: and a name
	}
	if !w.s.set.keys.may(text[:end]) {
		return
	}
	if w.named(d, end, quoted, op+1) {
		return
	}
	if start, ok := isValueKey(text, end); ok {
		w.sibling(d, start, op)
	} else if start, ok := typeName(text, end); ok {
		if end, quoted = nameEnd(text, start); end > 0 {
			w.named(d, end, quoted, op+1)
		}
	}
}

// nameEnd finds the end of the name before an operator, 0 when there is none,
// and whether it is quoted.
func nameEnd(text []byte, op int) (int, bool) {
	j := op
	for j > 0 && op-j < 8 && (text[j-1] == ' ' || text[j-1] == '\t') {
		j--
	}
	if j > 0 && text[j-1] == ']' {
		j--
	}
	quoted := false
	if j > 0 && (text[j-1] == '"' || text[j-1] == '\'' || text[j-1] == '`') {
		quoted = true
		j--
		if j > 0 && text[j-1] == '\\' {
			j--
		}
	}
	if !quoted {
		for j > 0 && op-j < 12 && text[j-1] == '*' { // **Password**: …
			j--
		}
	}
	if j == 0 || !isNameByte(text[j-1]) {
		return 0, false
	}
	return j, quoted
}

// named tries the rules for the name that ends at end on the value at from. It
// reports whether there were any.
func (w *worker) named(d, end int, quoted bool, from int) bool {
	var rules [4][]uint16
	found := w.s.set.keys.lookup(rules[:0], w.levels[d].text, end, quoted)
	if len(found) == 0 {
		return false
	}
	text := w.levels[d].text
	if w.benignName(text, end) {
		return true
	}
	l := &w.levels[d]
	if l.body > 0 && from <= l.body && blank(text, from, true) == l.body-1 {
		w.value(d, found, span{l.body, len(text) - 1}) // the string that the view is of
		return true
	}
	values(text, from, end, quoted, func(v span) bool {
		if !l.json || bytes.IndexByte(text[v.start:v.end], '\\') < 0 { // else it has a view of its own
			w.value(d, found, v)
		}
		return true
	})
	return true
}

// value tries rules for keys on a value.
func (w *worker) value(d int, found [][]uint16, v span) {
	text := w.levels[d].text
	for i := len(found) - 1; i >= 0; i-- {
		for _, n := range found[i] {
			if w.s.actions[n] == Off {
				continue
			}
			r := w.s.set.rules[n]
			if !r.ready.Load() {
				_ = r.prepare()
			}
			if r.accepts(text, v, v) {
				w.add(d, r, v, text[v.start:v.end])
				return
			}
		}
	}
}

// benignName says whether the whole name that ends at end is one whose value
// is no secret.
func (w *worker) benignName(text []byte, end int) bool {
	w.fold = w.fold[:0]
	i := end
	for i > 0 && end-i < maxName && (isNameByte(text[i-1]) || text[i-1] == '_' || text[i-1] == '-') {
		i--
	}
	for _, b := range text[i:end] {
		if isNameByte(b) {
			w.fold = append(w.fold, fold(b))
		}
	}
	return benignKey(w.fold)
}

// may says whether text can end with a name, judging by its last letters.
func (n *names) may(text []byte) bool {
	i := len(text) - 1
	if i < 2 || !isLetter(text[i]) || !isLetter(text[i-1]) || !isLetter(text[i-2]) {
		return true
	}
	at := tail(text[i-2], text[i-1], text[i])
	return n.tails[at>>6]&(1<<(at&63)) != 0
}

// tail is a number for three letters, whatever their case.
func tail(a, b, c byte) int { return int(a&31)<<10 | int(b&31)<<5 | int(c&31) }

// lookup appends the rules of every name that text before end ends with, the
// longest last.
func (n *names) lookup(found [][]uint16, text []byte, end int, quoted bool) [][]uint16 {
	for try := 0; try < 2; try++ {
		at := uint16(0)
		for i := end; i > 0 && end-i < maxName; {
			b := text[i-1]
			if !isNameByte(b) {
				if (b == '_' || b == '-' || b == '.' || b == ' ' && quoted) && i > 1 && isNameByte(text[i-2]) && i < end {
					i--
					continue
				}
				break
			}
			if at = n.child(at, fold(b)); at == 0 {
				break
			}
			i--
			if r := n.nodes[at].rules; r != nil && begins(text, i) && len(found) < cap(found) {
				found = append(found, r)
			}
		}
		if len(found) > 0 {
			break
		}
		// DB_PASSWORD_2, token1
		was := end
		for end > 0 && was-end < 2 && isDigit(text[end-1]) {
			end--
		}
		if end == was {
			break
		}
		if end > 0 && (text[end-1] == '_' || text[end-1] == '-') {
			end--
		}
		if end == 0 {
			break
		}
	}
	return found
}

// begins says whether a word of a name begins at i.
func begins(text []byte, i int) bool {
	if i == 0 || !isNameByte(text[i-1]) {
		return true
	}
	p, c := text[i-1], text[i]
	return isUpper(c) && (!isUpper(p) || i+1 < len(text) && text[i+1] >= 'a' && text[i+1] <= 'z')
}

// values calls yield with the value after an operator: quoted or not, or each
// string of a list.
func values(text []byte, from, name int, quoted bool, yield func(span) bool) {
	i := from
	for i < len(text) && (text[i] == '=' || text[i] == '>') && i < from+2 { // := and =>
		i++
	}
	i = blank(text, i, quoted)
	if i < len(text) && text[i] == '[' {
		for range maxItems {
			if i = blank(text, i+1, true); i >= len(text) || text[i] != '"' && text[i] != '\'' {
				return
			}
			v := quotedValue(text, i)
			if v.end > v.start && !yield(v) {
				return
			}
			if i = blank(text, v.end+1, true); i >= len(text) || text[i] != ',' {
				return
			}
		}
		return
	}
	if v := valueAt(text, i, name); v.end > v.start {
		yield(v)
	}
}

// blank skips space, and the ends of lines where a name was quoted.
func blank(text []byte, i int, lines bool) int {
	to := min(len(text), i+64)
	for i < to && (text[i] == ' ' || text[i] == '\t' || lines && (text[i] == '\n' || text[i] == '\r')) {
		i++
	}
	return i
}

// valueAt is the value that begins at i.
func valueAt(text []byte, i, name int) span {
	if i+1 < len(text) && isLetter(text[i]) && (text[i+1] == '"' || text[i+1] == '\'') || i+1 < len(text) && text[i] == '@' && text[i+1] == '"' {
		i++ // b"…", r'…', f"…", @"…"
	}
	if i < len(text) && text[i] == '\\' {
		i++
	}
	for i < len(text) && text[i] == '*' { // **Password:** …
		i++
	}
	i = blank(text, i, false)
	if i >= len(text) {
		return span{}
	}
	switch text[i] {
	case '"', '\'', '`':
		return quotedValue(text, i)
	}
	// A line of an environment file goes on to its end.
	whole := name > 0 && startsLine(text, name)
	end := i
	for to := min(len(text), i+maxValue); end < to; end++ {
		switch b := text[end]; b {
		case ' ', '\t', '\n', '\r', '"', '\'', '`':
		case ',', ';', '&', '<', '>':
			if whole {
				continue
			}
		case '\\':
			if end+1 < to && text[end+1] != 'n' && text[end+1] != 'r' && text[end+1] != '"' && text[end+1] != 't' {
				continue
			}
		default:
			continue
		}
		break
	}
	for end > i && closing.has(text[end-1]) && !whole {
		if c := text[end-1]; c == ')' && bytes.IndexByte(text[i:end], '(') >= 0 || c == ']' && bytes.IndexByte(text[i:end], '[') >= 0 || c == '}' && bytes.IndexByte(text[i:end], '{') >= 0 {
			break
		}
		end--
	}
	if !whole && isCode(text[i:end]) {
		return span{}
	}
	return span{i, end}
}

// isCode says whether what stands without quotes is a call or the start of a
// literal.
func isCode(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if s[len(s)-1] == '{' || s[len(s)-1] == '(' || s[len(s)-1] == '[' {
		return true
	}
	i := bytes.IndexAny(s, "([")
	return i > 0 && identifier(s[:i]) && classesOf(s[:i]).digit == 0
}

var closing = setOfBytes(".,;:)]}!?")

// startsLine says whether the name that ends at end is alone on its line, but
// for export.
func startsLine(text []byte, end int) bool {
	i := end
	for i > 0 && end-i < maxName && (isNameByte(text[i-1]) || text[i-1] == '_') {
		i--
	}
	if end < len(text) && text[end] != '=' {
		return false
	}
	if bytes.HasSuffix(text[:i], []byte("export ")) {
		return true
	}
	return i == 0 || text[i-1] == '\n'
}

// quotedValue is what stands between the quote at i and the next one like it.
func quotedValue(text []byte, i int) span {
	q := text[i]
	i++
	part := text[i:min(len(text), i+maxValue)]
	for j := 0; j < len(part); j++ {
		switch part[j] {
		case q:
			if j > 0 && part[j-1] == '\\' && i > 1 && text[i-2] == '\\' {
				j-- // \"…\"
			}
			return span{i, i + j}
		case '\\':
			if i > 1 && text[i-2] != '\\' {
				j++
			}
		case '\n':
			if q != '`' {
				return span{}
			}
		}
	}
	return span{}
}

// isValueKey says whether the name that ends at end is value, and where it
// begins: the name of the value is then beside it, as in
// {"name": "DB_PASSWORD", "value": "…"}.
func isValueKey(text []byte, end int) (int, bool) {
	if end < 5 || fold(text[end-1]) != 'e' || fold(text[end-5]) != 'v' || !bytes.EqualFold(text[end-5:end], []byte("value")) || end > 5 && isNameByte(text[end-6]) {
		return 0, false
	}
	return end - 5, true
}

var siblingKeys = [...][]byte{[]byte("name"), []byte("key"), []byte("id"), []byte("variable"), []byte("field"), []byte("label")}

const siblingReach = 160

// sibling looks for the name of the value whose key begins at start and ends
// before op, in the same object or element.
func (w *worker) sibling(d, start, op int) {
	text := w.levels[d].text
	var rules [4][]uint16
	from := max(0, start-siblingReach)
	if i := bytes.LastIndexAny(text[from:start], "{}<>[]"); i >= 0 {
		from += i + 1
	}
	end := nameBeside(text, from, max(from, start-1))
	if end == 0 {
		// After the value.
		v := valueAt(text, blank(text, op+1, true), 0)
		if v.end == 0 {
			return
		}
		to := min(len(text), v.end+siblingReach)
		if i := bytes.IndexAny(text[v.end:to], "{}<>[]"); i >= 0 {
			to = v.end + i
		}
		if end = nameBeside(text, v.end, to); end == 0 {
			return
		}
	}
	found := w.s.set.keys.lookup(rules[:0], text, end, true)
	if len(found) == 0 || w.benignName(text, end) {
		return
	}
	if v := valueAt(text, blank(text, op+1, true), 0); v.end > v.start {
		w.value(d, found, v)
	}
}

// nameBeside finds name = "X" in a part of text, and returns the end of X.
func nameBeside(text []byte, from, to int) int {
	for _, k := range siblingKeys {
		for until := to; ; {
			i := bytes.LastIndex(text[from:until], k)
			if i < 0 {
				break
			}
			i += from
			until = i
			at := i + len(k)
			if i > 0 && isNameByte(text[i-1]) {
				continue
			}
			j := at
			if j < to && (text[j] == '"' || text[j] == '\'') {
				j++
			}
			if j = blank(text, j, true); j >= to || text[j] != ':' && text[j] != '=' {
				continue
			}
			if v := valueAt(text, blank(text, j+1, true), 0); v.end > v.start && v.end <= to && isNameByte(text[v.end-1]) {
				return v.end
			}
		}
	}
	return 0
}

// typeNames are names of types: the name of the value stands before them.
var typeNames = [...][]byte{[]byte("string"), []byte("str"), []byte("text"), []byte("any"), []byte("bytes")}

// typeName says whether the name that ends at end is a type, and where the
// colon before it is: password: string = "…".
func typeName(text []byte, end int) (int, bool) {
	for _, t := range typeNames {
		if end > len(t)+2 && bytes.EqualFold(text[end-len(t):end], t) {
			i := end - len(t)
			for i > 0 && (text[i-1] == ' ' || text[i-1] == '&') {
				i--
			}
			if i > 0 && text[i-1] == ':' {
				return i - 1, true
			}
		}
	}
	return 0, false
}
