package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
)

// openSockets listens inside a namespace and leads there what is for the
// world outside.
func openSockets(f *os.File, proxyOnly bool) (_ *sockets, err error) {
	ns, err := netns.FromFile(f)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	s := &sockets{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	err = ns.Do(func() error {
		if err := s.listen(proxyOnly); err != nil {
			return err
		}
		if proxyOnly {
			return nil
		}
		return capture(len(s.tcp) > 1)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens the listeners. An IPv6 that the kernel lacks is no way out
// either.
func (s *sockets) listen(proxyOnly bool) (err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets do not tell where a redirected connection was to go
	ctx := context.Background()
	if s.proxy, err = lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", proxyPort)); err != nil {
		return fmt.Errorf("opening the proxy's port (is the namespace's loopback up, and the port free?): %w", err)
	}
	if proxyOnly {
		return nil
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		listen := func(port int) (net.Listener, error) {
			return lc.Listen(ctx, "tcp", netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port)).String())
		}
		l, err := listen(tcpPort)
		if err != nil {
			if host == "::1" && (errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT)) {
				continue
			}
			return fmt.Errorf("opening the port for captured connections: %w", err)
		}
		s.tcp = append(s.tcp, l)
		if l, err = listen(dnsPort); err != nil {
			return fmt.Errorf("opening the port for DNS: %w", err)
		}
		s.dnsT = append(s.dnsT, l)
		c, err := lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(netip.MustParseAddr(host), dnsPort).String())
		if err != nil {
			return fmt.Errorf("opening the port for DNS: %w", err)
		}
		s.dns = append(s.dns, c)
	}
	return nil
}

// capture makes every address local to this thread's namespace, redirects TCP
// and DNS to the gate's ports and drops what else is not for loopback. It
// replaces what an earlier gate has set.
func capture(six bool) error {
	if err := anyIP(six); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("%w: nftables does not answer: %w", ErrUnsupported, err)
	}
	table := &nftables.Table{Name: "gatehouse", Family: nftables.TableFamilyINet}
	tables, err := c.ListTablesOfFamily(table.Family)
	if err != nil {
		return fmt.Errorf("%w: nftables does not answer: %w", ErrUnsupported, err)
	}
	if slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == table.Name }) {
		c.DelTable(table) // in one transaction with what follows; it takes some 10 ms, so not for nothing
	}
	c.AddTable(table)
	accept := nftables.ChainPolicyAccept
	chain := c.AddChain(&nftables.Chain{
		Name: "out", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest, Policy: &accept,
	})
	rule := func(exprs ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: slices.Concat(exprs...)})
	}
	for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		rule(l4(proto), toPort(53), redirect(dnsPort))
	}
	rule(family(unix.NFPROTO_IPV4), inPrefix(16, netip.MustParsePrefix("127.0.0.0/8")), leave())
	rule(family(unix.NFPROTO_IPV6), inPrefix(24, netip.MustParsePrefix("::1/128")), leave())
	rule(l4(unix.IPPROTO_TCP), redirect(tcpPort))
	untracked(c, table)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("%w: the kernel does not take the nftables rules (it needs nf_tables with nat, redir, limit and notrack for inet): %w", ErrUnsupported, err)
	}
	return nil
}

// Questions of DNS that are let through to the gate: some more than it answers.
const (
	dnsRate  = 2 * maxRate // a second
	dnsBurst = maxBurst
)

// untracked keeps the datagrams that lead nowhere from being tracked: one to
// each of many addresses would fill the kernel's table of connections.
func untracked(c *nftables.Conn, table *nftables.Table) {
	drop := nftables.ChainPolicyDrop
	chain := c.AddChain(&nftables.Chain{
		Name: "raw", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRaw, Policy: &drop,
	})
	rule := func(exprs ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: slices.Concat(exprs...)})
	}
	// The answers of the gate go to wherever the question came from.
	rule(l4(unix.IPPROTO_UDP), family(unix.NFPROTO_IPV4), inPrefix(12, netip.MustParsePrefix("127.0.0.1/32")), fromPort(dnsPort), leave())
	rule(l4(unix.IPPROTO_UDP), family(unix.NFPROTO_IPV6), inPrefix(8, netip.MustParsePrefix("::1/128")), fromPort(dnsPort), leave())
	rule(l4(unix.IPPROTO_UDP), toPort(53), over(dnsRate, dnsBurst), []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})
	rule(l4(unix.IPPROTO_UDP), toPort(53), leave())
	for _, proto := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		rule(l4(proto), leave())
	}
	notrack := []expr.Any{&expr.Notrack{}}
	rule(family(unix.NFPROTO_IPV4), inPrefix(16, netip.MustParsePrefix("127.0.0.0/8")), notrack, leave())
	rule(family(unix.NFPROTO_IPV6), inPrefix(24, netip.MustParsePrefix("::1/128")), notrack, leave())
}

// The last addresses of the pools are the namespace's own: the C library asks
// for no address of a family of which there is none but loopback
// (AI_ADDRCONFIG).
const (
	ownFour = "198.19.255.255/32"
	ownSix  = "fd67:6174:6568:6f75:ffff:ffff:ffff:ffff/128"
)

// anyIP makes every address one of this host: without a route, a connection
// fails before anything can redirect it.
func anyIP(six bool) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening route netlink: %w", err)
	}
	defer h.Close()
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}} // the first of every namespace
	all, own := []string{"0.0.0.0/0"}, []string{ownFour}
	if six {
		all, own = append(all, "::/0"), append(own, ownSix)
	}
	for _, p := range own {
		addr, err := netlink.ParseAddr(p)
		if err != nil {
			return err
		}
		if err := h.AddrReplace(lo, addr); err != nil {
			return fmt.Errorf("%w: the address %s is not taken: %w", ErrUnsupported, p, err)
		}
	}
	for _, p := range all {
		_, dst, err := net.ParseCIDR(p)
		if err != nil {
			return err
		}
		err = h.RouteReplace(&netlink.Route{
			LinkIndex: lo.Index, Dst: dst, Table: unix.RT_TABLE_LOCAL,
			Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST,
		})
		if err != nil {
			return fmt.Errorf("%w: the route local %s dev lo is not taken: %w", ErrUnsupported, p, err)
		}
	}
	return nil
}

func l4(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
	}
}

func family(f byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f}},
	}
}

func fromPort(port uint16) []expr.Any { return portAt(0, port) }

func toPort(port uint16) []expr.Any { return portAt(2, port) }

func portAt(offset uint32, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

func over(rate uint64, burst uint32) []expr.Any {
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: true}}
}

// inPrefix matches the address that stands at offset in the header.
func inPrefix(offset uint32, p netip.Prefix) []expr.Any {
	b := p.Addr().AsSlice()
	n := uint32(len(b))
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: n, Mask: net.CIDRMask(p.Bits(), len(b)*8), Xor: make([]byte, n)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: b},
	}
}

func redirect(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}

func leave() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

// originalTarget says where a redirected connection was to go.
func originalTarget(c net.Conn) (netip.AddrPort, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%T has no descriptor", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%T is not a TCP connection", c)
	}
	var ap netip.AddrPort
	read := func(fd uintptr) {
		// Of what x/sys/unix can read, these have room for the sockaddr.
		if a.IP.To4() == nil {
			var o *unix.IPv6MTUInfo
			if o, err = unix.GetsockoptIPv6MTUInfo(int(fd), unix.SOL_IPV6, soOriginalDst); err == nil {
				var port [2]byte
				binary.NativeEndian.PutUint16(port[:], o.Addr.Port)
				ap = netip.AddrPortFrom(netip.AddrFrom16(o.Addr.Addr), binary.BigEndian.Uint16(port[:]))
			}
			return
		}
		var o *unix.IPv6Mreq
		if o, err = unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, soOriginalDst); err == nil {
			b := o.Multiaddr // family, port, address
			ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4]))
		}
	}
	if e := raw.Control(read); e != nil {
		return netip.AddrPort{}, e
	}
	return ap, err
}

// soOriginalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST.
const soOriginalDst = 80
