package egress

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	w.name("mixed.example", "10.0.0.1", "93.184.0.2", "169.254.169.254", "93.184.0.2")
	w.name("inner.example", "10.0.0.1")
	w.name("db.example", "10.0.0.5")
	w.name("meta.example", "169.254.169.254")
	w.name("loop.example", "127.0.0.1", "::1")
	w.name("mapped.example", "::ffff:10.0.0.9")
	w.name("nat.example", "64:ff9b::a00:9")
	w.name("own.example", "8.0.0.1")
	w.name("empty.example")
	p := w.proxy(t, Options{}).policy
	rules, err := ParseRules([]string{
		"*.example:443", "10.0.0.5:443", "8.8.8.8:53", "172.16.0.0/12:*", "0.0.0.0/0:8443", "[2606::/16]:443",
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ to, addrs, reason, allow string }{
		{to: "api.example:443", addrs: "93.184.0.1:443"},
		{to: "API.EXAMPLE.:443", addrs: "93.184.0.1:443"},
		{to: "api.example:80", reason: "not on the list", allow: "api.example:80"},
		{to: "mixed.example:443", addrs: "93.184.0.2:443"},
		{to: "inner.example:443", reason: "it resolves to 10.0.0.1, a private address that is not on the list", allow: "10.0.0.1:443"},
		{to: "db.example:443", addrs: "10.0.0.5:443"},
		{to: "meta.example:443", reason: "metadata"},
		{to: "loop.example:443", reason: "loopback", allow: "127.0.0.1:443"},
		{to: "mapped.example:443", reason: "10.0.0.9, a private", allow: "10.0.0.9:443"},
		{to: "nat.example:443", reason: "NAT64"},
		{to: "own.example:443", reason: "own host", allow: "8.0.0.1:443"},
		{to: "8.8.8.8:53", addrs: "8.8.8.8:53"},
		{to: "8.8.8.8:443", reason: "not on the list", allow: "8.8.8.8:443"},
		{to: "172.20.0.1:9", addrs: "172.20.0.1:9"},
		{to: "[::ffff:172.20.0.1]:9", addrs: "172.20.0.1:9"},
		{to: "192.168.0.1:8443", reason: "it is a private address", allow: "192.168.0.1:8443"},
		{to: "9.9.9.9:8443", addrs: "9.9.9.9:8443"},
		{to: "8.0.0.1:8443", reason: "own host", allow: "8.0.0.1:8443"},
		{to: "[64:ff9b::800:1]:443", reason: "own host", allow: "[64:ff9b::800:1]:443"},
		{to: "[2606:4700::1]:443", addrs: "[2606:4700::1]:443"},
		{to: "[fd00:ec2::254]:80", reason: "metadata"},
		{to: "169.254.169.254:80", reason: "metadata"},
		{to: "0.0.0.0:80", reason: "unspecified"},
		{to: "other.test:443", reason: "not on the list", allow: "other.test:443"}, // the last: it is asked for once it is allowed
	}
	for _, tt := range tests {
		to, err := parseTarget(tt.to, 0)
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := p.check(t.Context(), rules, to)
		if slices.Contains(w.questions(), "other.test.") {
			t.Fatal("a name that is not on the list was resolved")
		}
		if tt.reason == "" {
			if err != nil || len(addrs) != 1 || addrs[0].String() != tt.addrs {
				t.Errorf("%s: got %v, %v", tt.to, addrs, err)
			}
			continue
		}
		var r *refusal
		if !errors.As(err, &r) || !strings.Contains(r.reason, tt.reason) || r.allow != tt.allow {
			t.Errorf("%s: got %v, %#v", tt.to, addrs, err)
			continue
		}
		if r.allow == "" {
			continue
		}
		// The entry that is shown does allow it.
		more, err := ParseRules([]string{r.allow})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.check(t.Context(), append(more, rules...), to); errors.As(err, &r) {
			t.Errorf("%s: with %s it is still refused: %v", tt.to, r.allow, err)
		}
	}
	for _, name := range []string{"empty.example:443", "missing.example:443"} {
		to, _ := parseTarget(name, 0)
		var r *refusal
		if _, err := p.check(t.Context(), rules, to); err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), "resolving") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyFailsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("api.example", "93.184.0.1")
	p := w.proxy(t, Options{}).policy
	p.own = &ownAddrs{list: func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }}
	rules, _ := ParseRules([]string{"api.example:443"})
	var r *refusal
	if _, err := p.check(t.Context(), rules, target{host: "api.example", port: 443}); !errors.As(err, &r) || !strings.Contains(r.reason, "no netlink") {
		t.Errorf("got %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.example:1": "a.example:1", "a.example": "a.example:80", "[::1]:5": "[::1]:5", "[::1]": "[::1]:80",
		"::ffff:1.2.3.4": "1.2.3.4:80", "1.2.3.4": "1.2.3.4:80", "A.example.": "a.example:80",
	} {
		if got, err := parseTarget(in, 80); err != nil || got.String() != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ":80", "a.example:0", "a.example:x", "127.1", "0x7f.1:80", "[fe80::1%25lo]:80", "user@a.example:80", "a.example:80:80", "a.example/x"} {
		if got, err := parseTarget(in, 80); err == nil {
			t.Errorf("%q: got %v", in, got)
		}
	}
	if _, err := parseTarget("a.example", 0); err == nil {
		t.Error("a CONNECT without a port")
	}
}
