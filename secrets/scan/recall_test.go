package scan_test

import (
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/secretset"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
)

// What the scanner has to reach on the labelled set.
const (
	leastRecall = 0.92
	mostFalse   = 0.007
)

// TestRecallAndPrecision prints how the scanner does on the labelled set, by
// kind, encoding and place; -v shows it. internal/gitleaks prints the same
// with gitleaks beside it.
func TestRecallAndPrecision(t *testing.T) {
	t.Parallel()
	s, err := scan.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	find := func(message []byte) []secretset.Span {
		var out []secretset.Span
		for _, f := range s.Scan(nil, message) {
			out = append(out, secretset.Span{Rule: f.Rule, Start: f.Start, End: f.End})
		}
		return out
	}
	score := secretset.Judge(secretset.Secrets(secretset.Seed), secretset.Negatives(secretset.Seed), find)
	if err := secretset.Table(t.Output(), []string{"scanner"}, []*secretset.Score{score}); err != nil {
		t.Fatal(err)
	}
	if score.Recall() < leastRecall || score.FalseRate() > mostFalse {
		t.Errorf("%s; at least %.0f %% recall and at most %.1f %% false positives are asked for", score, 100*leastRecall, 100*mostFalse)
		for _, m := range score.Missed {
			t.Logf("missed: %s, as %s, %s, in %s", m.ID, m.Form, m.Encoding, m.Place)
		}
	}
	for _, a := range score.Alarms {
		t.Logf("false: %s, %s, in %s, by %v", a.ID, a.Encoding, a.Place, a.Rules)
	}

	// The same formats with other values: nothing hangs on a lucky seed.
	other := secretset.Judge(secretset.Secrets(1), secretset.Negatives(1), find)
	if other.Recall() < leastRecall-0.01 || other.FalseRate() > mostFalse+0.005 {
		t.Errorf("with another seed: %s", other)
	}
}
