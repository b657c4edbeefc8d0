//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
)

// TestConformanceServer runs the suite's server scenarios against the Go
// SDK's everything-server alone and, in the same run, through the gateway.
// What the server passes alone it must pass through the gateway.
func TestConformanceServer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		revision string
		required int // how many scenarios the revision requires
		stateful bool
	}{
		{"2025-11-25", 30, true},
		{"2026-07-28", 37, false},
	} {
		alone := func(t *testing.T, url string) map[string]outcome {
			found := suite(t, "server", "--url", url, "--requirements", tc.revision)
			if passed, all := score(found); passed != tc.required || all != tc.required {
				t.Errorf("the server alone passes %d of %d scenarios, not %d of %d: the baseline is not what it was", passed, all, tc.required, tc.required)
			}
			return found
		}
		for _, wire := range []string{"http", "stdio"} {
			t.Run(tc.revision+"/"+wire, func(t *testing.T) {
				t.Parallel()
				url := everything(t, tc.stateful)
				baseline := alone(t, url)
				config := fmt.Sprintf("{url: %q}", url)
				if wire == "stdio" {
					config = fmt.Sprintf("{command: [%q]}", bed.golden)
				}
				g := serve(t, unprefixed(config))
				through := suite(t, "server", "--url", g.url, "--requirements", tc.revision)
				table(t, baseline, through)
				if passed, all := score(through); passed != tc.required || all != tc.required {
					t.Errorf("through the gateway %d of %d required scenarios pass, want %d", passed, all, tc.required)
				}
				compare(t, baseline, through, nil)
			})
		}
	}
}

// formOfReply are checks that are made only of replies that come as a stream
// of events. The protocol leaves the form to the server, and the gateway
// answers as plain JSON whatever nothing precedes.
var formOfReply = map[string]bool{
	"server-sse-streams-functional": true,
	"server-sse-retry-field":        true,
}

// compare fails for every check that fails through the gateway and not at the
// server alone. Known are scenarios that cannot work, with the reason; one of
// them that passes fails the test too.
func compare(t *testing.T, alone, through map[string]outcome, known map[string]string) {
	t.Helper()
	for _, name := range names(alone) {
		o, ok := through[name]
		if !ok {
			t.Errorf("%s was not run through the gateway", name)
			continue
		}
		if why, ok := known[name]; ok {
			missing := slices.ContainsFunc(alone[name].passed, func(id string) bool { return !slices.Contains(o.passed, id) && !formOfReply[id] })
			if len(o.failed) == 0 && !missing {
				t.Errorf("%s passes, though it was thought that it cannot: %s", name, why)
			}
			continue
		}
		failed := o.failures()
		for i, id := range failed {
			if !slices.Contains(alone[name].failures(), id) {
				t.Errorf("%s fails through the gateway only:\n\t%s", name, o.failed[i])
			}
		}
		for _, id := range alone[name].passed {
			if !slices.Contains(o.passed, id) && !slices.Contains(failed, id) && !formOfReply[id] {
				t.Errorf("%s: the check %s passes at the server alone and does not come to pass through the gateway", name, id)
			}
		}
	}
}
