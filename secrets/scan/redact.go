package scan

import (
	"bytes"
	"slices"
)

// Redact returns a copy of what was scanned in which [redacted:RULE] stands in
// place of each finding. JSON stays valid: within a string only its escapes
// and characters are replaced, whole, and another leaf becomes a string. With
// several findings at one place the first gives its name.
func (s *Scanner) Redact(text []byte, found []Finding) []byte {
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b Finding) int { return a.Start - b.Start })
	if n := bytes.TrimSpace(text); len(found) > 0 && number(n) { // the whole document
		return []byte(`"[redacted:` + found[0].Rule + `]"`)
	}
	json := likeJSON(text)
	t := tokens{text: text}
	in := json && t.next()
	out := make([]byte, 0, len(text)+len(found)*32)
	at := 0
	for _, f := range found {
		if f.End <= at || f.Start >= f.End || f.Start < 0 || f.End > len(text) {
			continue
		}
		f.Start = max(f.Start, at)
		for in && t.end <= f.Start {
			in = t.next()
		}
		bare := false
		if in && f.Path != "" {
			f.Start = max(f.Start, t.start)
			f.End = min(f.End, t.end)
			if bare = !t.str; bare {
				f.Start, f.End = t.start, t.end
			}
			if f.Start >= f.End || f.Start < at {
				continue
			}
		}
		out = append(out, text[at:f.Start]...)
		if bare {
			out = append(out, '"')
		}
		out = append(out, "[redacted:"...)
		out = append(out, f.Rule...)
		out = append(out, ']')
		if bare {
			out = append(out, '"')
		}
		at = f.End
	}
	return append(out, text[at:]...)
}

// number says whether text is a number of JSON, near enough.
func number(text []byte) bool {
	for i, b := range text {
		if !isDigit(b) && (i == 0 && b != '-' || i > 0 && b != '.' && b != 'e' && b != 'E' && b != '+' && b != '-') {
			return false
		}
	}
	return len(text) > 0
}
