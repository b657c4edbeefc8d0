package inject

// tail is how many characters of a form are looked for in text: its last ones,
// since many credentials begin alike. A form may have fewer.
const tail = 16

// tails finds the ends of forms in text, each character escaped or not:
// what step does for one state, for all at once, a bit for each, so that a byte
// takes as long whatever the forms are. It finds some that are none: what it
// finds is read again.
//
// Bit 0 stands for a form that every text is the beginning of. Its states are
// those that any form can be in, and tell, from the text alone, what is to be
// worked out.
type tails struct {
	words                    int
	literal, short           [256][]uint64 // that a byte is a character of, as it is or behind a backslash
	high, low                [16][]uint64  // that a hex digit is half a character of
	start, last              []uint64
	base64, pairs, mentioned []uint64 // base64 within; hex between two bytes; that have an entity with a name
}

func newTails(all []form) *tails {
	bits := 1
	for _, f := range all {
		bits += min(len(f.text), tail)
	}
	h := &tails{words: (bits + 63) / 64}
	set := func() []uint64 { return make([]uint64, h.words) }
	h.start, h.last, h.base64, h.pairs, h.mentioned = set(), set(), set(), set(), set()
	for i := range h.literal {
		h.literal[i], h.short[i] = set(), set()
		h.literal[i][0], h.short[i][0] = 1, 1
	}
	for i := range h.high {
		h.high[i], h.low[i] = set(), set()
		h.high[i][0], h.low[i][0] = 1, 1
	}
	for _, s := range [][]uint64{h.start, h.base64, h.pairs, h.mentioned} {
		s[0] = 1
	}
	n := 1
	for _, f := range all {
		size := min(len(f.text), tail)
		for i := range size {
			pos := len(f.text) - size + i
			w, b := n/64, uint64(1)<<(n%64)
			c, alts := f.alternatives(int32(pos))
			for _, c := range c[:alts] {
				h.literal[c][w] |= b
				if brief, ok := short(c); ok {
					h.short[brief][w] |= b
				}
				h.high[c>>4][w] |= b
				h.low[c&0xf][w] |= b
				if names[c] != "" {
					h.mentioned[w] |= b
				}
			}
			switch {
			case i == 0:
				h.start[w] |= b
			case f.kind == base64ish:
				h.base64[w] |= b
			case f.kind == hexadecimal && pos%2 == 0:
				h.pairs[w] |= b
			}
			if i == size-1 {
				h.last[w] |= b
			}
			n++
		}
	}
	return h
}

// The states of a text, as those of [escape]: before a character; behind a %;
// behind a %2; before the first digit of two, and the second; behind a backslash;
// behind \u, and \u0; behind an &, a part of a name, and &#.
const (
	before = iota
	inPercent
	inPercent2
	inHigh
	inLow
	inBackslash
	inUnicode
	inUnicode0
	inAmpersand
	inName
	inNumber
	scans
)

// scan is a reading of one text.
type scan struct {
	h         *tails
	now, next [scans][]uint64
	busy      bool // a state but the first is not empty
	number    int  // of an entity, in base
	base      int
}

func (h *tails) scan() *scan {
	s := &scan{h: h}
	room := make([]uint64, 2*scans*h.words)
	for i := range scans {
		s.now[i], room = room[:h.words:h.words], room[h.words:]
		s.next[i], room = room[:h.words:h.words], room[h.words:]
	}
	s.reset()
	return s
}

// reset forgets what was read.
func (s *scan) reset() {
	for i := range s.now {
		clear(s.now[i])
	}
	copy(s.now[before], s.h.start)
	s.busy = false
}

// digit is the value of a hex digit.
func digit(b byte) (int, bool) {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0'), true
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10, true
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10, true
	}
	return 0, false
}

// read reads a byte, and reports whether a form may end with it.
func (s *scan) read(b byte) bool {
	introduces := b == '%' || b == '=' || b == '\\' || b == '&'
	if !s.busy && !introduces {
		return s.plain(b)
	}
	return s.escaped(b)
}

// stays are those that a byte changes nothing for.
func (h *tails) stays(b byte) []uint64 {
	switch b {
	case '\r', '\n':
		return h.base64
	case ':', '-', ' ':
		return h.pairs
	}
	return nil
}

func (s *scan) plain(b byte) bool {
	h, now, literal, stays := s.h, s.now[before], s.h.literal[b], s.h.stays(b)
	var carry, found uint64
	for w := range now {
		on := now[w] & literal[w]
		found |= on & h.last[w]
		on &^= h.last[w]
		next := on<<1 | carry | h.start[w]
		carry = on >> 63
		if stays != nil {
			next |= now[w] & stays[w]
		}
		now[w] = next
	}
	return found != 0
}

func (s *scan) escaped(b byte) bool {
	h, now, next := s.h, &s.now, &s.next
	value, isDigit := digit(b)
	literal, short, stays := h.literal[b], h.short[b], h.stays(b)
	letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	var entity []uint64 // that the number which ends here is a character of
	switch {
	case b == '#':
		s.number, s.base = 0, 10
	case b == 'x' || b == 'X':
		s.number, s.base = 0, 16
	case b == ';' && s.number < 256:
		entity = h.literal[s.number]
	case isDigit:
		s.number = min(s.number*max(s.base, 10)+value, 1<<16)
	}
	var carry, found, live uint64
	for w := range h.words {
		n := now[before][w]
		on := n & literal[w]
		if isDigit {
			on |= now[inLow][w] & h.low[value][w]
			next[inLow][w] = now[inHigh][w] & h.high[value][w]
		} else {
			next[inLow][w] = 0
		}
		on |= now[inBackslash][w] & short[w]
		var at [scans]uint64
		switch b {
		case '%':
			at[inPercent], at[inHigh] = n, n
		case '=':
			at[inHigh] = n
		case '\\':
			at[inBackslash] = n | now[inBackslash][w]
		case '&':
			at[inAmpersand] = n
		case '#':
			at[inNumber] = now[inAmpersand][w]
		case ';':
			on |= now[inName][w] & h.mentioned[w]
			at[inAmpersand] = now[inName][w]
			if entity != nil {
				on |= now[inNumber][w] & entity[w]
			}
		case 'u':
			at[inUnicode] = now[inBackslash][w]
		case '0':
			at[inUnicode0] = now[inUnicode][w]
			at[inHigh] = now[inUnicode0][w]
		case '2':
			at[inPercent2] = now[inPercent][w]
		case '5':
			at[inPercent], at[inHigh] = now[inPercent2][w], now[inPercent2][w]
		case 'x':
			at[inHigh] = now[inBackslash][w]
		}
		if letter {
			at[inName] = now[inAmpersand][w] | now[inName][w]
		}
		if isDigit || b == 'x' || b == 'X' {
			at[inNumber] = now[inNumber][w]
		}
		for i := inPercent; i < scans; i++ {
			if i != inLow {
				next[i][w] = at[i]
			}
		}
		found |= on & h.last[w]
		on &^= h.last[w]
		more := on<<1 | carry | h.start[w]
		carry = on >> 63
		if stays != nil {
			more |= n & stays[w]
		}
		if b == 'n' || b == 'r' {
			more |= now[inBackslash][w] & h.base64[w]
		}
		next[before][w] = more
	}
	for i := inPercent; i < scans; i++ {
		live |= next[i][0] & 1
	}
	s.busy = live != 0
	s.now, s.next = s.next, s.now
	return found != 0
}
