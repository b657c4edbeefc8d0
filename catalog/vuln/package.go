package vuln

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/package-url/packageurl-go"
)

// Package is one part of an image, in the words of the OSV database.
type Package struct {
	// Ecosystem is where it comes from, with the release where a
	// distribution has several: "npm", "PyPI", "Go", "Debian:12",
	// "Alpine:v3.20". See https://ossf.github.io/osv-schema/#defined-ecosystems.
	Ecosystem string `json:"ecosystem,omitempty"`

	// Name and Version are as the ecosystem writes them, without the "v" of
	// Go's versions.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`

	// Source is the name of the source package that it was built from, where
	// a distribution has those and names them differently.
	Source string `json:"source,omitempty"`

	// PURL is its package URL as the SBOM has it, if it has one.
	PURL string `json:"purl,omitempty"`
}

func (p Package) String() string {
	s := p.Name
	if p.Version != "" {
		s += "@" + p.Version
	}
	if p.Ecosystem != "" {
		s += " (" + p.Ecosystem + ")"
	}
	return s
}

// family is an ecosystem without its release, as the files of the database are
// named.
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}

// names are what the database may call it, folded.
func (p Package) names() []string {
	name := fold(p.Ecosystem, p.Name)
	source := fold(p.Ecosystem, p.Source)
	switch {
	case p.Source == "" || source == name:
		return []string{name}
	case strings.HasPrefix(p.PURL, "pkg:rpm/"): // some of those databases have the one, some the other
		return []string{name, source}
	}
	return []string{source}
}

var pythonSeparators = regexp.MustCompile(`[-_.]+`)

// fold is a name as it is compared. Package URLs fold the case of some.
func fold(ecosystem, name string) string {
	switch family(ecosystem) {
	case "PyPI": // PEP 503
		return pythonSeparators.ReplaceAllString(strings.ToLower(name), "-")
	case "Go", "NuGet", "Packagist", "SwiftURL", "GitHub Actions", "Hex", "Pub":
		return strings.ToLower(name)
	}
	return name
}

// unknown is why a package cannot be looked up.
type unknown string

func (u unknown) Error() string { return string(u) }

// plain are the types of package URLs whose names need no more than their
// namespace in front of them.
var plain = map[string]string{
	packageurl.TypeNPM: "npm", packageurl.TypePyPi: "PyPI", packageurl.TypeGolang: "Go", packageurl.TypeGem: "RubyGems",
	packageurl.TypeCargo: "crates.io", packageurl.TypeNuget: "NuGet", packageurl.TypeComposer: "Packagist",
	packageurl.TypeHex: "Hex", packageurl.TypePub: "Pub", packageurl.TypeHackage: "Hackage", packageurl.TypeCran: "CRAN",
	packageurl.TypeConan: "ConanCenter", packageurl.TypeSwift: "SwiftURL", packageurl.TypeBitnami: "Bitnami", packageurl.TypeJulia: "Julia",
}

// ignored are types of package URLs that are not parts of an image that a
// database of packages could know: the image itself.
var ignored = map[string]bool{packageurl.TypeOCI: true, packageurl.TypeDocker: true}

// fromPURL reads a package URL. distribution is the one of the whole image, as
// "debian-12", for URLs that do not name theirs; it may be empty.
func fromPURL(text, source, distribution string) (Package, error) {
	u, err := packageurl.FromString(text)
	if err != nil {
		return Package{PURL: text}, unknown(fmt.Sprintf("its package URL cannot be read: %v", err))
	}
	p := Package{Name: u.Name, Version: u.Version, PURL: text}
	q := u.Qualifiers.Map()
	switch eco, ok := plain[u.Type]; {
	case ok:
		p.Ecosystem = eco
		if u.Namespace != "" {
			p.Name = u.Namespace + "/" + u.Name
		}
		if eco == "Go" {
			p.Version = strings.TrimPrefix(strings.TrimPrefix(p.Version, "v"), "go")
		}
	case u.Type == packageurl.TypeMaven:
		p.Ecosystem, p.Name = "Maven", u.Namespace+":"+u.Name
	case u.Type == packageurl.TypeDebian, u.Type == packageurl.TypeAlpm, u.Type == packageurl.TypeApk, u.Type == packageurl.TypeRPM:
		p.Source = source
		if upstream := q["upstream"]; upstream != "" {
			p.Source = ofUpstream(u.Type, upstream)
		}
		if epoch := q["epoch"]; epoch != "" && epoch != "0" && !strings.Contains(p.Version, ":") {
			p.Version = epoch + ":" + p.Version
		}
		if p.Ecosystem, err = release(u.Type, u.Namespace, cmp.Or(q["distro"], distribution)); err != nil {
			return p, err
		}
	default:
		return p, unknown(fmt.Sprintf("no database knows packages of the type %q", u.Type))
	}
	if p.Version == "" {
		return p, unknown("its version is not told")
	}
	return p, nil
}

// ofUpstream is the name in the qualifier of a source package: NAME, NAME@VERSION,
// or the file NAME-VERSION-RELEASE.src.rpm.
func ofUpstream(kind, upstream string) string {
	name, _, _ := strings.Cut(upstream, "@")
	if rest, ok := strings.CutSuffix(name, ".src.rpm"); ok && kind == packageurl.TypeRPM {
		for range 2 {
			if i := strings.LastIndexByte(rest, '-'); i > 0 {
				rest = rest[:i]
			}
		}
		return rest
	}
	return name
}

var digits = regexp.MustCompile(`\d+(\.\d+)*`)

// release is the ecosystem of a distribution's package. distro is what the URL or
// the SBOM says of the release: "debian-12.4", "alpine-3.20.1", "3.20.1".
func release(kind, vendor, distro string) (string, error) {
	vendor = strings.ToLower(vendor)
	number := digits.FindString(distro)
	parts := strings.Split(number, ".")
	untold := unknown(fmt.Sprintf("the release of %s that it is of is not told", vendor))
	major := func(name string) (string, error) {
		if number == "" {
			return "", untold
		}
		return name + ":" + parts[0], nil
	}
	switch kind + "/" + vendor {
	case "apk/wolfi":
		return "Wolfi", nil
	case "apk/chainguard":
		return "Chainguard", nil
	case "apk/alpine":
		if len(parts) < 2 {
			return "", untold
		}
		return "Alpine:v" + parts[0] + "." + parts[1], nil
	case "deb/debian":
		return major("Debian")
	case "deb/ubuntu":
		if len(parts) < 2 {
			return "", untold
		}
		return "Ubuntu:" + parts[0] + "." + parts[1], nil
	case "rpm/rocky", "rpm/rocky-linux", "rpm/rockylinux":
		return major("Rocky Linux")
	case "rpm/almalinux", "rpm/alma":
		return major("AlmaLinux")
	case "rpm/redhat", "rpm/rhel":
		return major("Red Hat:enterprise_linux")
	case "rpm/opensuse":
		if len(parts) < 2 {
			return "", untold
		}
		return "openSUSE:Leap " + parts[0] + "." + parts[1], nil
	case "rpm/openeuler":
		if number == "" {
			return "", untold
		}
		return "openEuler:" + strings.TrimPrefix(distro, "openeuler-"), nil
	}
	return "", unknown(fmt.Sprintf("no database knows packages of the distribution %q", vendor))
}
