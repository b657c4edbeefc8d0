package egress

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// rewriting changes the hellos after the first of a client of TLS.
type rewriting struct {
	net.Conn
	hellos int
	second func(record []byte) []byte
}

// Write is given whole records by crypto/tls.
func (r *rewriting) Write(b []byte) (int, error) {
	var out []byte
	for rest := b; len(rest) >= recordHeader; {
		n := recordHeader + int(binary.BigEndian.Uint16(rest[3:]))
		record := rest[:n]
		rest = rest[n:]
		if record[0] == recordHandshake && record[recordHeader] == 1 {
			if r.hellos++; r.hellos > 1 {
				record = r.second(record)
			}
		}
		out = append(out, record...)
	}
	if _, err := r.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// tapped remembers what was read.
type tapped struct {
	net.Conn
	mu   sync.Mutex
	said bytes.Buffer
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said.Write(b[:n])
	return n, err
}

func TestSecondHello(t *testing.T) {
	t.Parallel()
	lie := func(b []byte) []byte { return bytes.Replace(b, []byte("good.example"), []byte("evil.example"), 1) }
	for name, tt := range map[string]struct {
		version uint16
		second  func([]byte) []byte
		want    string // in the reason; empty: it works
	}{
		"honest":            {0, func(b []byte) []byte { return b }, ""},
		"honest, in pieces": {0, func(b []byte) []byte { return cutIntoRecords(b, 100) }, ""},
		"honest, TLS 1.2":   {tls.VersionTLS12, nil, ""},
		"lie":               {0, lie, `is for "evil.example", another host`},
		"lie, in pieces":    {0, func(b []byte) []byte { return cutIntoRecords(lie(b), 1) }, "another host"},
		"lie, behind data": {0, func(b []byte) []byte {
			return append([]byte("\x17\x03\x03\x00\x20"+strings.Repeat("x", 32)), lie(b)...)
		}, "another host"},
		"lie, behind alert":   {0, func(b []byte) []byte { return append([]byte("\x15\x03\x03\x00\x02\x01\x5a"), lie(b)...) }, "another host"},
		"lie, behind truth":   {0, func(b []byte) []byte { return joined(b, lie(b)) }, "not a client hello"},
		"other than TLS":      {0, func(b []byte) []byte { return []byte("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") }, "is not TLS"},
		"handshake, no hello": {0, func(b []byte) []byte { return append([]byte("\x16\x03\x03\x00\x04\x10\x00\x00\x00"), lie(b)...) }, "not a client hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.name("good.example", "93.184.0.1")
			heard := make(chan string, 1)
			w.serve("93.184.0.1:443", func(c net.Conn) {
				tap := &tapped{Conn: c}
				s := tls.Server(tap, &tls.Config{
					CurvePreferences: []tls.CurveID{tls.CurveP521}, // which no client has a share of at once
					GetCertificate:   func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return w.ca.leaf("good.example") },
				})
				_, _ = io.WriteString(s, "hi")
				_, _ = io.Copy(io.Discard, tap)
				heard <- tap.said.String()
			})
			g := w.gate(t, Options{}, "good.example:443")
			four, _ := g.names.addrs("good.example")
			c := g.toCaptured(t, four.String()+":443")
			r := &rewriting{Conn: c, second: tt.second}
			tc := tls.Client(r, &tls.Config{ServerName: "good.example", RootCAs: w.roots(), MaxVersion: tt.version})
			b := make([]byte, 2)
			_, err := io.ReadFull(tc, b)
			if tt.version == 0 && r.hellos != 2 {
				t.Fatalf("%d hellos", r.hellos)
			}
			if tt.want == "" && err != nil || tt.want != "" && err == nil {
				t.Errorf("got %q, %v", b, err)
			}
			if tt.want != "" {
				if f := refusalOf(t, g, "good.example:443"); !strings.Contains(f.Reason, tt.want) {
					t.Errorf("got %v", f)
				}
			}
			_ = c.Close()
			if got := <-heard; strings.Contains(got, "evil.example") {
				t.Error("the lie was passed on")
			}
		})
	}
}

// joined puts the messages of two records into one.
func joined(a, b []byte) []byte {
	out := append(bytes.Clone(a), b[recordHeader:]...)
	binary.BigEndian.PutUint16(out[3:], uint16(len(out)-recordHeader))
	return out
}

// TestHelloBeforeTheAnswer sends the second hello before it was asked for.
func TestHelloBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("good.example", "93.184.0.1")
	heard := make(chan int, 1)
	w.serve("93.184.0.1:443", func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		heard <- int(n)
	})
	g := w.gate(t, Options{HelloTimeout: 50 * time.Millisecond}, "good.example:443")
	c, _, _ := g.connectTo(t, "good.example:443")
	first := clientHello(t, &tls.Config{ServerName: "good.example"})
	if _, err := c.Write(append(bytes.Clone(first), clientHello(t, &tls.Config{ServerName: "evil.example"})...)); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got > len(first) {
		t.Errorf("the target was told %d bytes", got)
	}
	if r := refusalOf(t, g, "good.example:443"); !strings.Contains(r.Reason, "did not answer its TLS hello within 50ms") {
		t.Errorf("got %v", r)
	}
}

func TestFinalHello(t *testing.T) {
	t.Parallel()
	server := func(random string) []byte {
		return append([]byte("\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03"), random+"\x00\x00\x00\x00\x00\x00"...)
	}
	plain, retry := server(strings.Repeat("r", 32)), server(helloRetry)
	alert := "\x15\x03\x03\x00\x02\x01\x70"
	for name, tt := range map[string]struct {
		b         string
		final, ok bool
	}{
		"hello":              {string(plain), true, true},
		"its random is cut":  {string(plain[:5+4+2+31]), false, false},
		"its random is all":  {string(plain[:5+4+2+32]), true, true},
		"behind an alert":    {alert + string(plain), true, true},
		"in pieces":          {string(cutIntoRecords(plain, 3)), true, true},
		"retry":              {string(retry), false, true},
		"retry, in pieces":   {alert + string(cutIntoRecords(retry, 1)), false, true},
		"data":               {"\x17\x03\x03\x00\x01x", false, true},
		"another message":    {"\x16\x03\x03\x00\x04\x00\x00\x00\x00", false, true},
		"not TLS":            {"HTTP/1.1 400 Bad Request\r\n", false, true},
		"nothing":            {"", false, false},
		"an alert":           {alert, false, false},
		"a part of an alert": {alert[:6], false, false},
	} {
		if final, ok := finalHello([]byte(tt.b)); final != tt.final || ok != tt.ok {
			t.Errorf("%s: got %v, %v", name, final, ok)
		}
	}
}
