package secretset

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Seed is the seed of the numbers in the documentation.
const Seed uint64 = 20261122

// perKind is how many samples there are of each kind of secret, perCategory
// of each category of negatives.
const (
	perKind     = 3
	perCategory = 9
)

// Sample is one message.
type Sample struct {
	ID       string // kind and number
	Kind     string // kind of secret, or category of a negative
	Tier     string // what gives the secret away; "" of a negative
	Form     string // how it is written down: "yaml", "prose"
	Encoding string // how the text that holds it is encoded: "plain", "json", "base64"
	Place    string // where it stands in the protocol: "result text"
	Held     bool   // not to be tuned on
	JSON     []byte
	Secret   string // "" of a negative
	// Start and End are the part of JSON that stands for the secret: its own
	// bytes, escaped as they may be, or the whole encoded run that hides it.
	Start, End int
}

// Shown is the part of JSON that stands for the secret.
func (s Sample) Shown() string { return string(s.JSON[s.Start:s.End]) }

// Secrets makes the samples that hold a secret.
func Secrets(seed uint64) []Sample {
	var out []Sample
	for _, k := range kinds() {
		for i := range perKind {
			out = append(out, k.sample(seed, i))
		}
	}
	return out
}

func (k kind) sample(seed uint64, i int) Sample {
	s := Sample{ID: fmt.Sprintf("%s/%d", k.id, i+1), Kind: k.id, Tier: k.tier, Held: held(k.id)}
	r := newRandom(seed, s.ID)
	made := k.make(r)
	v := made.piece()
	f := pick(r, formsOf(k, v)...)
	p := f.write(r, k, v)
	p, s.Encoding, s.Place = encode(r, k, v, p)
	s.Form, s.Secret = f.name, made.value
	s.JSON, s.Start, s.End = []byte(p.String()), len(p.before), len(p.before)+len(p.mid)
	s.check()
	return s
}

// check panics where the set is wrong about itself.
func (s Sample) check() {
	if !json.Valid(s.JSON) {
		panic("secretset: " + s.ID + " is not JSON")
	}
	if s.Secret != "" && s.Start >= s.End {
		panic("secretset: " + s.ID + " shows nothing")
	}
}

// piece is what carries the secret, with the value found in it.
func (s secret) piece() piece {
	text := s.shown()
	for _, v := range []string{s.value, quote(s.value)} {
		if before, after, ok := strings.Cut(text, v); ok {
			return piece{before: before, mid: v, after: after}
		}
	}
	panic("secretset: the text of a secret does not hold it")
}

// encode hides what is written down, more or less, and puts it into a message.
// It returns what it did. v is the value as it is carried, before anything
// was written around it.
func encode(r random, k kind, v, p piece) (message piece, encoding, where string) {
	text := func(q piece) (piece, string) {
		at := pick(r, textPlaces()...)
		return at.put(r, q.quoted()), at.name
	}
	object := func(q piece) (piece, string) {
		at := pick(r, objectPlaces()...)
		return at.put(r, q), at.name
	}
	// inner is p as a text: an object is text once it is written as such.
	inner := piece{before: p.before, mid: p.mid, after: p.after}
	// hidden is what is encoded as a whole: all that was written, or, where
	// the value alone says what it is, at times only that.
	hidden := inner
	if k.tier == Prefix && r.IntN(2) == 0 {
		hidden = v
	}
	run := func(name string, f func(string) string, templates ...string) (piece, string, string) {
		m, where := text(hidden.whole(f).around(pick(r, templates...)))
		return m, name, where
	}
	doc := func() piece {
		if p.json {
			return inner
		}
		return inner.quoted().around(pick(r,
			fmt.Sprintf(`{"file":"%s.txt","size":%d,"content":%s}`, r.service(), r.between(90, 9000), hole),
			fmt.Sprintf(`{"ok":true,"data":{"lines":[%s],"author":"%s"}}`, hole, r.user()),
			fmt.Sprintf(`[{"id":%d,"title":"%s","body":%s}]`, r.between(1, 999), r.service(), hole)))
	}
	switch n := r.IntN(100); {
	case n < 44:
		if p.json && r.IntN(5) > 0 {
			m, where := object(p)
			return m, "plain", where
		}
		if p.json {
			m, where := text(inner)
			return m, "json", where
		}
		m, where := text(inner)
		return m, "plain", where
	case n < 57:
		m, where := text(doc())
		return m, "json", where
	case n < 61:
		m, where := text(doc().quoted().around(fmt.Sprintf(`{"status":200,"body":%s}`, hole)))
		return m, "json in json", where
	case n < 70:
		q := piece{before: `"` + quote(inner.before), mid: pick(r, escapeAll, escapeSome, escapeHTML)(inner.mid), after: quote(inner.after) + `"`}
		at := pick(r, textPlaces()...)
		return at.put(r, q), "escaped", at.name
	case n < 76:
		return run("base64", toBase64, hole, "Content (base64): "+hole, "echo "+hole+" | base64 -d > out", "data:text/plain;base64,"+hole,
			"apiVersion: v1\nkind: Secret\ndata:\n  config: "+hole+"\n", `{"name":"config","encoding":"base64","content":"`+hole+`"}`)
	case n < 79:
		return run("base64 lines", toBase64Lines, hole)
	case n < 81:
		at := blobPlace()
		return at.put(r, hidden.whole(toBase64).quoted()), "base64", at.name
	case n < 84:
		return run("base64url", toBase64URL, hole, "https://app."+r.domain()+"/open?state="+hole, "payload="+hole)
	case n < 87:
		return run("percent", percent, "https://app."+r.domain()+"/share?text="+hole+"&lang=en", "body="+hole+"&submit=1")
	case n < 89:
		return run("percent all", percentAll, "https://app."+r.domain()+"/r?to="+hole, hole)
	case n < 92:
		return run("hex", toHex, hole, "payload (hex): "+hole, "0x"+hole, `{"encoding":"hex","data":"`+hole+`"}`)
	case n < 94:
		return run("utf-16", toUTF16, "powershell -NoProfile -EncodedCommand "+hole)
	case n < 97:
		m, where := text(doc().whole(toBase64).quoted().around(fmt.Sprintf(`{"encoding":"base64","payload":%s}`, hole)))
		return m, "json in base64", where
	default:
		if len(inner.mid) < 16 {
			m, where := text(inner)
			return m, "plain", where
		}
		return split(r, inner), "two blocks", "result text"
	}
}
