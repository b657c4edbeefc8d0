package transport

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// fixedServer answers every request on a socket with one JSON reply to the id
// in it, at the least cost that Go allows.
func fixedServer(b testing.TB, result string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveFixed(c, result)
		}
	}()
	return "http://" + l.Addr().String() + "/mcp"
}

func serveFixed(c net.Conn, result string) {
	defer func() { _ = c.Close() }()
	br := bufio.NewReaderSize(c, 16<<10)
	var body, out []byte
	for {
		length := 0
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if v, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
				length, _ = strconv.Atoi(strings.TrimSpace(v))
			}
		}
		if cap(body) < length {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(br, body); err != nil {
			return
		}
		m, err := Parse(body, Limits{})
		if err != nil {
			return
		}
		reply := m.Reply(json.RawMessage(result)).Append(nil)
		out = append(out[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: "...)
		out = strconv.AppendInt(out, int64(len(reply)), 10)
		out = append(append(out, "\r\n\r\n"...), reply...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// BenchmarkHTTPClient compares a call with what a reverse proxy's transport
// costs for the same bytes. Server and client share the process.
func BenchmarkHTTPClient(b *testing.B) {
	result := `{"content":[{"type":"text","text":"` + strings.Repeat("x", 200) + `"}]}`
	url := fixedServer(b, result)
	params := ModernMeta(json.RawMessage(`{"name":"echo","arguments":{"text":"`+strings.Repeat("x", 200)+`"}}`), VersionModern, json.RawMessage(`{"name":"c","version":"1"}`), nil)
	m := &Message{ID: json.RawMessage("7"), Method: "tools/call", Params: params}

	full := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	b.Run("net/http alone", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(string(m.Append(nil))))
				req.Header.Set("Content-Type", "application/json")
				resp, err := full.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	})
	for name, rt := range map[string]http.RoundTripper{"over net/http": full, "lean": NewRoundTripper(nil)} {
		for _, version := range []string{VersionModern, VersionLegacy} {
			b.Run(name+", "+EraOf(version).String(), func(b *testing.B) {
				c, err := NewHTTPClient(url, &HTTPClientOptions{RoundTripper: rt})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				c.SetProtocolVersion(version)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := c.Call(b.Context(), m, nil); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}
