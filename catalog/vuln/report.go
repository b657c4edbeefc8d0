package vuln

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Image is what is assessed: the digest of its manifest ("sha256:…"), by which VEX
// documents name it, and a name for people.
type Image struct {
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Finding is a vulnerability in a package.
type Finding struct {
	// ID is its name: of the CVE if there is one, else as the database has it.
	// Aliases are its other names.
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`

	Package  Package  `json:"package"`
	Severity Severity `json:"severity"`

	// Score and Vector are those of CVSS, where somebody has rated it so.
	Score  float64 `json:"score,omitempty"`
	Vector string  `json:"vector,omitempty"`

	Summary string `json:"summary,omitempty"`

	// Fixed are the versions that do not have it. None: there is no such version.
	Fixed []string `json:"fixed,omitempty"`

	// Status is what VEX says of it, with its reason, who says so and when. Empty: nothing.
	Status string    `json:"status,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Author string    `json:"author,omitempty"`
	Said   time.Time `json:"said,omitzero"`
}

// Report is what is known of an image.
type Report struct {
	Image Image `json:"image"`

	// Data is when the newest of what was looked up was written: the
	// oldest of those times, where several ecosystems have their own. Zero: nothing was.
	Data time.Time `json:"data,omitzero"`

	// SBOM is when the list of packages was made. Zero: it does not say so.
	SBOM time.Time `json:"sbom,omitzero"`

	// Packages counts what was looked up.
	Packages int `json:"packages"`

	// Findings are the vulnerabilities, the worst first. Dismissed are those
	// that VEX says do not affect the image, or are fixed in it.
	Findings  []Finding `json:"findings,omitempty"`
	Dismissed []Finding `json:"dismissed,omitempty"`

	// Unknown are the packages that could not be looked up.
	Unknown []Unknown `json:"unknown,omitempty"`
}

// Worst is the severity of the worst finding, and [None] without any. One without
// a severity counts as unrated if there is no other.
func (r *Report) Worst() Severity {
	if len(r.Findings) == 0 {
		return None
	}
	return r.Findings[0].Severity
}

// Count counts the findings of a severity.
func (r *Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Assess looks up the packages of an image and applies what VEX says of them. All
// of the documents are believed: pass only those whose signer is trusted. An error
// is one of reading the database; what only one package suffers from stands in the
// report.
func Assess(ctx context.Context, db *Database, image Image, sbom *SBOM, vex []*VEX) (*Report, error) {
	r := &Report{Image: image, SBOM: sbom.Created, Unknown: slices.Clone(sbom.Unknown)}
	times := make(map[string]time.Time) // by ecosystem
	for _, p := range sbom.Packages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hits, newest, err := db.lookup(ctx, p)
		if u := unknown(""); errors.As(err, &u) {
			r.Unknown = append(r.Unknown, Unknown{p, u.Error()})
			continue
		}
		if err != nil {
			return nil, err
		}
		r.Packages++
		times[family(p.Ecosystem)] = newest
		for _, f := range merge(p, hits) {
			if f.apply(image, vex); f.Status == NotAffected || f.Status == Fixed {
				r.Dismissed = append(r.Dismissed, f)
			} else {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	for _, t := range times {
		if r.Data.IsZero() || t.Before(r.Data) {
			r.Data = t
		}
	}
	for _, all := range [][]Finding{r.Findings, r.Dismissed} {
		slices.SortStableFunc(all, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Score, a.Score), cmp.Compare(a.Package.Name, b.Package.Name), cmp.Compare(a.ID, b.ID))
		})
	}
	return r, nil
}

// merge makes one finding of the records that are about the same vulnerability:
// those that have a name in common.
func merge(p Package, hits []hit) (all []Finding) {
	var names []map[string]bool
	for _, h := range hits {
		rating := rate(h.record, h.affected)
		for _, ids := range identities(h.record) {
			f := Finding{Package: p, Severity: rating.Severity, Score: rating.Score, Vector: rating.Vector, Summary: h.record.Summary, Fixed: h.affected.fixed()}
			for i := 0; i < len(all); {
				if !share(names[i], ids) {
					i++
					continue
				}
				maps.Copy(ids, names[i])
				f = join(all[i], f)
				all, names = slices.Delete(all, i, i+1), slices.Delete(names, i, i+1)
			}
			all, names = append(all, f), append(names, ids)
		}
	}
	for i := range all {
		all[i].name(names[i])
	}
	return all
}

// identities are the names of each vulnerability that a record is about. The
// advisory of a distribution may be about several; what is said of one of them says
// nothing of the others.
func identities(r *record) (each []map[string]bool) {
	if len(r.Upstream) > 1 {
		for _, id := range r.Upstream {
			each = append(each, map[string]bool{id: true})
		}
		return each
	}
	ids := map[string]bool{r.ID: true}
	for _, id := range slices.Concat(r.Aliases, r.Upstream) {
		ids[id] = true
	}
	return append(each, ids)
}

func share(a, b map[string]bool) bool {
	for id := range a {
		if b[id] {
			return true
		}
	}
	return false
}

// join takes the worse of two ratings, and what either knows.
func join(a, b Finding) Finding {
	if b.Severity > a.Severity || b.Severity == a.Severity && b.Score > a.Score {
		a.Severity, a.Score, a.Vector = b.Severity, b.Score, b.Vector
	}
	a.Summary = cmp.Or(a.Summary, b.Summary)
	for _, v := range b.Fixed {
		if !slices.Contains(a.Fixed, v) {
			a.Fixed = append(a.Fixed, v)
		}
	}
	return a
}

// name gives it its names: a CVE's first, then that of a malicious package, then
// in order.
func (f *Finding) name(ids map[string]bool) {
	sorted := slices.Collect(maps.Keys(ids))
	rank := func(id string) int {
		switch {
		case strings.HasPrefix(id, "CVE-"):
			return 0
		case strings.HasPrefix(id, "MAL-"):
			return 1
		}
		return 2
	}
	slices.SortFunc(sorted, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	f.ID, f.Aliases = sorted[0], sorted[1:]
}

// apply takes the newest that VEX says of it. Of two of the same time the worse
// for us holds.
func (f *Finding) apply(image Image, vex []*VEX) {
	ids := map[string]bool{strings.ToUpper(f.ID): true}
	for _, alias := range f.Aliases {
		ids[strings.ToUpper(alias)] = true
	}
	dismisses := func(status string) bool { return status == NotAffected || status == Fixed }
	for _, doc := range vex {
		for i := range doc.statements {
			s := &doc.statements[i]
			newer := s.Timestamp.After(f.Said) || s.Timestamp.Equal(f.Said) && dismisses(f.Status) && !dismisses(s.Status)
			if !newer || !s.about(ids, image, f.Package) {
				continue
			}
			f.Status, f.Author, f.Said = s.Status, doc.Author, s.Timestamp
			f.Reason = cmp.Or(s.Justification, s.Impact, s.Action)
		}
	}
}

// Threshold says what of a report is too much.
type Threshold struct {
	// Max is the worst severity that is accepted. The zero value stands for
	// None: no vulnerability at all.
	Max Severity

	// AllowUnrated accepts vulnerabilities that nobody has rated.
	AllowUnrated bool

	// AllowUnknown accepts packages that could not be looked up.
	AllowUnknown bool

	// MaxAge is how old the data may be. 0 means 7 days; negative: any age.
	MaxAge time.Duration
}

// DefaultMaxAge is how old data may be, unless a Threshold says something else.
const DefaultMaxAge = 7 * 24 * time.Hour

// Stale tells whether a report's data is older than that at a time; 0 means
// [DefaultMaxAge], and negative never. A report of nothing is never stale.
func (r *Report) Stale(now time.Time, most time.Duration) bool {
	most = cmp.Or(most, DefaultMaxAge)
	return most > 0 && !r.Data.IsZero() && now.Sub(r.Data) > most
}

// ErrThreshold is what errors of [Threshold.Check] match.
var ErrThreshold = errors.New("too vulnerable")

// maxNamed is how many findings or packages one error names.
const maxNamed = 5

// Check returns an error that names all that is too much, and matches
// [ErrThreshold].
func (t Threshold) Check(r *Report, now time.Time) error {
	var errs []error
	most := max(t.Max, None)
	var bad, unrated, unsure []string
	for _, f := range r.Findings {
		switch {
		case f.Severity == Unrated && !t.AllowUnrated:
			unrated = append(unrated, fmt.Sprintf("%s in %s", f.ID, f.Package))
		case f.Severity > most:
			text := fmt.Sprintf("%s (%s) in %s", f.ID, f.Severity, f.Package)
			if len(f.Fixed) > 0 {
				text += ", fixed in " + strings.Join(f.Fixed, ", ")
			}
			bad = append(bad, text)
		}
	}
	if len(bad) > 0 {
		errs = append(errs, fmt.Errorf("%d vulnerabilities are worse than %s: %s", len(bad), most, some(bad)))
	}
	if len(unrated) > 0 {
		errs = append(errs, fmt.Errorf("%d vulnerabilities have no severity: %s", len(unrated), some(unrated)))
	}
	if !t.AllowUnknown {
		for _, u := range r.Unknown {
			unsure = append(unsure, fmt.Sprintf("%s: %s", u.Package, u.Reason))
		}
		if len(unsure) > 0 {
			errs = append(errs, fmt.Errorf("%d packages could not be looked up: %s", len(unsure), some(unsure)))
		}
	}
	if r.Stale(now, t.MaxAge) {
		errs = append(errs, fmt.Errorf("the vulnerability data is of %s, and is older than %s: fetch a newer snapshot", r.Data.Format(time.DateOnly), cmp.Or(t.MaxAge, DefaultMaxAge)))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrThreshold, errors.Join(errs...))
}

func some(all []string) string {
	if len(all) > maxNamed {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:maxNamed], "; "), len(all)-maxNamed)
	}
	return strings.Join(all, "; ")
}
