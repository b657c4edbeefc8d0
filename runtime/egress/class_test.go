package egress

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	table := newClasses()
	for addr, want := range map[string]string{
		"8.8.8.8": "", "1.1.1.1": "", "2606:4700::1111": "", "2001:4860:4860::8888": "", "172.15.0.1": "", "172.32.0.1": "",
		"169.254.169.254": "metadata", "fd00:ec2::254": "metadata", "168.63.129.16": "metadata", "100.100.100.200": "metadata", "169.254.170.2": "metadata",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private", "100.64.0.1": "private", "fc00::1": "private", "fdff::1": "private", "fec0::1": "private",
		"198.18.0.1": "private", "198.19.255.255": "private",
		"127.0.0.1": "loopback", "127.255.0.1": "loopback", "::1": "loopback",
		"169.254.0.1": "link-local", "fe80::1": "link-local",
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "::": "unspecified",
		"224.0.0.1": "multicast", "239.1.1.1": "multicast", "ff02::1": "multicast", "255.255.255.255": "broadcast", "240.0.0.1": "reserved",
		"192.0.2.1": "documents", "2001:db8::1": "documents",
		"::ffff:10.0.0.1": "private", "::ffff:127.0.0.1": "loopback", "::ffff:8.8.8.8": "", "::ffff:169.254.169.254": "metadata",
		"64:ff9b::a00:1": "private address, 10.0.0.1, in the form of NAT64", "64:ff9b::7f00:1": "loopback", "64:ff9b::a9fe:a9fe": "metadata", "64:ff9b::808:808": "", "64:ff9b:1::808:808": "private",
		"2002:a00:1::": "private address, 10.0.0.1, in the form of 6to4", "2002:a9fe:a9fe::1": "metadata", "2002:808:808::": "",
		"fe80::1%lo": "a zone", "::1%lo": "a zone", "2606:4700::1111%eth0": "a zone", "::ffff:127.0.0.1%1": "a zone",
		"::10.0.0.1": "compatible", "::ffff:0:10.0.0.1": "translated", "2001:0:808:808::1": "Teredo",
	} {
		got := table.of(netip.MustParseAddr(addr))
		if want == "" && got.name != "" || !strings.Contains(got.name, want) {
			t.Errorf("%s is %q, want %q", addr, got.name, want)
		}
	}
}

func TestWhatOpensAClass(t *testing.T) {
	t.Parallel()
	table := newClasses()
	for _, tt := range []struct {
		entry, addr string
		want        bool
	}{
		{"0.0.0.0/0:443", "8.8.8.8", true},
		{"0.0.0.0/0:443", "10.0.0.1", false},
		{"0.0.0.0/0:443", "127.0.0.1", false},
		{"8.0.0.0/7:443", "10.0.0.1", false},
		{"10.0.0.0/8:443", "10.0.0.1", true},
		{"10.0.0.0/24:443", "10.0.0.1", true},
		{"10.0.0.0/24:443", "10.0.1.1", false},
		{"10.0.0.1:443", "10.0.0.1", true},
		{"10.0.0.1:80", "10.0.0.1", false},
		{"127.0.0.1:443", "127.0.0.1", true},
		{"127.0.0.0/8:443", "127.0.0.1", true},
		{"169.254.0.0/16:443", "169.254.1.1", true},
		{"169.254.0.0/16:443", "169.254.169.254", false},
		{"169.254.169.254:443", "169.254.169.254", true},
		{"[fd00::/8]:443", "fd00:ec2::254", false},
		{"[fd00:ec2::254]:443", "fd00:ec2::254", true},
		{"[fd00::/8]:443", "fd00::1", true},
		{"[::/0]:443", "fd00::1", false},
		{"[::/0]:443", "2606:4700::1111", true},
		{"[::/0]:443", "64:ff9b::a00:1", false},
		{"[64:ff9b::/96]:443", "64:ff9b::a00:1", false},
		{"[64:ff9b::/96]:443", "64:ff9b::808:808", true},
		{"[64:ff9b::a00:1]:443", "64:ff9b::a00:1", true},
		{"10.0.0.0/8:443", "64:ff9b::a00:1", false},
		{"0.0.0.0:443", "0.0.0.0", false},
		{"224.0.0.1:443", "224.0.0.1", false},
		{"[ff02::1]:443", "ff02::1", false},
		{"[::ffff:10.0.0.1]:443", "10.0.0.1", true},
	} {
		rs, err := ParseRules([]string{tt.entry})
		if err != nil {
			t.Fatal(err)
		}
		a := netip.MustParseAddr(tt.addr)
		if got := rs.addr(a, 443, table.of(a)); got != tt.want {
			t.Errorf("%s opens %s: %v", tt.entry, tt.addr, got)
		}
	}
}
