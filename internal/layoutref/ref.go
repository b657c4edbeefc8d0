// Package layoutref reads how images in OCI layout folders are named:
// oci:PATH[:TAG][@DIGEST].
package layoutref

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
)

// Scheme is what such a name begins with.
const Scheme = "oci:"

// Ref is such a name.
type Ref struct {
	Path string // absolute

	// Tag is the annotation org.opencontainers.image.ref.name of an entry of
	// index.json; empty: any. Digest is "sha256:" and 64 hexadecimal digits;
	// empty: whatever is there now. Where both are given, the tag has to be of
	// that digest.
	Tag, Digest string
}

func (r Ref) String() string {
	s := Scheme + r.Path
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

var pinned = regexp.MustCompile(`^(.*)@(sha256:[0-9a-f]{64})$`)

// Parse reads a name. It is an error if it begins with another scheme.
func Parse(text string) (Ref, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return Ref{}, errors.New("it is no " + Scheme + "PATH")
	}
	var r Ref
	if m := pinned.FindStringSubmatch(rest); m != nil {
		rest, r.Digest = m[1], m[2]
	}
	r.Path = rest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		if r.Path, r.Tag = rest[:i], rest[i+1:]; r.Tag == "" {
			return Ref{}, errors.New("the tag is empty")
		}
		// A digest with a fault would be the name of a folder and a tag.
		if strings.Contains(filepath.Base(r.Path), "@") && len(r.Tag) >= 32 {
			return Ref{}, errors.New("the digest is not sha256: and 64 digits of 0-9a-f")
		}
	}
	switch {
	case r.Path == "" || strings.ContainsRune(text, 0):
		return Ref{}, errors.New("no path is given")
	case !filepath.IsAbs(r.Path):
		return Ref{}, errors.New("the path is not absolute")
	}
	return r, nil
}
