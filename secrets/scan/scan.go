package scan

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"sync/atomic"
)

// Options configures [New]. The zero value is the built-in rules.
type Options struct {
	// Rules is what to look for; nil: [Default].
	Rules []Rule

	// Settings choose an action for rules by their id; one that no rule has
	// is an error, except [KnownSecret].
	Settings map[string]Action

	// Allow are findings to leave out.
	Allow []Allow

	// Key is the key of fingerprints [32 random bytes]. Scanners with one
	// key give one secret one fingerprint.
	Key []byte

	// MaxDepth is how many encodings may lie around a secret [3], beside the
	// escapes of the scanned document's own strings. 10 at most.
	MaxDepth int
}

// Allow leaves out findings that match every field that is set.
type Allow struct {
	Rule   string // id, in which * stands for any text
	Path   string // as in [Finding.Path], in which * stands for any text
	Tool   string // as in [Scanner.ScanTool], in which * stands for any text
	SHA256 string // of the value, 64 hex digits
}

// Scanner finds secrets. It is safe for concurrent use.
type Scanner struct {
	set      *ruleSet
	actions  []Action // by place of the rule
	known    atomic.Pointer[known]
	learning sync.Mutex
	knownAct Action
	allow    []allow
	key      []byte
	depth    int
	workers  sync.Pool
}

// New makes a scanner. An error names every fault of the options. Scanners of
// the built-in rules share them, and cost little.
func New(o *Options) (*Scanner, error) {
	if o == nil {
		o = &Options{}
	}
	s := &Scanner{key: slices.Clone(o.Key), depth: o.MaxDepth}
	var errs []error
	if o.Rules == nil {
		s.set = builtInSet()
	} else {
		var err error
		if s.set, err = newSet(o.Rules, true); err != nil {
			return nil, fmt.Errorf("scan.Options: Rules: %w", err)
		}
	}
	s.actions = make([]Action, len(s.set.rules))
	left := len(o.Settings)
	for i, r := range s.set.rules {
		if a, ok := o.Settings[r.ID]; ok {
			s.actions[i] = a
			left--
		}
	}
	if a, ok := o.Settings[KnownSecret]; ok {
		s.knownAct = a
		left--
	}
	if left > 0 {
		for id := range o.Settings {
			if id != KnownSecret && !slices.ContainsFunc(s.set.rules, func(r *rule) bool { return r.ID == id }) {
				errs = append(errs, fmt.Errorf("scan.Options: Settings: there is no rule %q", id))
			}
		}
	}
	for i, a := range o.Allow {
		c, err := newAllow(a)
		if err != nil {
			errs = append(errs, fmt.Errorf("scan.Options: Allow[%d]: %w", i, err))
		}
		s.allow = append(s.allow, c)
	}
	if s.depth < 0 || s.depth > 10 {
		errs = append(errs, fmt.Errorf("scan.Options: MaxDepth is %d: it is 10 at most", s.depth))
	}
	if s.depth == 0 {
		s.depth = 3
	}
	if len(s.key) == 0 {
		s.key = make([]byte, 32)
		rand.Read(s.key) // never fails
	}
	s.workers.New = func() any { return newWorker(s) }
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Rules returns the rules of the scanner, without those that are off.
func (s *Scanner) Rules() []Rule {
	var rules []Rule
	for i, r := range s.set.rules {
		if s.actions[i] != Off {
			rules = append(rules, r.Rule)
		}
	}
	return rules
}

// Scan appends what it finds in a JSON document to dst, by place. What is no
// JSON is scanned as text. It takes time linear in the input, and allocates
// nothing when it finds nothing.
func (s *Scanner) Scan(dst []Finding, json []byte) []Finding {
	return s.scan(dst, json, "", likeJSON(json))
}

// ScanTool is [Scanner.Scan] of a message to or from a tool, for the entries
// of Options.Allow that name one.
func (s *Scanner) ScanTool(dst []Finding, json []byte, tool string) []Finding {
	return s.scan(dst, json, tool, likeJSON(json))
}

// ScanText is [Scanner.Scan] of text, also where it looks like JSON: findings
// have no path.
func (s *Scanner) ScanText(dst []Finding, text []byte) []Finding {
	return s.scan(dst, text, "", false)
}

func (s *Scanner) scan(dst []Finding, text []byte, tool string, json bool) []Finding {
	if len(text) < 4 {
		return dst
	}
	w := s.workers.Get().(*worker)
	w.tool = tool
	w.document(text, json)
	if len(w.found) > 0 {
		dst = w.settle(dst, json)
	}
	w.reset()
	s.workers.Put(w)
	return dst
}

// allow is a checked entry of Options.Allow.
type allow struct {
	Allow
	sum []byte
}

func newAllow(a Allow) (allow, error) {
	c := allow{Allow: a}
	if a == (Allow{}) {
		return c, errors.New("it is empty, and would allow everything")
	}
	for _, p := range [...]string{a.Rule, a.Tool} {
		if _, err := path.Match(p, ""); err != nil {
			return c, fmt.Errorf("%q is no pattern: %w", p, err)
		}
	}
	if a.SHA256 != "" {
		sum, err := hex.DecodeString(a.SHA256)
		if err != nil || len(sum) != 32 {
			return c, fmt.Errorf("SHA256 is no hash: it is 64 hex digits, as sha256sum prints them")
		}
		c.sum = sum
	}
	return c, nil
}

// glob matches a pattern in which * stands for any text.
func glob(pattern, s string) bool {
	// The last * and where it was tried.
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
