package vuln_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-mcp/gatehouse/catalog/vuln"
)

func Example() {
	dir, err := os.MkdirTemp("", "osv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	record := `{"id":"GHSA-35jh-r3h4-6jhm","aliases":["CVE-2021-23337"],"modified":"2026-11-20T05:00:00Z",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"npm","name":"lodash"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"4.17.21"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "GHSA-35jh-r3h4-6jhm.json"), []byte(record), 0o600); err != nil {
		log.Fatal(err)
	}

	db, err := vuln.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	sbom, err := vuln.ReadSBOM([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20"}]}`))
	if err != nil {
		log.Fatal(err)
	}
	report, err := vuln.Assess(context.Background(), db, vuln.Image{Name: "example.com/server"}, sbom, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vuln.Threshold{Max: vuln.Medium}.Check(report, time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)))
	// Output: too vulnerable: 1 vulnerabilities are worse than medium: CVE-2021-23337 (high) in lodash@4.17.20 (npm), fixed in 4.17.21
}
