package egress

import (
	"bufio"
	"bytes"
	"errors"
	"net/textproto"
	"net/url"
	"strings"
)

// maxMethod bounds the first word of what may be an HTTP request.
const maxMethod = 256

var errRequest = errors.New("its HTTP request is malformed")

// Headers of the PROXY protocol (haproxy's proxy-protocol.txt, section 2),
// behind which some servers expect what the client says.
const (
	proxyOne = "PROXY "
	proxyTwo = "\r\n\r\n\x00\r\nQUIT\n"
)

// tellHTTP is tell for what is not TLS.
func tellHTTP(b []byte) (opening, bool) {
	broken := func(err error) (opening, bool) { return opening{speech: httpRequest, fault: err.Error()}, true }
	switch {
	case bytes.HasPrefix(b, []byte(proxyTwo)):
		return broken(errProxyHeader)
	case strings.HasPrefix(proxyTwo, string(b)):
		return opening{}, false
	}
	b = bytes.TrimLeft(b, "\r\n") // servers do so too (RFC 9112, section 2.2)
	method := bytes.IndexFunc(b, func(r rune) bool { return !inToken(r) })
	switch {
	case method > maxMethod || method < 0 && len(b) > maxMethod:
		return broken(errors.New("its first word is too long"))
	case method < 0:
		return opening{}, false
	case method == 0 || b[method] != ' ' && b[method] != '\t':
		return opening{}, true
	case bytes.HasPrefix(b, []byte(proxyOne)):
		return broken(errProxyHeader)
	}
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 {
		var o opening
		if begun, _ := version(b); begun {
			o.speech = httpRequest
		}
		return o, false
	}
	words := strings.Fields(string(b[:eol]))
	_, numbered := version(b[:eol])
	switch last := words[len(words)-1]; {
	case !numbered:
		if words[0] == "GET" && len(words) == 2 && (words[1][0] == '/' || strings.HasPrefix(words[1], "http://")) {
			return opening{speech: httpRequest}, true // HTTP/0.9, which has no Host
		}
		return opening{}, true
	case strings.HasPrefix(last, "HTTP/2"):
		return broken(errors.New("it is HTTP/2 without TLS, which cannot be checked; use HTTP/1.1"))
	case last != "HTTP/1.1" && last != "HTTP/1.0":
		return broken(errRequest)
	}
	o := opening{speech: httpRequest}
	if !bytes.Contains(b, []byte("\n\r\n")) && !bytes.Contains(b, []byte("\n\n")) {
		return o, false
	}
	if err := o.hosts(b); err != nil {
		o.fault = err.Error()
	}
	return o, true
}

var errProxyHeader = errors.New("it begins with a header of the PROXY protocol")

// inToken reports whether a letter may stand in a token (RFC 9110, section
// 5.6.2), such as a method.
func inToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// version reports whether the version of HTTP may begin in the first line of
// a request, and whether it does so with a number. Case and the kind of spaces
// are of no account, since servers differ.
func version(line []byte) (begun, numbered bool) {
	const name = "HTTP"
	for i := len(name) + 1; i < len(line); i++ {
		if line[i] != '/' || !bytes.EqualFold(line[i-len(name):i], []byte(name)) ||
			bytes.IndexByte([]byte(" \t\v\f\r"), line[i-len(name)-1]) < 0 {
			continue
		}
		begun = true
		numbered = numbered || i+1 < len(line) && line[i+1] >= '0' && line[i+1] <= '9'
	}
	return begun, numbered
}

// hosts finds every host that a request names: servers differ in which they
// heed.
func (o *opening) hosts(b []byte) error {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	line, err := r.ReadLine()
	if err != nil {
		return err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return errRequest
	}
	h, err := r.ReadMIMEHeader()
	if err != nil || ambiguous(b, h) {
		return errors.New("the header of its HTTP request is malformed")
	}
	o.names = h["Host"]
	if len(o.names) > 1 {
		return errors.New("its HTTP request has more than one Host")
	}
	switch uri := parts[1]; {
	case parts[0] == "CONNECT":
		o.names = append(o.names, uri)
	case !strings.HasPrefix(uri, "/") && uri != "*":
		u, err := url.Parse(uri)
		if err != nil || u.Host == "" {
			return errRequest
		}
		o.names = append(o.names, u.Host)
	}
	return nil
}

// ambiguous finds what servers read in different ways: spaces around a name,
// lines that go on in the next, and a CR of its own as the end of a line.
func ambiguous(b []byte, h textproto.MIMEHeader) bool {
	for name := range h {
		if strings.ContainsAny(name, " \t") {
			return true
		}
	}
	end := len(b)
	for _, sep := range []string{"\n\r\n", "\n\n"} {
		if i := bytes.Index(b, []byte(sep)); i >= 0 {
			end = min(end, i+1)
		}
	}
	for i, c := range b[:end] {
		switch c {
		case 0:
			return true
		case '\r':
			if b[i+1] != '\n' {
				return true
			}
		case '\n':
			if b[i+1] == ' ' || b[i+1] == '\t' {
				return true
			}
		}
	}
	return false
}
