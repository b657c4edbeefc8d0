package egress

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

const (
	dnsTTL    = 30 // seconds
	dnsWait   = 10 * time.Second
	maxDNS    = 4096 // bytes of a question
	edeFilter = 17   // "Filtered" (RFC 8914)
	edeOption = 15
)

// answerPackets answers questions over UDP. There is nothing to wait for, so
// one goroutine does; questions over the pace are dropped.
func (g *Gate) answerPackets(c net.PacketConn) {
	b := make([]byte, maxDNS)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			if g.ctx.Err() != nil {
				return
			}
			select {
			case <-g.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		}
		if g.pace.take() > 0 {
			continue
		}
		if a := g.answer(b[:n]); a != nil {
			_, _ = c.WriteTo(a, from)
		}
	}
}

// answerStreams answers questions over TCP (RFC 7766).
func (g *Gate) answerStreams(l net.Listener) {
	g.accept(l, func(c *conn) {
		defer c.Close()
		b := make([]byte, maxDNS)
		for {
			_ = c.SetDeadline(time.Now().Add(dnsWait))
			if _, err := io.ReadFull(c, b[:2]); err != nil {
				return
			}
			n := int(binary.BigEndian.Uint16(b))
			if n > maxDNS {
				return
			}
			if _, err := io.ReadFull(c, b[:n]); err != nil || !g.pace.wait(g.ctx) {
				return
			}
			a := g.answer(b[:n])
			if a == nil {
				return
			}
			if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
				return
			}
		}
	})
}

// answer answers a question out of what is known here; nil: with nothing.
func (g *Gate) answer(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil || h.Response {
		return nil
	}
	qs, err := p.AllQuestions()
	reply := dnsmessage.Header{ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	switch {
	case h.OpCode != 0:
		reply.RCode = dnsmessage.RCodeNotImplemented
		return build(reply, nil, nil, nil)
	case err != nil || len(qs) != 1:
		reply.RCode = dnsmessage.RCodeFormatError
		return build(reply, nil, nil, nil)
	}
	q := qs[0]
	var opt *dnsmessage.OPTResource
	if extended(&p) {
		opt = &dnsmessage.OPTResource{}
	}
	if q.Class != dnsmessage.ClassINET {
		reply.RCode = dnsmessage.RCodeRefused
		return build(reply, &q, nil, opt)
	}
	four, six, why := g.lookup(q.Name.String())
	if why != "" {
		reply.RCode = dnsmessage.RCodeNameError
		if opt != nil {
			text := binary.BigEndian.AppendUint16(nil, edeFilter)
			opt.Options = []dnsmessage.Option{{Code: edeOption, Data: append(text, why...)}}
		}
		return build(reply, &q, nil, opt)
	}
	var body dnsmessage.ResourceBody
	switch {
	case q.Type == dnsmessage.TypeA && four.IsValid():
		body = &dnsmessage.AResource{A: four.As4()}
	case q.Type == dnsmessage.TypeAAAA && six.IsValid():
		body = &dnsmessage.AAAAResource{AAAA: six.As16()}
	}
	return build(reply, &q, body, opt)
}

// lookup returns the addresses that a name has inside, or why it has none.
func (g *Gate) lookup(asked string) (four, six netip.Addr, why string) {
	const absent = "the name is not on the list"
	name, err := parseName(asked)
	switch {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback(), ""
	case strings.HasSuffix(name, ".arpa"):
		return four, six, absent // names of addresses: there are none, and nobody misses them
	case err != nil:
		g.refuse("dns", strconv.QuoteToASCII(asked), &refusal{reason: "it is no name of a host"})
		return four, six, absent
	case !g.rules.names(name):
		g.refuse("dns", name, &refusal{
			reason: absent + " (asked of DNS, which does not tell the port; 443 is the likely one)",
			allow:  name + ":443",
		})
		return four, six, absent
	}
	g.tell(runtime.Connection{Target: name, Protocol: "dns", Allowed: true})
	four, six = g.names.addrs(name)
	if !g.six {
		six = netip.Addr{}
	}
	return four, six, ""
}

// extended reports whether a question has an OPT record (RFC 6891).
func extended(p *dnsmessage.Parser) bool {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return false
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return false
		}
		if h.Type == dnsmessage.TypeOPT {
			return true
		}
		if p.SkipAdditional() != nil {
			return false
		}
	}
}

// build makes a reply. It is smaller than 512 bytes.
func build(h dnsmessage.Header, q *dnsmessage.Question, body dnsmessage.ResourceBody, opt *dnsmessage.OPTResource) []byte {
	m := dnsmessage.Message{Header: h}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
		if body != nil {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: dnsTTL},
				Body:   body,
			}}
		}
	}
	if opt != nil {
		var rh dnsmessage.ResourceHeader
		if rh.SetEDNS0(1232, dnsmessage.RCodeSuccess, false) != nil {
			return nil
		}
		m.Additionals = []dnsmessage.Resource{{Header: rh, Body: opt}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}
