package vuln

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// records are written as the database has them.
var records = map[string][]string{
	"npm": {
		`{"schema_version":"1.7.3","id":"GHSA-35jh-r3h4-6jhm","modified":"2026-11-20T05:00:00Z","aliases":["CVE-2021-23337"],"summary":"Command Injection in lodash",
		  "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],"database_specific":{"severity":"HIGH","cwe_ids":["CWE-77"]},
		  "affected":[{"package":{"ecosystem":"npm","name":"lodash","purl":"pkg:npm/lodash"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"4.17.21"}]}]}]}`,
		`{"id":"GHSA-ms","modified":"2026-11-21T05:00:00Z","summary":"Moderate, without a vector","database_specific":{"severity":"MODERATE"},
		  "affected":[{"package":{"ecosystem":"npm","name":"ms"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"2.0.0"}]},{"type":"GIT","repo":"https://example.com/ms","events":[{"introduced":"0"}]}]}]}`,
		`{"id":"GHSA-unrated","modified":"2026-11-01T05:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"@scope/odd"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"2.1.0"}]}],"database_specific":{"severity":7}}]}`,
		`{"id":"MAL-2026-1","modified":"2026-11-01T05:00:00Z","summary":"Malicious code in left-padd","affected":[{"package":{"ecosystem":"npm","name":"left-padd"},"versions":["1.2.3"]}]}`,
		`{"id":"GHSA-gone","modified":"2026-11-01T05:00:00Z","withdrawn":"2026-11-02T05:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"lodash"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
	},
	"Go": {
		`{"id":"GHSA-vvpx","modified":"2026-11-22T05:00:00Z","aliases":["CVE-2099-1","GO-2099-1"],"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],
		  "affected":[{"package":{"ecosystem":"Go","name":"github.com/Masterminds/goutils"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.1.1"}]}]}]}`,
		`{"id":"GO-2099-1","modified":"2026-11-22T05:00:00Z","aliases":["CVE-2099-1"],"summary":"Goutils are random","affected":[{"package":{"ecosystem":"Go","name":"github.com/Masterminds/goutils"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.1.2"}]}]}]}`,
		`{"id":"GO-2099-2","modified":"2026-11-22T05:00:00Z","summary":"In the standard library","affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.25.0-0"},{"fixed":"1.25.3"}]}]}]}`,
	},
	"PyPI": {
		`{"id":"PYSEC-1","modified":"2026-11-22T05:00:00Z","severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:N/I:N/A:P"}],"affected":[{"package":{"ecosystem":"PyPI","name":"ruamel-yaml"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0.18"}]}],"versions":["0.17.1"]}]}`,
	},
	"Debian": {
		`{"id":"DSA-1","modified":"2026-11-22T05:00:00Z","upstream":["CVE-2098-1","CVE-2098-2"],"affected":[{"package":{"ecosystem":"Debian:12","name":"glibc"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.36-9+deb12u5"}]}]}]}`,
		`{"id":"DEBIAN-CVE-2098-1","modified":"2026-11-22T05:00:00Z","upstream":["CVE-2098-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:L/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N"}],"affected":[{"package":{"ecosystem":"Debian:12","name":"glibc"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.36-9+deb12u5"}]}]},{"package":{"ecosystem":"Debian:11","name":"glibc"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
	},
	"Alpine":      {`{"id":"ALPINE-CVE-2097-1","modified":"2026-11-22T05:00:00Z","upstream":["CVE-2097-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"Alpine:v3.20","name":"busybox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.36.1-r29"}]}]}]}`},
	"Ubuntu":      {`{"id":"USN-1","modified":"2026-11-22T05:00:00Z","severity":[{"type":"Ubuntu","score":"medium"}],"affected":[{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.2-0ubuntu1.10"}]}]}]}`},
	"Rocky Linux": {`{"id":"RLSA-1","modified":"2026-11-22T05:00:00Z","database_specific":{"severity":"Important"},"affected":[{"package":{"ecosystem":"Rocky Linux:9","name":"curl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0:7.76.1-26.el9_3.2"}]}]}]}`},
}

func snapshot(t *testing.T) *Database {
	t.Helper()
	dir := t.TempDir()
	for eco, texts := range records {
		if err := os.Mkdir(filepath.Join(dir, eco), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dir, eco, "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		for i, text := range texts {
			w, err := z.Create(fmt.Sprintf("%d.json", i))
			if err == nil {
				_, err = w.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, dir)
}

func open(t *testing.T, dir string) *Database {
	t.Helper()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// bom is an SBOM of package URLs.
func bom(t *testing.T, purls ...string) *SBOM {
	t.Helper()
	var parts []string
	for _, p := range purls {
		parts = append(parts, fmt.Sprintf(`{"type":"library","name":"x","purl":%q}`, p))
	}
	s, err := ReadSBOM([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"2026-11-01T00:00:00Z"},"components":[` + strings.Join(parts, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

var image = Image{Name: "example.com/server", Digest: digest}

func assess(t *testing.T, db *Database, vex []*VEX, purls ...string) *Report {
	t.Helper()
	r, err := Assess(t.Context(), db, image, bom(t, purls...), vex)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAssess: each package has the vulnerabilities that the database knows of its
// version, once, with their severity.
func TestAssess(t *testing.T) {
	t.Parallel()
	db := snapshot(t)
	for _, test := range []struct {
		purl string
		want []string // ID severity
	}{
		{"pkg:npm/lodash@4.17.20", []string{"CVE-2021-23337 high 7.2"}},
		{"pkg:npm/lodash@4.17.21", nil},
		{"pkg:npm/ms@2.0.0", []string{"GHSA-ms medium 0.0"}},
		{"pkg:npm/ms@2.0.1", nil},
		{"pkg:npm/ms@0.9.0", nil},
		{"pkg:npm/%40scope/odd@0.9.0", []string{"GHSA-unrated unrated 0.0"}},
		{"pkg:npm/%40scope/odd@1.5.0", nil},
		{"pkg:npm/%40scope/odd@2.0.0", []string{"GHSA-unrated unrated 0.0"}},
		{"pkg:npm/odd@2.0.0", nil},
		{"pkg:npm/left-padd@1.2.3", []string{"MAL-2026-1 critical 0.0"}},
		{"pkg:npm/left-padd@1.2.4", nil},
		{"pkg:golang/github.com/Masterminds/goutils@v1.1.0", []string{"CVE-2099-1 critical 9.3"}},
		{"pkg:golang/github.com/masterminds/goutils@v1.1.0", []string{"CVE-2099-1 critical 9.3"}},
		{"pkg:golang/github.com/Masterminds/goutils@v1.1.1", []string{"CVE-2099-1 unrated 0.0"}},
		{"pkg:golang/stdlib@v1.25.2", []string{"GO-2099-2 unrated 0.0"}},
		{"pkg:golang/stdlib@go1.25.3", nil},
		{"pkg:pypi/Ruamel.yaml@0.17.1", []string{"PYSEC-1 medium 5.0"}},
		{"pkg:pypi/ruamel-yaml@0.17.post1", []string{"PYSEC-1 medium 5.0"}},
		{"pkg:pypi/ruamel-yaml@0.18rc1", []string{"PYSEC-1 medium 5.0"}},
		{"pkg:pypi/ruamel-yaml@0.18", nil},
		{"pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36", []string{"CVE-2098-1 low 2.9", "CVE-2098-2 unrated 0.0"}},
		{"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?distro=debian-12.4&upstream=glibc", nil},
		{"pkg:deb/debian/glibc@2.31-13?distro=debian-11", []string{"CVE-2098-1 low 2.9"}},
		{"pkg:apk/alpine/busybox-binsh@1.36.1-r28?distro=alpine-3.20.1&upstream=busybox", []string{"CVE-2097-1 critical 9.8"}},
		{"pkg:apk/alpine/busybox@1.36.1-r29?distro=3.20.1", nil},
		{"pkg:deb/ubuntu/libssl3@3.0.2-0ubuntu1.9?distro=ubuntu-22.04&upstream=openssl", []string{"USN-1 medium 0.0"}},
		{"pkg:rpm/rocky/libcurl@7.76.1-26.el9_3.1?distro=rocky-9.3&upstream=curl-7.76.1-26.el9_3.1.src.rpm", []string{"RLSA-1 high 0.0"}},
		{"pkg:rpm/rocky/curl@7.76.1-26.el9_3.1?distro=rocky-9.3&epoch=1", nil},
	} {
		r := assess(t, db, nil, test.purl)
		var got []string
		for _, f := range r.Findings {
			got = append(got, fmt.Sprintf("%s %s %.1f", f.ID, f.Severity, f.Score))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s has %q, want %q", test.purl, got, test.want)
		}
		if len(r.Unknown) > 0 || r.Packages != 1 {
			t.Errorf("%s: %d looked up, unknown are %v", test.purl, r.Packages, r.Unknown)
		}
	}
}

// TestUnknown: what cannot be looked up is told, with the reason.
func TestUnknown(t *testing.T) {
	t.Parallel()
	db := snapshot(t)
	for purl, want := range map[string]string{
		"":                                    "it has no package URL",
		"pkg:npm/lodash":                      "its version is not told",
		"pkg:gem/rails@7.0.0":                 "the database has nothing of RubyGems",
		"pkg:deb/debian/glibc@2.31":           "the release of debian that it is of is not told",
		"pkg:deb/debian/glibc@2.4?distro=sid": "the release of debian that it is of is not told",
		"pkg:deb/debian/glibc@2?distro=debian-13": "the database has nothing of Debian:13",
		"pkg:deb/kali/glibc@2.31?distro=kali-1":   `no database knows packages of the distribution "kali"`,
		"pkg:generic/openssl@3.0.0":               `no database knows packages of the type "generic"`,
		"lodash@4":                                "its package URL cannot be read",
		"pkg:apk/alpine/busybox@" + strings.Repeat("1", 300) + "?distro=3.20.1": "whether ALPINE-CVE-2097-1 is about it cannot be told",
	} {
		r := assess(t, db, nil, purl)
		if len(r.Unknown) != 1 || !strings.Contains(r.Unknown[0].Reason, want) {
			t.Errorf("%s: unknown are %v, want %q", purl, r.Unknown, want)
		}
		err := Threshold{Max: Critical}.Check(r, time.Now())
		if !errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", purl, err)
		}
		if err := (Threshold{AllowUnknown: true}).Check(r, time.Now()); err != nil {
			t.Errorf("%s: %v", purl, err)
		}
	}
}

func vexes(t *testing.T, texts ...string) (all []*VEX) {
	t.Helper()
	for _, text := range texts {
		v, err := ReadVEX([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func says(time, vulnerability, product, status string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex-%s","author":"Example","timestamp":%q,"version":1,
	"statements":[{"vulnerability":{"name":%q},"products":[%s],"status":%q,"justification":"vulnerable_code_not_in_execute_path"}]}`, time, time, vulnerability, product, status)
}

// TestVEX: what the maker says of a vulnerability in this very image holds, the
// newest of it, and nothing else.
func TestVEX(t *testing.T) {
	t.Parallel()
	db := snapshot(t)
	const (
		old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
		lodash   = "pkg:npm/lodash@4.17.20"
		hex      = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
		oci      = `{"@id":"pkg:oci/server@sha256%3A` + hex + `"}`
	)
	for _, test := range []struct {
		name      string
		vex       []string
		dismissed bool
	}{
		{"image by its URL", []string{says(old, "CVE-2021-23337", oci, NotAffected)}, true},
		{"fixed", []string{says(old, "CVE-2021-23337", oci, Fixed)}, true},
		{"by another name of it", []string{says(old, "GHSA-35jh-r3h4-6jhm", oci, NotAffected)}, true},
		{"image by its hash", []string{says(old, "CVE-2021-23337", `{"@id":"https://example.com/server","hashes":{"sha-256":"`+hex+`"}}`, NotAffected)}, true},
		{"image by reference", []string{says(old, "CVE-2021-23337", `{"@id":"example.com/server@`+digest+`"}`, NotAffected)}, true},
		{"package in the image", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:oci/server@sha256%3A`+hex+`","subcomponents":[{"@id":"pkg:npm/lodash"}]}`, NotAffected)}, true},
		{"package", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:npm/lodash@4.17.20"}`, NotAffected)}, true},
		{"bare names, as of old", []string{says(old, "CVE-2021-23337", `"pkg:npm/lodash@4.17.20"`, NotAffected)}, true},
		{"withdrawn by a newer one", []string{says(new, "CVE-2021-23337", oci, Affected), says(old, "CVE-2021-23337", oci, NotAffected)}, false},
		{"said by a newer one", []string{says(new, "CVE-2021-23337", oci, NotAffected), says(old, "CVE-2021-23337", oci, Affected)}, true},
		{"of the same time", []string{says(old, "CVE-2021-23337", oci, NotAffected), says(old, "CVE-2021-23337", oci, UnderInvestigation)}, false},
		{"of another vulnerability", []string{says(old, "CVE-2021-23338", oci, NotAffected)}, false},
		{"of another image", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:oci/server@sha256%3Aaa86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`, NotAffected)}, false},
		{"of any image of the name", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:oci/server"}`, NotAffected)}, false},
		{"of another package", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:oci/server@sha256%3A`+hex+`","subcomponents":[{"@id":"pkg:npm/ms"}]}`, NotAffected)}, false},
		{"of another version", []string{says(old, "CVE-2021-23337", `{"@id":"pkg:npm/lodash@4.17.19"}`, NotAffected)}, false},
		{"under investigation", []string{says(old, "CVE-2021-23337", oci, UnderInvestigation)}, false},
	} {
		r := assess(t, db, vexes(t, test.vex...), lodash)
		if dismissed := len(r.Dismissed) == 1; dismissed != test.dismissed || len(r.Dismissed)+len(r.Findings) != 1 {
			t.Errorf("%s: found %v, dismissed %v", test.name, r.Findings, r.Dismissed)
		}
	}
	// What is said of one vulnerability of an advisory says nothing of the others.
	r := assess(t, db, vexes(t, says(old, "CVE-2098-2", oci, NotAffected)), "pkg:deb/debian/libc6@2.36-1?distro=debian-12&upstream=glibc")
	if len(r.Findings) != 1 || r.Findings[0].ID != "CVE-2098-1" || len(r.Dismissed) != 1 || r.Dismissed[0].Reason != "vulnerable_code_not_in_execute_path" {
		t.Errorf("found %v, dismissed %v", r.Findings, r.Dismissed)
	}
}

func TestBadVEX(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                                   "reading a VEX document",
		`{"@context":"https://cyclonedx.org"}`: "its @context",
		strings.Replace(says("2026-01-01T00:00:00Z", "CVE-1", `"x"`, NotAffected), "vulnerable_code_not_in_execute_path", "", 1): "statement 1: it says not_affected without",
		says("2026-01-01T00:00:00Z", "CVE-1", `"x"`, "fine"):                                                                     `its status is "fine"`,
		says("2026-01-01T00:00:00Z", "CVE-1", ``, NotAffected):                                                                   "it names no product",
		says("2026-01-01T00:00:00Z", "", `"x"`, NotAffected):                                                                     "it names no vulnerability",
		strings.Replace(says("X", "CVE-1", `"x"`, Fixed), `"timestamp":"X",`, "", 1):                                             "timestamp",
	} {
		if _, err := ReadVEX([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	db := snapshot(t)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	r := assess(t, db, nil, "pkg:npm/lodash@4.17.20", "pkg:npm/ms@2.0.0", "pkg:npm/%40scope/odd@0.1.0")
	if r.Worst() != High || r.Count(Medium) != 1 || r.Packages != 3 {
		t.Errorf("worst %s, %d medium, %d packages", r.Worst(), r.Count(Medium), r.Packages)
	}
	for _, test := range []struct {
		Threshold
		now  time.Time
		want []string
	}{
		{Threshold{Max: High, AllowUnrated: true}, now, nil},
		{Threshold{Max: High}, now, []string{"1 vulnerabilities have no severity: GHSA-unrated in @scope/odd@0.1.0 (npm)"}},
		{Threshold{Max: Medium, AllowUnrated: true}, now, []string{"1 vulnerabilities are worse than medium: CVE-2021-23337 (high) in lodash@4.17.20 (npm), fixed in 4.17.21"}},
		{Threshold{AllowUnrated: true}, now, []string{"2 vulnerabilities are worse than none", "CVE-2021-23337", "GHSA-ms"}},
		{Threshold{Max: Critical, AllowUnrated: true}, now.Add(10 * 24 * time.Hour), []string{"the vulnerability data is of 2026-11-21, and is older than 168h0m0s"}},
		{Threshold{Max: Critical, AllowUnrated: true, MaxAge: -1}, now.Add(1000 * time.Hour), nil},
		{Threshold{Max: Critical, AllowUnrated: true, MaxAge: 2000 * time.Hour}, now.Add(1000 * time.Hour), nil},
	} {
		err := test.Check(r, test.now)
		if (err == nil) != (test.want == nil) {
			t.Errorf("%+v: %v", test.Threshold, err)
		}
		for _, want := range test.want {
			if !errors.Is(err, ErrThreshold) || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", test.Threshold, err, want)
			}
		}
	}
	if err := (Threshold{}).Check(assess(t, db, nil, "pkg:npm/lodash@4.17.21"), now); err != nil {
		t.Error(err)
	}
}

// TestLayouts: a snapshot is found where others keep it.
func TestLayouts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"npm/GHSA-1.json", "GHSA-1.json", "osv-scalibr/npm/GHSA-1.json"} {
		dir := t.TempDir()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(records["npm"][0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := assess(t, open(t, dir), nil, "pkg:npm/lodash@1.0.0"); len(r.Findings) != 1 || r.Data.IsZero() {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestBadDatabase(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "neither ECOSYSTEM/all.zip") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for name, text := range map[string]string{"npm.zip": "no zip", "x.json": "{"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		db := open(t, dir)
		for range 2 {
			if _, err := Assess(t.Context(), db, image, bom(t, "pkg:npm/lodash@1.0.0"), nil); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
