package netns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to an address inside the namespace. network is "tcp" or
// "udp", with or without a 4 or 6; addr is an IP address with a port and
// without a zone.
//
// Only the socket is opened on a thread inside. The connecting takes none, so
// that many may be under way at a time.
func (ns *NS) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := literal(addr); err != nil {
		return nil, fmt.Errorf("dialling inside a network namespace: %w", err)
	}
	to, family, kind, err := endpoint(network, addr)
	if err != nil {
		return nil, fmt.Errorf("dialling inside a network namespace: %w", err)
	}
	fault := func(err error) (net.Conn, error) {
		a := net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		if kind == unix.SOCK_DGRAM {
			a = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr))
		}
		return nil, &net.OpError{Op: "dial", Net: network, Addr: a, Err: err}
	}
	select {
	case ns.entering <- struct{}{}:
	case <-ctx.Done():
		return fault(ctx.Err())
	}
	fd := -1
	err = ns.Do(func() error {
		var err error
		fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	<-ns.entering
	if err != nil {
		return fault(err)
	}
	if kind == unix.SOCK_DGRAM {
		// As net.Dial does.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
			_ = unix.Close(fd)
			return fault(os.NewSyscallError("setsockopt", err))
		}
	}
	err = unix.Connect(fd, to)
	f := os.NewFile(uintptr(fd), network+":"+addr) // once connecting, so that it becomes ready once
	defer f.Close()
	switch err {
	case nil:
	case unix.EINPROGRESS, unix.EINTR:
		if err := connected(ctx, f); err != nil {
			return fault(err)
		}
	default:
		return fault(os.NewSyscallError("connect", err))
	}
	c, err := net.FileConn(f)
	if err != nil {
		return fault(err)
	}
	return c, nil
}

// connected waits until a socket that connects has done so, or ctx ends.
func connected(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var result error
	err = raw.Write(func(fd uintptr) bool {
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = os.NewSyscallError("getsockopt", err)
			return true
		}
		switch e := syscall.Errno(errno); e {
		case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
			return false
		case 0, unix.EISCONN:
			// Without a peer, it was woken too early.
			_, err := unix.Getpeername(int(fd))
			return err == nil
		default:
			result = os.NewSyscallError("connect", e)
			return true
		}
	})
	switch {
	case result != nil:
		return result
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// endpoint reads what Dial is given.
func endpoint(network, addr string) (to unix.Sockaddr, family, kind int, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, 0, 0, err
	}
	a := ap.Addr()
	switch {
	case strings.HasPrefix(network, "tcp"):
		kind = unix.SOCK_STREAM
	case strings.HasPrefix(network, "udp"):
		kind = unix.SOCK_DGRAM
	}
	four := a.Unmap().Is4()
	version := strings.TrimLeft(network, "tcpud")
	switch {
	case kind == 0 || len(network) != 3+len(version) || version != "" && version != "4" && version != "6":
		return nil, 0, 0, fmt.Errorf("%q is not a network to dial; use tcp or udp", network)
	case version == "4" && !four, version == "6" && four:
		return nil, 0, 0, fmt.Errorf("%s is not an address of the network %s", addr, network)
	case a.Zone() != "":
		return nil, 0, 0, fmt.Errorf("the address %q has a zone", addr)
	case four:
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.Unmap().As4()}, unix.AF_INET, kind, nil
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}, unix.AF_INET6, kind, nil
}
