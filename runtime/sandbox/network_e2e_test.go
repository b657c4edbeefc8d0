//go:build e2e && linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// httpArg makes this test binary a server that speaks on port 8080 of its
// loopback.
const httpArg = "http-probe"

func httpServer() {
	fmt.Fprintln(os.Stderr, "about to listen")
	_ = http.ListenAndServe("127.0.0.1:8080", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if req.URL.Path != "/rpc" || req.Method != http.MethodPost || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if m.Method == "exit" {
			os.Exit(4)
		}
		if m.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"method":%q}}`, m.ID, m.Method)
	}))
}

func TestServerOnAPort(t *testing.T) {
	r := testRuntime(t)
	spec := probe()
	spec.Command[1] = httpArg
	spec.Port, spec.Path = 8080, "/rpc"
	i := started(t, r, spec)
	for range 3 {
		raw, err := call(t, i, "ping", struct{}{})
		if err != nil || !strings.Contains(string(raw), "ping") {
			t.Fatalf("%s, %v", raw, err)
		}
	}
	if err := i.Stop(bounded(t)); err != nil {
		t.Error(err)
	}
	if e := <-i.Wait(); e.Reason != runtime.Stopped || len(e.Stderr) != 1 {
		t.Errorf("after Stop: %+v", e)
	}
	i = started(t, r, spec)
	if _, err := call(t, i, "exit", struct{}{}); err == nil {
		t.Error("a server that exited answered")
	}
	if e := <-i.Wait(); e.Reason != runtime.Exited || e.Code != 4 {
		t.Errorf("after its exit: %+v", e)
	}
	spec.Port = 8081
	spec.Limits.Memory = 64 << 20
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.Start(short, spec); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "port 8081") {
		t.Errorf("a server on another port: %v", err)
	}
	spec.Command = []string{"false"}
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "exited with code 1") {
		t.Errorf("a server that ends at once: %v", err)
	}
}

func TestAllowList(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("welcome"))
			_ = c.Close()
		}
	}()
	var mu sync.Mutex
	var decisions []runtime.Connection
	proxy, err := egress.New(&egress.Options{
		Events: runtime.Events{Connection: func(c runtime.Connection) {
			mu.Lock()
			defer mu.Unlock()
			decisions = append(decisions, c)
		}},
		Resolver: egress.ResolverFunc(func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("1.2.3.4")}, nil
		}),
		Dial: func(ctx context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	r, err := New(t.TempDir(), &Options{Egress: proxy})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := probe()
	spec.Network.Allow = []string{"allowed.test:5000"}
	i := started(t, r, spec)
	if _, err := ask(t, i, "probe/dial", "allowed.test:5000"); err != nil {
		t.Errorf("a host on the list: %v", err)
	}
	if got := i.Refusals(); len(got) != 0 {
		t.Errorf("refused: %v", got)
	}
	for _, not := range []string{"denied.test:5000", "1.2.3.9:5000", l.Addr().String()} {
		if _, err := ask(t, i, "probe/dial", not); err == nil && not == l.Addr().String() {
			t.Errorf("%s, which is not on the list, was reached", not)
		}
	}
	refused := fmt.Sprint(i.Refusals())
	for _, want := range []string{"denied.test", "1.2.3.9:5000"} {
		if !strings.Contains(refused, want) {
			t.Errorf("of %s the refusals say nothing: %s", want, refused)
		}
	}
	mu.Lock()
	allowed := false
	for _, d := range decisions {
		allowed = allowed || d.Allowed && d.Server == "probe" && d.Target == "allowed.test:5000"
	}
	mu.Unlock()
	if !allowed {
		t.Errorf("no event tells that the connection was allowed: %+v", decisions)
	}
	var env []string
	raw, err := call(t, i, "probe/env", struct{}{})
	if err != nil || json.Unmarshal(raw, &env) != nil || !strings.Contains(strings.Join(env, "\n"), "HTTPS_PROXY=http://127.0.0.1:3128") {
		t.Errorf("its environment is %s, %v", raw, err)
	}
	if got, err := ask(t, i, "probe/read", resolvConf); err != nil || !strings.Contains(got, "nameserver") {
		t.Errorf("its resolv.conf is %s, %v", got, err)
	}
	spec.Network.Allow = []string{"no port"}
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "network.allow") {
		t.Errorf("a list that cannot be read: %v", err)
	}
}
