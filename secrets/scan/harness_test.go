package scan

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// plainRule is a rule as the plain form of the rule files has it.
type plainRule struct {
	ID, Regex, Check string
	Keywords, Keys   []string
	Entropy          float64
	re               *regexp.Regexp
}

var plainRules = sync.OnceValue(func() []*plainRule {
	files, _ := filepath.Glob("rules/*.toml")
	var rules []*plainRule
	for _, f := range files {
		b, _ := os.ReadFile(f)
		var r *plainRule
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			if line == "[[rules]]" {
				r = &plainRule{}
				rules = append(rules, r)
				continue
			}
			k, v, ok := strings.Cut(line, " = ")
			if !ok || r == nil {
				continue
			}
			switch k {
			case "id":
				r.ID = strings.Trim(v, `"`)
			case "regex":
				r.Regex = strings.TrimSuffix(strings.TrimPrefix(v, "'''"), "'''")
				r.re = regexp.MustCompile(r.Regex)
			case "check":
				r.Check = strings.Trim(v, `"`)
			case "entropy":
				_ = json.Unmarshal([]byte(v), &r.Entropy)
			case "keywords":
				r.Keywords = plainList(v)
			case "keys":
				r.Keys = plainList(v)
			}
		}
	}
	return rules
})

var plainItem = regexp.MustCompile(`'[^']*'|"(?:[^"\\]|\\.)*"`)

func plainList(v string) []string {
	var l []string
	for _, m := range plainItem.FindAllString(v, -1) {
		if m[0] == '\'' {
			l = append(l, m[1:len(m)-1])
			continue
		}
		var s string
		_ = json.Unmarshal([]byte(m), &s)
		l = append(l, s)
	}
	return l
}

func entropyOf(s string) float64 {
	var n [256]int
	for i := range len(s) {
		n[s[i]]++
	}
	e := 0.0
	for _, c := range n {
		if c > 0 {
			p := float64(c) / float64(len(s))
			e -= p * math.Log2(p)
		}
	}
	return e
}

type plainHit struct{ rule, secret string }

func (r *plainRule) take(s string) bool {
	if s == "" || r.Entropy > 0 && entropyOf(s) < r.Entropy || benignValue([]byte(s)) {
		return false
	}
	return r.Check == "" || checks[r.Check]([]byte(s))
}

func plainText(text string) []plainHit {
	var hits []plainHit
	low := strings.ToLower(text)
	for _, r := range plainRules() {
		if r.re != nil {
			found := false
			for _, k := range r.Keywords {
				if strings.Contains(low, k) {
					found = true
					break
				}
			}
			if !found {
				continue
			}
			for _, m := range r.re.FindAllStringSubmatchIndex(text, -1) {
				s := text[m[0]:m[1]]
				for g := 2; g+1 < len(m); g += 2 {
					if m[g] >= 0 {
						s = text[m[g]:m[g+1]]
						break
					}
				}
				if r.take(s) {
					hits = append(hits, plainHit{r.ID, s})
				}
			}
		}
	}
	for _, m := range plainPair.FindAllStringSubmatch(text, -1) {
		hits = append(hits, plainKey(m[1], m[2])...)
	}
	return hits
}

var plainPair = regexp.MustCompile(`([A-Za-z][\w.-]{1,60})["'\]]{0,2}\s{0,2}(?:=|:|=>|:=)\s{0,3}["'\x60]{0,1}([^\s"'\x60,;&]{3,})`)

var notName = regexp.MustCompile(`[^0-9A-Za-z]+`)

func plainKey(key, value string) []plainHit {
	var hits []plainHit
	// Words of the key: at marks and at capitals.
	split := regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(key, "${1}_$2")
	words := strings.FieldsFunc(strings.ToLower(split), func(r rune) bool { return notName.MatchString(string(r)) })
	folded := strings.Join(words, "")
	if benignKey([]byte(folded)) {
		return nil
	}
	for _, r := range plainRules() {
		for _, k := range r.Keys {
			ok := folded == k
			for i := 1; i < len(words) && !ok; i++ {
				ok = strings.Join(words[i:], "") == k
			}
			if ok && r.take(value) {
				hits = append(hits, plainHit{r.ID, value})
				break
			}
		}
	}
	return hits
}

func plainScan(doc string) []plainHit {
	hits := plainText(doc)
	var v any
	if json.Unmarshal([]byte(doc), &v) == nil {
		walk("", v, &hits, 0)
	}
	return hits
}

func walk(key string, v any, hits *[]plainHit, depth int) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			walk(k, e, hits, depth)
		}
	case []any:
		for _, e := range v {
			walk(key, e, hits, depth)
		}
	case string:
		*hits = append(*hits, plainKey(key, v)...)
		*hits = append(*hits, plainText(v)...)
		var in any
		if depth < 3 && len(v) > 1 && (v[0] == '{' || v[0] == '[') && json.Unmarshal([]byte(v), &in) == nil {
			walk(key, in, hits, depth+1)
		}
	}
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

var _ = testing.Short
