//go:build e2e && linux

package egress

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestDatagramsFillNoTable sends one datagram to each of many addresses.
func TestDatagramsFillNoTable(t *testing.T) {
	w := outside(t)
	b := w.box(t, Options{}, listed...)
	tracked := func() (n int) {
		err := b.ns.Do(func() error {
			s, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
			if err == nil {
				_, err = fmt.Sscan(string(s), &n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	spray := func(bind string, to func(i int) netip.AddrPort) {
		c, err := b.ns.ListenPacket("udp", bind)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 20000 {
			_, _ = c.(*net.UDPConn).WriteToUDPAddrPort([]byte("x"), to(i))
		}
	}
	bytes := func(i int) (byte, byte) { return byte(i >> 8), byte(i) }
	before := tracked()
	for what, tt := range map[string]struct {
		bind string
		most int
		to   func(i int) netip.AddrPort
	}{
		"IPv4": {"0.0.0.0:0", 10, func(i int) netip.AddrPort {
			x, y := bytes(i)
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, x, y}), 443)
		}},
		"IPv4, from the port of the gate": {"127.0.0.2:15053", 10, func(i int) netip.AddrPort {
			x, y := bytes(i)
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 9, x, y}), 443)
		}},
		"IPv6": {"[::]:0", 10, func(i int) netip.AddrPort {
			x, y := bytes(i)
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x26, 1, 14: x, 15: y}), 443)
		}},
		"loopback": {"127.0.0.1:0", 10, func(i int) netip.AddrPort {
			x, y := bytes(i)
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, x, y}), 9)
		}},
		"DNS": {"0.0.0.0:0", dnsBurst + 10*dnsRate, func(i int) netip.AddrPort {
			x, y := bytes(i)
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 10, x, y}), 53)
		}},
	} {
		spray(tt.bind, tt.to)
		now := tracked()
		if now > before+tt.most {
			t.Errorf("%s: %d connections are tracked, then %d", what, before, now)
		}
		before = now
	}
	// Datagrams within loopback still pass.
	l, err := b.ns.ListenPacket("udp", "127.0.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := b.dial("udp", "127.0.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("x"))
	_ = l.SetDeadline(time.Now().Add(patience))
	_, from, err := l.ReadFrom(make([]byte, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = l.WriteTo([]byte("y"), from)
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
