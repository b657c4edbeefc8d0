//go:build e2e && linux

package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 1 || os.Args[1] != withoutInitArg {
		Init()
	}
	runtimetest.Main()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case hostileArg:
			hostile()
			os.Exit(0)
		case httpArg:
			httpServer()
			os.Exit(0)
		case rootlessArg:
			rootless(os.Args[2], os.Args[3])
			os.Exit(0)
		case "hostile-nothing":
			os.Exit(0)
		case gatewayArg, withoutInitArg:
			gateway(os.Args[2])
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// testRuntime is a Runtime with a state folder of its own.
func testRuntime(t testing.TB) *Runtime {
	t.Helper()
	r, err := New(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// probe starts this test binary as the server of a test.
func probe() runtime.Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return runtime.Spec{Name: "probe", Command: []string{self, runtimetest.ProbeArg}}
}

func TestRuntime(t *testing.T) {
	r := testRuntime(t)
	runtimetest.Runtime(t, runtimetest.Config{
		Runtime:  r,
		Probe:    func(*testing.T) runtime.Spec { return probe() },
		Alive:    func(i runtime.Instance, pid int) bool { return alive(i.(*instance), pid) },
		Detached: true,
		Minimum:  []string{"PATH", "HOME"},
	})
}

// alive looks for a process by its number inside. When process 1 has ended,
// its number may be another's, but its namespace is gone.
func alive(i *instance, pid int) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			// NSpid: the number here, and in each namespace further in
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "NSpid:" && fields[2] == fmt.Sprint(pid) && descends(fields[1], i.process.Pid) {
				return true
			}
		}
	}
	return false
}

// descends tells whether a process came from process 1 of an instance.
func descends(pid string, of int) bool {
	for range 16 {
		if pid == fmt.Sprint(of) {
			return true
		}
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return false
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		pid = fields[1]
	}
	return false
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// started starts a server that ends with the test.
func started(t testing.TB, r *Runtime, spec runtime.Spec) *instance {
	t.Helper()
	i, err := r.Start(bounded(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Stop(bounded(t)) })
	return i.(*instance)
}

// call calls a method of a server with an object of params.
func call(t testing.TB, i runtime.Instance, method string, params any) (json.RawMessage, error) {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := i.Conn().Call(bounded(t), &transport.Message{ID: json.RawMessage("1"), Method: method, Params: raw}, nil)
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, transport.ParseRPCError(reply.Error)
	}
	return reply.Result, nil
}

// ask has the probe do something.
func ask(t testing.TB, i runtime.Instance, method string, arg any) (string, error) {
	t.Helper()
	raw, err := call(t, i, method, map[string]any{"arg": arg})
	return string(raw), err
}

// refuseAll answers what a server asks its client.
func refuseAll(_ context.Context, m *transport.Message) (*transport.Message, error) {
	if m.IsNotification() {
		return nil, nil
	}
	return nil, transport.Errorf(transport.CodeMethodNotFound, "not here")
}
