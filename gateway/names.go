package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Bounds of exposed names, in bytes.
const (
	maxName   = 64 // what common clients accept as a tool's name
	maxPrefix = 32
	hashLen   = 6 // hex digits: 24 bits, enough to tell a gateway's names apart
	separator = "__"
)

// Prefix returns the prefix of the names of a server's tools and prompts: the
// server's name folded to [A-Za-z0-9_-] without a double underscore and
// without one at its ends, at most 32 long. A name that had to be changed gets
// a short hash of the original, so that two names that fold alike stay apart
// whatever other servers there are.
func Prefix(server string) string {
	folded := strings.Trim(collapse(fold(server)), "_")
	if folded == server && len(folded) <= maxPrefix {
		return folded
	}
	keep := strings.TrimRight(folded[:min(len(folded), maxPrefix-1-hashLen)], "_")
	if keep == "" {
		keep = "s"
	}
	return keep + "_" + shortHash(server)
}

// exposedName returns the name of a server's tool or prompt for clients.
func exposedName(prefix, name string) string {
	if prefix == "" {
		return name
	}
	folded := fold(name)
	if folded == name && len(prefix)+len(separator)+len(name) <= maxName {
		return prefix + separator + name
	}
	room := maxName - len(prefix) - len(separator) - 1 - hashLen
	return prefix + separator + folded[:min(len(folded), room)] + "_" + shortHash(name)
}

// splitName parts an exposed name into prefix and rest.
func splitName(exposed string) (prefix, rest string, ok bool) {
	return strings.Cut(exposed, separator)
}

// uriScheme is the scheme of a resource URI that names its server.
const uriScheme = "gatehouse://"

// wrapURI returns the form of a URI that says which server it belongs to.
func wrapURI(prefix, uri string) string { return uriScheme + prefix + "/" + uri }

// unwrapURI undoes wrapURI.
func unwrapURI(exposed string) (prefix, uri string, ok bool) {
	rest, ok := strings.CutPrefix(exposed, uriScheme)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) {
			b := []byte(s)
			for j := range b {
				if !nameByte(b[j]) {
					b[j] = '_'
				}
			}
			return string(b)
		}
	}
	return s
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func collapse(s string) string {
	for strings.Contains(s, separator) {
		s = strings.ReplaceAll(s, separator, "_")
	}
	return s
}

func shortHash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])[:hashLen]
}
