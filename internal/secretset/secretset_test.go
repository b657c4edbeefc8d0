package secretset

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

var show = flag.Bool("print", false, "TestPrint prints the samples that rules may be tuned on, a JSON object a line")

func TestPrint(t *testing.T) {
	if !*show {
		t.Skip("it prints only with -args -print")
	}
	enc := json.NewEncoder(t.Output())
	enc.SetEscapeHTML(false)
	for _, s := range append(Secrets(Seed), Negatives(Seed)...) {
		if s.Held {
			continue
		}
		if err := enc.Encode(struct {
			Sample
			JSON string
		}{s, string(s.JSON)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		what                 string
		samples              []Sample
		least, kinds, mostID int
	}{
		{"secrets", Secrets(Seed), 400, 120, 0},
		{"negatives", Negatives(Seed), 600, 60, 0},
	} {
		kinds, ids, held := map[string]bool{}, map[string]bool{}, 0
		for _, s := range x.samples {
			kinds[s.Kind] = true
			if ids[s.ID] {
				t.Errorf("%s: two samples have the id %s", x.what, s.ID)
			}
			ids[s.ID] = true
			if s.Held {
				held++
			}
		}
		if len(x.samples) < x.least || len(kinds) < x.kinds {
			t.Errorf("%d %s in %d kinds, fewer than %d in %d", len(x.samples), x.what, len(kinds), x.least, x.kinds)
		}
		if part := float64(held) / float64(len(x.samples)); part < 0.15 || part > 0.35 {
			t.Errorf("%.0f %% of the %s are held out", 100*part, x.what)
		}
		t.Logf("%d %s in %d kinds, %d held out", len(x.samples), x.what, len(kinds), held)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	a, b, c := Secrets(1), Secrets(1), Secrets(2)
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(Negatives(1), Negatives(1)) {
		t.Error("the same seed gave another set")
	}
	same := 0
	for i := range a {
		if a[i].Secret == c[i].Secret {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d secrets are the same under another seed", same)
	}
}

// TestShown decodes what stands for each secret and looks for its value.
func TestShown(t *testing.T) {
	t.Parallel()
	for _, s := range append(Secrets(Seed), Secrets(Seed+1)...) {
		var decoded string
		shown := s.Shown()
		if err := json.Unmarshal([]byte(`"`+shown+`"`), &decoded); err != nil && s.Encoding != "two blocks" {
			t.Errorf("%s: what is shown is no part of a JSON string: %v", s.ID, err)
			continue
		}
		var err error
		var raw []byte
		switch s.Encoding {
		case "base64", "base64 lines", "json in base64":
			raw, err = base64.StdEncoding.DecodeString(strings.TrimSpace(decoded))
		case "base64url":
			raw, err = base64.RawURLEncoding.DecodeString(decoded)
		case "utf-16":
			raw, err = base64.StdEncoding.DecodeString(decoded)
			raw = bytes.ReplaceAll(raw, []byte{0}, nil)
		case "percent", "percent all":
			decoded, err = url.QueryUnescape(decoded)
			raw = []byte(decoded)
		case "hex":
			raw, err = hex.DecodeString(decoded)
		case "two blocks":
			raw = []byte(strings.ReplaceAll(shown, `"},{"type":"text","text":"`, ""))
		default:
			raw = []byte(decoded)
		}
		if err != nil {
			t.Errorf("%s: decoding %s: %v", s.ID, s.Encoding, err)
			continue
		}
		if !strings.Contains(plain(string(raw)), plain(s.Secret)) {
			t.Errorf("%s (%s, %s, %s): what is shown does not hold the secret: %.60q…", s.ID, s.Form, s.Encoding, s.Place, raw)
		}
	}
}

// plain leaves out what quoting, indenting and escaping a text of several
// lines change.
func plain(s string) string {
	s = strings.NewReplacer(`\\n`, "", `\n`, "", `\\`, "", `\`, "", "\n", "", " ", "").Replace(s)
	if u, err := url.QueryUnescape(s); err == nil && strings.Contains(s, "%") {
		return strings.ReplaceAll(u, " ", "")
	}
	return strings.ReplaceAll(s, "+", "")
}

func TestNegativesHoldNoSecretOfTheSet(t *testing.T) {
	t.Parallel()
	secrets := Secrets(Seed)
	for _, n := range Negatives(Seed) {
		for _, s := range secrets {
			if bytes.Contains(n.JSON, []byte(s.Secret)) {
				t.Errorf("%s holds the secret of %s", n.ID, s.ID)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	secrets, negatives := Secrets(Seed)[:40], Negatives(Seed)[:40]
	for _, x := range []struct {
		name                     string
		scan                     func([]byte) []Span
		recall, false, precision float64
	}{
		{"a scanner that is silent", func([]byte) []Span { return nil }, 0, 0, 0},
		{"a scanner that always cries", func(b []byte) []Span { return []Span{{"x", 0, len(b)}} }, 1, 1, 0.5},
		{"a scanner that points elsewhere", func(b []byte) []Span { return []Span{{"x", 0, 1}} }, 0, 1, 0},
	} {
		s := Judge(secrets, negatives, x.scan)
		if s.Recall() != x.recall || s.FalseRate() != x.false || s.Precision() != x.precision {
			t.Errorf("%s: %s", x.name, s)
		}
	}
}

func TestIssues(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		b := Issues(Seed, size)
		if !json.Valid(b) || len(b) > size || len(b) < size*7/10 {
			t.Errorf("%d bytes for %d, valid: %v", len(b), size, json.Valid(b))
		}
	}
}
