//go:build e2e && linux

package isolation

import (
	"net"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// list is the allow-list of the servers of these tests.
var list = []string{"allowed.example:80", "allowed.example:443", "*.wild.example:80", "inner.example:*", "cloud.example:80"}

// proxyPort is where the proxy listens inside, and capturePort where
// connections are redirected to.
const (
	proxyPort   = "127.0.0.1:3128"
	capturePort = "127.0.0.1:15001"
)

// open are the same servers with everything allowed that the attempts want:
// what they would get if the list did not hold them.
var open = []string{
	"allowed.example:*", "denied.example:*", elsewhere + ":*", front + ":*", provider + ":80", "cloud.example:80",
}

// TestAllowList: a server gets what its list allows, however it asks, and
// nothing else.
func TestAllowList(t *testing.T) {
	n := newInternet(t)
	way := n.proxy(t)
	fine := []attempt{
		{tool: "http", args: args{"url": "http://allowed.example/", "proxy": "env", "want": n.allowed}},
		{tool: "http", args: args{"url": "https://allowed.example/", "proxy": "env", "want": n.allowed}},
		{tool: "http", args: args{"url": "http://allowed.example/", "want": n.allowed}},
		{tool: "http", args: args{"url": "https://allowed.example/", "want": n.allowed}},
		{tool: "http", args: args{"url": "http://any.wild.example/", "want": n.allowed}},
		{tool: "http", args: args{"url": "http://any.wild.example/", "proxy": "env", "want": n.allowed}},
		{tool: "dns", args: args{"network": "udp", "server": "127.0.0.53:53", "name": "allowed.example"}},
		{tool: "dns", args: args{"network": "tcp", "server": "8.8.8.8:53", "name": "allowed.example"}},
		{tool: "tls", args: args{"proxy": proxyPort, "target": "allowed.example:443", "sni": "allowed.example", "host": "allowed.example", "want": n.allowed}},
		{tool: "tls", args: args{"address": "allowed.example:443", "sni": "allowed.example", "host": "allowed.example", "want": n.allowed}},
	}
	// These succeed where the list is open.
	denied := []attempt{
		{tool: "http", args: args{"url": "http://denied.example/", "proxy": "env", "want": n.denied}},
		{tool: "http", args: args{"url": "https://denied.example/", "proxy": "env", "want": n.denied}},
		{tool: "http", args: args{"url": "http://denied.example/", "want": n.denied}},
		{tool: "http", args: args{"url": "https://denied.example/", "want": n.denied}},
		{tool: "http", args: args{"url": "http://" + elsewhere + "/", "want": n.denied}},
		{tool: "http", args: args{"url": "https://" + elsewhere + "/", "proxy": "env", "want": n.denied}},
		{tool: "http", args: args{"url": "http://" + front + "/", "want": n.denied}}, // the address of a name that is allowed
		{tool: "http", args: args{"url": "http://" + front + "/", "proxy": "env", "want": n.denied}},
		{tool: "http", args: args{"url": "http://" + provider + "/", "want": n.metadata}},
		{tool: "http", args: args{"url": "http://" + provider + "/", "proxy": "env", "want": n.metadata}},
		{tool: "http", args: args{"url": "http://cloud.example/", "host": provider, "proxy": "env", "want": n.metadata}},
		{tool: "http", args: args{"url": "http://allowed.example:8080/", "want": n.allowed}},
		{tool: "reach", args: args{"address": elsewhere + ":80", "want": n.denied}},
		{tool: "reach", args: args{"address": elsewhere + ":7", "want": n.denied}},
	}
	for _, to := range []string{"http://denied.example/", "https://denied.example/", "http://" + elsewhere + "/", "http://" + provider + "/"} {
		want := n.denied
		if strings.Contains(to, provider) {
			want = n.metadata
		}
		for _, proxy := range []string{"", "env"} {
			denied = append(denied, attempt{tool: "http", args: args{"url": "http://allowed.example/redirect?to=" + to, "proxy": proxy, "want": want}})
		}
	}
	// These never succeed inside, whatever is listed; without confinement they
	// do, or another test has the control.
	never := append(onHost(t), lies(n)...)
	for _, a := range onHost(t) {
		if a.tool != "reach" || a.args["network"] != "tcp" {
			continue
		}
		_, port, _ := net.SplitHostPort(a.args["address"])
		never = append(never,
			attempt{tool: "http", args: args{"url": "http://" + a.args["address"] + "/", "proxy": proxyPort, "want": a.args["want"]}},
			attempt{tool: "tls", args: args{"proxy": proxyPort, "target": a.args["address"], "sni": "plain", "host": "x", "want": a.args["want"]}},
			attempt{tool: "reach", args: args{"address": "inner.example:" + port, "want": a.args["want"]}},
			attempt{tool: "http", args: args{"url": "http://inner.example:" + port + "/", "proxy": "env", "want": a.args["want"]}})
		for _, way := range []string{"localhost", "2130706433", "0x7f000001", "127.1", "0", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "127.0.0.1."} {
			never = append(never, attempt{tool: "http", args: args{"url": "http://" + way + ":" + port + "/", "proxy": proxyPort, "want": a.args["want"]}})
		}
	}
	never = append(never, tunnels()...)
	controlled(t, never)

	boxes(t, way, func(t *testing.T, b *box) {
		t.Run("open", func(t *testing.T) {
			c := b.start(t, func(s *runtime.Spec) { s.Network.Allow = open })
			for _, a := range denied {
				if got, err := c.try(t, a.tool, a.args); err != nil {
					t.Errorf("would not succeed if it were allowed, so that it proves nothing: %v: %v %s", a, err, got)
				}
			}
		})
		t.Run("listed", func(t *testing.T) {
			asked, dialed, told := n.seen()
			c := b.start(t, func(s *runtime.Spec) { s.Network.Allow = list })
			for _, a := range fine {
				if got, err := c.try(t, a.tool, a.args); err != nil {
					t.Errorf("what is allowed fails: %v: %v %s", a, err, got)
				}
			}
			confined(t, b, c, append(denied, never...))
			n.check(t, len(asked), len(dialed), len(told))
			refused(t, c)
		})
		t.Run("root", func(t *testing.T) {
			c := b.start(t, func(s *runtime.Spec) {
				s.User, s.Network.Allow = "0", list
			})
			confined(t, b, c, append(denied, attempt{tool: "socket", args: args{"kind": "netfilter"}}, attempt{tool: "socket", args: args{"kind": "raw"}}))
		})
	})
}

// lies name somebody else than the one who is connected to.
func lies(n *internet) []attempt {
	var all []attempt
	for _, through := range []args{
		{"proxy": proxyPort, "target": "allowed.example:443"},
		{"address": "allowed.example:443"},
	} {
		for _, sni := range []string{"denied.example", "", "allowed.example.denied.example", "allowed.example\x00.denied.example"} {
			a := attempt{tool: "tls", args: args{"sni": sni, "host": "denied.example", "want": n.denied}, as: byUser,
				how: args{"address": n.secure, "sni": sni, "host": "denied.example", "want": n.denied}}
			for k, v := range through {
				a.args[k] = v
			}
			all = append(all, a)
		}
	}
	for _, through := range []args{
		{"proxy": proxyPort, "target": "allowed.example:80"},
		{"address": "allowed.example:80"},
	} {
		a := attempt{tool: "tls", args: args{"sni": "plain", "host": "denied.example", "want": n.denied}, as: byUser,
			how: args{"address": n.plain, "sni": "plain", "host": "denied.example", "want": n.denied}}
		for k, v := range through {
			a.args[k] = v
		}
		all = append(all, a)
	}
	return append(all,
		attempt{tool: "http", args: args{"url": "http://allowed.example/", "host": "denied.example", "proxy": "env", "want": n.denied}},
		attempt{tool: "http", args: args{"url": "http://allowed.example/", "host": "denied.example", "want": n.denied}, as: byUser,
			how: args{"url": "http://" + n.plain + "/", "host": "denied.example", "want": n.denied}},
		// Straight to the port for redirected connections.
		attempt{tool: "reach", args: args{"address": capturePort, "want": "*"}},
		attempt{tool: "reach", args: args{"address": "[::1]:15001", "want": "*"}},
		attempt{tool: "reach", args: args{"address": elsewhere + ":15001", "want": n.denied}},
		attempt{tool: "tls", args: args{"address": capturePort, "sni": "allowed.example", "host": "denied.example", "want": n.denied}},
		attempt{tool: "tls", args: args{"proxy": proxyPort, "target": "127.0.0.1:15001", "sni": "plain", "host": "denied.example", "want": n.denied}},
		attempt{tool: "tls", args: args{"proxy": proxyPort, "target": "127.0.0.1:3128", "sni": "plain", "host": "denied.example", "want": n.denied}},
		// An address made up for no name.
		attempt{tool: "reach", args: args{"address": "198.18.200.200:80", "want": n.denied}},
	)
}

// tunnels are ways to carry data out by DNS or by datagrams.
func tunnels() []attempt {
	data := strings.Repeat("k", 60)
	var all []attempt
	for _, name := range []string{
		"denied.example", data + ".denied.example", data + "." + data + "." + data + ".denied.example",
		data + ".allowed.example", "allowed.example.denied.example", "wild.example",
	} {
		for _, server := range []string{"127.0.0.53:53", "8.8.8.8:53", "[2001:4860:4860::8888]:53", "1.1.1.1:53"} {
			for _, network := range []string{"udp", "tcp"} {
				all = append(all, attempt{tool: "dns", args: args{"network": network, "server": server, "name": name}})
			}
		}
	}
	for _, to := range []string{elsewhere + ":443", front + ":443", "8.8.8.8:123", "[2001:4860:4860::8888]:443", "239.1.1.1:5000"} {
		all = append(all, attempt{tool: "datagram", args: args{"address": to, "want": "*"}})
	}
	for _, to := range []string{"8.8.8.8:853", "8.8.8.8:443", "[2001:4860:4860::8888]:853"} {
		all = append(all, attempt{tool: "reach", args: args{"address": to, "want": "*"}})
	}
	return all
}

// check looks at what has left the machine since.
func (n *internet) check(t *testing.T, asked, dialed, told int) {
	t.Helper()
	a, d, c := n.seen()
	for _, name := range a[asked:] {
		switch {
		case name == "allowed.example.", name == "inner.example.", name == "cloud.example.", name == "any.wild.example.":
		default:
			t.Errorf("the name %s was asked for outside", name)
		}
	}
	for _, to := range d[dialed:] {
		if to.Addr().String() != front || to.Port() != 80 && to.Port() != 443 {
			t.Errorf("there was a connection to %v", to)
		}
	}
	kinds := map[bool]int{}
	for _, e := range c[told:] {
		kinds[e.Allowed]++
		if e.Server != "hostile" {
			t.Errorf("an event of server %q: %+v", e.Server, e)
		}
	}
	if kinds[true] == 0 || kinds[false] == 0 {
		t.Errorf("%d connections were told as allowed, %d as refused", kinds[true], kinds[false])
	}
}

// refused looks whether the refusals are kept for the operator.
func refused(t *testing.T, c *cell) {
	t.Helper()
	r, ok := c.i.(runtime.Refuser)
	if !ok {
		t.Fatal("the driver tells no refusals")
	}
	all := r.Refusals()
	if len(all) == 0 || len(all) > 32 {
		t.Errorf("%d refusals are kept", len(all))
	}
	// Who was refused more than is kept is told the newest.
	if _, err := c.try(t, "http", args{"url": "http://denied.example/", "proxy": "env"}); err == nil {
		t.Error("succeeded")
	}
	if last := r.Refusals(); !strings.Contains(last[len(last)-1].String(), `to allow it: network: {allow: ["denied.example:80"]}`) {
		t.Errorf("the last refusal is %q", last[len(last)-1])
	}
}
