package egress

import (
	"net/netip"
)

// class is what an address is for. The zero value is the public internet.
type class struct {
	name   string // "a private address"; empty for the public internet
	within netip.Prefix
	opened opened
}

// opened says which entries of a list open a class of addresses.
type opened int

const (
	byAny   opened = iota // every entry that covers the address
	byInner               // an entry that lies in the class: 0.0.0.0/0 does not open 10.0.0.0/8
	bySelf                // the address itself
	byNone
)

// opens reports whether an entry that covers an address opens its class.
func (c class) opens(p netip.Prefix) bool {
	switch c.opened {
	case byAny:
		return true
	case byInner:
		return p.Bits() >= c.within.Bits() && c.within.Contains(p.Addr())
	case bySelf:
		return p.IsSingleIP()
	default:
		return false
	}
}

// kinds are the addresses that are not the public internet, from the special
// registries of IANA (RFC 6890) and the documents of the clouds. The first
// that holds an address counts.
var kinds = []struct {
	prefix string
	name   string
	opened opened
}{
	// Services of clouds that hand out credentials.
	{"169.254.169.254/32", "a metadata address", bySelf},     // AWS, Azure, Google, and most others
	{"169.254.170.2/32", "a metadata address", bySelf},       // AWS ECS
	{"169.254.170.23/32", "a metadata address", bySelf},      // AWS EKS
	{"168.63.129.16/32", "a metadata address", bySelf},       // Azure's wire server, public by its look
	{"100.100.100.200/32", "a metadata address", bySelf},     // Alibaba
	{"192.0.0.192/32", "a metadata address", bySelf},         // Oracle
	{"fd00:ec2::/32", "a metadata address", bySelf},          // AWS
	{"fd20:ce::254/128", "a metadata address", bySelf},       // Google
	{"fd00:c1::a9fe:a9fe/128", "a metadata address", bySelf}, // Oracle

	{"0.0.0.0/8", "an unspecified address", byNone},
	{"10.0.0.0/8", "a private address", byInner},
	{"100.64.0.0/10", "a private address (shared address space)", byInner},
	{"127.0.0.0/8", "a loopback address", byInner},
	{"169.254.0.0/16", "a link-local address", byInner},
	{"172.16.0.0/12", "a private address", byInner},
	{"192.0.0.0/24", "a reserved address", byInner},
	{"192.0.2.0/24", "an address for documents", byInner},
	{"192.88.99.0/24", "a reserved address", byInner},
	{"192.168.0.0/16", "a private address", byInner},
	{"198.18.0.0/15", "a private address (benchmarks)", byInner},
	{"198.51.100.0/24", "an address for documents", byInner},
	{"203.0.113.0/24", "an address for documents", byInner},
	{"224.0.0.0/4", "a multicast address", byNone},
	{"255.255.255.255/32", "a broadcast address", byNone},
	{"240.0.0.0/4", "a reserved address", byInner},

	{"::/128", "an unspecified address", byNone},
	{"::1/128", "a loopback address", byInner},
	{"::/96", "an IPv4-compatible address", byNone},
	{"::ffff:0:0:0/96", "an IPv4-translated address", byNone},
	{"64:ff9b:1::/48", "a private address (NAT64)", byInner},
	{"100::/64", "a discarded address", byNone},
	{"2001::/32", "a Teredo address", byNone},
	{"2001:2::/48", "a private address (benchmarks)", byInner},
	{"2001:db8::/32", "an address for documents", byInner},
	{"3fff::/20", "an address for documents", byInner},
	{"5f00::/16", "a reserved address", byInner},
	{"fc00::/7", "a private address", byInner},
	{"fe80::/10", "a link-local address", byInner},
	{"fec0::/10", "a private address (site-local)", byInner},
	{"ff00::/8", "a multicast address", byNone},
}

// carriers are the IPv6 prefixes that carry an IPv4 address, and where.
var carriers = []struct {
	prefix string
	at     int
	name   string
}{
	{"64:ff9b::/96", 12, "NAT64"},
	{"2002::/16", 2, "6to4"},
}

// classes is the table of kinds, parsed.
type classes struct {
	kinds    []class
	carriers []netip.Prefix
}

func newClasses() *classes {
	t := &classes{}
	for _, k := range kinds {
		t.kinds = append(t.kinds, class{k.name, netip.MustParsePrefix(k.prefix), k.opened})
	}
	for _, c := range carriers {
		t.carriers = append(t.carriers, netip.MustParsePrefix(c.prefix))
	}
	return t
}

// of returns the class of an address. An IPv6 address that carries an IPv4
// address is of the class of that, and opened by none but itself.
func (t *classes) of(a netip.Addr) class {
	if a.Zone() != "" {
		// No prefix contains it, so that it would look like the internet.
		return class{name: "an address with a zone", opened: byNone}
	}
	a = a.Unmap()
	if inner, how := t.carried(a); inner.IsValid() {
		c := t.of(inner)
		if c.name == "" {
			return c
		}
		c.name += ", " + inner.String() + ", in the form of " + how
		c.opened = max(c.opened, bySelf)
		return c
	}
	for _, c := range t.kinds {
		if c.within.Contains(a) {
			return c
		}
	}
	return class{}
}

// carried returns the IPv4 address in an IPv6 address.
func (t *classes) carried(a netip.Addr) (inner netip.Addr, how string) {
	if !a.Is6() {
		return netip.Addr{}, ""
	}
	for i, p := range t.carriers {
		if p.Contains(a) {
			b := a.As16()
			at := carriers[i].at
			return netip.AddrFrom4([4]byte(b[at : at+4])), carriers[i].name
		}
	}
	return netip.Addr{}, ""
}
