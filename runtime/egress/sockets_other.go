//go:build !linux

package egress

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

func openSockets(*os.File, bool) (*sockets, error) {
	return nil, fmt.Errorf("%w: it needs the network namespaces of Linux", ErrUnsupported)
}

func originalTarget(net.Conn) (netip.AddrPort, error) { return netip.AddrPort{}, ErrUnsupported }
