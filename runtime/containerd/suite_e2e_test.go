//go:build e2e && linux

package containerd

import (
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
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
	})
}
