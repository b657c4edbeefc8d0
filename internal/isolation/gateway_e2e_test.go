//go:build e2e && linux

package isolation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// client is a session with a gateway.
type client struct {
	conn transport.Conn
	ids  atomic.Int64
}

func connect(t *testing.T, gw *gateway.Gateway) *client {
	t.Helper()
	conn, err := gw.Connect(transport.Principal{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{conn: conn}
	if _, err := c.call(bounded(t), "initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]string{"name": "test", "version": "1"},
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Notify(bounded(t), &transport.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	reply, err := c.conn.Call(ctx, &transport.Message{ID: fmt.Append(nil, c.ids.Add(1)), Method: method, Params: raw}, nil)
	switch {
	case err != nil:
		return nil, err
	case reply.Error != nil:
		return nil, transport.ParseRPCError(reply.Error)
	}
	return reply.Result, nil
}

// tool calls a tool of a server.
func (c *client) tool(ctx context.Context, server, tool string, a args) (string, error) {
	raw, err := c.call(ctx, "tools/call", map[string]any{"name": server + "__" + tool, "arguments": a})
	if err != nil {
		return "", err
	}
	return outcome(raw)
}

// TestThroughTheGateway: the caller of a tool is told why its server came to
// an end, and others, servers and sessions, do not feel it.
func TestThroughTheGateway(t *testing.T) {
	n := newInternet(t)
	boxes(t, n.proxy(t), func(t *testing.T, b *box) {
		spec := b.spec()
		spec.Limits.Memory, spec.MaxLine = b.small(), 1<<20
		spec.Network.Allow = list
		gw, err := gateway.New(&gateway.Options{Servers: []gateway.Server{
			{Name: "bad", Launcher: runtime.Of(b.rt, spec)},
			{Name: "good", Launcher: runtime.Of(b.rt, b.spec()), Instance: gateway.Shared},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := gw.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		attacker, bystander := connect(t, gw), connect(t, gw)
		calm := func(f func()) {
			t.Helper()
			ctx, cancel := context.WithCancel(bounded(t))
			done := make(chan [2]int)
			go func() {
				var calls, late int
				for ctx.Err() == nil {
					begin := time.Now()
					if _, err := bystander.tool(bounded(t), "good", "read", args{"path": "/proc/self/status"}); err != nil {
						t.Errorf("a call of somebody else: %v", err)
						break
					}
					if calls++; time.Since(begin) > slow {
						late++
					}
					time.Sleep(20 * time.Millisecond)
				}
				done <- [2]int{calls, late}
			}()
			f()
			cancel()
			if n := <-done; n[1] > n[0]/2 {
				t.Errorf("of %d calls of somebody else %d took more than %v", n[0], n[1], slow)
			}
		}
		for _, test := range []struct {
			tool string
			args args
			want string
		}{
			{"allocate", args{"bytes": fmt.Sprint(hugeBytes)}, "out of memory"},
			{"child", args{"bytes": fmt.Sprint(hugeBytes)}, "out of memory"},
			{"flood", args{"bytes": fmt.Sprint(20 << 20)}, "longer than the limit of 1048576 bytes"},
			{"http", args{"url": "http://denied.example/"}, `to allow it: network: {allow: ["denied.example:`},
			{"http", args{"url": "https://" + elsewhere + "/"}, `network: {allow: ["` + elsewhere + `:443"]}`},
			{"write", args{"path": "/etc/passwd"}, "permission denied"},
		} {
			calm(func() {
				// The one before may have to be started again.
				if _, err := attacker.tool(bounded(t), "bad", "identity", nil); err != nil {
					t.Fatalf("before %s: %v", test.tool, err)
				}
				got, err := attacker.tool(bounded(t), "bad", test.tool, test.args)
				switch {
				case err == nil:
					t.Errorf("%s succeeded: %s", test.tool, got)
				case strings.Contains(err.Error(), test.want):
					t.Logf("%s: %v", test.tool, err)
				case test.tool == "child" && errors.Is(err, errFailed):
					// The reply was faster than the end of the server.
					eventually(t, 10*time.Second, "the operator is told", func() bool { return strings.Contains(status(gw, "bad"), test.want) })
				default:
					t.Errorf("%s: the caller is told %v, want %q", test.tool, err, test.want)
				}
			})
		}
	})
}

// status is the last error of a server that an operator sees.
func status(gw *gateway.Gateway, name string) string {
	for _, s := range gw.Status().Servers {
		if s.Name == name {
			return fmt.Sprintf("%+v", s)
		}
	}
	return ""
}
