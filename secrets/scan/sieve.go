package scan

import "bytes"

// sieve looks closer at a keyword of a rule whose keywords are common, before
// its expression is tried: it returns the part of the text that is worth it,
// and end 0 when none is. The keyword is text[at:after], the expression can
// reach from to to.
type sieve func(text []byte, at, after int, reach span) span

// sieves are those of built-in rules, by id.
var sieves = map[string]sieve{
	"url-password":          userinfoAhead,
	"url-token":             userinfoAhead,
	"token-in-prose":        tokenAhead,
	"token-before-words":    tokenBehind,
	"password-in-prose":     passwordAhead,
	"login-in-prose":        passwordAhead,
	"dotnet-password":       valueAhead,
	"dotnet-password-first": valueAhead,
}

// userinfoAhead wants an @ in the address behind ://.
func userinfoAhead(text []byte, _, after int, reach span) span {
	for i := after; i < reach.end; i++ {
		switch b := text[i]; b {
		case '@':
			return span{reach.start, reach.end}
		case '/', '"', '\'', '<', '>', '\\', ' ', '\n', '\t', '\r', ',', '|':
			if b != ',' && b != '|' {
				return span{}
			}
		}
	}
	return span{}
}

const (
	proseReach = 320 // from the words to the secret [bytes]
	proseWords = 64  // before the keyword [bytes]
)

// tokenAhead wants a token behind the words.
func tokenAhead(text []byte, at, after int, reach span) span {
	to := min(reach.end, after+proseReach)
	if at > 0 && (text[at-1] == '-' || text[at-1] == '_') {
		return span{} // a part of a name
	}
	if at >= 7 && bytes.EqualFold(text[at-7:at-1], []byte("public")) {
		return span{}
	}
	if r := tokenRun(text[:to], max(at-1, 0), reach.end); r.end > 0 {
		return span{max(reach.start, at-proseWords), min(reach.end, r.end+8)}
	}
	return span{}
}

// tokenBehind wants a token before the words.
func tokenBehind(text []byte, at, after int, reach span) span {
	from := max(reach.start, at-proseReach)
	if r := tokenRun(text[:at], from, at); r.end > 0 {
		return span{max(reach.start, r.start-8), min(reach.end, after+128)}
	}
	return span{}
}

var (
	inToken  = setOfBytes("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/._~:-=")
	endToken = setOfBytes("._~:-")
	endValue = setOfBytes(";\"' \t\r\n")
)

// tokenRun finds the first run from from on, which may end beyond text but not
// beyond limit, that a sentence may name as a token.
func tokenRun(text []byte, from, limit int) span {
	const least = 15
	all := text[:limit:limit]
	for i := from + least - 1; i < len(text); {
		if !inToken.has(text[i]) {
			i += least
			continue
		}
		start, end := i, i+1
		for start > from && inToken.has(text[start-1]) {
			start--
		}
		for end < limit && inToken.has(all[end]) {
			end++
		}
		s := span{start, end}
		for s.start < s.end && !isAlnum(text[:limit][s.start]) && text[:limit][s.start] != '+' && text[:limit][s.start] != '/' {
			s.start++
		}
		for s.start < s.end && endToken.has(all[s.end-1]) {
			s.end--
		}
		if s.end-s.start >= least {
			v := all[s.start:s.end]
			if tokenProse(v) {
				return s
			}
			// token:VALUE in one run
			if k := bytes.IndexAny(v, ":="); k >= 0 && len(v)-k > least && tokenProse(v[k+1:]) {
				return s
			}
		}
		i = end + least
	}
	return span{}
}

// passwordAhead wants what a sentence may name as a password behind the words.
func passwordAhead(text []byte, at, after int, reach span) span {
	to := min(reach.end, after+proseReach)
	for i := after; i < to; {
		for i < to && betweenWords(text[i]) {
			i++
		}
		start := i
		for i < reach.end && !betweenWords(text[i]) {
			i++
		}
		word := bytes.Trim(text[start:i], `*([]).,;:!?/`)
		if len(word) >= 5 && (passwordProse(word) || len(word) > 8 && passwordProse(bytes.TrimLeft(text[start:i], "*([<"))) {
			return span{max(reach.start, at-proseWords), min(reach.end, i+8)}
		}
		if k := bytes.IndexAny(word, ":/="); k >= 0 && len(word)-k > 5 && passwordProse(word[k+1:]) {
			return span{max(reach.start, at-proseWords), min(reach.end, i+8)}
		}
	}
	return span{}
}

func betweenWords(b byte) bool {
	return b <= ' ' || b == '"' || b == '\'' || b == '`' || b == '<' || b == '>'
}

// valueAhead wants a password right behind the keyword, which ends with =.
func valueAhead(text []byte, _, after int, reach span) span {
	i := blank(text, after, false)
	if i < len(text) && text[i] == '=' {
		i = blank(text, i+1, false)
	}
	if i < len(text) && (text[i] == '{' || text[i] == '\'') {
		return reach
	}
	end := i
	for end < reach.end && !endValue.has(text[end]) {
		end++
	}
	if connPassword(text[i:end]) {
		return reach
	}
	return span{}
}

// leafAround narrows a reach to the string of JSON that holds at, with its
// quotes: words of one leaf say nothing of another.
func leafAround(text []byte, at int, reach span) span {
	if i := bytes.LastIndexByte(text[reach.start:at], '"'); i >= 0 {
		reach.start += i
	}
	if i := bytes.IndexByte(text[at:reach.end], '"'); i >= 0 {
		reach.end = at + i + 1
	}
	return reach
}

// narrows are the built-in rules whose check sees more than the secret.
var narrows = map[string]func([]byte, span) span{
	"url-password": func(text []byte, s span) span {
		at := bytes.LastIndexByte(text[s.start:s.end], '@')
		if colon := bytes.IndexByte(text[s.start:s.start+at], ':'); colon+1 < at {
			return span{s.start + colon + 1, s.start + at}
		}
		return span{s.start, s.start + at} // the user's name is the secret
	},
	"url-token": func(text []byte, s span) span {
		from := bytes.Index(text[s.start:s.end], []byte("://")) + 3
		return span{s.start + from, s.start + bytes.IndexByte(text[s.start:s.end], '@')}
	},
}
