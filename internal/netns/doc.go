// Package netns makes network namespaces that nothing but a descriptor holds:
// no mount, no file, no name. A namespace is gone with its last user, be that
// the descriptor, a process inside or a socket that was opened inside.
//
//	ns, err := netns.New()               // with its loopback up
//	spec.Path = ns.Path()                // for the OCI spec, while ns is open
//	l, err := ns.Listen("tcp", "127.0.0.1:3128")
//
// What the listener accepts are ordinary connections; any goroutine may use
// them. A thread that entered a namespace goes back to the scheduler only
// after it has returned to its own; where that fails, it ends.
//
// The package does something on Linux only; elsewhere everything returns
// [ErrUnsupported]. It needs CAP_SYS_ADMIN in the user namespace that owns
// the network namespace.
package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// ErrUnsupported is matched by the errors of this package on systems that
// have no network namespaces.
var ErrUnsupported = errors.New("network namespaces exist on Linux only")

// NS is a network namespace. It is safe for concurrent use.
type NS struct {
	f *os.File

	entering chan struct{} // bounds the threads that Dial takes at a time
}

func hold(f *os.File) *NS { return &NS{f: f, entering: make(chan struct{}, maxEntering)} }

// maxEntering bounds how many sockets are being opened for Dial at a time;
// each takes a thread for some microseconds.
const maxEntering = 8

// File returns the descriptor that holds the namespace. It stays the
// namespace's own: it must not be closed.
func (ns *NS) File() *os.File { return ns.f }

// Path returns a path of the namespace, as an OCI spec takes it. It is good
// for other processes too, as long as this one lives and ns is open.
func (ns *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.f.Fd()) }

// Close gives the descriptor up. It is idempotent.
func (ns *NS) Close() error {
	if err := ns.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// literal refuses what is not an address with a port: a name could be dialled
// by a goroutine on a thread outside.
func literal(addr string) error {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return fmt.Errorf("%q is not an IP address with a port: %w", addr, err)
	}
	return nil
}
