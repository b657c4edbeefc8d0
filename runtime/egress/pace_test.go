package egress

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// flood sends refused requests over one connection and counts the answers.
func flood(t *testing.T, g *Gate, d time.Duration, request func(i int) string) int {
	t.Helper()
	c, err := net.Dial("tcp", g.sockets.proxy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	end := time.Now().Add(d)
	_ = c.SetDeadline(end)
	go func() {
		for i := 0; time.Now().Before(end); i++ {
			if _, err := io.WriteString(c, request(i)); err != nil {
				return
			}
		}
	}()
	br := bufio.NewReader(c)
	for n := 0; ; n++ {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return n
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

func TestRefusalsArePaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gate(t, Options{}, "good.example:80")
	n := flood(t, g, 2*time.Second, func(i int) string {
		return fmt.Sprintf("GET http://evil%d.example/ HTTP/1.1\r\nHost: e\r\n\r\n", i)
	})
	if most := maxBurst + 3*maxRate; n > most || n < 50 {
		t.Errorf("%d answers in 2 s over one connection", n)
	}
}

func TestRepeatedRefusalsAreToldTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gate(t, Options{}, "good.example:80")
	n := flood(t, g, 1500*time.Millisecond, func(int) string { return "GET http://evil.example/ HTTP/1.1\r\nHost: e\r\n\r\n" })
	w.event(t, "count", func(c runtime.Connection) bool { return strings.Contains(c.Reason, "times more before") })
	w.mu.Lock()
	told := len(w.events)
	w.mu.Unlock()
	if told > 3 {
		t.Errorf("%d events of %d refusals of one kind in 1.5 s", told, n)
	}
	if r := refusalOf(t, g, "evil.example:80"); r.Count < int64(n) {
		t.Errorf("%d of %d are counted", r.Count, n)
	}
}

func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRepeats()
	told := 0
	for i := range 3 * maxRepeats {
		if _, ok := r.tell(repeat{target: fmt.Sprint(i)}); ok {
			told++
		}
	}
	if len(r.seen) > maxRepeats || told < maxRepeats {
		t.Errorf("%d are remembered, %d were told", len(r.seen), told)
	}
}

// TestTargetsAreBounded has more requests at a time than MaxConns, over
// HTTP/2.
func TestTargetsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 4
	w := newWorld(t)
	w.name("good.example", "93.184.0.1")
	var (
		mu        sync.Mutex
		open, top int
	)
	w.serve("93.184.0.1:443", func(c net.Conn) {
		mu.Lock()
		open++
		top = max(top, open)
		mu.Unlock()
		defer func() { mu.Lock(); open--; mu.Unlock() }()
		cert, err := w.ca.leaf("good.example")
		if err != nil {
			return
		}
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}})
		br := bufio.NewReader(s)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
			_, _ = io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	g := w.attach(t, Options{MaxConns: most}, Attachment{Allow: []string{"good.example:443"}, Terminate: []string{"good.example:443"}})
	get := func(client *http.Client) {
		resp, err := client.Get("https://good.example/")
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
			t.Errorf("got %s %s", resp.Proto, resp.Status)
		}
	}
	var wg sync.WaitGroup
	for range most - 1 {
		client := through(g, trusting(g))
		defer client.CloseIdleConnections()
		get(client) // so that there is a connection
		for range most {
			wg.Go(func() {
				for range 20 {
					get(client)
				}
			})
		}
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if top > most {
		t.Errorf("%d connections to the target at a time", top)
	}
}
