package catalog

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// The parameters of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance
// Framework: BM25 and Beyond", 2009), and the weight of a word by where it
// stands: the word counts as often as its place weighs.
const (
	saturation = 1.5  // k1
	length     = 0.75 // b

	inName        = 4
	inTitle       = 3
	inTool        = 2
	inCategory    = 2
	inDescription = 1
	inToolText    = 0.3

	prefixWeight = 0.5 // of a word that only begins with what was looked for
	fuzzyWeight  = 0.3 // of a word that is one edit away
)

// Index finds servers by words. It is immutable and safe for concurrent use.
type Index struct {
	servers []*Server
	names   []string // in lower case
	lengths []float32
	mean    float32
	words   []string // sorted
	posts   [][]post // by word
}

type post struct {
	doc    int32
	weight float32
}

// NewIndex indexes the names, titles, categories, tags, tools and descriptions
// of servers.
func NewIndex(servers []*Server) *Index {
	x := &Index{
		servers: slices.Clone(servers),
		names:   make([]string, len(servers)),
		lengths: make([]float32, len(servers)),
	}
	words := make(map[string][]post, 4096)
	counts := make(map[string]float32, 256)
	var total float64
	for i, s := range servers {
		x.names[i] = strings.ToLower(s.Name)
		clear(counts)
		add := func(text string, weight float32) {
			eachWord(text, func(w string) {
				counts[w] += weight
				x.lengths[i] += weight
			})
		}
		add(s.Name, inName)
		add(s.Title, inTitle)
		add(s.Description, inDescription)
		add(s.Publisher, inDescription)
		for _, c := range s.Categories {
			add(c, inCategory)
		}
		for _, t := range s.Tags {
			add(t, inCategory)
		}
		for _, t := range s.Tools {
			add(t.Name, inTool)
			add(t.Title, inTool)
			add(t.Description, inToolText)
		}
		for w, c := range counts {
			words[w] = append(words[w], post{int32(i), c})
		}
		total += float64(x.lengths[i])
	}
	x.mean = float32(total / float64(max(len(servers), 1)))
	x.words = make([]string, 0, len(words))
	for w := range words {
		x.words = append(x.words, w)
	}
	slices.Sort(x.words)
	x.posts = make([][]post, len(x.words))
	for i, w := range x.words {
		x.posts[i] = slices.Clip(words[w])
	}
	return x
}

// Query says what to find. Empty fields allow everything.
type Query struct {
	Text string // words; the better ones match first

	Kind     Kind
	Category string // one of a server's categories or tags, whatever its case
	Catalog  string // Origin.Catalog
	Tool     string // the exact name of a tool
	NoSecret bool   // only servers that start without any secret
	Keep     func(*Server) bool

	Limit int // most hits; 0 means 20, negative all
}

// Hit is a server that was found.
type Hit struct {
	Server *Server
	Score  float64 // comparable within one search; 0 without words
}

// Search returns the best hits first; without words all servers that the rest
// of the query allows, in the order of the index.
func (x *Index) Search(q Query) []Hit {
	terms := make([]string, 0, 8)
	eachWord(strings.ToLower(q.Text), func(w string) {
		if !slices.Contains(terms, w) && len(terms) < 32 {
			terms = append(terms, w)
		}
	})
	limit := cmp.Or(q.Limit, 20)
	var hits []Hit
	if len(terms) == 0 {
		if strings.TrimSpace(q.Text) != "" {
			return nil // marks without a word
		}
		for _, s := range x.servers {
			if limit >= 0 && len(hits) == limit {
				break
			}
			if q.allows(s) {
				hits = append(hits, Hit{Server: s})
			}
		}
		return hits
	}
	scores, matched := x.score(terms)
	whole := strings.ToLower(strings.TrimSpace(q.Text))
	for i, score := range scores {
		if score == 0 || !q.allows(x.servers[i]) {
			continue
		}
		// A server that has all words beats one that has some of them often.
		share := float64(matched[i]) / float64(len(terms))
		score *= share * share
		switch name := x.names[i]; {
		case name == whole:
			score = score*4 + 1000
		case strings.HasPrefix(name, whole):
			score *= 1.5
		}
		hits = append(hits, Hit{x.servers[i], score})
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score),
			cmp.Compare(b.Server.Popularity.Pulls, a.Server.Popularity.Pulls),
			strings.Compare(a.Server.Name, b.Server.Name))
	})
	if limit >= 0 {
		hits = hits[:min(len(hits), limit)]
	}
	return hits
}

// score adds up what each word gives each server, and counts the words that
// gave something. A server gets the best of a word and its variants.
func (x *Index) score(terms []string) (scores []float64, matched []uint8) {
	scores, matched = make([]float64, len(x.servers)), make([]uint8, len(x.servers))
	best := make([]float64, len(x.servers))
	var touched []int32
	for _, t := range terms {
		touched = touched[:0]
		use := func(word int, weight float64) {
			posts := x.posts[word]
			n, all := float64(len(posts)), float64(len(x.servers))
			idf := math.Log(1 + (all-n+0.5)/(n+0.5))
			for _, p := range posts {
				tf := float64(p.weight)
				norm := saturation * (1 - length + length*float64(x.lengths[p.doc]/x.mean))
				s := weight * idf * tf * (saturation + 1) / (tf + norm)
				if best[p.doc] == 0 {
					touched = append(touched, p.doc)
				}
				best[p.doc] = max(best[p.doc], s)
			}
		}
		first, exact := slices.BinarySearch(x.words, t)
		if exact {
			use(first, 1)
		}
		if len(t) >= 3 {
			for i := first; i < len(x.words) && strings.HasPrefix(x.words[i], t); i++ {
				if x.words[i] != t {
					use(i, prefixWeight)
				}
			}
		}
		if len(touched) == 0 && len(t) >= 4 {
			for i, w := range x.words {
				if near(t, w) {
					use(i, fuzzyWeight)
				}
			}
		}
		for _, d := range touched {
			scores[d] += best[d]
			matched[d]++
			best[d] = 0
		}
	}
	return scores, matched
}

func (q *Query) allows(s *Server) bool {
	same := func(c string) bool { return strings.EqualFold(c, q.Category) }
	switch {
	case q.Kind != "" && s.Kind() != q.Kind,
		q.Catalog != "" && s.Origin.Catalog != q.Catalog,
		q.Category != "" && !slices.ContainsFunc(s.Categories, same) && !slices.ContainsFunc(s.Tags, same),
		q.Tool != "" && !slices.ContainsFunc(s.Tools, func(t Tool) bool { return t.Name == q.Tool }),
		q.NoSecret && slices.ContainsFunc(s.Secrets, func(c Secret) bool { return !c.Optional }),
		q.Keep != nil && !q.Keep(s):
		return false
	}
	return true
}

// eachWord calls f for each word of a text, in lower case and without the s of
// a plural. A word with capitals inside, such as GitHub, is followed by its
// parts.
func eachWord(text string, f func(string)) {
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		f(stem(strings.ToLower(run)))
		start, lower := 0, false
		for i, r := range run {
			if lower && unicode.IsUpper(r) {
				f(stem(strings.ToLower(run[start:i])))
				start = i
			}
			lower = unicode.IsLower(r)
		}
		if start > 0 {
			f(stem(strings.ToLower(run[start:])))
		}
	}
}

func stem(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
		return w[:len(w)-1]
	}
	return w
}

// near tells whether one insertion, deletion, replacement or swap of
// neighbours makes b of a. The first letter is taken to be right.
func near(a, b string) bool {
	if a == "" || b == "" || a[0] != b[0] || len(a)-len(b) > 1 || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	ra, rb := a[i:], b[i:]
	switch {
	case len(ra) == len(rb):
		return len(ra) < 2 || ra[1:] == rb[1:] || ra[0] == rb[1] && ra[1] == rb[0] && ra[2:] == rb[2:]
	case len(ra) > len(rb):
		return ra[1:] == rb
	}
	return ra == rb[1:]
}
