package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Calls that come while a broken server waits for its next start do not push
// that start further away.
func TestCallsDuringTheBackoffDoNotProlongIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := true
		good := testserver.New("a", transport.Legacy).Tool("echo", echo)
		launcher := runtime.LauncherFunc(func(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
			if broken {
				return nil, errors.New("no such program")
			}
			return good.Launch(ctx, k)
		})
		gw, err := gateway.New(&gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: launcher, StartTimeout: 3 * time.Second}}})
		if err != nil {
			t.Fatal(err)
		}
		defer gw.Close()
		p := legacyClient(t, gw, "{}", nil)
		defer p.conn.Close()
		call := func() string { return textOf(p.must("tools/call", `{"name":"a__echo","arguments":{"text":"x"}}`)) }
		last := ""
		for range 100 { // until the wait is longer than the start may take
			if last = call(); strings.Contains(last, "is next tried in 4s") {
				break
			}
		}
		if !strings.Contains(last, "is next tried in 4s") || !strings.Contains(last, "no such program") {
			t.Fatalf("got %q", last)
		}
		for range 50 {
			call()
		}
		broken = false
		time.Sleep(4 * time.Second)
		if got := call(); got != "x" {
			t.Errorf("after the wait: %q", got)
		}
	})
}
