//go:build e2e

package e2e

import "testing"

// TestConformanceClient runs the suite's client scenarios that concern
// transport with the gateway's upstream connector as the client.
func TestConformanceClient(t *testing.T) {
	t.Parallel()
	bin := program(t, "internal/conformance/client")
	for revision, scenarios := range map[string][]string{
		"2025-11-25": {"initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"},
		"2026-07-28": {
			"tools_call", "request-metadata", "sep-2322-client-request-state",
			"http-standard-headers", "http-custom-headers", "http-invalid-tool-headers",
			"json-schema-ref-no-deref", "json-schema-2020-12-preservation",
		},
	} {
		for _, scenario := range scenarios {
			t.Run(revision+"/"+scenario, func(t *testing.T) {
				t.Parallel()
				found := suite(t, "client", "--command", bin, "--scenario", scenario, "--spec-version", revision)
				for name, o := range found {
					t.Logf("%s: %d checks passed, %d failed", name, len(o.passed), len(o.failed))
					if len(o.passed) == 0 {
						t.Errorf("%s: nothing was checked", name)
					}
					for _, f := range o.failed {
						t.Error(f)
					}
				}
			})
		}
	}
}
