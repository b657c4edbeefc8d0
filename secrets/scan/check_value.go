package scan

import (
	"bytes"
	"crypto/sha256"
)

func doubleSHA(b []byte) [4]byte {
	h := sha256.Sum256(b)
	h = sha256.Sum256(h[:])
	return [4]byte(h[:4])
}

// classes counts the kinds of characters of a value.
type classes struct {
	upper, lower, digit, mark, space int
	beyondHex                        bool // has a letter after F
}

func classesOf(s []byte) (c classes) {
	for _, b := range s {
		switch {
		case b >= '0' && b <= '9':
			c.digit++
		case b >= 'a' && b <= 'z':
			c.lower++
			c.beyondHex = c.beyondHex || b > 'f'
		case b >= 'A' && b <= 'Z':
			c.upper++
			c.beyondHex = c.beyondHex || b > 'F'
		case b == ' ' || b == '\t' || b == '\n' || b == '\r':
			c.space++
		default:
			c.mark++
		}
	}
	return c
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
func isAlnum(b byte) bool  { return isLetter(b) || isDigit(b) }

func digits(s []byte) bool {
	for _, b := range s {
		if !isDigit(b) {
			return false
		}
	}
	return len(s) > 0
}

// distinct counts the different bytes of s.
func distinct(s []byte) int {
	var seen [4]uint64
	n := 0
	for _, b := range s {
		if seen[b>>6]&(1<<(b&63)) == 0 {
			seen[b>>6] |= 1 << (b & 63)
			n++
		}
	}
	return n
}

// mixed accepts values of letters of both cases, with digits or without words.
func mixed(s []byte) bool {
	c := classesOf(s)
	return c.upper > 0 && c.lower > 0 && c.beyondHex && (c.digit > 0 || len(s) >= 20) && !ordered(s) && !wordy(s)
}

// mixedLower accepts values of letters and digits that are no words.
func mixedLower(s []byte) bool {
	c := classesOf(s)
	return c.upper+c.lower > 0 && c.digit > 0 && !ordered(s) && !wordy(s)
}

// mixedUpper accepts capital letters and digits.
func mixedUpper(s []byte) bool {
	c := classesOf(s)
	return c.upper > 0 && c.digit > 0 && c.beyondHex && !ordered(s)
}

// token accepts what may be a machine's secret: one run of characters that is
// neither words, nor a number, nor an id, a path or an address.
func token(s []byte) bool {
	if len(s) < 8 || len(s) > 8192 {
		return false
	}
	c := classesOf(s)
	letters := c.upper + c.lower
	switch {
	case c.space > 0 || letters == 0,
		bytes.ContainsAny(s, "()<>[]{}\\\"'`"), // a piece of a program
		benignValue(s), weakPassword(s), notSecretForm(s), ordered(s),
		isUUID(s), isAddress(s):
		return false
	case c.digit == 0 && (len(s) < 16 || c.upper == 0 && len(s) < 24 || c.lower == 0):
		return false
	case len(s) < 16 && (c.digit == 0 || distinct(s) < 6):
		return false
	case len(s) >= 16 && distinct(s) < 8:
		return false
	}
	return !wordy(s)
}

// password accepts what may be a person's password: six characters of two
// kinds, or letters that are no word.
func password(s []byte) bool {
	if len(s) < 6 || len(s) > 256 {
		return false
	}
	return passwordLike(s)
}

// connPassword accepts shorter passwords too, where the place leaves no doubt
// that it is one.
func connPassword(s []byte) bool {
	s = trimQuotes(s)
	return len(s) >= 4 && len(s) <= 256 && passwordLike(s)
}

func passwordLike(s []byte) bool {
	if benignValue(s) || weakPassword(s) || notSecretForm(s) {
		return false
	}
	c := classesOf(s)
	if c.space > 0 || c.upper+c.lower+c.digit == 0 {
		return false
	}
	letters := c.upper + c.lower
	marks := 0 // marks that do not join words
	for _, b := range s {
		if !isAlnum(b) && b != '-' && b != '_' && b != '.' && b != ':' && b != '/' && b != ',' {
			marks++
		}
	}
	switch {
	case letters == 0:
		return marks > 0 && c.digit > 0 && distinct(s) >= 5
	case c.digit > 0 && marks > 0:
		return true
	case c.digit > 0 && c.mark == 0:
		return distinct(s) >= 4 && !numberedName(s, c)
	case marks > 0 && c.digit == 0:
		return len(s) >= 8 && !wordy(s) || len(s) >= 8 && c.upper > 0 && c.lower > 0 && isLetter(s[0]) && !bytes.ContainsAny(s, "()[]{}<>=")
	case c.mark > 0: // words joined by - _ . and the like
		if passphrase(s) {
			return true
		}
		return !wordy(s) && (c.digit > 0 || c.upper > 0 && c.lower > 0 && len(s) >= 12) || c.digit >= 2 && c.upper > 0 && c.lower > 0
	}
	return !wordy(s) && len(s) >= 8
}

// numberedName says whether s is a name of several words with a number at its
// end, such as programs and tests have.
func numberedName(s []byte, c classes) bool {
	tail := 0
	for tail < len(s) && isDigit(s[len(s)-1-tail]) {
		tail++
	}
	return c.upper >= 2 && c.lower > 0 && tail == c.digit && tail <= 2 && wordy(s)
}

// passphrase accepts four or more words joined by hyphens, with or without a
// number at the end.
func passphrase(s []byte) bool {
	if i := bytes.LastIndexByte(s, '-'); i > 0 && len(s)-i <= 5 && digits(s[i+1:]) {
		s = s[:i]
	}
	n := 1
	word := 0
	for _, b := range s {
		switch {
		case b == '-':
			if word < 3 || word > 10 {
				return false
			}
			n, word = n+1, 0
		case b >= 'a' && b <= 'z':
			word++
		default:
			return false
		}
	}
	return n >= 4 && n <= 8 && word >= 3
}

// cliSecret accepts the value of an option such as --password or --token.
func cliSecret(s []byte) bool {
	s = trimQuotes(s)
	if len(s) > 0 && (s[0] == '-' || s[0] == '$' || s[0] == '|' || s[0] == '(' || s[0] == '/') {
		return false
	}
	return connPassword(s) && (len(s) < 16 || token(s) || password(s))
}

// bearer accepts the value of a bearer token.
func bearer(s []byte) bool { return jsonWebToken(s) || token(s) }

// headerValue accepts the value of a header that carries a key.
func headerValue(s []byte) bool {
	switch string(lower(make([]byte, 0, 16), s[:min(len(s), 16)])) {
	case "bearer", "basic", "token", "apikey", "digest", "negotiate":
		return false
	}
	return token(s)
}

// authorization accepts the whole value of an Authorization header.
func authorization(s []byte) bool {
	scheme, rest, ok := bytes.Cut(s, []byte(" "))
	if !ok {
		return token(s)
	}
	rest = bytes.TrimSpace(rest)
	if bytes.EqualFold(scheme, []byte("basic")) {
		return basicAuth(rest)
	}
	rest = bytes.TrimPrefix(rest, []byte("token="))
	return len(scheme) <= 24 && (jsonWebToken(rest) || token(rest))
}

// basicAuth accepts base64 of a user's name, a colon and a password.
func basicAuth(s []byte) bool {
	b, ok := decode64(nil, s)
	if !ok || !printable(b) {
		return false
	}
	user, pass, ok := bytes.Cut(b, []byte(":"))
	if !ok {
		return false
	}
	return userPassword(user, pass)
}

// userPassword tells a pair of name and password from an example of one.
func userPassword(user, pass []byte) bool {
	if len(pass) == 0 || string(pass) == "x-oauth-basic" || string(pass) == "x" || string(pass) == "X" || string(pass) == "api_token" {
		return token(user)
	}
	return !bytes.EqualFold(user, pass) && connPassword(pass)
}

// base64Secret accepts base64 of text or bytes that are no placeholder: the
// form of values in a Kubernetes Secret.
func base64Secret(s []byte) bool {
	b, ok := decode64(nil, s)
	if !ok || len(b) < 4 {
		return false
	}
	return !printable(b) || connPassword(bytes.TrimSpace(b)) || bytes.Contains(b, []byte("PRIVATE KEY"))
}

func printable(s []byte) bool {
	for _, b := range s {
		if b < 0x20 && b != '\n' && b != '\t' && b != '\r' || b == 0x7f {
			return false
		}
	}
	return len(s) > 0
}

// sasSignature accepts the signature of a shared access signature: base64 of
// 32 bytes, in a URL or not.
func sasSignature(s []byte) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			i += 2
		}
		n++
	}
	return n >= 43 && n <= 60 && distinct(s) >= 16
}

// urlUserinfo accepts user:password@host unless it is an example.
func urlUserinfo(s []byte) bool {
	at := bytes.LastIndexByte(s, '@')
	if at < 0 {
		return false
	}
	host := s[at+1:]
	user, pass, ok := bytes.Cut(s[:at], []byte(":"))
	if !ok || bytes.HasPrefix(host, []byte("sha256")) {
		return false
	}
	if benignValue(user) && bytes.ContainsAny(user, "<${[*") {
		return false
	}
	if digits(pass) && len(pass) <= 5 {
		return false
	}
	if len(host) > 0 && (host[0] == '<' || host[0] == '$' || host[0] == '{') {
		// A template for the host: a real password is still one.
		return userPassword(user, pass) && classesOf(pass).digit > 0
	}
	if len(pass) >= 6 && classesOf(pass).digit > 0 && bytes.ContainsAny(pass, "%") {
		return !benignValue(pass)
	}
	return userPassword(user, pass)
}

// urlToken accepts a token that stands where a URL has its user.
func urlToken(s []byte) bool {
	_, rest, _ := bytes.Cut(s, []byte("://"))
	user, host, ok := bytes.Cut(rest, []byte("@"))
	if len(user) == 32 && bytes.Contains(host, []byte("sentry")) {
		return false // a DSN, which is public
	}
	return ok && token(user)
}

func trimQuotes(s []byte) []byte { return bytes.Trim(s, `"'{}`+"`") }

// lower appends the lower case of ASCII.
func lower(dst, s []byte) []byte {
	for _, b := range s {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		dst = append(dst, b)
	}
	return dst
}

// passwordProse accepts a password that a sentence names: two kinds of
// characters at least, for any word may follow the word password.
func passwordProse(s []byte) bool {
	c := classesOf(s)
	return password(s) && !bytes.ContainsAny(s, "()[]{}=") && (c.digit > 0 || c.mark > 0 && c.upper+c.lower > 0 && !wordy(s))
}

// tokenProse accepts a token that a sentence names. Digests are too likely
// there, unless words before say otherwise, to be told from secrets by length.
func tokenProse(s []byte) bool {
	c := classesOf(s)
	if len(s) == 40 && c.lower == 0 && !c.beyondHex {
		return false // the fingerprint of an OpenPGP key
	}
	return token(s) && c.digit > 0 && c.upper+c.lower > 0
}

// mnemonic accepts twelve to twenty-four different short words in lower case.
func mnemonic(s []byte) bool {
	words := bytes.FieldsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
	if len(words) < 12 || len(words) > 24 {
		return false
	}
	seen := map[string]struct{}{}
	for _, w := range words {
		switch string(w) {
		case "the", "and", "for", "you", "with", "that", "this", "your", "are", "from", "phrase", "must", "will", "have":
			return false // a sentence: none of these is in the BIP 39 list
		}
		seen[string(w)] = struct{}{}
	}
	return len(seen) >= len(words)*3/4
}
