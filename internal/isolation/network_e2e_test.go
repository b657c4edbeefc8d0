//go:build e2e && linux

package isolation

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// answering answers everybody on a listener with a text, until it is closed.
func answering(t *testing.T, network, address, say string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, say)
			}()
		}
	}()
	return l.Addr().String()
}

// echoing answers datagrams with a text.
func echoing(t *testing.T, network, address, say string) string {
	t.Helper()
	return datagrams(t, network, address, func([]byte) []byte { return []byte(say) })
}

func datagrams(t *testing.T, network, address string, answer func([]byte) []byte) string {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(answer(b[:n]), from)
		}
	}()
	return c.LocalAddr().String()
}

// hostAddresses are those of this machine beside loopback and link-local.
func hostAddresses(t *testing.T) (all []string) {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	if len(all) == 0 {
		t.Fatal("this machine has no address but loopback")
	}
	return all
}

// onHost are attempts to reach what listens on this machine.
func onHost(t *testing.T) (all []attempt) {
	t.Helper()
	say := mark("answer")
	for _, ip := range append(hostAddresses(t), "127.0.0.1", "::1") {
		at := net.JoinHostPort(ip, "0")
		all = append(all,
			attempt{tool: "reach", args: args{"network": "tcp", "address": answering(t, "tcp", at, say), "want": say}, as: byUser},
			attempt{tool: "datagram", args: args{"network": "udp", "address": echoing(t, "udp", at, say), "want": say}, as: byUser})
	}
	socket := filepath.Join(public(t), "socket")
	answering(t, "unix", socket, say)
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	abstract := "@" + mark("socket")
	answering(t, "unix", abstract, say)
	return append(all,
		attempt{tool: "reach", args: args{"network": "unix", "address": socket, "want": say}, as: byUser},
		attempt{tool: "reach", args: args{"network": "unix", "address": abstract, "want": say}, as: byUser})
}

// TestNetwork: without a list a server reaches nothing but itself.
func TestNetwork(t *testing.T) {
	all := onHost(t)
	for _, to := range []string{"192.0.2.77:80", "8.8.8.8:53", "[2001:4860:4860::8888]:53", "169.254.169.254:80", "[fd00:ec2::254]:80", "10.0.0.1:80", "198.18.0.1:443", "127.0.0.1:3128", "127.0.0.1:15001", "255.255.255.255:80"} {
		all = append(all, attempt{tool: "reach", args: args{"address": to, "want": "*"}})
	}
	const name = "hostile.example"
	resolver := datagrams(t, "udp", "127.0.0.1:0", resolving)
	all = append(all, attempt{tool: "dns", args: args{"network": "udp", "server": resolver, "name": name}, as: byUser})
	for _, server := range []string{"8.8.8.8:53", "[2001:4860:4860::8888]:53", "127.0.0.53:53", "127.0.0.1:53", "[::1]:53"} {
		for _, network := range []string{"udp", "tcp"} {
			all = append(all, attempt{tool: "dns", args: args{"network": network, "server": server, "name": name}})
		}
	}
	controlled(t, all)
	boxes(t, nil, func(t *testing.T, b *box) {
		confined(t, b, b.start(t, nil), all)
	})
}

// resolving answers any question of DNS.
func resolving(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: dnsmessage.TypeA, TTL: 1},
		Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
	}}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// TestServersAmongThemselves: what one server listens on, shares or writes is
// not there for another one.
func TestServersAmongThemselves(t *testing.T) {
	say := mark("peer")
	const port = "127.0.0.1:17777"
	key := fmt.Sprint(0x67617465)
	abstract := "@" + mark("peer")
	file := mark("file")
	prepare := func(t *testing.T, c *cell, folders ...string) {
		t.Helper()
		for tool, all := range map[string][]args{
			"listen": {{"network": "tcp", "address": port, "say": say}, {"network": "unix", "address": abstract, "say": say}},
			"share":  {{"key": key, "say": say}},
		} {
			for _, a := range all {
				if _, err := c.try(t, tool, a); err != nil {
					t.Fatalf("%s %v: %v", tool, a, err)
				}
			}
		}
		for _, dir := range folders {
			if _, err := c.try(t, "write", args{"path": filepath.Join(dir, file), "say": say}); err != nil {
				t.Fatal(err)
			}
		}
	}
	attempts := func(folders ...string) []attempt {
		all := []attempt{
			{tool: "reach", args: args{"address": port, "want": say}, as: byUser},
			{tool: "reach", args: args{"network": "unix", "address": abstract, "want": say}, as: byUser},
			{tool: "memory", args: args{"key": key, "want": say}, as: byUser},
		}
		for _, dir := range folders {
			all = append(all, attempt{tool: "read", args: args{"path": filepath.Join(dir, file)}, as: byUser})
		}
		return all
	}
	t.Run("unconfined", func(t *testing.T) {
		dir := writable(t)
		c := free(t, attacker)
		prepare(t, c, dir)
		controlled(t, attempts(dir))
		if _, err := c.try(t, "memory", args{"key": key, "remove": "yes"}); err != nil {
			t.Error(err)
		}
	})
	boxes(t, nil, func(t *testing.T, b *box) {
		prepare(t, b.start(t, nil), "/tmp", "/dev/shm")
		web := b.start(t, func(s *runtime.Spec) {
			s.Port = 17778
			if b.image == "" {
				s.Command = append(s.Command, "http", "17778")
			} else {
				s.Args = []string{"http", "17778"}
			}
		})
		all := append(attempts("/tmp", "/dev/shm"), attempt{tool: "reach", args: args{"address": "127.0.0.1:17778", "want": "HTTP/1."}})
		// Of the same server and owner, and of others.
		for _, owner := range []string{"", "somebody"} {
			confined(t, b, b.start(t, func(s *runtime.Spec) { s.Owner = owner }), all)
		}
		if err := web.ping(bounded(t)); err != nil {
			t.Errorf("the server that listens on a port: %v", err)
		}
	})
}
