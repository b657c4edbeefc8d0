package scan

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Rule describes one kind of secret. Its fields are those of the rule files.
type Rule struct {
	ID          string `toml:"id"`
	Description string `toml:"description"` // what it is, for people
	Kind        string `toml:"kind"`        // whose it is, for reports

	// Regex is an expression (RE2 syntax) that is tried around each of the
	// Keywords only, which are lower case and found in either case. Without
	// Keywords a piece of text that every match holds serves as one.
	Regex    string   `toml:"regex"`
	Keywords []string `toml:"keywords"`

	// Keys are names: the secret is the value of a JSON key, or of key = value
	// and key: value in text, whose letters and digits in lower case equal one
	// of these, or end with one where a word begins, as dbPassword and
	// DB_PASSWORD do for "password".
	Keys []string `toml:"keys"`

	// SecretGroup is the group of Regex that is the secret; 0 is the first
	// group that took part, else the whole match.
	SecretGroup int `toml:"secretGroup"`

	// Entropy is the least Shannon entropy of the secret [bits per byte].
	Entropy float64 `toml:"entropy"`

	// Check names a check of structure that the secret has to pass: one of
	// those that [Checks] lists.
	Check string `toml:"check"`

	Severity Severity `toml:"severity"` // [High]

	// Except says which matches are no secrets.
	Except []Except `toml:"allowlists"`

	builtIn bool
}

// Except is an allow-list of a rule, in the form gitleaks gave it.
type Except struct {
	Regexes   []string `toml:"regexes"`
	StopWords []string `toml:"stopwords"` // in the secret, whatever their case

	// Target is what Regexes look at: the "secret", the whole "match" or the
	// "line" it stands in ["secret"].
	Target string `toml:"regexTarget"`

	// Condition "AND" asks that regexes and stop words both apply ["OR"].
	Condition string `toml:"condition"`
}

// file is a file of rules: ours, or of gitleaks.
type file struct {
	Rules  []fileRule `toml:"rules"`
	Except []Except   `toml:"allowlists"` // of all rules
	Old    *Except    `toml:"allowlist"`  // before they were many
}

type fileRule struct {
	Rule
	Path string  `toml:"path"`
	Old  *Except `toml:"allowlist"`
}

// ReadRules reads rules in TOML: a list of [[rules]] with the fields of
// [Rule], of which gitleaks' own configuration is a subset. Its rules for
// paths of files alone are left out. The error names the rule and what is
// wrong with it.
func ReadRules(r io.Reader) ([]Rule, error) {
	var f file
	if err := toml.NewDecoder(r).Decode(&f); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return nil, fmt.Errorf("rules: line %d: %w", line, err)
		}
		return nil, fmt.Errorf("rules: %w", err)
	}
	if f.Old != nil {
		f.Except = append(f.Except, *f.Old)
	}
	var rules []Rule
	var errs []error
	for i, r := range f.Rules {
		if r.Regex == "" && len(r.Keys) == 0 && r.Path != "" {
			continue
		}
		if r.Old != nil {
			r.Except = append(r.Except, *r.Old)
		}
		r.Except = append(r.Except, f.Except...)
		for k := range r.Keywords {
			r.Keywords[k] = strings.ToLower(r.Keywords[k])
		}
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("rules: rule %d (%s): %w", i+1, r.ID, err))
		}
		rules = append(rules, r.Rule)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rules, nil
}

// check says what is wrong with a rule, but for its expression.
func (r *Rule) check() error {
	switch {
	case r.ID == "":
		return errors.New("id is missing: every rule needs one")
	case r.ID == KnownSecret || strings.ContainsFunc(r.ID, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }):
		return fmt.Errorf("id %q cannot be used: take letters, digits and hyphens", r.ID)
	case r.Regex == "" && len(r.Keys) == 0:
		return errors.New("it has neither regex nor keys: it could find nothing")
	case r.Check != "" && checks[r.Check] == nil:
		return fmt.Errorf("there is no check %q: the checks are %s", r.Check, strings.Join(Checks(), ", "))
	case r.Severity > High:
		return fmt.Errorf("severity is %s: it is low, medium or high", r.Severity)
	}
	for _, k := range r.Keywords {
		if len(k) < 2 {
			return fmt.Errorf("keyword %q is too short: two characters at least", k)
		}
	}
	for _, e := range r.Except {
		switch e.Target {
		case "", "secret", "match", "line":
		default:
			return fmt.Errorf("regexTarget is %q: it is secret, match or line", e.Target)
		}
		switch e.Condition {
		case "", "OR", "AND":
		default:
			return fmt.Errorf("condition is %q: it is OR or AND", e.Condition)
		}
	}
	return nil
}

// Checks returns the names of the checks of structure that a rule may ask for.
func Checks() []string {
	names := make([]string, 0, len(checks))
	for name := range checks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

//go:embed rules/*.toml
var ruleFiles embed.FS

// builtIn is the built-in set, read once.
var builtIn = sync.OnceValue(func() []Rule {
	names, err := ruleFiles.ReadDir("rules")
	if err != nil {
		panic(err) // the set is part of the program
	}
	var rules []Rule
	for _, n := range names {
		b, err := ruleFiles.ReadFile(path.Join("rules", n.Name()))
		if err == nil {
			var more []Rule
			more, err = ReadRules(bytes.NewReader(b))
			rules = append(rules, more...)
		}
		if err != nil {
			panic(fmt.Sprintf("%s: %v", n.Name(), err))
		}
	}
	for i := range rules {
		rules[i].builtIn = true
	}
	return rules
})

// Default returns the built-in rules, for those who add their own.
func Default() []Rule { return slices.Clone(builtIn()) }

// compile compiles an expression and says which.
func compile(what, expr string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return re, nil
}
