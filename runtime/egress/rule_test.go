package egress

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseRule(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api.example.com:443":   "api.example.com:443",
		"API.Example.com.:443":  "api.example.com:443",
		"*.Example.com:443":     "*.example.com:443",
		"host_name:8080":        "host_name:8080",
		"bücher.example:443":    "xn--bcher-kva.example:443",
		"example.com:*":         "example.com:*",
		"10.1.2.3:5432":         "10.1.2.3:5432",
		"10.0.0.0/8:*":          "10.0.0.0/8:*",
		"0.0.0.0/0:443":         "0.0.0.0/0:443",
		"[2001:DB8::1]:443":     "[2001:db8::1]:443",
		"[2001:db8::/32]:443":   "[2001:db8::/32]:443",
		"[::ffff:10.1.2.3]:443": "10.1.2.3:443",
		"3com.example:1":        "3com.example:1",
		"1.2.3.4.example:65535": "1.2.3.4.example:65535",
	} {
		r, err := ParseRule(in)
		if err != nil || r.String() != want {
			t.Errorf("%q: got %q, %v; want %q", in, r, err, want)
			continue
		}
		if again, err := ParseRule(r.String()); err != nil || again != r {
			t.Errorf("%q: its own form is read as %q, %v", in, again, err)
		}
	}
	for in, want := range map[string]string{
		"":                                       "not HOST:PORT",
		"example.com":                            "not HOST:PORT",
		"https://example.com:443":                "a URL",
		"example.com/x:443":                      "not a CIDR",
		":443":                                   "host is missing",
		"*:443":                                  "a lone *",
		"*.:443":                                 "a lone *",
		"*example.com:443":                       "whole labels",
		"a.*.example.com:443":                    "'*' is not a letter",
		"example.com:0":                          "not a number from 1",
		"example.com:65536":                      "not a number from 1",
		"example.com:https":                      "not a number from 1",
		"example.com:+443":                       "not a number from 1",
		"example.com:0443":                       "not a number from 1",
		"example.com:":                           "not a number from 1",
		"2001:db8::1:443":                        "in brackets",
		"2001:db8::/32:443":                      "in brackets",
		"[fe80::1%eth0]:443":                     "zone",
		"10.0.0.1/8:443":                         "write 10.0.0.0/8",
		"[::ffff:10.0.0.0/104]:1":                "IPv4 CIDR",
		"127.1:80":                               "last part is a number",
		"2130706433:80":                          "last part is a number",
		"0x7f000001:80":                          "last part is a number",
		"256.256.256.256:80":                     "last part is a number",
		"a..b:80":                                "1 to 63",
		"-a.example:80":                          "hyphen",
		"a b.example:80":                         "not a letter",
		"a\x00.example:80":                       "not a letter",
		strings.Repeat("a.", 140) + "example:80": "1 to 253",
	} {
		if r, err := ParseRule(in); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "allow-list entry") {
			t.Errorf("%q: got %q, %v; want %q", in, r, err, want)
		}
	}
}

func TestParseRulesTellsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := ParseRules([]string{"good.example:1", "bad", "*:2"})
	if err == nil || !strings.Contains(err.Error(), `"bad"`) || !strings.Contains(err.Error(), `"*:2"`) {
		t.Errorf("got %v", err)
	}
	rs, err := ParseRules([]string{"a.example:1", "A.example.:1"})
	if err != nil || len(rs) != 1 {
		t.Errorf("got %v, %v", rs, err)
	}
}

func TestRulesMatch(t *testing.T) {
	t.Parallel()
	rs, err := ParseRules([]string{"api.example.com:443", "*.svc.example:*", "any.example:*"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"api.example.com": true, "x.api.example.com": false, "example.com": false, "evilapi.example.com": false,
		"a.svc.example": true, "b.a.svc.example": true, "svc.example": false, "evilsvc.example": false, ".svc.example": false,
	} {
		if got := rs.names(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	if !rs.name("api.example.com", 443) || rs.name("api.example.com", 80) || !rs.name("any.example", 1) {
		t.Error("ports are not kept")
	}
	if (Rules)(nil).names("x.example") || (Rules)(nil).addr(netip.MustParseAddr("8.8.8.8"), 1, class{}) {
		t.Error("no list allows something")
	}
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"a.example:443", "*.a.example:*", "10.0.0.0/8:1", "[2001:db8::1]:443", "[::ffff:1.2.3.4]:1", "127.1:80", "*:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		again, err := ParseRule(r.String())
		if err != nil || again != r {
			t.Errorf("%q became %q, which is read as %q, %v", s, r, again, err)
		}
		if r.host == "" && !r.prefix.IsValid() {
			t.Errorf("%q means nothing", s)
		}
	})
}

func TestCovers(t *testing.T) {
	t.Parallel()
	rules, err := ParseRules([]string{"a.example:443", "*.b.example:443", "c.example:*", "10.0.0.0/8:*"})
	if err != nil {
		t.Fatal(err)
	}
	for entry, want := range map[string]bool{
		"a.example:443": true, "A.example.:443": true, "a.example:444": false, "x.a.example:443": false,
		"*.b.example:443": true, "*.x.b.example:443": true, "x.b.example:443": true, "b.example:443": false, "*.example:443": false,
		"c.example:1": true, "c.example:*": true, "*.c.example:1": false, "10.0.0.1:443": false,
	} {
		r, err := ParseRule(entry)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.Covers(r); got != want {
			t.Errorf("%s: %t", entry, got)
		}
	}
}
