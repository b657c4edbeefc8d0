//go:build !linux

package netns

import (
	"context"
	"net"
	"os"
)

// New makes a namespace and brings its loopback up.
func New() (*NS, error) { return nil, ErrUnsupported }

// Open opens an existing namespace, such as /proc/PID/ns/net.
func Open(string) (*NS, error) { return nil, ErrUnsupported }

// FromFile returns the namespace that f is a descriptor of. It duplicates
// the descriptor: f stays the caller's.
func FromFile(*os.File) (*NS, error) { return nil, ErrUnsupported }

// Do runs f on a thread inside the namespace and returns its error.
func (ns *NS) Do(func() error) error { return ErrUnsupported }

// Listen listens inside the namespace. addr is an IP address with a port.
func (ns *NS) Listen(network, addr string) (net.Listener, error) { return nil, ErrUnsupported }

// ListenPacket is Listen for datagrams.
func (ns *NS) ListenPacket(network, addr string) (net.PacketConn, error) {
	return nil, ErrUnsupported
}

// Dial connects to an address inside the namespace. addr is an IP address
// with a port.
func (ns *NS) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, ErrUnsupported
}
