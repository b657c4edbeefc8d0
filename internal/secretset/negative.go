package secretset

import (
	"fmt"
	"slices"
)

// category is a kind of harmless content that looks as if it were not.
type category struct {
	name string
	make func(r random) piece
}

// text makes text.
func text(name string, f func(r random) string) category {
	return category{name, func(r random) piece { return piece{before: f(r)} }}
}

// data makes a JSON object.
func data(name string, f func(r random) string) category {
	return category{name, func(r random) piece { return piece{before: f(r), json: true} }}
}

// Negatives makes the samples without a secret.
func Negatives(seed uint64) []Sample {
	var out []Sample
	for _, c := range slices.Concat(identifierNegatives(), digestNegatives(), publicNegatives(), placeholderNegatives(), referenceNegatives(), sourceNegatives(), blobNegatives(), settingNegatives()) {
		for i := range perCategory {
			out = append(out, c.sample(seed, i))
		}
	}
	return out
}

func (c category) sample(seed uint64, i int) Sample {
	s := Sample{ID: fmt.Sprintf("%s/%d", c.name, i+1), Kind: c.name, Held: held(c.name)}
	r := newRandom(seed, "negative "+s.ID)
	p := c.make(r)
	inner := piece{before: p.before}
	var m piece
	switch n := r.IntN(100); {
	case p.json && n < 60:
		at := pick(r, objectPlaces()...)
		m, s.Place, s.Encoding = at.put(r, p), at.name, "plain"
	case p.json || n < 15:
		doc := inner
		if !p.json {
			doc = inner.quoted().around(fmt.Sprintf(`{"path":"%s","content":%s,"size":%d}`, r.service(), hole, r.between(10, 999)))
		}
		at := pick(r, textPlaces()...)
		m, s.Place, s.Encoding = at.put(r, doc.quoted()), at.name, "json"
	case n < 21:
		at := pick(r, textPlaces()...)
		m, s.Place, s.Encoding = at.put(r, inner.whole(toBase64).quoted()), at.name, "base64"
	case n < 25:
		at := pick(r, textPlaces()...)
		q := inner.whole(percent).around("https://app." + r.domain() + "/share?text=" + hole)
		m, s.Place, s.Encoding = at.put(r, q.quoted()), at.name, "percent"
	default:
		at := pick(r, textPlaces()...)
		m, s.Place, s.Encoding = at.put(r, inner.quoted()), at.name, "plain"
	}
	s.JSON = []byte(m.String())
	s.check()
	return s
}
