package secretset

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Span is a part of a message that a scanner reports.
type Span struct {
	Rule       string
	Start, End int
}

// Score is how a scanner does on the set.
type Score struct {
	Secrets, Found int
	Negatives      int
	False          int      // negatives with a finding
	Missed         []Sample // secrets that no finding touches
	Alarms         []Alarm  // negatives with findings
	by             map[string]map[string]*share
}

// Alarm is a false positive, by the rules that gave it.
type Alarm struct {
	Sample
	Rules []string
}

// share is a part of a whole.
type share struct{ found, all int }

func (s share) String() string {
	return fmt.Sprintf("%d of %d = %.1f %%", s.found, s.all, 100*float64(s.found)/float64(max(s.all, 1)))
}

// Judge runs a scanner over samples. A secret is found when a finding touches
// what stands for it; any finding in a negative is false.
func Judge(secrets, negatives []Sample, scan func(json []byte) []Span) *Score {
	s := &Score{Secrets: len(secrets), Negatives: len(negatives), by: map[string]map[string]*share{}}
	for _, x := range secrets {
		found := slices.ContainsFunc(scan(x.JSON), func(f Span) bool { return f.Start < x.End && x.Start < f.End })
		if found {
			s.Found++
		} else {
			s.Missed = append(s.Missed, x)
		}
		part := "tuned on"
		if x.Held {
			part = "held out"
		}
		s.count("part", part, found)
		s.count("tier", x.Tier, found)
		s.count("encoding", x.Encoding, found)
		s.count("form", x.Form, found)
		s.count("place", x.Place, found)
		s.count("kind", x.Kind, found)
	}
	for _, x := range negatives {
		var rules []string
		for _, f := range scan(x.JSON) {
			rules = append(rules, f.Rule)
		}
		if len(rules) > 0 {
			s.False++
			s.Alarms = append(s.Alarms, Alarm{x, slices.Compact(slices.Sorted(slices.Values(rules)))})
		}
		s.count("category", x.Kind, len(rules) > 0)
	}
	return s
}

func (s *Score) count(by, name string, found bool) {
	if s.by[by] == nil {
		s.by[by] = map[string]*share{}
	}
	x := s.by[by][name]
	if x == nil {
		x = &share{}
		s.by[by][name] = x
	}
	x.all++
	if found {
		x.found++
	}
}

// Recall is the part of the secrets that was found.
func (s *Score) Recall() float64 { return float64(s.Found) / float64(s.Secrets) }

// FalseRate is the part of the negatives with a finding.
func (s *Score) FalseRate() float64 { return float64(s.False) / float64(s.Negatives) }

// Precision is the part of the messages with a finding that hold a secret, in
// the proportion of the set.
func (s *Score) Precision() float64 { return float64(s.Found) / float64(max(s.Found+s.False, 1)) }

func (s *Score) String() string {
	return fmt.Sprintf("recall %s, false positives %s, precision %.1f %%", share{s.Found, s.Secrets}, share{s.False, s.Negatives}, 100*s.Precision())
}

// Table prints recall by tier, encoding, form, place and kind, and the false
// positives by category, of one scanner or of several beside each other.
func Table(w io.Writer, names []string, scores []*Score) error {
	for i, s := range scores {
		fmt.Fprintf(w, "%s: %s\n", names[i], s)
	}
	for _, by := range []string{"part", "tier", "encoding", "form", "place", "kind", "category"} {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		what := "found"
		if by == "category" {
			what = "false"
		}
		fmt.Fprintf(t, "%s\t%s\n", by, strings.Join(names, ", "+what+"\t")+", "+what)
		for _, name := range ordered(by, scores) {
			var cells []string
			for _, s := range scores {
				cells = append(cells, s.by[by][name].String())
			}
			fmt.Fprintf(t, "%s\t%s\n", name, strings.Join(cells, "\t"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// ordered are the names of a table, the worst first where there are many.
func ordered(by string, scores []*Score) []string {
	rate := func(name string, i int) float64 {
		x := scores[i].by[by][name]
		return float64(x.found) / float64(x.all)
	}
	return slices.SortedFunc(maps.Keys(scores[0].by[by]), func(a, b string) int {
		for i := range scores {
			if c := cmp.Compare(rate(a, i), rate(b, i)); c != 0 && (by == "kind" || by == "category") {
				if by == "category" {
					return -c
				}
				return c
			}
		}
		return cmp.Compare(a, b)
	})
}
