package scan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

// rule is a compiled rule. Its expression is compiled when a keyword of it
// first occurs: most never do.
type rule struct {
	Rule
	check  func([]byte) bool
	place  uint16 // in the set
	weight uint8  // of two findings at one place the heavier stays
	sieve  sieve
	narrow func([]byte, span) span // the secret alone, without what its check had to see

	once   sync.Once
	ready  atomic.Bool
	re     *regexp.Regexp
	shape  shape
	except []except
}

type except struct {
	Except
	regexes []*regexp.Regexp
	stops   []string
}

// Weights of rules: what a key's name or the words around say is less
// specific than the form of the secret itself.
const (
	byWords uint8 = iota
	byKey
	byForm
	byValue
)

// prepare compiles the expressions. It is safe for concurrent use. An error
// occurs only where New asks first: with rules that are not built in.
func (r *rule) prepare() (err error) {
	r.once.Do(func() {
		defer r.ready.Store(true)
		if r.Regex != "" {
			if r.re, err = compile("regex", r.Regex); err != nil {
				return
			}
			r.shape, err = shapeOf(r.Regex, r.Keywords)
			if err == nil && r.SecretGroup > r.re.NumSubexp() {
				err = fmt.Errorf("secretGroup is %d, and the regex has %d groups", r.SecretGroup, r.re.NumSubexp())
			}
		}
		for _, e := range r.Except {
			x := except{Except: e}
			for _, expr := range e.Regexes {
				re, e := compile("allowlists: regexes", expr)
				if e != nil {
					err = e
					return
				}
				x.regexes = append(x.regexes, re)
			}
			for _, s := range e.StopWords {
				x.stops = append(x.stops, strings.ToLower(s))
			}
			r.except = append(r.except, x)
		}
	})
	return err
}

// ruleSet is a compiled set of rules. It is never changed, and shared by scanners.
type ruleSet struct {
	rules []*rule
	auto  *automaton
	words []word
	keys  names
}

// word is a keyword, or one of the operators between a key and its value.
type word struct {
	size  int
	op    bool
	rules []uint16
}

// builtInSet is the compiled built-in set.
var builtInSet = sync.OnceValue(func() *ruleSet {
	s, err := newSet(builtIn(), false)
	if err != nil {
		panic(err) // the set is part of the program
	}
	return s
})

// newSet compiles rules; strict compiles their expressions, too.
func newSet(rules []Rule, strict bool) (*ruleSet, error) {
	s := &ruleSet{keys: newNames()}
	var errs []error
	var words [][]byte
	numbers := map[string]int{}
	add := func(w string) *word {
		n, ok := numbers[w]
		if !ok {
			n = len(words)
			numbers[w] = n
			words = append(words, []byte(w))
			s.words = append(s.words, word{size: len(w)})
		}
		return &s.words[n]
	}
	for _, op := range [...]string{":", "="} {
		add(op).op = true
	}
	ids := map[string]bool{}
	for i := range rules {
		r := &rule{Rule: rules[i], check: checks[rules[i].Check], place: uint16(i), weight: byForm}
		if r.builtIn {
			r.sieve, r.narrow = sieves[r.ID], narrows[r.ID]
		}
		if r.Severity == 0 {
			r.Severity = High
		}
		err := r.Rule.check()
		switch {
		case err != nil:
		case ids[r.ID]:
			err = errors.New("another rule has this id")
		case r.Regex != "" && len(r.Keywords) == 0:
			sh, e := shapeOf(r.Regex, nil)
			if e != nil {
				err = fmt.Errorf("regex: %w", e)
			} else if len(sh.word) < 3 {
				err = errors.New("it has no keywords, and its regex holds no text that could serve as one: without a keyword it would be tried everywhere")
			} else {
				r.Keywords = []string{sh.word}
			}
		}
		if strict && err == nil && !r.builtIn {
			err = r.prepare()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r.ID, err))
			continue
		}
		ids[r.ID] = true
		if r.Kind == "generic" {
			r.weight = byWords
		}
		if len(r.Keys) > 0 {
			r.weight = byKey
		}
		for _, k := range r.Keys {
			s.keys.add(k, r.place)
		}
		if r.Regex != "" {
			for _, k := range r.Keywords {
				w := add(k)
				w.rules = append(w.rules, r.place)
			}
		}
		s.rules = append(s.rules, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	auto, taken := newAutomaton(words)
	if taken < len(words) {
		return nil, fmt.Errorf("the rules have too many keywords: there is room for %d of %d", taken, len(words))
	}
	s.auto = auto
	return s, nil
}

// names finds the names of keys from their ends.
type names struct {
	first [256]uint16
	tails [512]uint64 // what may follow an operator, by its last three letters
	nodes []name
}

type name struct {
	b           byte
	child, next uint16
	rules       []uint16
}

func newNames() names {
	n := names{nodes: make([]name, 1)}
	n.endsIn("value")
	for _, t := range typeNames {
		n.endsIn(string(t))
	}
	return n
}

// endsIn marks the endings that a name has, for [names.may].
func (n *names) endsIn(folded string) {
	mark := func(a, b, c byte) {
		at := tail(a, b, c)
		n.tails[at>>6] |= 1 << (at & 63)
	}
	i := len(folded) - 1
	switch i {
	case -1:
	case 0, 1: // after any letters
		for a := range byte(32) {
			if i == 1 {
				mark(a, folded[0], folded[1])
				continue
			}
			for b := range byte(32) {
				mark(a, b, folded[0])
			}
		}
	default:
		mark(folded[i-2], folded[i-1], folded[i])
	}
}

// add adds a name, of which only letters and digits count.
func (n *names) add(key string, rule uint16) {
	n.endsIn(foldName(key))
	at := uint16(0)
	for i := len(key) - 1; i >= 0; i-- {
		b := fold(key[i])
		if !isNameByte(b) {
			continue
		}
		next := n.child(at, b)
		if next == 0 {
			if len(n.nodes) == maxStates-1 {
				return
			}
			next = uint16(len(n.nodes))
			n.nodes = append(n.nodes, name{b: b})
			if at == 0 {
				n.first[b] = next
			} else {
				n.nodes[next].next = n.nodes[at].child
				n.nodes[at].child = next
			}
		}
		at = next
	}
	if at != 0 {
		n.nodes[at].rules = append(n.nodes[at].rules, rule)
	}
}

// child is the node that b leads to, 0 for none.
func (n *names) child(at uint16, b byte) uint16 {
	if at == 0 {
		return n.first[b]
	}
	c := n.nodes[at].child
	for c != 0 && n.nodes[c].b != b {
		c = n.nodes[c].next
	}
	return c
}

func fold(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}

func isNameByte(b byte) bool { return isAlnum(b) || b >= 0x80 }
