package egress

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func question(t testing.TB, name string, typ dnsmessage.Type, edns bool) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 77, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
	}
	if edns {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(1232, 0, false); err != nil {
			t.Fatal(err)
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func reply(t testing.TB, b []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	if m.ID != 77 || !m.Response {
		t.Errorf("header %+v", m.Header)
	}
	return m
}

func TestDNSAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gate(t, Options{}, "api.example:443", "*.svc.example:*")
	g.six = true
	for _, tt := range []struct {
		name string
		typ  dnsmessage.Type
		code dnsmessage.RCode
		pool string
	}{
		{"api.example.", dnsmessage.TypeA, 0, pool4},
		{"API.Example.", dnsmessage.TypeAAAA, 0, pool6},
		{"x.svc.example.", dnsmessage.TypeA, 0, pool4},
		{"api.example.", dnsmessage.TypeTXT, 0, ""},
		{"api.example.", dnsmessage.TypeMX, 0, ""},
		{"localhost.", dnsmessage.TypeA, 0, "127.0.0.0/8"},
		{"a.localhost.", dnsmessage.TypeAAAA, 0, "::1/128"},
		{"svc.example.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"evil.test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"c2VjcmV0.evil.test.", dnsmessage.TypeTXT, dnsmessage.RCodeNameError, ""},
		{"secret in clear.evil.test.", dnsmessage.TypeTXT, dnsmessage.RCodeNameError, ""},
		{"4.4.8.8.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeNameError, ""},
	} {
		m := reply(t, g.answer(question(t, tt.name, tt.typ, true)))
		if m.RCode != tt.code || len(m.Questions) != 1 || m.Questions[0].Name.String() != tt.name {
			t.Errorf("%s %v: %+v", tt.name, tt.typ, m)
		}
		if (tt.pool != "") != (len(m.Answers) == 1) {
			t.Errorf("%s %v: answers %v", tt.name, tt.typ, m.Answers)
			continue
		}
		if tt.pool != "" {
			var a netip.Addr
			switch b := m.Answers[0].Body.(type) {
			case *dnsmessage.AResource:
				a = netip.AddrFrom4(b.A)
			case *dnsmessage.AAAAResource:
				a = netip.AddrFrom16(b.AAAA)
			}
			if !netip.MustParsePrefix(tt.pool).Contains(a) {
				t.Errorf("%s %v: %v", tt.name, tt.typ, a)
			}
		}
		if len(m.Additionals) != 1 {
			t.Errorf("%s: no OPT", tt.name)
		} else if o := m.Additionals[0].Body.(*dnsmessage.OPTResource); tt.code != 0 && (len(o.Options) != 1 || !strings.Contains(string(o.Options[0].Data), "not on the list")) {
			t.Errorf("%s: %v", tt.name, o)
		}
	}
	if q := w.questions(); len(q) != 0 {
		t.Errorf("the resolver was asked for %v", q)
	}
	r := refusalOf(t, g, "evil.test")
	if r.Allow != "evil.test:443" || r.Count != 1 {
		t.Errorf("got %+v", r)
	}
	refusalOf(t, g, `"secret in clear.evil.test."`)
	for _, r := range g.Refusals() {
		if strings.Contains(r.Target, "arpa") {
			t.Errorf("recorded: %v", r)
		}
	}
	g.six = false
	if m := reply(t, g.answer(question(t, "api.example.", dnsmessage.TypeAAAA, false))); m.RCode != 0 || len(m.Answers)+len(m.Additionals) != 0 {
		t.Errorf("without IPv6: %+v", m)
	}
}

func TestDNSOddities(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gate(t, Options{}, "api.example:443")
	q := question(t, "api.example.", dnsmessage.TypeA, false)
	with := func(change func(*dnsmessage.Message)) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(q); err != nil {
			t.Fatal(err)
		}
		change(&m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, b := range map[string][]byte{"empty": nil, "short": q[:5], "an answer": with(func(m *dnsmessage.Message) { m.Response = true })} {
		if a := g.answer(b); a != nil {
			t.Errorf("%s: answered %x", name, a)
		}
	}
	for name, tt := range map[string]struct {
		b    []byte
		code dnsmessage.RCode
	}{
		"cut":           {q[:20], dnsmessage.RCodeFormatError},
		"two questions": {with(func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), dnsmessage.RCodeFormatError},
		"an update":     {with(func(m *dnsmessage.Message) { m.OpCode = 5 }), dnsmessage.RCodeNotImplemented},
		"chaos":         {with(func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), dnsmessage.RCodeRefused},
	} {
		if m := reply(t, g.answer(tt.b)); m.RCode != tt.code || len(m.Answers) != 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestDNSOverUDPAndTCP(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gate(t, Options{}, "api.example:443")
	q := question(t, "api.example.", dnsmessage.TypeA, false)
	u, err := net.Dial("udp", g.sockets.dns[0].LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	_ = u.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 1500)
	for range 3 {
		if _, err := u.Write(q); err != nil {
			t.Fatal(err)
		}
		n, err := u.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if m := reply(t, b[:n]); len(m.Answers) != 1 {
			t.Errorf("got %+v", m)
		}
	}
	c, err := net.Dial("tcp", g.sockets.dnsT[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for range 3 {
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b[:2]); err != nil {
			t.Fatal(err)
		}
		n := int(binary.BigEndian.Uint16(b))
		if _, err := io.ReadFull(c, b[:n]); err != nil {
			t.Fatal(err)
		}
		if m := reply(t, b[:n]); len(m.Answers) != 1 {
			t.Errorf("got %+v", m)
		}
	}
}

func FuzzDNS(f *testing.F) {
	f.Add(question(f, "api.example.", dnsmessage.TypeA, true))
	f.Add(question(f, "evil.test.", dnsmessage.TypeTXT, false))
	w := newWorld(f)
	g := w.gate(f, Options{}, "api.example:443")
	f.Fuzz(func(t *testing.T, b []byte) {
		a := g.answer(b)
		if len(a) > 600 {
			t.Errorf("an answer of %d bytes", len(a))
		}
		if a != nil {
			var m dnsmessage.Message
			if err := m.Unpack(a); err != nil || !m.Response {
				t.Errorf("answer %x: %v", a, err)
			}
		}
	})
}
