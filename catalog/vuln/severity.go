package vuln

import (
	"fmt"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// Severity is how bad a vulnerability is, in the words of the qualitative scale
// of CVSS. A higher one is worse. Unrated is none of the others: nobody has
// said how bad it is.
type Severity int

// The severities. Their scores are those of CVSS 3.1 and 4.0, section "Qualitative
// Severity Rating Scale".
const (
	Unrated  Severity = iota
	None              // 0.0
	Low               // 0.1 to 3.9
	Medium            // 4.0 to 6.9
	High              // 7.0 to 8.9
	Critical          // 9.0 to 10.0
)

var severities = [...]string{"unrated", "none", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severities) {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severities[s]
}

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, word := range severities {
		if word == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no severity; say one of %s", text, strings.Join(severities[:], ", "))
}

// ofScore is the severity of a CVSS score.
func ofScore(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return None
}

// score computes the base score of a CVSS vector of any version.
func score(vector string) (float64, error) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.Score(), nil
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.BaseScore(), nil
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.BaseScore(), nil
	}
	v, err := gocvss20.ParseVector(vector)
	if err != nil {
		return 0, err
	}
	return v.BaseScore(), nil
}

// words are what databases say where they have no vector: GitHub's advisories,
// Ubuntu's priorities, Debian's urgencies.
var words = map[string]Severity{
	"negligible": Low, "unimportant": Low, "low": Low,
	"moderate": Medium, "medium": Medium,
	"important": High, "high": High,
	"critical": Critical,
}

// rating is how bad a record says that it is, for one of the packages that it
// affects.
type rating struct {
	Severity Severity
	Score    float64
	Vector   string
}

// rate finds the worst of what a record says of an affected package. What is
// said of the package comes before what is said of the whole record, and a
// vector before a word.
func rate(r *record, a *affected) rating {
	if strings.HasPrefix(r.ID, "MAL-") {
		return rating{Severity: Critical} // a package that is malicious as a whole; its records have no vector
	}
	for _, all := range [][]severity{a.Severity, r.Severity} {
		worst := rating{}
		for _, s := range all {
			v, err := score(s.Score)
			if err != nil || !strings.HasPrefix(s.Type, "CVSS") {
				if word := words[strings.ToLower(s.Score)]; word > worst.Severity {
					worst = rating{Severity: word}
				}
				continue
			}
			if found := ofScore(v); found > worst.Severity || found == worst.Severity && v > worst.Score {
				worst = rating{found, v, s.Score}
			}
		}
		if worst.Severity != Unrated {
			return worst
		}
	}
	for _, word := range []string{a.Ecosystem.Severity, a.Database.Severity, a.Ecosystem.Urgency, r.Database.Severity} {
		if s := words[strings.ToLower(strings.TrimSpace(word))]; s != Unrated {
			return rating{Severity: s}
		}
	}
	return rating{}
}
