package gateway_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// TestProbe: an instance that answers nothing any more is stopped by the
// probe, and the next call finds another; one that answers is left alone.
func TestProbe(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		t.Run(era.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var hung atomic.Bool
				var probes atomic.Int64
				a := testserver.New("a", era).Tool("n", number)
				answer := func(ctx context.Context, _ *testserver.Call) (string, error) {
					probes.Add(1)
					if hung.Load() {
						<-ctx.Done()
						return "", ctx.Err()
					}
					return "{}", nil
				}
				if era == transport.Legacy {
					a.Method("ping", answer)
				}
				gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a, Probe: time.Minute, IdleTimeout: -1}}})
				p := legacyClient(t, gw, "{}", nil)
				call := func() string { return textOf(p.must("tools/call", `{"name":"a__n"}`)) }
				if got := call(); got != "1" {
					t.Fatalf("got %q", got)
				}
				if era == transport.Modern { // what answers from now on are the probes
					a.Method("server/discover", answer)
				}
				time.Sleep(5*time.Minute + time.Second)
				if n := probes.Load(); n != 5 {
					t.Errorf("%d probes in five minutes, want 5", n)
				}
				if got := call(); got != "1" {
					t.Errorf("an instance that answers was replaced by %q", got)
				}
				hung.Store(true)
				time.Sleep(2 * time.Minute)
				if st := gw.Status().Servers[0]; len(st.Instances) != 0 || !strings.Contains(st.Error, "a probe failed: it did not answer within 10s") {
					t.Errorf("status: %+v", st)
				}
				hung.Store(false)
				if era == transport.Modern { // whose handshake asks the same
					a.Method("server/discover", nil)
				}
				if got := call(); got != "2" {
					t.Errorf("after the probe had failed instance %q answered", got)
				}
				if len(a.Live()) != 1 {
					t.Errorf("%d instances live", len(a.Live()))
				}
				_ = gw.Close()
			})
		})
	}
}
