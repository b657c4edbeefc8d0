package inject

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// maxForm bounds the body of a form that is looked into.
const maxForm = 1 << 20

// request puts values into a request.
func (s *Set) request(r *http.Request) error {
	host, port := target(r)
	secure := r.URL.Scheme == "https"
	values := map[*bound]string{}
	watched := false
	for _, b := range s.bound {
		if !b.at(host) {
			continue
		}
		watched = true
		v, found, err := s.resolve(r.Context(), b)
		if err == nil && !found {
			err = fmt.Errorf("secret %s is missing now", b.use.Name)
		}
		if err != nil {
			s.told(b, r, false, err.Error())
			return fmt.Errorf("secret %s cannot be used now; the operator of the gateway was told why", b.use.Name)
		}
		values[b] = v
	}
	if watched {
		if err := searchable(r); err != nil {
			return err
		}
	}
	for _, b := range s.bound {
		injected, left, why := false, false, "it is not bound to this host"
		value, ours := values[b]
		switch {
		case !ours:
		case !secure:
			why = "the request is not sent over TLS"
		default:
			for _, p := range b.places {
				if !p.rule.Name(host, port) {
					continue
				}
				if reason := p.allows(r); reason != "" {
					why = reason
					continue
				}
				why = "it stands where the binding does not have it"
				done, rest, err := s.put(p, r, b.placeholder, value)
				if err != nil {
					return fmt.Errorf("secret %s: %w", b.use.Name, err)
				}
				injected, left = injected || done, left || rest
			}
		}
		if injected {
			s.told(b, r, true, "")
		}
		if left || holds(r, b.placeholder) {
			s.told(b, r, false, why)
		}
	}
	return nil
}

func (s *Set) told(b *bound, r *http.Request, injected bool, reason string) {
	s.tell.tell(runtime.Injection{
		Server: s.server, Secret: b.use.Name, Target: r.URL.Host, Injected: injected, Reason: reason,
	})
}

// searchable has the answer to a request be one in which values can be found.
func searchable(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" {
		return errors.New("a secret is bound to this host, so that connections which turn into another protocol, such as WebSocket, are refused: they could not be searched for it")
	}
	for _, name := range []string{"Range", "If-Range", "A-Im", "Grpc-Accept-Encoding", "Connect-Accept-Encoding", "Available-Dictionary", "Dictionary-Id"} {
		r.Header.Del(name)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	return nil
}

// allows says why a place is not for a request; empty when it is.
func (p place) allows(r *http.Request) string {
	if len(p.methods) > 0 {
		if !slices.Contains(p.methods, r.Method) {
			return fmt.Sprintf("its binding does not allow the method %.16s", r.Method)
		}
		if has(r, "X-Http-Method-Override", "X-Http-Method", "X-Method-Override") || r.URL.Query().Has("_method") {
			return "its binding allows some methods alone, and a header or a parameter of the request names another"
		}
	}
	if len(p.paths) == 0 {
		return ""
	}
	at := r.URL.EscapedPath()
	if has(r, "X-Original-Url", "X-Rewrite-Url") || unclear(at) {
		return "its binding allows some paths alone, and the path may be read in different ways"
	}
	if !slices.ContainsFunc(p.paths, func(t string) bool {
		head, open := strings.CutSuffix(t, "*")
		return at == t || open && strings.HasPrefix(at, head)
	}) {
		return "its binding does not allow this path"
	}
	return ""
}

// has tells whether a request has one of some headers, also for servers that
// take an underscore for a hyphen.
func has(r *http.Request, headers ...string) bool {
	for name := range r.Header {
		if slices.Contains(headers, textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			return true
		}
	}
	return false
}

// unclear tells whether servers may read a path in different ways.
func unclear(p string) bool {
	low := strings.ToLower(p)
	for _, s := range []string{"//", "\\", "%2e", "%2f", "%5c", "%25"} {
		if strings.Contains(low, s) {
			return true
		}
	}
	text, err := url.PathUnescape(p)
	if err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r == 0x7f || strings.ContainsRune(likePunctuation, r)
	}) {
		return true
	}
	for part := range strings.SplitSeq(text, "/") {
		// Some take off what follows a semicolon, or blanks and dots at the end.
		if name, _, _ := strings.Cut(part, ";"); name != "" && strings.Trim(name, ". ") == "" {
			return true
		}
	}
	return false
}

// likePunctuation are characters that become dots and slashes where Unicode is
// normalized (NFKC).
const likePunctuation = "\u2024\u2025\u2026\ufe52\uff0e\uff0f\ufe68\uff3c"

// mostPuts bounds how often a value is put into one request, so that one that is
// long does not fill the memory.
const mostPuts = 16

// put puts a value into the place of a binding, and reports whether the
// placeholder stood there. left: it stands in another field of a form.
func (s *Set) put(p place, r *http.Request, placeholder, value string) (done, left bool, err error) {
	switch {
	case p.basic:
		return putBasic(r, placeholder, value), false, nil
	case p.query != "":
		r.URL.RawQuery, done = putField(r.URL.RawQuery, p.query, placeholder, value)
		return done, false, nil
	case p.form != "":
		return s.putForm(r, p.form, placeholder, value)
	}
	all := r.Header[p.header]
	if strings.Count(strings.Join(all, "\n"), placeholder) > mostPuts {
		return false, false, nil
	}
	for i, v := range all {
		if strings.Contains(v, placeholder) {
			all[i] = strings.ReplaceAll(v, placeholder, value)
			done = true
		}
	}
	return done, false, nil
}

// basic reads credentials of the scheme Basic (RFC 7617).
func basic(v string) (credentials string, ok bool) {
	scheme, rest, _ := strings.Cut(v, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	return string(b), err == nil
}

func putBasic(r *http.Request, placeholder, value string) (done bool) {
	for i, v := range r.Header["Authorization"] {
		if c, ok := basic(v); ok && i < mostPuts && strings.Contains(c, placeholder) {
			c = strings.Replace(c, placeholder, value, 1)
			r.Header["Authorization"][i] = "Basic " + base64.StdEncoding.EncodeToString([]byte(c))
			done = true
		}
	}
	return done
}

// putField puts a value into a field of a query or a form. What it does not
// touch stays as it was written.
func putField(query, name, placeholder, value string) (string, bool) {
	if n := strings.Count(query, placeholder); n == 0 || n > mostPuts {
		return query, false
	}
	parts, done := strings.Split(query, "&"), false
	for i, part := range parts {
		key, field, _ := strings.Cut(part, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != name || !strings.Contains(field, placeholder) {
			continue
		}
		parts[i] = key + "=" + strings.ReplaceAll(field, placeholder, url.QueryEscape(value))
		done = true
	}
	return strings.Join(parts, "&"), done
}

func (s *Set) putForm(r *http.Request, name, placeholder, value string) (done, left bool, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || len(r.Header["Content-Type"]) > 1 || kind != "application/x-www-form-urlencoded" || r.Body == nil || r.Header.Get("Content-Encoding") != "" || r.ContentLength > maxForm {
		return false, false, nil
	}
	select {
	case s.forms <- struct{}{}:
		defer func() { <-s.forms }()
	case <-r.Context().Done():
		return false, false, r.Context().Err()
	}
	body := r.Body
	read, err := io.ReadAll(io.LimitReader(body, maxForm+1))
	if err != nil {
		return false, false, errors.New("the body of the request is cut off")
	}
	if len(read) > maxForm {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(read), body), body}
		return false, false, nil
	}
	_ = body.Close()
	text, done := putField(string(read), name, placeholder, value)
	r.Body, r.GetBody, r.Trailer = io.NopCloser(strings.NewReader(text)), nil, nil
	r.ContentLength, r.TransferEncoding = int64(len(text)), nil
	if len(text) == 0 {
		r.Body = http.NoBody
	}
	return done, strings.Contains(text, placeholder), nil
}

// holds reports whether a placeholder stands in a request, the body aside.
func holds(r *http.Request, placeholder string) bool {
	if strings.Contains(r.URL.RawQuery, placeholder) || strings.Contains(r.URL.Path, placeholder) {
		return true
	}
	for _, all := range r.Header {
		for _, v := range all {
			if strings.Contains(v, placeholder) {
				return true
			}
			if c, ok := basic(v); ok && strings.Contains(c, placeholder) {
				return true
			}
		}
	}
	return false
}

// canonical is a header's name, or a method, in its normal form; empty when it
// is none.
func canonical(name string) string {
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return ""
		}
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// fitsHeader tells whether a header may have a value (RFC 9110, section 5.5).
func fitsHeader(v string) bool {
	for _, c := range []byte(v) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
