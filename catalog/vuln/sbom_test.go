package vuln

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sboms are cut from what tools write; all name the same three packages.
var sboms = map[string]string{
	"SPDX-2.3": `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"server","creationInfo":{"created":"2026-11-01T03:08:12.622Z","creators":["Tool: syft"]},
	"packages":[
	 {"name":"server","SPDXID":"SPDXRef-DocumentRoot-Image","versionInfo":"1","primaryPackagePurpose":"CONTAINER","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:oci/server@sha256%3Aabc?arch=amd64"}]},
	 {"name":"lodash","SPDXID":"SPDXRef-1","versionInfo":"4.17.20","externalRefs":[{"referenceCategory":"SECURITY","referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a:lodash:lodash:4.17.20:*:*:*:*:*:*:*"},{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/lodash@4.17.20"}]},
	 {"name":"lodash","SPDXID":"SPDXRef-1b","versionInfo":"4.17.20","externalRefs":[{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/lodash@4.17.20"}]},
	 {"name":"libc6","SPDXID":"SPDXRef-2","versionInfo":"2.36-9","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:deb/debian/libc6@2.36-9?arch=amd64&upstream=glibc&distro=debian-12"}]},
	 {"name":"mystery","SPDXID":"SPDXRef-3","versionInfo":"1.0"}],
	"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-DocumentRoot-Image"}]}`,
	"CycloneDX-1.6": `{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"2026-11-01T03:08:12+00:00","component":{"type":"container","name":"server","purl":"pkg:oci/server@sha256%3Aabc"}},
	"components":[
	 {"type":"operating-system","name":"debian","version":"12.4"},
	 {"type":"application","name":"package-lock.json","components":[{"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20"}]},
	 {"type":"library","name":"libc6","version":"2.36-9","purl":"pkg:deb/debian/libc6@2.36-9?arch=amd64","properties":[{"name":"aquasecurity:trivy:SrcName","value":"glibc"}]},
	 {"type":"library","name":"mystery","version":"1.0"}]}`,
	"SPDX-3.0.1": `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[
	 {"type":"CreationInfo","@id":"_:c","specVersion":"3.0.1","created":"2026-11-01T03:08:12Z"},
	 {"type":"SpdxDocument","spdxId":"d","rootElement":["r"]},
	 {"type":"software_Package","spdxId":"r","name":"server"},
	 {"type":"software_Package","spdxId":"1","name":"lodash","software_packageVersion":"4.17.20","software_packageUrl":"pkg:npm/lodash@4.17.20"},
	 {"type":"software_Package","spdxId":"2","name":"libc6","software_packageVersion":"2.36-9","externalIdentifier":[{"externalIdentifierType":"packageUrl","identifier":"pkg:deb/debian/libc6@2.36-9?upstream=glibc&distro=debian-12"}]},
	 {"type":"software_Package","spdxId":"3","name":"mystery","software_packageVersion":"1.0"},
	 {"type":"software_File","spdxId":"4","name":"/etc/passwd"}]}`,
}

func TestReadSBOM(t *testing.T) {
	t.Parallel()
	for format, text := range sboms {
		data, _ := json.Marshal(text)
		for wrap, document := range map[string]string{
			"as it is": text, "in an attestation": `{"_type":"https://in-toto.io/Statement/v1","predicate":` + text + `}`,
			"as cosign wraps it": `{"Data":` + text + `,"Timestamp":"2026-11-01T03:08:12Z"}`, "as text": `{"predicate":{"Data":` + string(data) + `}}`,
		} {
			s, err := ReadSBOM([]byte(document))
			if err != nil {
				t.Errorf("%s, %s: %v", format, wrap, err)
				continue
			}
			var names []string
			for _, p := range s.Packages {
				names = append(names, fmt.Sprintf("%s %v", p, p.names()))
			}
			if want := []string{"lodash@4.17.20 (npm) [lodash]", "libc6@2.36-9 (Debian:12) [glibc]"}; !slices.Equal(names, want) {
				t.Errorf("%s, %s: %q, want %q", format, wrap, names, want)
			}
			if len(s.Unknown) != 1 || s.Unknown[0].Package.Name != "mystery" {
				t.Errorf("%s, %s: unknown are %v", format, wrap, s.Unknown)
			}
			if s.Format != format || s.Created.Year() != 2026 {
				t.Errorf("%s, %s: it is %s of %s", format, wrap, s.Format, s.Created)
			}
		}
	}
}

func TestBadSBOM(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":   "no JSON object",
		"{}": "of no known kind",
		`{"bomFormat":"CycloneDX","specVersion":"1.6"}`: "names no package",
		`{"spdxVersion":"SPDX-2.3","packages":{}}`:      "reading an SBOM (SPDX-2.3)",
		`{"predicate":{"predicate":{"predicate":{}}}}`:  "of no known kind",
		`{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"components":`, 40) + `[]` + strings.Repeat(`}]`, 40) + `}`: "more than 32 deep",
	} {
		if _, err := ReadSBOM([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadSBOM(make([]byte, MaxSBOM+1)); err == nil {
		t.Error("it may be of any size")
	}
}

func FuzzReadSBOM(f *testing.F) {
	for _, text := range sboms {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := ReadSBOM(document)
		if err != nil {
			return
		}
		for _, p := range s.Packages {
			if p.Ecosystem == "" || p.Name == "" || p.Version == "" {
				t.Errorf("%+v is nothing that can be looked up", p)
			}
			for _, r := range []affectedRange{{Type: "ECOSYSTEM", Events: []event{{Introduced: "1"}, {Fixed: p.Version}}}} {
				a := affected{Ranges: []affectedRange{r}}
				_, _ = a.has(p)
			}
		}
	})
}
