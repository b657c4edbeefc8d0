package egress

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// clientHello returns what a TLS client sends first.
func clientHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Client(a, cfg).Handshake() }()
	_ = b.SetDeadline(time.Now().Add(patience))
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// cutIntoRecords puts the message of a record into records of n bytes.
func cutIntoRecords(b []byte, n int) []byte {
	var out []byte
	for msg := b[recordHeader:]; len(msg) > 0; {
		part := msg[:min(n, len(msg))]
		msg = msg[len(part):]
		out = append(out, b[0], b[1], b[2])
		out = binary.BigEndian.AppendUint16(out, uint16(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestServerName(t *testing.T) {
	t.Parallel()
	hello := clientHello(t, &tls.Config{ServerName: "api.example.com"})
	none := clientHello(t, &tls.Config{ServerName: "1.2.3.4"}) // an address is not sent
	for name, tt := range map[string]struct {
		b    []byte
		want string
		err  error
	}{
		"as sent":             {hello, "api.example.com", nil},
		"more follows":        {append(bytes.Clone(hello), 1, 2, 3), "api.example.com", nil},
		"in records of 1":     {cutIntoRecords(hello, 1), "api.example.com", nil},
		"in records of 50":    {cutIntoRecords(hello, 50), "api.example.com", nil},
		"no name":             {none, "", nil},
		"cut":                 {hello[:len(hello)-1], "", errShort},
		"one byte":            {hello[:1], "", errShort},
		"alert":               {[]byte{21, 3, 1, 0, 2, 1, 0}, "", errHello},
		"not TLS":             {[]byte{22, 'x'}, "", errHello},
		"empty record":        {[]byte{22, 3, 1, 0, 0}, "", errHello},
		"long record":         {[]byte{22, 3, 1, 0x40, 1}, "", errHello},
		"server hello":        {[]byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, "", errHello},
		"giant":               {[]byte{22, 3, 1, 0, 4, 1, 1, 0, 1}, "", errHello},
		"alert in the middle": {append(cutIntoRecords(hello, 50)[:55], 21, 3, 1, 0, 2, 1, 0), "", errHello},
		"two names":           {withTwoNames(hello, "api.example.com"), "", errHello},
	} {
		got, err := serverName(tt.b)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// withTwoNames repeats the extension with the name, and mends every length.
func withTwoNames(b []byte, name string) []byte {
	i := bytes.Index(b, []byte(name)) - 9
	ext := b[i : i+9+len(name)]
	out := append(bytes.Clone(b), ext...)
	n := len(ext)
	binary.BigEndian.PutUint16(out[3:], uint16(int(binary.BigEndian.Uint16(b[3:]))+n))
	binary.BigEndian.PutUint16(out[7:], uint16(int(binary.BigEndian.Uint16(b[7:]))+n))
	p := parser{b[9:], true}
	p.skip(34)
	p.skip(int(p.number(1)))
	p.skip(int(p.number(2)))
	p.skip(int(p.number(1)))
	at := len(b) - len(p.b)
	binary.BigEndian.PutUint16(out[at:], uint16(int(binary.BigEndian.Uint16(b[at:]))+n))
	return out
}

// FuzzServerName compares with crypto/tls: what that reads as a hello for a
// name is read here as the same, or refused.
func FuzzServerName(f *testing.F) {
	hello := clientHello(f, &tls.Config{ServerName: "api.example.com", NextProtos: []string{"h2"}})
	f.Add(hello)
	f.Add(cutIntoRecords(hello, 7))
	f.Add(withTwoNames(hello, "api.example.com"))
	f.Add(clientHello(f, &tls.Config{ServerName: "1.2.3.4", MaxVersion: tls.VersionTLS12}))
	f.Add([]byte{22, 3, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := serverName(b)
		if err == nil {
			for i := range b { // what is whole does not depend on what follows
				if n, err := serverName(b[:i]); err == nil && n != name {
					t.Fatalf("%d bytes say %q, all say %q", i, n, name)
				}
			}
		}
		theirs, ok := theirServerName(b)
		if ok && (err == nil && name != theirs || errors.Is(err, errShort)) {
			t.Fatalf("crypto/tls reads %q, here it is %q, %v", theirs, name, err)
		}
	})
}

func theirServerName(b []byte) (name string, ok bool) {
	c := &scripted{r: bytes.NewReader(b)}
	stop := errors.New("enough")
	_ = tls.Server(c, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, stop
	}}).Handshake()
	return name, ok
}

// scripted is a connection with a given input, whose output goes nowhere.
type scripted struct {
	net.Conn
	r io.Reader
}

func (s *scripted) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (s *scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
