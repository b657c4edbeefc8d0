package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// ways opens a connection to a target both ways.
func (g *Gate) ways(t *testing.T, host string, port int) map[string]net.Conn {
	t.Helper()
	four, _ := g.names.addrs(host)
	proxied, _, _ := g.connectTo(t, fmt.Sprintf("%s:%d", host, port))
	return map[string]net.Conn{"connect": proxied, "tcp": g.toCaptured(t, fmt.Sprintf("%s:%d", four, port))}
}

func TestEveryRequestIsJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("good.example", "93.184.0.1")
	w.serveHTTP("93.184.0.1:80", "", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "evil") {
			t.Errorf("a request for %s came through", r.Host)
		}
		b, _ := io.ReadAll(r.Body)
		rw.Header()["Date"] = nil
		_, _ = fmt.Fprintf(rw, "%s %s %q %v", r.Method, r.Host, b, r.Header)
	}))
	for name, last := range map[string]string{
		"another host":         "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"another host in full": "GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
		"another port":         "GET / HTTP/1.1\r\nHost: good.example:81\r\n\r\n",
		"no host":              "GET / HTTP/1.0\r\n\r\n",
		"two hosts":            "GET / HTTP/1.1\r\nHost: good.example\r\nHost: evil.example\r\n\r\n",
		"HTTP/2":               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"CONNECT":              "CONNECT good.example:80 HTTP/1.1\r\nHost: good.example:80\r\n\r\n",
		"an odd method":        "E!V / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"not HTTP":             "\x16\x03\x01\x00\x00\r\n\r\n",
	} {
		g := w.gate(t, Options{}, "good.example:80")
		dialed := len(w.reached())
		for way, c := range g.ways(t, "good.example", 80) {
			br := bufio.NewReader(c)
			for i := range 3 {
				_, _ = fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: good.example\r\nX-Forwarded-For: me\r\nContent-Length: 2\r\n\r\nhi", i)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(resp.Body)
				if want := `POST good.example "hi" map[Content-Length:[2] X-Forwarded-For:[me]]`; string(b) != want || resp.Header.Get("Date") != "" {
					t.Errorf("got %s %v, want %s", b, resp.Header, want)
				}
			}
			_, _ = io.WriteString(c, last)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode < 400 {
				t.Errorf("%s, %s: %+v, %v", name, way, resp, err)
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if _, err := br.ReadByte(); err == nil {
				t.Errorf("%s, %s: more came after a lie", name, way)
			}
			if strings.HasPrefix(name, "another") {
				if r := refusalOf(t, g, "good.example:80"); !strings.Contains(r.Reason, "another host") {
					t.Errorf("%s, %s: %v", name, way, r)
				}
			}
			end := w.event(t, "ended", func(c runtime.Connection) bool { return c.Ended && c.Protocol == way })
			if end.Sent < 250 || end.Received < 250 {
				t.Errorf("%s, %s: got %+v", name, way, end)
			}
		}
		_ = g.Close()
		if got := len(w.reached()) - dialed; got >= 6 {
			t.Errorf("%s: %d connections for six requests of two clients", name, got)
		}
	}
}

// TestRequestsSwitch has requests that want to speak something else.
func TestRequestsSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.name("good.example", "93.184.0.1")
	w.serveHTTP("93.184.0.1:80", "", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = fmt.Fprintf(rw, "no switch %v", r.Header)
			return
		}
		c, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{buf})
	}))
	g := w.gate(t, Options{}, "good.example:80")
	for _, to := range []string{"websocket", "h2c", "H2C, websocket", "TLS/1.2", "HTTP/2.0"} {
		ways := g.ways(t, "good.example", 80)
		ways["forward"], _ = net.Dial("tcp", g.sockets.proxy.Addr().String())
		for way, c := range ways {
			uri := "/"
			if way == "forward" {
				uri = "http://good.example/"
			}
			_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: good.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", uri, to)
			br := bufio.NewReader(c)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", to, way, err)
			}
			if to != "websocket" {
				if b, _ := io.ReadAll(resp.Body); string(b) != "no switch map[]" {
					t.Errorf("%s, %s: got %s %s", to, way, resp.Status, b)
				}
				continue
			}
			if resp.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("%s: %s", way, resp.Status)
				continue
			}
			_, _ = io.WriteString(c, "hello\n")
			if got, err := br.ReadString('\n'); err != nil || got != "hello\n" {
				t.Errorf("%s: got %q, %v", way, got, err)
			}
			_ = c.Close()
		}
	}
}
