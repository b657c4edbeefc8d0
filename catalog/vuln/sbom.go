package vuln

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of an SBOM.
const (
	// MaxSBOM is the size of a document that ReadSBOM takes, in bytes.
	MaxSBOM = 64 << 20

	// MaxPackages is how many packages it may name.
	MaxPackages = 200_000

	// maxNested is how deep components may lie in components.
	maxNested = 32
)

// SBOM is what a software bill of materials says of an image.
type SBOM struct {
	// Format is "SPDX-2.3", "SPDX-3.0.1", "CycloneDX-1.6" and so on.
	Format string

	// Created is when it was made. Zero: it does not say so.
	Created time.Time

	// Packages are what can be looked up, each once.
	Packages []Package

	// Unknown are those that cannot, with the reasons.
	Unknown []Unknown
}

// Unknown is a package that could not be looked up.
type Unknown struct {
	Package Package `json:"package"`
	Reason  string  `json:"reason"`
}

// ReadSBOM reads an SBOM in JSON: SPDX 2.2, 2.3 and 3.0, CycloneDX from 1.2 on, and
// the predicates of attestations that hold one of them. It is an error if the
// document is of another kind, bigger than [MaxSBOM], or names no package at all:
// from such a document nothing follows.
func ReadSBOM(document []byte) (*SBOM, error) {
	return readSBOM(document, 2)
}

// readSBOM reads one that may be wrapped that often.
func readSBOM(document []byte, wrapped int) (*SBOM, error) {
	if len(document) > MaxSBOM {
		return nil, fmt.Errorf("the SBOM has %d bytes, and %d are the most", len(document), MaxSBOM)
	}
	var kind struct {
		BOMFormat   string          `json:"bomFormat"`
		SpecVersion string          `json:"specVersion"`
		SPDXVersion string          `json:"spdxVersion"`
		Context     json.RawMessage `json:"@context"`
		Data        json.RawMessage `json:"Data"`
		Predicate   json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(document, &kind); err != nil {
		return nil, fmt.Errorf("the SBOM is no JSON object (of the formats of SPDX only JSON is read): %w", err)
	}
	b := builder{seen: make(map[Package]bool)}
	var err error
	switch {
	case kind.BOMFormat == "CycloneDX":
		b.Format = "CycloneDX-" + kind.SpecVersion
		err = b.cycloneDX(document)
	case strings.HasPrefix(kind.SPDXVersion, "SPDX-2."):
		b.Format = kind.SPDXVersion
		err = b.spdx2(document)
	case strings.Contains(string(kind.Context), "spdx.org/rdf/3"):
		err = b.spdx3(document)
	case wrapped > 0 && kind.Predicate != nil:
		return readSBOM(kind.Predicate, wrapped-1)
	case wrapped > 0 && kind.Data != nil:
		// What cosign makes of a predicate that it does not know.
		var text string
		if json.Unmarshal(kind.Data, &text) == nil {
			return readSBOM([]byte(text), 0)
		}
		return readSBOM(kind.Data, 0)
	default:
		return nil, errors.New("the SBOM is of no known kind: neither bomFormat (CycloneDX) nor spdxVersion (SPDX) nor an @context of SPDX 3 is in it")
	}
	if err != nil {
		return nil, fmt.Errorf("reading an SBOM (%s): %w", b.Format, err)
	}
	if len(b.Packages)+len(b.Unknown) == 0 {
		return nil, fmt.Errorf("the SBOM (%s) names no package", b.Format)
	}
	return &b.SBOM, nil
}

// stamp is a time that need not be there, nor be one.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	_ = s.Time.UnmarshalJSON(b)
	return nil
}

type builder struct {
	SBOM
	seen         map[Package]bool
	distribution string // of the image, as "debian-12"
}

// add takes a package by its URL, or without one by its name.
func (b *builder) add(purl, name, version, source string) error {
	p, err := Package{Name: name, Version: version}, error(unknown("it has no package URL"))
	if purl != "" {
		for kind := range ignored {
			if strings.HasPrefix(purl, "pkg:"+kind+"/") {
				return nil
			}
		}
		if p, err = fromPURL(purl, source, b.distribution); p.Name == "" {
			p.Name, p.Version = name, version
		}
	}
	if b.seen[p] {
		return nil
	}
	b.seen[p] = true
	if len(b.seen) > MaxPackages {
		return fmt.Errorf("it names more than %d packages", MaxPackages)
	}
	if err != nil {
		b.Unknown = append(b.Unknown, Unknown{p, err.Error()})
		return nil
	}
	b.Packages = append(b.Packages, p)
	return nil
}

// component is one of CycloneDX, see https://cyclonedx.org/docs/1.6/json/.
type component struct {
	Type       string      `json:"type"`
	Group      string      `json:"group"`
	Name       string      `json:"name"`
	Version    string      `json:"version"`
	PURL       string      `json:"purl"`
	Components []component `json:"components"`
	Properties []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"properties"`
}

func (c component) property(name string) string {
	for _, p := range c.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

func (b *builder) cycloneDX(document []byte) error {
	var doc struct {
		Metadata struct {
			Timestamp stamp `json:"timestamp"`
		} `json:"metadata"`
		Components []component `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	b.Created = doc.Metadata.Timestamp.Time
	for _, c := range doc.Components {
		if c.Type == "operating-system" && c.Version != "" {
			b.distribution = strings.ToLower(c.Name) + "-" + c.Version
		}
	}
	return b.components(doc.Components, maxNested)
}

func (b *builder) components(all []component, deeper int) error {
	if deeper == 0 && len(all) > 0 {
		return fmt.Errorf("its components lie more than %d deep in each other", maxNested)
	}
	for _, c := range all {
		switch c.Type {
		case "file", "data", "operating-system", "device", "machine-learning-model", "cryptographic-asset":
		case "application", "container":
			if c.PURL == "" { // a lock file or the image, in which others lie
				break
			}
			fallthrough
		default:
			name := c.Name
			if c.Group != "" {
				name = c.Group + "/" + name
			}
			if err := b.add(c.PURL, name, c.Version, c.property("aquasecurity:trivy:SrcName")); err != nil {
				return err
			}
		}
		if err := b.components(c.Components, deeper-1); err != nil {
			return err
		}
	}
	return nil
}

// spdx2 reads SPDX 2.2 and 2.3, see https://spdx.github.io/spdx-spec/v2.3/.
func (b *builder) spdx2(document []byte) error {
	var doc struct {
		CreationInfo struct {
			Created stamp `json:"created"`
		} `json:"creationInfo"`
		Describes []string `json:"documentDescribes"`
		Packages  []struct {
			ID      string `json:"SPDXID"`
			Name    string `json:"name"`
			Version string `json:"versionInfo"`
			Purpose string `json:"primaryPackagePurpose"`
			Refs    []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
		Relationships []struct {
			From string `json:"spdxElementId"`
			Type string `json:"relationshipType"`
			To   string `json:"relatedSpdxElement"`
		} `json:"relationships"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	b.Created = doc.CreationInfo.Created.Time
	subjects := doc.Describes
	for _, r := range doc.Relationships {
		if r.From == "SPDXRef-DOCUMENT" && r.Type == "DESCRIBES" {
			subjects = append(subjects, r.To)
		}
	}
	for _, p := range doc.Packages {
		if p.Purpose == "OPERATING-SYSTEM" && p.Version != "" {
			b.distribution = strings.ToLower(p.Name) + "-" + p.Version
		}
	}
	for _, p := range doc.Packages {
		purl := ""
		for _, r := range p.Refs {
			if r.Type == "purl" {
				purl = r.Locator
			}
		}
		if purl == "" && (slices.Contains(subjects, p.ID) || p.Purpose == "CONTAINER" || p.Purpose == "FILE" || p.Purpose == "OPERATING-SYSTEM" || p.Purpose == "SOURCE") {
			continue
		}
		if err := b.add(purl, p.Name, p.Version, ""); err != nil {
			return err
		}
	}
	return nil
}

// spdx3 reads SPDX 3.0, see https://spdx.github.io/spdx-spec/v3.0.1/.
func (b *builder) spdx3(document []byte) error {
	var doc struct {
		Graph []struct {
			ID      string   `json:"spdxId"`
			Type    string   `json:"type"`
			Name    string   `json:"name"`
			Version string   `json:"software_packageVersion"`
			PURL    string   `json:"software_packageUrl"`
			Purpose string   `json:"software_primaryPurpose"`
			Spec    string   `json:"specVersion"`
			Created stamp    `json:"created"`
			Root    []string `json:"rootElement"`
			IDs     []struct {
				Type  string `json:"externalIdentifierType"`
				Value string `json:"identifier"`
			} `json:"externalIdentifier"`
		} `json:"@graph"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	b.Format = "SPDX-3"
	var subjects []string
	for _, e := range doc.Graph {
		if e.Type == "CreationInfo" && e.Spec != "" {
			b.Format, b.Created = "SPDX-"+e.Spec, e.Created.Time
		}
		subjects = append(subjects, e.Root...)
		if e.Purpose == "operatingSystem" && e.Version != "" {
			b.distribution = strings.ToLower(e.Name) + "-" + e.Version
		}
	}
	for _, e := range doc.Graph {
		if e.Type != "software_Package" {
			continue
		}
		purl := e.PURL
		for _, id := range e.IDs {
			if purl == "" && id.Type == "packageUrl" {
				purl = id.Value
			}
		}
		switch e.Purpose {
		case "container", "file", "operatingSystem", "source":
			if purl == "" {
				continue
			}
		}
		if purl == "" && slices.Contains(subjects, e.ID) {
			continue
		}
		if err := b.add(purl, e.Name, e.Version, ""); err != nil {
			return err
		}
	}
	return nil
}
