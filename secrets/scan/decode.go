package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

const (
	minRun   = 20       // of base64 and hex [characters]
	maxToken = 64 << 10 // with percent encoding [bytes]
)

// decode scans what is encoded in the view at depth d.
func (w *worker) decode(d int) {
	l := &w.levels[d]
	if d+1 == len(w.levels) {
		return
	}
	for _, s := range l.inner {
		w.leaf(d, s)
	}
	if l.cost >= w.s.depth {
		return
	}
	if !l.json && (bytes.Contains(l.text, []byte(`\"`)) || bytes.Contains(l.text, []byte(`\u00`)) || bytes.Contains(l.text, []byte(`\/`)) || bytes.Contains(l.text, []byte(`\x`))) {
		w.unescaped(d)
	}
	for i := range l.gaps {
		w.runs(d, l.gaps[i])
		w.percents(d, l.gaps[i])
	}
}

// open makes the view at depth d+1.
func (w *worker) open(d int, k kind, lo, hi, cost int) *level {
	n := &w.levels[d+1]
	n.view = view{kind: k, lo: lo, hi: hi, cost: w.levels[d].cost + cost, marks: n.marks[:0], parts: n.parts[:0]}
	n.buf = n.buf[:0]
	return n
}

// leaf scans a string of JSON without its escapes, behind its key.
func (w *worker) leaf(d int, s span) {
	l := &w.levels[d]
	cost := 1
	if d == 0 {
		cost = 0
	}
	if l.cost+cost > w.s.depth {
		return
	}
	from := keyBefore(l.text, s.start)
	s.end = valueBehind(l.text, s.end)
	n := w.open(d, leaf, s.start, s.end, cost)
	n.buf = append(n.buf, l.text[from:s.start]...)
	n.body = len(n.buf)
	n.buf, n.marks = appendUnescaped(n.buf, l.text[s.start:s.end], n.marks, n.body)
	n.json = likeJSON(n.buf[n.body:])
	n.buf = append(n.buf, '"')
	n.text = n.buf
	w.scan(d + 1)
}

// valueBehind finds the end of the string that follows when the string that
// ends at end is a key; else it returns end.
func valueBehind(text []byte, end int) int {
	i := skipSpace(text, min(end+1, len(text)))
	if i == len(text) || text[i] != ':' {
		return end
	}
	if i = skipSpace(text, i+1); i == len(text) || text[i] != '"' {
		return end
	}
	for j := i + 1; j < len(text) && j-i < maxValue; j++ {
		switch text[j] {
		case '\\':
			j++
		case '"':
			return j
		}
	}
	return end
}

// keyBefore finds the quote that opens the key of the string whose inside
// begins at start; without a key it returns start.
func keyBefore(text []byte, start int) int {
	i := start - 1 // the opening quote
	for i > 0 && (text[i-1] == ' ' || text[i-1] == '\n' || text[i-1] == '\t' || text[i-1] == '\r') {
		i--
	}
	if i < 1 || text[i-1] != ':' {
		return start
	}
	i--
	for i > 0 && text[i-1] == ' ' {
		i--
	}
	if i < 1 || text[i-1] != '"' {
		return start
	}
	from := max(0, i-1-128)
	if k := bytes.LastIndexByte(text[from:i-1], '"'); k >= 0 {
		return from + k
	}
	return start
}

// unescaped scans text without its escapes.
func (w *worker) unescaped(d int) {
	l := &w.levels[d]
	n := w.open(d, unescape, 0, len(l.text), 1)
	n.buf, n.marks = appendUnescaped(n.buf, l.text, n.marks, 0)
	n.text = n.buf
	w.scan(d + 1)
}

// Classes of bytes in runs.
const (
	hexDigit = 1 << iota
	inBase64
	onlyStd
	onlyURL
)

var runClass = func() (t [256]uint8) {
	for i := range t {
		if isAlnum(byte(i)) {
			t[i] = inBase64
		}
		if unhex[i] >= 0 {
			t[i] |= hexDigit
		}
	}
	t['+'], t['/'] = inBase64|onlyStd, inBase64|onlyStd
	t['-'], t['_'] = inBase64|onlyURL, inBase64|onlyURL
	return t
}()

// runs decodes the runs of base64 and hex in a part of the view. Every run of
// minRun characters covers one of the places that are looked at.
func (w *worker) runs(d int, part span) {
	text := w.levels[d].text
	floor := part.start
	for i := part.start + minRun - 1; i < part.end; i += minRun {
		if runClass[text[i]] == 0 {
			continue
		}
		start, end := i, i+1
		for start > floor && runClass[text[start-1]] != 0 {
			start--
		}
		for end < part.end && runClass[text[end]] != 0 {
			end++
		}
		if end-start >= minRun {
			end = w.run(d, span{start, end}, part.end)
		}
		i, floor = end-1, end
	}
}

// run decodes a run of characters and scans what comes out when it is text.
// It returns where the run ends: lines of equal length belong together.
func (w *worker) run(d int, s span, limit int) int {
	text := w.levels[d].text
	seen, all := classesIn(text[s.start:s.end])
	if text[s.start] == '0' && s.end-s.start > 2 && text[s.start+1]|0x20 == 'x' {
		s.start += 2
		seen, all = classesIn(text[s.start:s.end])
	}
	size := s.end - s.start
	if all&hexDigit != 0 && size%2 == 0 && size >= 2*12 {
		if looksText(hexHead(text[s.start:s.end])) {
			n := w.open(d, hexrun, s.start, s.end, 1)
			n.buf, _ = hex.AppendDecode(n.buf, text[s.start:s.end])
			w.decoded(d)
		}
		return s.end
	}
	if seen&onlyStd != 0 && seen&onlyURL != 0 {
		// No base64 as a whole: the longest part in one alphabet.
		part := longestPart(text[s.start:s.end])
		part = span{s.start + part.start, s.start + part.end}
		if part.end-part.start >= minRun {
			w.base64(d, part)
		}
		return s.end
	}
	lines := s
	if size >= 60 && size <= 80 {
		lines.end = wrapped(text[:limit], s)
	}
	w.base64(d, lines)
	return lines.end
}

// classesIn are the classes that some, and that all bytes of a run have.
func classesIn(run []byte) (some, all uint8) {
	all = 0xff
	for _, b := range run {
		some |= runClass[b]
		all &= runClass[b]
	}
	return some, all
}

// wrapped finds the end of lines of one length that go on from the first.
func wrapped(text []byte, first span) int {
	size, end := first.end-first.start, first.end
	for {
		i := end
		if i < len(text) && text[i] == '\r' {
			i++
		}
		if i >= len(text) || text[i] != '\n' {
			return end
		}
		i++
		j := i
		for j < len(text) && j-i <= size && (runClass[text[j]]&inBase64 != 0 || text[j] == '=') {
			j++
		}
		if j == i || j-i > size {
			return end
		}
		end = j
		if j-i < size {
			return end
		}
	}
}

// longestPart is the longest part of a run that is in one alphabet.
func longestPart(run []byte) span {
	best, from, seen := span{}, 0, uint8(0)
	for i := 0; i <= len(run); i++ {
		if i < len(run) {
			if c := runClass[run[i]] & (onlyStd | onlyURL); c == 0 || seen == 0 || c == seen {
				seen |= c
				continue
			}
		}
		if i-from > best.end-best.start {
			best = span{from, i}
		}
		if i < len(run) {
			for from = i; from > 0 && runClass[run[from-1]]&(onlyStd|onlyURL) == 0; {
				from--
			}
			seen = runClass[run[i]] & (onlyStd | onlyURL)
		}
	}
	return best
}

// base64 decodes a run in one alphabet. A run may begin with what does not
// belong to it: each of the first four characters is tried.
func (w *worker) base64(d int, s span) {
	text := w.levels[d].text[s.start:s.end]
	for skip := range min(4, len(text)-minRun+1) {
		if !looksText(base64Head(text[skip:])) {
			continue
		}
		end := s.end
		for all := w.levels[d].text; end < len(all) && all[end] == '=' && end < s.end+2; {
			end++
		}
		n := w.open(d, base64run, s.start, end, 1)
		enc := base64.RawStdEncoding
		if bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0 {
			enc = base64.RawURLEncoding
		}
		run := bytes.TrimRight(text[skip:], "=")
		if bytes.IndexByte(run, '\n') >= 0 {
			n.buf = appendWithoutLines(n.buf, run)
			if len(n.buf)%4 == 1 {
				n.buf = n.buf[:len(n.buf)-1]
			}
			k, _ := enc.Decode(n.buf, n.buf)
			n.buf = n.buf[:k]
		} else {
			if len(run)%4 == 1 {
				run = run[:len(run)-1]
			}
			n.buf, _ = enc.AppendDecode(n.buf, run)
		}
		w.decoded(d)
	}
}

func appendWithoutLines(dst, s []byte) []byte {
	for _, b := range s {
		if b != '\n' && b != '\r' {
			dst = append(dst, b)
		}
	}
	return dst
}

// decoded scans what the buffer at depth d+1 holds.
func (w *worker) decoded(d int) {
	n := &w.levels[d+1]
	if len(n.buf) > 3 && n.buf[1] == 0 && n.buf[3] == 0 {
		n.buf = fromUTF16(n.buf)
	}
	n.text = n.buf
	n.json = likeJSON(n.text)
	w.scan(d + 1)
}

// fromUTF16 drops the high bytes of little-endian UTF-16, which PowerShell
// encodes commands in.
func fromUTF16(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); i += 2 {
		b[n] = b[i]
		n++
	}
	return b[:n]
}

// headSize is how many decoded bytes tell text from other data.
const headSize = 12

// looksText says whether the head of a run decodes to text.
func looksText(b [headSize]byte, ok bool) bool {
	if !ok {
		return false
	}
	wide := b[1] == 0 && b[3] == 0 && b[5] == 0 && b[7] == 0
	ascii := 0
	for i, c := range b {
		if c < 0x80 {
			ascii++
		}
		if wide && i%2 == 1 {
			if c != 0 {
				return false
			}
			continue
		}
		if c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c == 0x7f || c >= 0x80 && c < 0xc2 && (i == 0 || b[i-1] < 0x80) {
			return false
		}
	}
	return ascii > headSize/2
}

func hexHead(run []byte) (b [headSize]byte, ok bool) {
	_, err := hex.Decode(b[:], run[:2*headSize])
	return b, err == nil
}

func base64Head(run []byte) (b [headSize]byte, ok bool) {
	if len(run) < headSize/3*4 {
		return b, false
	}
	for i := range headSize / 3 {
		n := uint32(0)
		for _, c := range run[4*i : 4*i+4] {
			if c == '=' {
				return b, false
			}
			n = n<<6 | uint32(base64Value[c])
		}
		b[3*i], b[3*i+1], b[3*i+2] = byte(n>>16), byte(n>>8), byte(n)
	}
	return b, true
}

// base64Value is the value of a character in either alphabet.
var base64Value = func() (t [256]uint8) {
	const std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(std) {
		t[std[i]] = uint8(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

// percents decodes what is percent-encoded in a part of the view: the words
// around it up to space and quotes.
func (w *worker) percents(d int, part span) {
	text := w.levels[d].text
	for at := part.start; at < part.end; {
		i := bytes.IndexByte(text[at:part.end], '%')
		if i < 0 {
			return
		}
		i += at
		if !isPercent(text[i:part.end]) {
			at = i + 1
			continue
		}
		start, end := i, i+3
		for start > at && i-start < maxToken && !endsToken(text[start-1]) {
			start--
		}
		for end < part.end && end-i < maxToken && !endsToken(text[end]) {
			end++
		}
		n := w.open(d, percent, start, end, 1)
		form := !bytes.Contains(text[start:end], []byte("%20"))
		for j := start; j < end; j++ {
			b := text[j]
			if b == '+' && form {
				b = ' '
			}
			if b == '%' && isPercent(text[j:end]) {
				b = byte(unhex[text[j+1]]<<4 | unhex[text[j+2]])
				j += 2
			}
			n.buf = append(n.buf, b)
		}
		w.decoded(d)
		at = end
	}
}

func isPercent(s []byte) bool { return len(s) > 2 && unhex[s[1]] >= 0 && unhex[s[2]] >= 0 }

func endsToken(b byte) bool {
	return b <= ' ' || b == '"' || b == '\'' || b == '<' || b == '>' || b == '`' || b == '\\'
}
