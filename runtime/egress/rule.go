package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Rule is one entry of an allow-list: where a server may connect to.
type Rule struct {
	host   string       // a name in lower case; with suffix, what follows the "*"
	suffix bool         // host begins with "." and stands for every name that ends with it
	prefix netip.Prefix // of an address or a CIDR; host is empty
	port   uint16       // 0: any
	text   string
}

// String returns the entry in its normal form.
func (r Rule) String() string { return r.text }

// Name reports whether the entry allows a name, in lower case and without a dot
// at its end, with this port.
func (r Rule) Name(host string, port uint16) bool { return r.matches(host) && r.on(port) }

// Named reports whether the entry is of names, one or those below a suffix, and
// of one port.
func (r Rule) Named() bool { return r.host != "" && r.port != 0 }

// ParseRule reads HOST:PORT. HOST is a name, "*.suffix" for every name below
// suffix (not suffix itself), an address or a CIDR, in brackets when it is
// IPv6; PORT is 1 to 65535 or "*" for any.
//
//	api.example.com:443
//	*.example.com:443
//	10.1.2.3:5432
//	10.0.0.0/8:*
//	[2001:db8::1]:443
//	[2001:db8::/32]:443
func ParseRule(s string) (Rule, error) {
	fault := func(format string, args ...any) (Rule, error) {
		return Rule{}, fmt.Errorf("allow-list entry %q: %w", s, fmt.Errorf(format, args...))
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case strings.Contains(s, "://"):
		return fault("it is a URL; write HOST:PORT, such as api.example.com:443")
	case err != nil && strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "["):
		return fault("an IPv6 address stands in brackets, such as [2001:db8::1]:443")
	case err != nil:
		return fault("it is not HOST:PORT, such as api.example.com:443")
	case host == "":
		return fault("the host is missing")
	case host == "*" || host == "*.":
		return fault("a lone * would allow every name; list the names, or *.suffix")
	}
	var r Rule
	if port != "*" {
		if r.port, err = parsePort(port); err != nil {
			return fault("%w", err)
		}
	}
	switch {
	case strings.Contains(host, "/"):
		r.prefix, err = netip.ParsePrefix(host)
		switch {
		case err != nil:
			return fault("%q is not a CIDR such as 10.0.0.0/8", host)
		case r.prefix.Addr().Is4In6():
			return fault("write it as an IPv4 CIDR")
		case r.prefix != r.prefix.Masked():
			return fault("%s has bits behind its length; write %s", host, r.prefix.Masked())
		}
		host = r.prefix.String()
	case strings.HasPrefix(host, "*"):
		name, ok := strings.CutPrefix(host, "*.")
		if !ok {
			return fault("a * stands only for whole labels at the front: *.%s", strings.TrimLeft(host, "*."))
		}
		if name, err = parseName(name); err != nil {
			return fault("%w", err)
		}
		r.host, r.suffix, host = "."+name, true, "*."+name
	default:
		a, aerr := parseAddr(host)
		switch {
		case aerr == nil:
			r.prefix, host = netip.PrefixFrom(a, a.BitLen()), a.String()
		case strings.Contains(host, ":"):
			return fault("%w", aerr)
		default:
			if r.host, err = parseName(host); err != nil {
				return fault("%w", err)
			}
			host = r.host
		}
	}
	r.text = net.JoinHostPort(host, port)
	return r, nil
}

// Rules is an allow-list. The zero value allows nothing.
type Rules []Rule

// ParseRules reads every entry with [ParseRule] and returns all faults
// together. An entry that is listed twice is kept once.
func ParseRules(entries []string) (Rules, error) {
	var (
		rs   Rules
		errs []error
	)
	for _, e := range entries {
		r, err := ParseRule(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !slices.Contains(rs, r) {
			rs = append(rs, r)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rs, nil
}

// Covers reports whether every name that an entry allows is allowed, with its
// ports.
func (rs Rules) Covers(r Rule) bool {
	return slices.ContainsFunc(rs, func(most Rule) bool {
		return r.host != "" && (most.port == 0 || most.port == r.port) &&
			(most.host == r.host && most.suffix == r.suffix || most.matches(r.host))
	})
}

// names reports whether a name is allowed with some port.
func (rs Rules) names(host string) bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.matches(host) })
}

// name reports whether a name is allowed with this port.
func (rs Rules) name(host string, port uint16) bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.Name(host, port) })
}

// addr reports whether an address of a class is allowed with this port.
func (rs Rules) addr(a netip.Addr, port uint16, c class) bool {
	return slices.ContainsFunc(rs, func(r Rule) bool {
		return r.prefix.IsValid() && r.prefix.Contains(a) && r.on(port) && c.opens(r.prefix)
	})
}

func (r Rule) matches(host string) bool {
	if r.suffix {
		return len(host) > len(r.host) && strings.HasSuffix(host, r.host)
	}
	return r.host != "" && r.host == host
}

func (r Rule) on(port uint16) bool { return r.port == 0 || r.port == port }

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '+' || s[0] == '0' {
		return 0, fmt.Errorf("the port %q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// parseAddr reads an address without a zone; IPv4 in the form of IPv6 becomes
// IPv4.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("the address %q has a zone", s)
	}
	return a.Unmap(), nil
}

// parseName returns a host name in lower case, without the dot at its end and
// with Unicode in its ASCII form (RFC 5890). What other software may take for
// an address, such as 127.1 or 0x7f000001, is refused.
func parseName(s string) (string, error) {
	bad := func(why string) (string, error) { return "", fmt.Errorf("%q is not a host name: %s", s, why) }
	name := strings.TrimSuffix(s, ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return bad("it has no ASCII form")
		}
		name = ascii
	}
	name = strings.ToLower(name)
	if name == "" || len(name) > 253 {
		return bad("it has 1 to 253 letters")
	}
	var label string
	for label = range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return bad("each part has 1 to 63 letters and neither begins nor ends with a hyphen")
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return bad(fmt.Sprintf("%q is not a letter of one", c))
			}
		}
	}
	digits := strings.TrimPrefix(label, "0x")
	if strings.Trim(label, "0123456789") == "" || digits != label && strings.Trim(digits, "0123456789abcdef") == "" {
		return bad("its last part is a number, as in an address")
	}
	return name, nil
}
