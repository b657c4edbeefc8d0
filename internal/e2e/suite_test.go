//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outcome is what the conformance suite found in one scenario.
type outcome struct {
	passed []string // ids of checks
	failed []string // the same, with what was wrong
	scored bool     // the revision requires it
}

// failures are the ids of the failed checks.
func (o outcome) failures() []string {
	ids := make([]string, len(o.failed))
	for i, f := range o.failed {
		ids[i], _, _ = strings.Cut(f, ":")
	}
	return ids
}

// stamp is the time that the suite appends to a scenario's folder.
var stamp = regexp.MustCompile(`-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// suite runs the conformance suite: kind is "server" or "client".
func suite(t *testing.T, kind string, args ...string) map[string]outcome {
	t.Helper()
	home := t.TempDir()
	results := filepath.Join(home, "results")
	args = append([]string{npm(t, "@modelcontextprotocol/conformance/dist/index.js"), kind, "-o", results}, args...)
	stdout, stderr, err := runProgram(t, 5*time.Minute, environ(home), home, bed.node, args...)
	found := map[string]outcome{}
	files, _ := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct {
			ID, Status, ErrorMessage string
			Details                  json.RawMessage
		}
		if err := json.Unmarshal(data, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := stamp.ReplaceAllString(filepath.Base(filepath.Dir(file)), "")
		name = strings.TrimPrefix(name, kind+"-")
		o := outcome{scored: true}
		for _, c := range checks {
			switch c.Status {
			case "SUCCESS":
				o.passed = append(o.passed, c.ID)
			case "FAILURE":
				var details bytes.Buffer
				_ = json.Compact(&details, c.Details)
				o.failed = append(o.failed, fmt.Sprintf("%s: %s %.600s", c.ID, c.ErrorMessage, details.String()))
			}
		}
		found[name] = o
	}
	if len(found) == 0 {
		t.Fatalf("the conformance suite ran nothing: %v\n%s%s", err, tail(stdout, 30), tail(stderr, 30))
	}
	// A scenario that died before its first check has no file.
	for _, m := range regexp.MustCompile(`(?m)^✗ (\S+): (\d+) passed, (\d+) failed`).FindAllStringSubmatch(stdout, -1) {
		if o, ok := found[m[1]]; !ok || len(o.failed) == 0 {
			o.scored = true
			o.failed = append(o.failed, "scenario: "+tail(stdout+stderr, 20))
			found[m[1]] = o
		}
	}
	// What the revision does not require is listed at the end.
	if _, rest, ok := strings.Cut(stdout, "\nNot scored for "); ok {
		for _, m := range regexp.MustCompile(`(?m)^\s+[✓✗] (\S+) \(`).FindAllStringSubmatch(rest, -1) {
			if o, ok := found[m[1]]; ok {
				o.scored = false
				found[m[1]] = o
			}
		}
	}
	return found
}

// score counts the scored scenarios and those without a failure.
func score(found map[string]outcome) (passed, all int) {
	for _, o := range found {
		if !o.scored {
			continue
		}
		all++
		if len(o.failed) == 0 {
			passed++
		}
	}
	return passed, all
}

// names lists the scenarios, the scored ones first.
func names(found map[string]outcome) []string {
	var all []string
	for name := range found {
		all = append(all, name)
	}
	slices.SortFunc(all, func(a, b string) int {
		if found[a].scored != found[b].scored {
			if found[a].scored {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return all
}

// table prints both columns side by side.
func table(t *testing.T, alone, through map[string]outcome) {
	t.Helper()
	var b strings.Builder
	cell := func(found map[string]outcome, name string) string {
		o, ok := found[name]
		if !ok {
			return "not run"
		}
		return fmt.Sprintf("%d passed, %d failed", len(o.passed), len(o.failed))
	}
	fmt.Fprintf(&b, "%-48s %-24s %s\n", "scenario", "server alone", "through the gateway")
	for _, name := range names(through) {
		mark := ""
		if !through[name].scored {
			mark = " (not scored)"
		}
		fmt.Fprintf(&b, "%-48s %-24s %s\n", name+mark, cell(alone, name), cell(through, name))
	}
	a, an := score(alone)
	g, gn := score(through)
	fmt.Fprintf(&b, "%-48s %-24s %s\n", "scored scenarios without a failure", fmt.Sprintf("%d of %d", a, an), fmt.Sprintf("%d of %d", g, gn))
	t.Logf("\n%s", b.String())
}
