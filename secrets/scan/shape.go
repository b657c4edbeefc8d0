package scan

import (
	"regexp/syntax"
	"strings"
	"unicode"
)

// shape is what can be said of an expression without running it.
type shape struct {
	size int    // the longest match [bytes], at most maxWindow
	lead int    // the most that stands before a keyword in a match [bytes]
	run  set256 // every match holds least characters of run in a row
	min  int
	word string // lower case: every match holds it, whatever its case
}

const (
	maxWindow = 8 << 10
	besides   = 64 // how far a keyword may be from what an expression matches [bytes]
	openSpace = 32 // what an unbounded repetition of space takes
)

// set256 is a set of bytes.
type set256 [4]uint64

func (s *set256) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *set256) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

func setOfBytes(bytes string) (s set256) {
	for i := range len(bytes) {
		s.add(bytes[i])
	}
	return s
}

func (s *set256) addAll(t set256) {
	for i := range s {
		s[i] |= t[i]
	}
}

// shapeOf measures an expression that compiles.
func shapeOf(expr string, keywords []string) (shape, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return shape{}, err
	}
	var s shape
	s.size = min(longest(re), maxWindow)
	if n, ok := before(re, keywords); ok {
		s.lead = min(n, s.size)
	} else { // a keyword may stand beside the match
		s.size += besides
		s.lead = s.size
	}
	s.run, s.min = mandatory(re)
	s.word = literalIn(re)
	return s, nil
}

// longest is the length of the longest match.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass:
		if n := len(re.Rune); n > 0 && re.Rune[n-1] < unicode.MaxASCII {
			return 1
		}
		return 2 // most of what a text holds beyond ASCII
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture:
		return longest(re.Sub[0])
	case syntax.OpQuest:
		return longest(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		if isSpace(re.Sub[0]) {
			return openSpace
		}
		return maxWindow
	case syntax.OpRepeat:
		if re.Max < 0 {
			return maxWindow
		}
		return min(re.Max*longest(re.Sub[0]), maxWindow)
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			n += longest(sub)
		}
		return min(n, maxWindow)
	case syntax.OpAlternate:
		n := 0
		for _, sub := range re.Sub {
			n = max(n, longest(sub))
		}
		return n
	}
	return 0
}

func isSpace(re *syntax.Regexp) bool {
	if re.Op == syntax.OpLiteral {
		return strings.TrimSpace(string(re.Rune)) == ""
	}
	if re.Op != syntax.OpCharClass {
		return false
	}
	for i := 0; i < len(re.Rune); i += 2 {
		if re.Rune[i+1] > ' ' {
			return false
		}
	}
	return true
}

// before says how much of a match may stand before a keyword, when it has a
// part that always begins with one.
func before(re *syntax.Regexp, keywords []string) (int, bool) {
	if heads := literals(re); heads != nil {
		worst := 0
		for _, h := range heads {
			at := -1
			for _, k := range keywords {
				if i := strings.Index(h, k); i >= 0 && (at < 0 || i < at) {
					at = i
				}
			}
			if at < 0 {
				return 0, false
			}
			worst = max(worst, at)
		}
		return worst, true
	}
	switch re.Op {
	case syntax.OpCapture:
		return before(re.Sub[0], keywords)
	case syntax.OpConcat:
		sum := 0
		for i, sub := range re.Sub {
			if n, ok := before(sub, keywords); ok {
				return sum + n, true
			}
			// A keyword may go over several parts.
			if heads := literals(&syntax.Regexp{Op: syntax.OpConcat, Sub: re.Sub[i:min(i+4, len(re.Sub))]}); heads != nil {
				if n, ok := before(&syntax.Regexp{Op: syntax.OpConcat, Sub: re.Sub[i:min(i+4, len(re.Sub))]}, keywords); ok {
					return sum + n, true
				}
			}
			sum += longest(sub)
		}
	case syntax.OpAlternate:
		worst := 0
		for _, sub := range re.Sub {
			n, ok := before(sub, keywords)
			if !ok {
				return 0, false
			}
			worst = max(worst, n)
		}
		return worst, true
	}
	return 0, false
}

// literals lists, in lower case, all that an expression matches, when these
// are few; else nil.
func literals(re *syntax.Regexp) []string {
	const few = 96
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText:
		return []string{""}
	case syntax.OpCharClass:
		var all []string
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i+1]-re.Rune[i] > few {
				return nil
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				all = append(all, strings.ToLower(string(r)))
			}
		}
		if len(all) > few {
			return nil
		}
		return all
	case syntax.OpCapture:
		return literals(re.Sub[0])
	case syntax.OpQuest:
		l := literals(re.Sub[0])
		if l == nil {
			return nil
		}
		return append([]string{""}, l...)
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			l := literals(sub)
			if l == nil {
				return nil
			}
			all = append(all, l...)
		}
		if len(all) > few {
			return nil
		}
		return all
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			l := literals(sub)
			if l == nil || len(l)*len(all) > few {
				return nil
			}
			var more []string
			for _, a := range all {
				for _, b := range l {
					more = append(more, a+b)
				}
			}
			all = more
		}
		return all
	}
	return nil
}

// mandatory finds the longest run of one class of characters that every match
// holds.
func mandatory(re *syntax.Regexp) (set256, int) {
	switch re.Op {
	case syntax.OpLiteral:
		var s set256
		for _, r := range re.Rune {
			addRune(&s, r)
			addRune(&s, unicode.ToUpper(r))
			addRune(&s, unicode.ToLower(r))
		}
		return s, len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return setOf(re), 1
	case syntax.OpCapture:
		return mandatory(re.Sub[0])
	case syntax.OpPlus:
		return mandatory(re.Sub[0])
	case syntax.OpRepeat:
		sub := re.Sub[0]
		for sub.Op == syntax.OpCapture {
			sub = sub.Sub[0]
		}
		switch {
		case re.Min == 0:
			return set256{}, 0
		case sub.Op == syntax.OpCharClass:
			return setOf(sub), re.Min
		}
		return mandatory(sub)
	case syntax.OpConcat:
		var best set256
		n := 0
		for _, sub := range re.Sub {
			if s, m := mandatory(sub); m > n || m == n && count(s) < count(best) {
				best, n = s, m
			}
		}
		return best, n
	case syntax.OpAlternate:
		var all set256
		n := maxWindow
		for _, sub := range re.Sub {
			s, m := mandatory(sub)
			all.addAll(s)
			n = min(n, m)
		}
		return all, n
	}
	return set256{}, 0
}

func count(s set256) int {
	n := 0
	for b := range 256 {
		if s.has(byte(b)) {
			n++
		}
	}
	return n
}

func addRune(s *set256, r rune) {
	if r < 0x80 {
		s.add(byte(r))
		return
	}
	for b := 0x80; b < 0x100; b++ {
		s.add(byte(b))
	}
}

func setOf(re *syntax.Regexp) set256 {
	var s set256
	if re.Op != syntax.OpCharClass {
		for i := range s {
			s[i] = ^uint64(0)
		}
		return s
	}
	for i := 0; i < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= min(re.Rune[i+1], 0x80); r++ {
			addRune(&s, r)
		}
		if re.Rune[i+1] >= 0x80 {
			addRune(&s, 0x80)
		}
	}
	return s
}

// literalIn returns the longest text that every match holds.
func literalIn(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return strings.ToLower(string(re.Rune))
	case syntax.OpCapture, syntax.OpPlus:
		return literalIn(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literalIn(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if l := literalIn(sub); len(l) > len(best) {
				best = l
			}
		}
		return best
	}
	return ""
}

// hasRun says whether text holds n bytes of s in a row.
func (s *set256) hasRun(text []byte, n int) bool {
	if n <= 1 {
		return true
	}
	for i := n - 1; i < len(text); {
		if !s.has(text[i]) {
			i += n
			continue
		}
		from := i
		for from > 0 && i-from < n-1 && s.has(text[from-1]) {
			from--
		}
		if i-from >= n-1 {
			return true
		}
		to := i + 1
		for to < len(text) && to-from < n && s.has(text[to]) {
			to++
		}
		if to-from >= n {
			return true
		}
		i = to + n
	}
	return false
}
