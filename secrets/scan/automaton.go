package scan

import "slices"

// automaton finds many short words in one pass over a text, whatever their
// case: the deterministic form of the Aho–Corasick automaton, over classes of
// bytes. Words are lower case.
type automaton struct {
	class   [256]uint8
	shift   uint
	longest int      // word
	next    []uint16 // by state<<shift | class; states from loud on end a word
	loud    uint16
	out     [][]uint16 // by state-loud: the words that end there
}

// hit is a word that ends before end.
type hit struct {
	end   int
	state uint16
}

const maxStates = 1 << 16

// newAutomaton builds the automaton of words, which it numbers by their place.
// Words beyond its size are left out: it returns how many it took.
func newAutomaton(words [][]byte) (*automaton, int) {
	a := &automaton{}
	classes := 1
	for _, w := range words {
		a.longest = max(a.longest, len(w))
		for _, b := range w {
			if a.class[b] == 0 && classes < 255 {
				a.class[b] = uint8(classes)
				classes++
			}
		}
	}
	for b := byte('a'); b <= 'z'; b++ {
		if a.class[b] != 0 {
			a.class[b-0x20] = a.class[b]
		}
	}
	for 1<<a.shift < classes {
		a.shift++
	}
	width := 1 << a.shift

	// The tree of the words.
	tree := make([]uint16, width)
	ends := [][]uint16{nil}
	taken := 0
	for i, w := range words {
		if len(ends)+len(w) >= maxStates {
			break
		}
		s := 0
		for _, b := range w {
			at := s<<a.shift | int(a.class[b])
			if tree[at] == 0 {
				tree[at] = uint16(len(ends))
				ends = append(ends, nil)
				tree = append(tree, make([]uint16, width)...)
			}
			s = int(tree[at])
		}
		ends[s] = append(ends[s], uint16(i))
		taken++
	}

	// Where each state goes when its word does not go on, breadth first.
	fail := make([]uint16, len(ends))
	queue := make([]uint16, 0, len(ends))
	for c := range width {
		if s := tree[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for i := 0; i < len(queue); i++ {
		s := int(queue[i])
		ends[s] = append(ends[s], ends[fail[s]]...)
		for c := range width {
			at := s<<a.shift | c
			back := tree[int(fail[s])<<a.shift|c]
			if to := tree[at]; to != 0 {
				fail[to] = back
				queue = append(queue, to)
			} else {
				tree[at] = back
			}
		}
	}

	// States that end words get the highest numbers, the others keep the order
	// of the search: those near the root, which most bytes lead to, lie
	// together.
	order := make([]uint16, 1, len(ends))
	for _, s := range queue {
		if len(ends[s]) == 0 {
			order = append(order, s)
		}
	}
	a.loud = uint16(len(order))
	for _, s := range queue {
		if len(ends[s]) > 0 {
			order = append(order, s)
			a.out = append(a.out, slices.Clip(ends[s]))
		}
	}
	number := make([]uint16, len(ends))
	for n, s := range order {
		number[s] = uint16(n)
	}
	a.next = make([]uint16, len(order)<<a.shift)
	for n, s := range order {
		for c := range width {
			a.next[n<<a.shift|c] = number[tree[int(s)<<a.shift|c]]
		}
	}
	return a, taken
}

// block is how much of a text find looks at at once [bytes].
const block = 4 << 10

// find writes the words in text[from:to], at most a block, to hits, and
// returns how many there are and the state to go on from. Each step has to
// wait for the one before, so two halves are walked side by side: the second
// begins as far before its part as the longest word is long.
func (a *automaton) find(hits *[block]hit, text []byte, from, to int, s uint16) (int, uint16) {
	next, loud, shift := a.next, a.loud, a.shift&15
	n := 0
	half := (to - from) / 2
	if half <= 4*a.longest {
		for i, b := range text[from:to] {
			s = next[int(s)<<shift|int(a.class[b])]
			if s >= loud {
				hits[n] = hit{from + i + 1, s}
				n++
			}
		}
		return n, s
	}
	t := uint16(0)
	for _, b := range text[from+half-a.longest : from+half] {
		t = next[int(t)<<shift|int(a.class[b])]
	}
	m := block / 2
	first := text[from : from+half]
	second := text[from+half : from+2*half]
	second = second[:len(first)]
	for i, b := range first {
		s = next[int(s)<<shift|int(a.class[b])]
		t = next[int(t)<<shift|int(a.class[second[i]])]
		if s >= loud {
			hits[n] = hit{from + i + 1, s}
			n++
		}
		if t >= loud {
			hits[m] = hit{from + half + i + 1, t}
			m++
		}
	}
	n += copy(hits[n:], hits[block/2:m])
	if from+2*half < to {
		t = next[int(t)<<shift|int(a.class[text[to-1]])]
		if t >= loud {
			hits[n] = hit{to, t}
			n++
		}
	}
	return n, t
}
