package egress

import (
	"net"
)

// The ports of a gate inside its namespace.
const (
	proxyPort = 3128
	tcpPort   = 15001
	dnsPort   = 15053
)

// sockets are what a gate listens on.
type sockets struct {
	proxy net.Listener
	tcp   []net.Listener   // what was redirected
	dns   []net.PacketConn // questions
	dnsT  []net.Listener   // questions over TCP
}

func (s *sockets) close() {
	if s.proxy != nil {
		_ = s.proxy.Close()
	}
	for _, l := range append(s.tcp, s.dnsT...) {
		_ = l.Close()
	}
	for _, c := range s.dns {
		_ = c.Close()
	}
}
