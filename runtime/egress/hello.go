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

var (
	errShort = errors.New("more is to come")
	errHello = errors.New("it begins like TLS, but is not a client hello")
)

// serverName returns the name in the client hello (RFC 8446, section 4.1.2,
// and RFC 6066, section 3) that b begins with; empty when there is none. It
// returns errShort while the hello is incomplete. Two names, or anything
// malformed, are an error: two readers could see two things.
func serverName(b []byte) (string, error) {
	msg, err := handshake(b)
	if err != nil {
		return "", err
	}
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

// handshake joins the records that carry the first handshake message, and
// returns its body.
func handshake(b []byte) ([]byte, error) {
	var msg []byte
	for {
		if len(msg) >= 4 {
			n := int(msg[1])<<16 | int(msg[2])<<8 | int(msg[3])
			switch {
			case msg[0] != 1 || n > maxHello:
				return nil, errHello
			case len(msg) >= 4+n:
				return msg[4 : 4+n], nil
			}
		}
		// What is there of the header is judged at once, not when all is.
		if len(b) > 0 && b[0] != 22 || len(b) > 1 && b[1] != 3 {
			return nil, errHello
		}
		if len(b) < recordHeader {
			return nil, errShort
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > maxRecord {
			return nil, errHello
		}
		if len(b) < recordHeader+n {
			return nil, errShort
		}
		msg = append(msg, b[recordHeader:recordHeader+n]...)
		b = b[recordHeader+n:]
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
