package scan

import "bytes"

// part is a piece of a joined view: from at on, size bytes are what the
// document holds between start and end.
type part struct {
	at, size   int
	start, end int
	block      int
}

const borderSize = 512 // of a block's text at each end, without escapes

// blocks scans the texts of a message's content blocks end to end, for
// secrets that begin in one and end in the next.
func (w *worker) acrossBlocks() {
	l := &w.levels[0]
	if !severalTexts(l.text) {
		return
	}
	w.blocks = w.blocks[:0]
	t := tokens{text: l.text, stack: w.stack[:0]}
	text := false
	for t.next() {
		if t.key {
			text = string(l.text[t.start:t.end]) == "text"
			continue
		}
		if text && t.str && t.start < t.end {
			w.blocks = append(w.blocks, part{start: t.start, end: t.end})
		}
		text = false
	}
	w.stack = t.stack[:0]
	if len(w.blocks) < 2 {
		return
	}
	n := w.open(0, joined, 0, 0, 0)
	piece := func(block, start, end int) {
		at := len(n.buf)
		n.buf, _ = appendUnescaped(n.buf, l.text[start:end], nil, 0)
		n.parts = append(n.parts, part{at, len(n.buf) - at, start, end, block})
	}
	for i, b := range w.blocks {
		if b.end-b.start <= 2*borderSize {
			piece(i, b.start, b.end)
			continue
		}
		piece(i, b.start, whole(l.text, b.start, b.start+borderSize))
		n.buf = append(n.buf, '\n', '\n')
		piece(i, whole(l.text, b.start, b.end-borderSize), b.end)
	}
	n.text = n.buf
	w.scan(1)
}

var textKey = []byte(`"text"`)

// severalTexts says whether "text" is the name of two members.
func severalTexts(doc []byte) bool {
	n := 0
	for n < 2 {
		i := bytes.Index(doc, textKey)
		if i < 0 {
			return false
		}
		doc = doc[i+len(textKey):]
		if i = skipSpace(doc, 0); i < len(doc) && doc[i] == ':' {
			n++
		}
	}
	return true
}

// whole moves a place in a string to the start of the escape it lies in.
func whole(text []byte, from, at int) int {
	for q := at - 1; q >= max(from, at-6); q-- {
		if text[q] != '\\' {
			continue
		}
		run := 1
		for q-run >= from && text[q-run] == '\\' {
			run++
		}
		var one [8]byte
		if _, n := appendEscape(one[:0], text[q:]); run%2 == 1 && q+n > at {
			return q
		}
		return at
	}
	return at
}

// notePieces notes a finding in joined blocks, once in each block that holds a
// part of it.
func (w *worker) notePieces(d int, s span, c candidate) {
	v, raw := &w.levels[d].view, w.levels[0].text
	first, last := -1, -1
	for _, p := range v.parts {
		if p.at < s.end && p.at+p.size > s.start {
			if first < 0 {
				first = p.block
			}
			last = p.block
		}
	}
	if first == last {
		return // found in its block
	}
	for _, p := range v.parts {
		from, to := max(s.start, p.at), min(s.end, p.at+p.size)
		if from >= to {
			continue
		}
		one := view{kind: leaf, lo: p.start, hi: p.end}
		c.Start, c.End = one.rawAt(raw, from-p.at, false), one.rawAt(raw, to-p.at, true)
		w.found = append(w.found, c)
	}
}
