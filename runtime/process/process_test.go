package process_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	gruntime "github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

func TestMain(m *testing.M) {
	process.Init()
	runtimetest.Main()
	os.Exit(m.Run())
}

// probe is this test binary, as the server of a test.
func probe(*testing.T) gruntime.Spec {
	return gruntime.Spec{Name: "probe", Command: []string{os.Args[0], runtimetest.ProbeArg}, Unconfined: true}
}

// alive reports whether a process is there and is more than a corpse.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestRuntime(t *testing.T) {
	runtimetest.Runtime(t, runtimetest.Config{
		Runtime:  process.New(nil),
		Probe:    probe,
		Alive:    func(_ gruntime.Instance, pid int) bool { return alive(pid) },
		Detached: runtime.GOOS == "linux",
		Minimum:  []string{"PATH", "HOME"},
	})
}
