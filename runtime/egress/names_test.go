package egress

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	n := newNames(3)
	four, six := n.addrs("a.example")
	if !n.four.Contains(four) || !n.six.Contains(six) {
		t.Fatalf("got %v, %v", four, six)
	}
	if f, s := n.addrs("a.example"); f != four || s != six {
		t.Error("the address of a name changed")
	}
	for _, a := range []netip.Addr{four, six} {
		if name, ours := n.name(a); name != "a.example" || !ours {
			t.Errorf("%s: %q, %v", a, name, ours)
		}
	}
	for i := range 3 {
		n.addrs("a.example") // in use
		n.addrs(fmt.Sprintf("%d.example", i))
	}
	if name, _ := n.name(four); name != "a.example" {
		t.Error("the name in use was forgotten")
	}
	if len(n.byName) != 3 || len(n.byNumber) != 3 {
		t.Errorf("%d names, %d numbers", len(n.byName), len(n.byNumber))
	}
	old, _ := n.addrs("new.example")
	n.addrs("b.example")
	n.addrs("c.example")
	n.addrs("d.example")
	if name, ours := n.name(old); name != "" || !ours {
		t.Errorf("a forgotten name: %q, %v", name, ours)
	}
	for _, a := range []string{"198.18.0.0", "198.19.255.255", "fd67:6174:6568:6f75::", "fd67:6174:6568:6f75:1::1"} {
		if name, ours := n.name(netip.MustParseAddr(a)); name != "" || !ours {
			t.Errorf("%s: %q, %v", a, name, ours)
		}
	}
	if _, ours := n.name(netip.MustParseAddr("8.8.8.8")); ours {
		t.Error("8.8.8.8 is ours")
	}
	if _, r := n.meant(target{addr: old, port: 1}); r == nil {
		t.Error("an address without a name has a meaning")
	}
}

// TestNumbersComeRound gives more names than there are numbers.
func TestNumbersComeRound(t *testing.T) {
	t.Parallel()
	n := newNames(2)
	kept, _ := n.addrs("kept.example")
	seen := map[netip.Addr]bool{kept: true}
	for i := range poolSize - 1 {
		n.addrs("kept.example")
		a, _ := n.addrs(fmt.Sprintf("%d.example", i))
		if seen[a] {
			t.Fatalf("%s came up again after %d names", a, i)
		}
		seen[a] = true
	}
	n.addrs("kept.example")
	if a, _ := n.addrs("last.example"); a == kept || !n.four.Contains(a) {
		t.Errorf("got %s", a)
	}
}
