package egress

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestOpenings(t *testing.T) {
	t.Parallel()
	to := target{host: "api.example", port: 80}
	evil := string(clientHello(t, &tls.Config{ServerName: "evil.example"}))
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n":                          "",
		"GET / HTTP/1.1\r\nhost:API.example.:80\r\n\r\nrest":                   "",
		"\r\n\r\nGET / HTTP/1.1\r\nHost: api.example\r\n\r\n":                  "",
		"GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n":        "",
		"GET / HTTP/1.1\nHost: api.example\n\n":                                "",
		"OPTIONS * HTTP/1.1\r\nHost: api.example\r\n\r\n":                      "",
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n":                         `is for "evil.example", another host`,
		"GET / HTTP/1.1\r\nHost: api.example:81\r\n\r\n":                       "another host",
		"get / HTTP/1.1\r\nHost: evil.example\r\n\r\n":                         "another host",
		"GET http://evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n":       "another host",
		"GET http://api.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n":       "another host",
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: api.example\r\n\r\n":       "another host",
		"GET / HTTP/1.1\r\nHost: api.example\r\nHost: evil.example\r\n\r\n":    "more than one Host",
		"GET / HTTP/1.1\r\nHost : evil.example\r\n\r\n":                        "malformed",
		"GET / HTTP/1.1\r\n Host: evil.example\r\nHost: api.example\r\n\r\n":   "malformed",
		"GET / HTTP/1.1\r\nX: y\r\n\r\n":                                       "names no host",
		"GET / HTTP/1.0\r\n\r\n":                                               "names no host",
		"GET / x HTTP/1.1\r\nHost: api.example\r\n\r\n":                        "malformed",
		"GET evil HTTP/1.1\r\nHost: api.example\r\n\r\n":                       "malformed",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                            "another host",
		"GET / HTTP/1.1\r\nHost: api.example\r\n evil.example\r\n\r\n":         "malformed",
		"GET / HTTP/1.1\r\nHost: api":                                          "cut off",
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("y", maxOpening):              "too long",
		"\x16\x03\x01\x00\x05hello":                                            "not a client hello",
		"EHLO api.example\r\n":                                                 "",
		"PING\r\n":                                                             "",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                     "HTTP/2 without TLS",
		"\x15\x03\x01\x00\x02\x01\x5a" + evil:                                  "does not begin with a client hello",
		"\x14\x03\x03\x00\x01\x01" + evil:                                      "does not begin with a client hello",
		"\x17\x03\x03\x00\x01\x01" + evil:                                      "does not begin with a client hello",
		"\x15\x04, another protocol":                                           "",
		"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10":                         "SSL 2",
		"\x80\x2e\x02\x03, another protocol":                                   "",
		"\x16\x03\x01\x00\x08\x01\x00\x00\x00\x01\x00\x00\x00":                 "not a client hello",
		"G!T / HTTP/1.1\r\nHost: evil.example\r\n\r\n":                         "another host",
		strings.Repeat("A", 38) + " / HTTP/1.1\r\nHost: evil.example\r\n\r\n":  "another host",
		strings.Repeat("A", 257) + " / HTTP/1.1\r\nHost: evil.example\r\n\r\n": "first word is too long",
		"M-SEARCH * HTTP/1.1\r\nHost: api.example\r\n\r\n":                     "",
		"GET / http/1.1\r\nHost: api.example\r\n\r\n":                          "malformed",
		"GET /\tHTTP/1.1\r\nHost: evil.example\r\n\r\n":                        "malformed",
		"GET\t/ HTTP/1.1\r\nHost: evil.example\r\n\r\n":                        "malformed",
		"GET / HTTP/1.1 \r\nHost: evil.example\r\n\r\n":                        "malformed",
		"GET / HTTP/3.0\r\nHost: api.example\r\n\r\n":                          "malformed",
		"GET /\r\n":                    "names no host",
		"GET http://evil.example/\r\n": "names no host",
		"get a/key\r\n":                "",
		"get http/key\r\n":             "",
		"OPTIONS rtsp://evil.example/ RTSP/1.0\r\n\r\n":                                  "",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n": "PROXY protocol",
		"\r\n\r\n\x00\r\nQUIT\n\x20":                                                     "PROXY protocol",
		"SSH-2.0-OpenSSH_9.2\r\n":                                                        "",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f":                                               "",
		"averylongfirstwordthatisnomethod x":                                             "",
		"":                                                                               "",
		string(clientHello(t, &tls.Config{ServerName: "api.example"})):                   "",
		string(clientHello(t, &tls.Config{ServerName: "API.example"})):                   "",
		string(clientHello(t, &tls.Config{ServerName: "evil.example"})):                  `its TLS hello is for "evil.example", another host`,
		string(clientHello(t, &tls.Config{InsecureSkipVerify: true})):                    "its TLS hello names no host",
		string(clientHello(t, &tls.Config{ServerName: "x.api.example"})):                 "another host",
		string(clientHello(t, &tls.Config{ServerName: "api.example"})[:100]):             "cut off",
		string(cutIntoRecords(clientHello(t, &tls.Config{ServerName: "evil"}), 9)):       "another host",
		"GET / HTTP/1.1\r\nX: y\r\n Host: evil.example\r\nHost: api.example\r\n\r\n":     "malformed",
		"GET / HTTP/1.1\r\nX: y\rHost: evil.example\r\nHost: api.example\r\n\r\n":        "malformed",
		"GET / HTTP/1.1\r\nHost\t: evil.example\r\nHost: api.example\r\n\r\n":            "malformed",
	} {
		// Whole, and byte by byte.
		for _, step := range []int{len(in), 1} {
			if step == 1 && len(in) > 4096 {
				continue
			}
			a, b := pair(t)
			go func() {
				for rest := in; rest != ""; {
					n := min(max(step, 1), len(rest))
					if _, err := a.Write([]byte(rest[:n])); err != nil {
						return
					}
					rest = rest[n:]
				}
				_ = a.Close()
			}()
			r := openingReader{c: b, timeout: patience}
			early := ""
			if step == 1 {
				r.early = func(b []byte) error {
					early += string(b)
					return nil
				}
			}
			o, err := r.read()
			if err != nil {
				t.Errorf("%.60q: %v", in, err)
			}
			if !strings.HasPrefix(in, string(o.data)) {
				t.Errorf("%.60q: read %.60q", in, o.data)
			}
			if begun, _ := version([]byte(early)); begun {
				t.Errorf("%.60q: %q was passed on", in, early)
			}
			no := o.judge(to)
			if want == "" && no != nil || want != "" && (no == nil || !strings.Contains(no.reason, want)) {
				t.Errorf("%.60q: got %v, want %q", in, no, want)
			}
			if o.judge(target{addr: newNames(1).four.Addr(), port: 80}) != nil {
				t.Errorf("%.60q: judged although the address is allowed", in)
			}
			_ = b.Close()
		}
	}
}

func TestOpeningIsBoundedInTime(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _, _ = a.Write([]byte("GET ")) }()
	r := openingReader{c: b, timeout: 20 * time.Millisecond}
	o, err := r.read()
	if err != nil || o.fault == "" {
		t.Fatalf("got %+v, %v", o, err)
	}
	if r := o.judge(target{host: "a.example", port: 80}); r == nil || !strings.Contains(r.reason, "did not come within 20ms") {
		t.Errorf("got %v", r)
	}
}

func FuzzOpening(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", "\r\nGET http://a/ HTTP/1.1\nHost: b\n\n", "PRI * HTTP/2.0\r\n\r\n", "EHLO\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, done := tell(b)
		if !done {
			return
		}
		for i := range b { // what was told early stays true
			if o, done := tell(b[:i]); done && (o.speech != whole.speech || len(o.names) != len(whole.names)) {
				t.Fatalf("%d bytes: %+v; all: %+v", i, o, whole)
			}
		}
	})
}
