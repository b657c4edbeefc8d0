package scan

import (
	"bytes"
	"math"
)

// worker is what one scan needs, kept for the next one.
type worker struct {
	s    *Scanner
	tool string

	levels  []level // the views that are open, the document first
	pending []pending
	touched []uint16
	hits    [block]hit
	fold    []byte // the name of a key

	found  []candidate
	blocks []part  // of a message's content
	stack  []frame // of a walk over it
}

// level is a view with what was worked out about it.
type level struct {
	view
	buf   []byte // behind text
	gaps  []span // what is scanned as it stands
	inner []span // strings to decode
}

// pending is a part of the text that a rule is to be tried on. Parts grow
// together, so that none is searched twice for one rule.
type pending struct {
	start, end int
	clear      int // up to here there is no run as the rule needs it
	active     bool
	touched    bool
}

// candidate is a finding before it has a path.
type candidate struct {
	Finding
	weight uint8
	depth  uint8
	sum    [32]byte // of the value, when the allow-list asks for it
}

// maxKept is the size of the buffers that are kept for the next scan [bytes].
const maxKept = 1 << 20

func newWorker(s *Scanner) *worker {
	return &worker{
		s:       s,
		levels:  make([]level, s.depth+3),
		pending: make([]pending, len(s.set.rules)),
	}
}

// reset forgets the texts, of which some were secret.
func (w *worker) reset() {
	for i := range w.levels {
		l := &w.levels[i]
		l.text = nil
		if cap(l.buf) > maxKept {
			l.buf, l.marks = nil, nil
		}
		if cap(l.inner) > maxKept/64 {
			l.inner, l.gaps = nil, nil
		}
		clear(l.buf)
		l.buf = l.buf[:0]
	}
	clear(w.fold)
	clear(w.found)
	w.found = w.found[:0]
	w.tool = ""
}

// document scans a document.
func (w *worker) document(text []byte, json bool) {
	l := &w.levels[0]
	l.view = view{text: text, json: json, marks: l.marks[:0]}
	w.scan(0)
	if json {
		w.acrossBlocks()
	}
}

// scan scans the view at depth d, and what is encoded in it.
func (w *worker) scan(d int) {
	l := &w.levels[d]
	l.inner, l.gaps = l.inner[:0], l.gaps[:0]
	if l.json {
		l.inner = escapedStrings(l.inner, l.text, l.body)
	}
	from := 0
	for _, s := range l.inner {
		l.gaps = append(l.gaps, span{from, s.start})
		from = s.end
	}
	l.gaps = append(l.gaps, span{from, len(l.text)})
	for _, g := range l.gaps {
		w.words(d, g)
	}
	w.flush(d)
	if k := w.s.known.Load(); k != nil {
		w.exact(k, d)
	}
	w.decode(d)
}

// words finds the keywords in a part of the view, and what belongs to them.
func (w *worker) words(d int, part span) {
	set, text := w.s.set, w.levels[d].text
	at, state := part.start, uint16(0)
	for at < part.end {
		from, n := at, 0
		at = min(part.end, from+block)
		n, state = set.auto.find(&w.hits, text, from, at, state)
		for _, h := range w.hits[:n] {
			for _, n := range set.auto.out[h.state-set.auto.loud] {
				word := &set.words[n]
				if word.op {
					w.pair(d, h.end-1)
				}
				for _, r := range word.rules {
					w.near(d, r, h.end-word.size, h.end)
				}
			}
		}
	}
}

// near notes that a rule is to be tried around the keyword at a place.
func (w *worker) near(d int, n uint16, at, after int) {
	if w.s.actions[n] == Off {
		return
	}
	r := w.s.set.rules[n]
	if !r.ready.Load() {
		if err := r.prepare(); err != nil {
			panic("scan: rule " + r.ID + ": " + err.Error()) // New has asked
		}
	}
	l := &w.levels[d]
	text := l.text
	reach := span{max(0, at-r.shape.lead-8), min(len(text), at+r.shape.size+8)}
	if r.weight == byWords && l.json {
		reach = leafAround(text, at, reach)
	}
	if r.sieve != nil {
		if reach = r.sieve(text, at, after, reach); reach.end == 0 {
			return
		}
	}
	start, end := reach.start, reach.end
	p := &w.pending[n]
	if !p.touched {
		p.touched = true
		w.touched = append(w.touched, n)
	}
	if p.active && start <= p.end {
		p.end = max(p.end, end)
		return
	}
	if p.active {
		w.try(d, r, p)
	}
	if r.shape.min > 2 {
		from := max(start, p.clear-r.shape.min+1)
		if from >= end || !r.shape.run.hasRun(text[from:end], r.shape.min) {
			p.clear = max(p.clear, end)
			return
		}
	}
	p.start, p.end, p.active = start, end, true
}

// flush tries what is pending.
func (w *worker) flush(d int) {
	for _, n := range w.touched {
		if p := &w.pending[n]; p.active {
			w.try(d, w.s.set.rules[n], p)
		}
		w.pending[n] = pending{}
	}
	w.touched = w.touched[:0]
}

// try runs the expression of a rule on a part of the view.
func (w *worker) try(d int, r *rule, p *pending) {
	p.active = false
	text := w.levels[d].text
	part := text[p.start:p.end]
	for _, m := range r.re.FindAllSubmatchIndex(part, -1) {
		s := span{m[0], m[1]}
		if g := 2 * r.SecretGroup; g > 0 {
			s = span{m[g], m[g+1]}
		} else {
			for g := 2; g < len(m); g += 2 {
				if m[g] >= 0 {
					s = span{m[g], m[g+1]}
					break
				}
			}
		}
		if s.start < 0 || s.start == s.end {
			continue
		}
		match := span{p.start + m[0], p.start + m[1]}
		s = span{p.start + s.start, p.start + s.end}
		if r.accepts(text, match, s) {
			if r.narrow != nil {
				s = r.narrow(text, s)
			}
			w.add(d, r, s, text[s.start:s.end])
		}
	}
}

// accepts says whether a match may be a secret.
func (r *rule) accepts(text []byte, match, secret span) bool {
	value := text[secret.start:secret.end]
	if r.Entropy > 0 && entropy(value) < r.Entropy || r.check != nil && !r.check(value) || benignValue(value) {
		return false
	}
	for i := range r.except {
		if r.except[i].covers(text, match, secret) {
			return false
		}
	}
	return true
}

func (e *except) covers(text []byte, match, secret span) bool {
	value := text[secret.start:secret.end]
	of := value
	switch e.Target {
	case "match":
		of = text[match.start:match.end]
	case "line":
		from := bytes.LastIndexByte(text[:match.start], '\n') + 1
		to := bytes.IndexByte(text[match.end:], '\n')
		if to < 0 {
			to = len(text) - match.end
		}
		of = text[max(from, match.start-maxWindow):min(match.end+to, match.end+maxWindow)]
	}
	byRegex := false
	for _, re := range e.regexes {
		byRegex = byRegex || re.Match(of)
	}
	byWord := false
	if len(e.stops) > 0 {
		low := bytes.ToLower(value)
		for _, s := range e.stops {
			byWord = byWord || bytes.Contains(low, []byte(s))
		}
	}
	if e.Condition == "AND" {
		return (byRegex || len(e.regexes) == 0) && (byWord || len(e.stops) == 0) && len(e.regexes)+len(e.stops) > 0
	}
	return byRegex || byWord
}

// entropy is Shannon's, in bits per byte.
func entropy(s []byte) float64 {
	var n [256]uint16
	if len(s) > math.MaxUint16 {
		s = s[:math.MaxUint16]
	}
	for _, b := range s {
		n[b]++
	}
	total, e := float64(len(s)), 0.0
	for _, b := range s {
		if c := n[b]; c > 0 {
			p := float64(c) / total
			e -= p * math.Log2(p)
			n[b] = 0
		}
	}
	return e
}
