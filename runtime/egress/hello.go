package egress

import (
	"encoding/binary"
	"errors"
)

// Bounds of a TLS hello.
const (
	recordHeader = 5
	maxRecord    = 1 << 14
	maxHello     = 1 << 16
)

// Types of TLS records (RFC 8446, appendix B.1).
const (
	recordCipherSpec = 20
	recordAlert      = 21
	recordHandshake  = 22
	recordData       = 23
)

var (
	errShort = errors.New("more is to come")
	errHello = errors.New("it begins like TLS, but is not a client hello")
)

// serverName returns the name in the client hello (RFC 8446, section 4.1.2,
// and RFC 6066, section 3) that b begins with; empty when there is none. It
// returns errShort while the hello is incomplete. Two names, or anything
// malformed, are an error: two readers could see two things.
func serverName(b []byte) (string, error) {
	name, _, err := hello(b)
	return name, err
}

// hello is serverName with the number of bytes that the records of the hello
// take.
func hello(b []byte) (name string, size int, err error) {
	msg, size, err := handshake(b)
	if err == nil {
		name, err = nameIn(msg)
	}
	return name, size, err
}

// nameIn returns the name in the body of a client hello.
func nameIn(msg []byte) (string, error) {
	p := parser{msg, true}
	p.skip(2 + 32)           // version, random
	p.skip(int(p.number(1))) // session
	p.skip(int(p.number(2))) // cipher suites
	p.skip(int(p.number(1))) // compression
	if !p.ok {
		return "", errHello
	}
	if len(p.b) == 0 {
		return "", nil // no extensions
	}
	exts := p.inner(2)
	if !p.ok || len(p.b) != 0 {
		return "", errHello
	}
	var (
		name string
		seen bool
	)
	for len(exts.b) > 0 {
		kind := exts.number(2)
		ext := exts.inner(2)
		if !exts.ok {
			return "", errHello
		}
		if kind != 0 {
			continue
		}
		if seen {
			return "", errHello
		}
		seen = true
		names := ext.inner(2)
		hostName := names.number(1) == 0
		host := names.inner(2)
		if !ext.ok || !names.ok || !hostName || len(ext.b) != 0 || len(names.b) != 0 || len(host.b) == 0 {
			return "", errHello
		}
		name = string(host.b)
	}
	return name, nil
}

// handshake joins the records that carry a client hello, and returns its body
// and their size. A record in which more follows is an error: it could be
// another hello.
func handshake(b []byte) (body []byte, size int, err error) {
	var (
		msg  []byte
		rest = b
	)
	for {
		if len(msg) >= 4 {
			n := int(msg[1])<<16 | int(msg[2])<<8 | int(msg[3])
			switch {
			case msg[0] != 1 || n > maxHello || len(msg) > 4+n:
				return nil, 0, errHello
			case len(msg) == 4+n:
				return msg[4:], len(b) - len(rest), nil
			}
		}
		// What is there of the header is judged at once, not when all is.
		if len(rest) > 0 && rest[0] != recordHandshake || len(rest) > 1 && rest[1] != 3 {
			return nil, 0, errHello
		}
		if len(rest) < recordHeader {
			return nil, 0, errShort
		}
		n := int(binary.BigEndian.Uint16(rest[3:]))
		if n == 0 || n > maxRecord {
			return nil, 0, errHello
		}
		if len(rest) < recordHeader+n {
			return nil, 0, errShort
		}
		msg = append(msg, rest[recordHeader:recordHeader+n]...)
		rest = rest[recordHeader+n:]
	}
}

// parser reads big-endian numbers and what they count. Once something is
// missing, ok is false and everything is empty.
type parser struct {
	b  []byte
	ok bool
}

func (p *parser) skip(n int) { p.take(n) }

func (p *parser) take(n int) []byte {
	if !p.ok || n > len(p.b) {
		p.b, p.ok = nil, false
		return nil
	}
	t := p.b[:n]
	p.b = p.b[n:]
	return t
}

func (p *parser) number(size int) uint32 {
	var n uint32
	for _, c := range p.take(size) {
		n = n<<8 | uint32(c)
	}
	return n
}

// inner returns what a number of so many bytes counts.
func (p *parser) inner(size int) parser {
	b := p.take(int(p.number(size)))
	return parser{b, p.ok}
}
