//go:build e2e && linux

package containerd

import (
	"context"
	"fmt"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func suite(t *testing.T, class string, more func(*runtimetest.Config)) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	image := probe(t).Image
	c := runtimetest.Config{
		Runtime: r,
		Probe: func(t *testing.T) runtime.Spec {
			// The first process of a container cannot kill itself.
			return runtime.Spec{
				Name: "probe", Image: image, Class: class,
				Command: []string{"/server", "init", "/server", runtimetest.ProbeArg},
			}
		},
		Alive: alive, Detached: true,
		Minimum: []string{"PATH", "HOME"},
	}
	if more != nil {
		more(&c)
	}
	runtimetest.Runtime(t, c)
}

func TestRunc(t *testing.T) { suite(t, "", nil) }

func TestGVisor(t *testing.T) {
	suite(t, "gvisor", func(c *runtimetest.Config) {
		c.Alive = nil // its processes are not those of the host
		c.Runtime = metered{c.Runtime}
		c.UserKernel = true
	})
}

// metered has the suite see what the control group has counted. gVisor itself
// counts the time in which its processes want to run.
type metered struct{ runtime.Runtime }

func (m metered) Start(ctx context.Context, spec runtime.Spec) (runtime.Instance, error) {
	i, err := m.Runtime.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	box := i.(*instance)
	return &meteredInstance{box, &meteredConn{box.conn, box}}, nil
}

type meteredInstance struct {
	*instance
	conn *meteredConn
}

func (i *meteredInstance) Conn() transport.Conn { return i.conn }

type meteredConn struct {
	conn
	i *instance
}

func (c *meteredConn) Call(ctx context.Context, m *transport.Message, related transport.Receiver) (*transport.Message, error) {
	if m.Method != "probe/cpu" {
		return c.conn.Call(ctx, m, related)
	}
	before, err := c.i.Usage(ctx)
	if err != nil {
		return nil, err
	}
	if reply, err := c.conn.Call(ctx, m, related); err != nil {
		return reply, err
	}
	after, err := c.i.Usage(ctx)
	if err != nil {
		return nil, err
	}
	return m.Reply(fmt.Appendf(nil, "%d", (after.CPU - before.CPU).Milliseconds())), nil
}
