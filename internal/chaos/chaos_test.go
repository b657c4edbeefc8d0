//go:build e2e && linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	gruntime "github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var (
	length  = flag.Duration("chaos", time.Minute, "how long the fault test runs")
	clients = flag.Int("clients", 200, "sessions at once")
)

func TestMain(m *testing.M) {
	process.Init()
	os.Exit(m.Run())
}

// counts is what happened, for the log of the test.
type counts struct {
	sessions, calls, good, crashed, cut, refused, killed, progress atomic.Int64
}

// TestNothingIsLostCrossedOrLeft keeps 200 sessions busy while servers are
// killed and clients are cut off. Every call that was not cut off by its own
// client must get its own reply, or an error that says what happened to its
// server; afterwards no goroutine, process or descriptor is left.
func TestNothingIsLostCrossedOrLeft(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "echod")
	build := exec.Command("go", "build", "-o", bin, "github.com/gatehouse-mcp/gatehouse/internal/testserver/echod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	goroutines, files := settled()

	var c counts
	chaos(t, bin, &c)
	t.Logf("%d sessions, %d calls: %d answered, %d lost their server, %d cut by their client, %d refused for want of a server; %d servers killed; %d progress messages",
		c.sessions.Load(), c.calls.Load(), c.good.Load(), c.crashed.Load(), c.cut.Load(), c.refused.Load(), c.killed.Load(), c.progress.Load())
	if c.good.Load() < c.calls.Load()/4 || c.killed.Load() == 0 || c.cut.Load() == 0 {
		t.Error("the test did not do what it is for")
	}

	limit := time.Now().Add(15 * time.Second)
	for {
		g, f := settled()
		left := servers(bin)
		if g <= goroutines && f <= files && len(left) == 0 {
			break
		}
		if time.Now().After(limit) {
			buf := make([]byte, 1<<20)
			t.Fatalf("left over: %d goroutines more, %d descriptors more, processes %v\n%s", g-goroutines, f-files, left, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// settled counts goroutines and descriptors.
func settled() (goroutines, files int) {
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	entries, _ := os.ReadDir("/proc/self/fd")
	return runtime.NumGoroutine(), len(entries)
}

// servers lists the processes that run bin.
func servers(bin string) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if exe, err := os.Readlink("/proc/" + e.Name() + "/exe"); err == nil && strings.TrimSuffix(exe, " (deleted)") == bin {
			pids = append(pids, pid)
		}
	}
	return pids
}

func chaos(t *testing.T, bin string, c *counts) {
	launcher := gruntime.Of(process.New(nil), gruntime.Spec{Command: []string{bin}, Unconfined: true})
	gw, err := gateway.New(&gateway.Options{
		Servers: []gateway.Server{
			{Name: "own", Launcher: launcher},
			{Name: "all", Launcher: gruntime.Of(process.New(nil), gruntime.Spec{Command: []string{bin}, Unconfined: true}), Instance: gateway.Shared},
		},
		Limits: gateway.Limits{Starts: 16},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	gw.Register(mux)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	url := "http://" + ln.Addr().String() + "/mcp"

	ctx, cancel := context.WithTimeout(t.Context(), *length)
	defer cancel()
	var wg sync.WaitGroup
	for n := range *clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(n), 1))
			for ctx.Err() == nil {
				session(t, ctx, url, n, rnd, c)
			}
		})
	}
	wg.Go(func() {
		rnd := rand.New(rand.NewPCG(42, 2))
		for ctx.Err() == nil {
			if pids := servers(bin); len(pids) > 0 {
				if syscall.Kill(pids[rnd.IntN(len(pids))], syscall.SIGKILL) == nil {
					c.killed.Add(1)
				}
			}
			select {
			case <-time.After(time.Duration(rnd.IntN(60)) * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	wg.Wait()
	end, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if err := gw.Shutdown(end); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	_ = srv.Close()
	serving.Wait()
}

// session is one client's session: some calls, then a polite or a rude end.
func session(t *testing.T, ctx context.Context, url string, n int, rnd *rand.Rand, c *counts) {
	conn, err := transport.NewHTTPClient(url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.Listen(transport.ReceiverFunc(func(context.Context, *transport.Message) (*transport.Message, error) { return nil, nil }))
	era := transport.Legacy
	if rnd.IntN(3) == 0 {
		era = transport.Modern
	}
	info := json.RawMessage(`{"name":"chaos","version":"1"}`)
	start, stop := context.WithTimeout(ctx, 60*time.Second)
	peer, err := transport.Handshake(start, conn, transport.HandshakeOptions{ClientInfo: info, Capabilities: json.RawMessage("{}"), Prefer: era, Only: true})
	stop()
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("client %d: handshake: %v", n, err)
		}
		return
	}
	c.sessions.Add(1)
	for k := range 5 + rnd.IntN(20) {
		if ctx.Err() != nil {
			return
		}
		text := fmt.Sprintf("client %d call %d %d", n, k, rnd.Uint64())
		tool := [...]string{"own__echo", "all__echo", "own__slow", "all__slow"}[rnd.IntN(4)]
		if rnd.IntN(40) == 0 {
			tool = "own__die"
		}
		params := json.RawMessage(fmt.Sprintf(`{"name":%q,"arguments":{"text":%q},"_meta":{"progressToken":%d}}`, tool, text, k))
		if peer.Era == transport.Modern {
			params = transport.ModernMeta(params, peer.Version, info, json.RawMessage("{}"))
		}
		call(t, ctx, conn, params, text, rnd.IntN(15) == 0, rnd, c)
	}
	if rnd.IntN(4) == 0 {
		return // Close without waiting for anything
	}
}

// call makes one call and checks what comes back.
func call(t *testing.T, ctx context.Context, conn transport.Conn, params json.RawMessage, text string, cut bool, rnd *rand.Rand, c *counts) {
	c.calls.Add(1)
	// A reply that takes this long is lost.
	cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 60*time.Second)
	defer cancel()
	if cut {
		timer := time.AfterFunc(time.Duration(rnd.IntN(3000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	id := json.RawMessage(strconv.Quote(text))
	reply, err := conn.Call(cctx, &transport.Message{ID: id, Method: "tools/call", Params: params}, transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		if m.Method == "notifications/progress" {
			c.progress.Add(1)
			if v, _ := rawjson.Get(m.Params, "message"); string(v) != strconv.Quote(text) {
				t.Errorf("progress of somebody else: %s, waiting for %q", m.Params, text)
			}
		}
		return nil, nil
	}))
	switch {
	case cut && err != nil && errors.Is(err, context.Canceled):
		c.cut.Add(1)
	case err != nil:
		t.Errorf("%q: %v", text, err)
	case string(reply.ID) != string(id):
		t.Errorf("%q got the reply to %s", text, reply.ID)
	case reply.Error != nil:
		t.Errorf("%q: %s", text, reply.Error)
	default:
		content, _ := rawjson.Get(reply.Result, "content")
		got := ""
		rawjson.Each(content, func(_, v []byte) bool {
			raw, _ := rawjson.Get(v, "text")
			got, _ = rawjson.String(raw)
			return false
		})
		switch {
		case got == text:
			c.good.Add(1)
		case strings.Contains(got, "ended during the call"):
			c.crashed.Add(1)
		case strings.Contains(got, "is not available"):
			c.refused.Add(1)
		default:
			t.Errorf("%q got %s", text, reply.Result)
		}
	}
}
