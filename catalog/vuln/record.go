package vuln

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/semantic"
)

// record is what is used of an entry of the OSV database, see
// https://ossf.github.io/osv-schema/.
type record struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Summary   string     `json:"summary"`
	Severity  []severity `json:"severity"`
	Affected  []affected `json:"affected"`
	Database  specific   `json:"database_specific"`
}

type severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity  []severity      `json:"severity"`
	Ranges    []affectedRange `json:"ranges"`
	Versions  []string        `json:"versions"`
	Ecosystem specific        `json:"ecosystem_specific"`
	Database  specific        `json:"database_specific"`
}

type affectedRange struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

func (e event) version() string {
	for _, v := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
		if v != "" {
			return v
		}
	}
	return ""
}

// specific is what is used of the free parts of a record. Databases differ in
// what they put there, so anything else than an object with texts is nothing.
type specific struct{ Severity, Urgency string }

func (s *specific) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return nil
	}
	_ = json.Unmarshal(fields["severity"], &s.Severity)
	_ = json.Unmarshal(fields["urgency"], &s.Urgency)
	return nil
}

// has tells whether a version is affected. That is an error where a version
// cannot be read.
//
// The rules are those of the schema's evaluation algorithm: a version that is
// listed is affected, and so is one within a range; ranges of Git commits say
// nothing of versions.
func (a *affected) has(p Package) (bool, error) {
	if slices.Contains(a.Versions, p.Version) {
		return true, nil
	}
	v, err := parse(p.Version, p.Ecosystem)
	if err != nil {
		return false, err
	}
	for _, listed := range a.Versions {
		if w, err := parse(listed, p.Ecosystem); err == nil {
			if same, err := compare(v, w); err == nil && same == 0 {
				return true, nil
			}
		}
	}
	for _, r := range a.Ranges {
		if r.Type != "SEMVER" && r.Type != "ECOSYSTEM" {
			continue
		}
		in, err := r.has(v, p.Ecosystem)
		if in || err != nil {
			return in, err
		}
	}
	return false, nil
}

// has tells whether a version lies in the range: the last event at or before it
// is its introduction.
func (r affectedRange) has(v semantic.Version, ecosystem string) (bool, error) {
	type point struct {
		event
		at semantic.Version // nil: before all
	}
	points := make([]point, 0, len(r.Events))
	limits, limited := false, false
	for _, e := range r.Events {
		text := e.version()
		if e.Introduced == "0" || text == "" {
			points = append(points, point{event: e})
			continue
		}
		if e.Limit == "*" {
			limits, limited = true, true
			continue
		}
		at, err := parse(text, ecosystem)
		if err != nil {
			return false, err
		}
		if e.Limit != "" {
			c, err := compare(v, at)
			if err != nil {
				return false, err
			}
			limits, limited = limits || c < 0, true
			continue
		}
		points = append(points, point{e, at})
	}
	if limited && !limits {
		return false, nil
	}
	var failed error
	slices.SortStableFunc(points, func(a, b point) int {
		switch {
		case a.at == nil && b.at == nil:
			return 0
		case a.at == nil:
			return -1
		case b.at == nil:
			return 1
		}
		c, err := compare(a.at, b.at)
		if err != nil && failed == nil {
			failed = err
		}
		return c
	})
	if failed != nil {
		return false, failed
	}
	in := false
	for _, p := range points {
		c := 1
		if p.at != nil {
			var err error
			if c, err = compare(v, p.at); err != nil {
				return false, err
			}
		}
		switch {
		case p.Introduced != "" && c >= 0:
			in = true
		case p.Fixed != "" && c >= 0:
			in = false
		case p.LastAffected != "" && c > 0:
			in = false
		}
	}
	return in, nil
}

// fixed are the versions that have it no longer.
func (a *affected) fixed() (all []string) {
	for _, r := range a.Ranges {
		if r.Type != "SEMVER" && r.Type != "ECOSYSTEM" {
			continue
		}
		for _, e := range r.Events {
			if e.Fixed != "" && !slices.Contains(all, e.Fixed) {
				all = append(all, e.Fixed)
			}
		}
	}
	return all
}

// of tells whether it is about a package.
func (a *affected) of(p Package) bool {
	return within(p.Ecosystem, a.Package.Ecosystem) && slices.Contains(p.names(), fold(a.Package.Ecosystem, a.Package.Name))
}

// within tells whether what is said of one ecosystem of the database holds for
// another: for itself, and what names a release for all that narrow it further
// (Ubuntu:22.04 and Ubuntu:22.04:LTS, which has the same packages).
func within(ours, theirs string) bool {
	return ours == theirs || strings.HasPrefix(theirs, ours+":") && strings.Contains(ours, ":")
}

// maxVersion is how long a version may be, in bytes. What compares them takes more
// than linear time.
const maxVersion = 256

func parse(version, ecosystem string) (v semantic.Version, err error) {
	defer contain(&err)
	if len(version) > maxVersion {
		return nil, fmt.Errorf("a version has %d bytes, and %d are the most", len(version), maxVersion)
	}
	v, err = semantic.Parse(version, ecosystem)
	if err != nil {
		return nil, fmt.Errorf("%q is no version of %s: %w", version, ecosystem, err)
	}
	return v, nil
}

func compare(a, b semantic.Version) (c int, err error) {
	defer contain(&err)
	return a.Compare(b)
}

// contain makes an error of a panic: versions are the text of strangers, and
// what the library makes of an odd one must not end the process.
func contain(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("reading a version: %v", r)
	}
}
