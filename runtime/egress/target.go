package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// target is where a connection goes to, as the server named it.
type target struct {
	host string     // a name in its normal form; empty for an address
	addr netip.Addr // without a zone, IPv4 in its own form
	port uint16
}

// parseTarget reads HOST:PORT. Without a port, it is the given one; 0: a port
// is needed.
func parseTarget(s string, port uint16) (target, error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		if host, p = trimBrackets(s), ""; port == 0 {
			return target{}, fmt.Errorf("%q is not HOST:PORT", s)
		}
	}
	t := target{port: port}
	if p != "" || port == 0 {
		if t.port, err = parsePort(p); err != nil {
			return target{}, err
		}
	}
	if t.addr, err = parseAddr(host); err == nil {
		return t, nil
	}
	t.host, err = parseName(host)
	return t, err
}

func trimBrackets(s string) string {
	if len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' {
		return s[1 : len(s)-1]
	}
	return s
}

func (t target) named() bool { return t.host != "" }

// hostname is the name, or the address as text.
func (t target) hostname() string {
	if t.named() {
		return t.host
	}
	return t.addr.String()
}

// String is HOST:PORT, which is also the entry that would allow it.
func (t target) String() string {
	return net.JoinHostPort(t.hostname(), strconv.Itoa(int(t.port)))
}
