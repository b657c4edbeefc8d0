package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
)

// checks are the structural checks that a rule may name: each says whether a
// value that its expression matched can be a secret of that kind. They see
// the value alone.
var checks = map[string]func(secret []byte) bool{
	// Checksums and encodings that a vendor documents.
	"github":        githubToken,
	"npm":           githubToken,
	"grafana":       grafanaToken,
	"atlassian":     atlassianToken,
	"atlassian-pat": atlassianPAT,
	"jfrog":         jfrogToken,
	"jwt":           jsonWebToken,
	"base64-json":   base64JSON,
	"discord":       discordToken,
	"pem":           pemKey,
	"asn1-key":      asn1Key,
	"base58check":   base58Check,
	"mnemonic":      mnemonic,
	"aws-id":        awsID,
	"slack-hook":    slackHook,

	// The look of a value.
	"mixed":       mixed,
	"mixed-lower": mixedLower,
	"mixed-upper": mixedUpper,
	"not-words":   func(s []byte) bool { return distinct(s) >= 8 && !wordy(s) },
	"token":       token,
	"password":    password,

	// Values with parts.
	"basic-auth":     basicAuth,
	"base64-secret":  base64Secret,
	"bearer":         bearer,
	"header-value":   headerValue,
	"conn-password":  connPassword,
	"cli-secret":     cliSecret,
	"sas-sig":        sasSignature,
	"password-prose": passwordProse,
	"token-prose":    tokenProse,
	"url-userinfo":   urlUserinfo,
	"url-token":      urlToken,
	"client-secret":  func(s []byte) bool { return isUUID(s) || token(s) },
	"authorization":  authorization,
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// crcBase62 says whether the last six characters of body are the CRC-32 of
// what comes before them, in base 62 with leading zeros. GitHub describes it
// in "Behind GitHub's new authentication token formats"; npm uses the same.
func crcBase62(body []byte) bool {
	if len(body) < 8 {
		return false
	}
	sum := uint64(crc32.ChecksumIEEE(body[:len(body)-6]))
	for i := len(body) - 1; i >= len(body)-6; i-- {
		if body[i] != base62[sum%62] {
			return false
		}
		sum /= 62
	}
	return sum == 0
}

// githubToken accepts a token whose checksum fits, and one whose checksum
// does not when it looks random all the same: tokens of other servers, and
// tokens cut or mistyped by one character, are still worth hiding. What
// documentation prints is neither.
func githubToken(s []byte) bool {
	i := bytes.IndexByte(s, '_')
	if i < 0 {
		return false
	}
	body := s[i+1:]
	return crcBase62(body) || random(body)
}

// random says whether s looks drawn from letters of both cases and digits.
func random(s []byte) bool {
	c := classesOf(s)
	return c.upper > 0 && c.lower > 0 && c.digit > 0 && c.beyondHex && distinct(s) >= len(s)*2/5 && !ordered(s) && !wordy(s)
}

// grafanaToken checks glsa_ tokens: eight hex digits at the end, the CRC-32
// of what comes before them, least byte first.
func grafanaToken(s []byte) bool {
	i := bytes.LastIndexByte(s, '_')
	if i < 0 || len(s)-i != 9 {
		return false
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], s[i+1:]); err != nil {
		return false
	}
	c := crc32.ChecksumIEEE(s[:i])
	return binary.LittleEndian.Uint32(sum[:]) == c || binary.BigEndian.Uint32(sum[:]) == c || random(s[5:i])
}

// atlassianToken checks tokens that start with AT: eight hex digits at the
// end are the CRC-32 of what comes before them.
func atlassianToken(s []byte) bool {
	var sum [4]byte
	if len(s) > 12 {
		if _, err := hex.Decode(sum[:], s[len(s)-8:]); err == nil && binary.BigEndian.Uint32(sum[:]) == crc32.ChecksumIEEE(s[:len(s)-8]) {
			return true
		}
	}
	return len(s) > 8 && random(s[4:])
}

// atlassianPAT checks tokens of the data centre products: base64 of a number,
// a colon and random bytes.
func atlassianPAT(s []byte) bool {
	s = bytes.TrimPrefix(s, []byte("BBDC-"))
	var buf [64]byte
	b, ok := decode64(buf[:0], s)
	i := bytes.IndexByte(b, ':')
	return ok && i > 2 && i < 20 && digits(b[:i])
}

// jfrogToken checks reference tokens: base64 of "reftkn:" and more.
func jfrogToken(s []byte) bool {
	var buf [96]byte
	b, ok := decode64(buf[:0], s)
	return ok && bytes.HasPrefix(b, []byte("reftkn"))
}

// jsonWebToken checks that the header of a JWT or JWE decodes to JSON that
// names an algorithm.
func jsonWebToken(s []byte) bool {
	i := bytes.IndexByte(s, '.')
	if i < 0 {
		return false
	}
	head, ok := decode64(nil, s[:i])
	return ok && bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) && bytes.Contains(head, []byte(`"alg"`)) && json.Valid(head)
}

// base64JSON checks tokens that are a prefix and base64 of a JSON object.
func base64JSON(s []byte) bool {
	i := bytes.Index(s, []byte("ey"))
	if i < 0 {
		return false
	}
	b, ok := decode64(nil, s[i:])
	return ok && len(b) > 0 && b[0] == '{' && bytes.Contains(b, []byte(`":`))
}

// discordToken checks that the first part of a bot token is base64 of the
// decimal id of the bot.
func discordToken(s []byte) bool {
	i := bytes.IndexByte(s, '.')
	if i < 0 {
		return false
	}
	var buf [32]byte
	id, ok := decode64(buf[:0], s[:i])
	return ok && len(id) >= 15 && digits(id)
}

// pemKey checks that the lines between the marks of a private key look like
// base64. It also takes keys on one line with \n for line ends, and keys that
// end too early.
func pemKey(s []byte) bool {
	i := bytes.Index(s, []byte("KEY"))
	j := bytes.Index(s[i+3:], []byte("-----"))
	if i < 0 || j < 0 {
		return false
	}
	body := s[i+3+j+5:]
	if k := bytes.Index(body, []byte("-----END")); k >= 0 {
		body = body[:k]
	}
	best, run, seen := 0, 0, [256]bool{}
	kinds := 0
	for _, c := range body {
		if isAlnum(c) || c == '+' || c == '/' || c == '=' {
			run++
			best = max(best, run)
			if !seen[c] {
				seen[c] = true
				kinds++
			}
		} else {
			run = 0
		}
	}
	return best >= 32 && kinds >= 16
}

// asn1Key checks that base64 without its frame starts like a private key: a
// DER sequence whose first element is the version number.
func asn1Key(s []byte) bool {
	var buf [32]byte
	b, ok := decode64(buf[:0], s[:min(len(s), 40)/4*4])
	return ok && len(b) > 8 && b[0] == 0x30 && b[1] == 0x82 && b[4] == 0x02 && b[5] == 0x01
}

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58Check checks a Bitcoin private key in wallet import format.
func base58Check(s []byte) bool {
	var n [48]byte
	for _, c := range s {
		v := bytes.IndexByte([]byte(base58), c)
		if v < 0 {
			return false
		}
		for i := len(n) - 1; i >= 0; i-- {
			v += int(n[i]) * 58
			n[i] = byte(v)
			v >>= 8
		}
	}
	i := 0
	for i < len(n) && n[i] == 0 {
		i++
	}
	body := n[i:]
	if len(body) != 37 && len(body) != 38 {
		return false
	}
	return doubleSHA(body[:len(body)-4]) == [4]byte(body[len(body)-4:])
}

// awsID accepts key ids but not those of AWS's own documentation.
func awsID(s []byte) bool {
	return !bytes.HasSuffix(s, []byte("EXAMPLE")) && distinct(s[4:]) >= 6 && !ordered(s[4:])
}

// slackHook refuses the addresses that Slack's documentation prints.
func slackHook(s []byte) bool {
	last := s[bytes.LastIndexByte(s, '/')+1:]
	return distinct(last) >= 6
}

// decode64 appends what s is the base64 of, in either alphabet, padded or
// not. A rest of one character is dropped.
func decode64(dst, s []byte) ([]byte, bool) {
	s = bytes.TrimRight(s, "=")
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.AppendDecode(dst, s)
	return b, err == nil
}
