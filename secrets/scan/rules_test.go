package scan

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// sample writes a random string that a rule's expression matches. Fillers are
// as short as they may be, so that the secret itself is what is random.
func sample(rnd *rand.Rand, re *syntax.Regexp, b *strings.Builder) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		b.WriteRune(pick(rnd, re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(' ')
	case syntax.OpWordBoundary:
		if s := b.String(); s != "" && (isAlnum(s[len(s)-1]) || s[len(s)-1] == '_') {
			b.WriteByte(' ')
		}
	case syntax.OpCapture:
		sample(rnd, re.Sub[0], b)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			sample(rnd, s, b)
		}
	case syntax.OpAlternate:
		sample(rnd, re.Sub[rnd.IntN(len(re.Sub))], b)
	case syntax.OpQuest:
		if re.Flags&syntax.NonGreedy == 0 && rnd.IntN(2) == 0 {
			sample(rnd, re.Sub[0], b)
		}
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		lo, hi := re.Min, re.Max
		if re.Op != syntax.OpRepeat {
			lo, hi = 0, -1
			if re.Op == syntax.OpPlus {
				lo = 1
			}
		}
		n := lo
		if re.Flags&syntax.NonGreedy == 0 {
			if hi < 0 {
				hi = max(lo+40, 100)
			}
			n += rnd.IntN(min(hi-lo, 24) + 1)
		}
		if n < 24 && lo == 0 && hi > 100 {
			n = 24
		}
		for range n {
			sample(rnd, re.Sub[0], b)
		}
	}
}

// pick takes a letter or digit of a class where it has one.
func pick(rnd *rand.Rand, class []rune) rune {
	var all []rune
	for i := 0; i+1 < len(class); i += 2 {
		for r := max(class[i], '!'); r <= min(class[i+1], '~'); r++ {
			if isAlnum(byte(r)) {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 || len(class) > 16 && len(class) < 20 {
		for i := 0; i+1 < len(class); i += 2 {
			for r := max(class[i], ' '); r <= min(class[i+1], '~'); r++ {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 {
		return ' '
	}
	return all[rnd.IntN(len(all))]
}

func TestRulesAreWellFormed(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, r := range Default() {
		if ids[r.ID] {
			t.Errorf("%s is there twice", r.ID)
		}
		ids[r.ID] = true
		if r.Check != "" && checks[r.Check] == nil {
			t.Errorf("%s: there is no check %q", r.ID, r.Check)
		}
		if len(r.Keywords) == 0 && len(r.Keys) == 0 {
			t.Errorf("%s has neither keywords nor keys", r.ID)
		}
		for _, k := range r.Keywords {
			if k != strings.ToLower(k) || len(k) < 2 {
				t.Errorf("%s: keyword %q is not lower case or too short", r.ID, k)
			}
		}
	}
	if len(ids) < 250 {
		t.Errorf("%d kinds, want 250 at least", len(ids))
	}
}

// Kinds whose values have a structure that random strings of the expression
// lack: they have tests of their own.
var structured = map[string]bool{
	"bitcoin-private-key": true, "jwt": true, "jwe": true, "private-key": true, "wallet-mnemonic": true, "grafana-cloud-token": true, "grafana-key": true,
	"onepassword-service-token": true, "discord-bot-token": true, "discord-token": true, "jfrog-token": true, "bitbucket-server-token": true, "jira-pat": true,
	"authorization-basic": true, "docker-auth": true, "kubernetes-secret": true, "kubernetes-secret-first": true, "pkcs8-base64": true, "url-token": true,
	"pgpass-line": true, "dotnet-password": true, "dotnet-password-first": true, "url-query-secret": true,
}

// TestEveryKindIsFound writes values of each kind by its expression and asks
// that a scan finds the kind, alone, in a sentence and in JSON.
func TestEveryKindIsFound(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, r := range Default() {
		if r.Regex == "" || structured[r.ID] || r.Check == "password-prose" || r.Check == "token-prose" {
			continue
		}
		re, err := syntax.Parse(r.Regex, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		missed, n := 0, 20
		example := ""
		for range n {
			var b strings.Builder
			sample(rnd, re, &b)
			s := strings.Trim(b.String(), " ")
			if !hasKeyword(s, r.Keywords) {
				s = r.Keywords[0] + " " + s
			}
			for _, doc := range []string{s, "Please keep this: " + s + " and tell nobody.", `{"note":` + quote("x "+s) + `}`} {
				if !finds(plainScan(doc), r.ID) {
					missed++
					example = doc
					break
				}
			}
		}
		if missed > n/2 {
			t.Errorf("%s: missed %d of %d, such as %s", r.ID, missed, n, example)
		}
	}
}

func hasKeyword(s string, keywords []string) bool {
	for _, k := range keywords {
		if strings.Contains(strings.ToLower(s), k) {
			return true
		}
	}
	return false
}

// plainHit is what a rule found, before the best at each place is chosen.
type plainHit struct{ rule, secret string }

// plainScan lists what every rule finds.
func plainScan(doc string) []plainHit {
	s, err := New(nil)
	if err != nil {
		panic(err)
	}
	w := newWorker(s)
	w.document([]byte(doc), likeJSON([]byte(doc)))
	var hits []plainHit
	for _, c := range w.found {
		hits = append(hits, plainHit{c.Rule, doc[c.Start:c.End]})
	}
	return hits
}

func finds(hits []plainHit, id string) bool {
	for _, h := range hits {
		if h.rule == id {
			return true
		}
	}
	return false
}

func quote(s string) string { return string(rawjson.Quote(s)) }

func TestChecksums(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0", 29) + "Z" // low in entropy: only the sum can tell
	sum := crc32.ChecksumIEEE([]byte(body))
	var tail [6]byte
	for i := 5; i >= 0; i-- {
		tail[i] = base62[sum%62]
		sum /= 62
	}
	if !githubToken([]byte("ghp" + "_" + body + string(tail[:]))) {
		t.Error("a token whose checksum fits was refused")
	}
	tail[5] ^= 1
	if githubToken([]byte("ghp" + "_" + body + string(tail[:]))) {
		t.Error("a poor token whose checksum does not fit was accepted")
	}
	glsa := "glsa" + "_" + strings.Repeat("a", 32)
	c := crc32.ChecksumIEEE([]byte(glsa))
	if s := fmt.Sprintf("%s_%02x%02x%02x%02x", glsa, byte(c), byte(c>>8), byte(c>>16), byte(c>>24)); !grafanaToken([]byte(s)) {
		t.Error("a Grafana token whose checksum fits was refused")
	}
}
