package vuln

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"
)

// Bounds of a VEX document.
const (
	// MaxVEX is its size, in bytes.
	MaxVEX = 16 << 20

	// MaxStatements is how many statements it may make.
	MaxStatements = 50_000
)

// The states of a vulnerability in a product, see
// https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#status-labels.
const (
	NotAffected        = "not_affected"
	Affected           = "affected"
	Fixed              = "fixed"
	UnderInvestigation = "under_investigation"
)

// VEX is an OpenVEX document: what somebody says of vulnerabilities in products.
type VEX struct {
	ID, Author string
	Time       time.Time
	statements []statement
}

type product struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
	Parts       []product         `json:"subcomponents"`
}

type statement struct {
	ID            string        `json:"@id"`
	Vulnerability vulnerability `json:"vulnerability"`
	Products      []product     `json:"products"`
	Status        string        `json:"status"`
	Justification string        `json:"justification"`
	Impact        string        `json:"impact_statement"`
	Action        string        `json:"action_statement"`
	Timestamp     time.Time     `json:"timestamp"`
	LastUpdated   time.Time     `json:"last_updated"`
}

type vulnerability struct {
	ID      string   `json:"@id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// UnmarshalJSON reads the object, or the bare name that the first version of the
// format had.
func (v *vulnerability) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &v.Name) == nil {
		return nil
	}
	type plain vulnerability
	return json.Unmarshal(b, (*plain)(v))
}

// UnmarshalJSON reads the object, or the bare identifier that the first version of
// the format had.
func (p *product) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &p.ID) == nil {
		return nil
	}
	type plain product
	return json.Unmarshal(b, (*plain)(p))
}

// ReadVEX reads an OpenVEX document, or the predicate of an attestation that holds
// one. Statements that the format's rules forbid are errors, since what they mean
// cannot be told: without a vulnerability or a product, with an unknown status, or
// not_affected without a reason.
func ReadVEX(document []byte) (*VEX, error) {
	if len(document) > MaxVEX {
		return nil, fmt.Errorf("the VEX document has %d bytes, and %d are the most", len(document), MaxVEX)
	}
	var doc struct {
		Context    string      `json:"@context"`
		ID         string      `json:"@id"`
		Author     string      `json:"author"`
		Timestamp  time.Time   `json:"timestamp"`
		Updated    time.Time   `json:"last_updated"`
		Statements []statement `json:"statements"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("reading a VEX document: %w", err)
	}
	if !strings.HasPrefix(doc.Context, "https://openvex.dev/ns") {
		return nil, fmt.Errorf("reading a VEX document: its @context is %q; OpenVEX has https://openvex.dev/ns and a version", doc.Context)
	}
	if len(doc.Statements) > MaxStatements {
		return nil, fmt.Errorf("the VEX document makes %d statements, and %d are the most", len(doc.Statements), MaxStatements)
	}
	v := &VEX{ID: doc.ID, Author: doc.Author, Time: doc.Timestamp, statements: doc.Statements}
	if doc.Updated.After(v.Time) {
		v.Time = doc.Updated
	}
	var errs []error
	for i := range v.statements {
		s := &v.statements[i]
		// A statement holds from its own time on, else from that of the document.
		if s.LastUpdated.After(s.Timestamp) {
			s.Timestamp = s.LastUpdated
		}
		if s.Timestamp.IsZero() {
			s.Timestamp = v.Time
		}
		if err := s.check(); err != nil {
			errs = append(errs, fmt.Errorf("statement %d: %w", i+1, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("reading the VEX document %s: %w", v.ID, err)
	}
	return v, nil
}

func (s *statement) check() error {
	switch {
	case s.Vulnerability.Name == "" && s.Vulnerability.ID == "":
		return errors.New("it names no vulnerability")
	case len(s.Products) == 0:
		return errors.New("it names no product")
	case s.Timestamp.IsZero():
		return errors.New("neither it nor the document has a timestamp, so that nobody can tell whether another is newer")
	}
	switch s.Status {
	case NotAffected:
		if s.Justification == "" && s.Impact == "" {
			return errors.New("it says not_affected without a justification or an impact_statement")
		}
	case Affected, Fixed, UnderInvestigation:
	default:
		return fmt.Errorf("its status is %q; there are not_affected, affected, fixed and under_investigation", s.Status)
	}
	return nil
}

// about tells whether it is about a vulnerability in a package of an image.
func (s *statement) about(ids map[string]bool, image Image, p Package) bool {
	named := ids[strings.ToUpper(s.Vulnerability.Name)]
	for _, alias := range s.Vulnerability.Aliases {
		named = named || ids[strings.ToUpper(alias)]
	}
	if id := s.Vulnerability.ID; id != "" {
		named = named || ids[strings.ToUpper(id[strings.LastIndexByte(id, '/')+1:])]
	}
	if !named {
		return false
	}
	for _, product := range s.Products {
		switch {
		case product.isPackage(p) && len(product.Parts) == 0:
			return true
		case !product.isImage(image):
			continue
		case len(product.Parts) == 0:
			return true
		}
		for _, part := range product.Parts {
			if part.isPackage(p) {
				return true
			}
		}
	}
	return false
}

// isImage tells whether a product is the image: its digest is in the hashes, in a
// package URL of the type oci, or behind the @ of a reference.
func (p *product) isImage(image Image) bool {
	hex, ok := strings.CutPrefix(image.Digest, "sha256:")
	if !ok {
		return false
	}
	if strings.EqualFold(p.Hashes["sha-256"], hex) {
		return true
	}
	for _, id := range []string{p.ID, p.Identifiers["purl"]} {
		if strings.HasPrefix(id, "pkg:oci/") || strings.HasPrefix(id, "pkg:docker/") {
			if u, err := packageurl.FromString(id); err == nil && u.Version == image.Digest {
				return true
			}
			continue
		}
		if strings.HasSuffix(id, "@"+image.Digest) || id == image.Digest {
			return true
		}
	}
	return false
}

// isPackage tells whether it is a package, of any version where it names none.
func (p *product) isPackage(pkg Package) bool {
	for _, id := range []string{p.ID, p.Identifiers["purl"]} {
		if !strings.HasPrefix(id, "pkg:") || pkg.PURL == "" {
			continue
		}
		theirs, err := packageurl.FromString(id)
		if err != nil {
			continue
		}
		ours, err := packageurl.FromString(pkg.PURL)
		if err != nil || theirs.Type != ours.Type || theirs.Namespace != ours.Namespace || theirs.Name != ours.Name {
			continue
		}
		if theirs.Version != "" && theirs.Version != ours.Version {
			continue
		}
		have, same := ours.Qualifiers.Map(), true
		for k, v := range theirs.Qualifiers.Map() {
			same = same && have[k] == v
		}
		if same {
			return true
		}
	}
	return false
}
