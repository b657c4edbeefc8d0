//go:build e2e && linux

package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var (
	bed   *testbed.Bed
	built *testimage.Images
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if len(os.Args) > 1 && os.Args[1] == gatewayArg {
		return 0, gateway()
	}
	if bed, err = testbed.Enter(os.Getenv("GATEHOUSE_CACHE")); err != nil {
		return 1, err
	}
	if built, err = testimage.New(); err != nil {
		return 1, err
	}
	defer built.Close()
	code = m.Run()
	return code, bed.Leave()
}

const probePackage = "internal/testimage/probe"

// bounded ends before the test does.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// options are those of a driver on a daemon of the test bed.
func options(d *testbed.Daemon) *Options {
	return &Options{
		Address: d.Address, SocketDir: d.Sockets, RuncRoot: d.Runc,
		RuncBinary: bed.Program("runc"), RunscBinary: bed.Program("runsc"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// newRuntime makes a driver that is closed at the end of the test, and must
// leave nothing then.
func newRuntime(t testing.TB, d *testbed.Daemon, change func(*Options)) *Runtime {
	t.Helper()
	o := options(d)
	if change != nil {
		change(o)
	}
	r, err := New(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		nothingOf(t, d, r)
	})
	return r
}

// nothingOf fails when a driver has left anything.
func nothingOf(t testing.TB, d *testbed.Daemon, r *Runtime) {
	t.Helper()
	if entries, err := os.ReadDir(r.folder); err == nil {
		t.Errorf("left behind: %s with %d entries", r.folder, len(entries))
	}
	if dirs := cgroups(r.owner.ID); len(dirs) > 0 {
		t.Errorf("left behind: %v", dirs)
	}
	testbed.NoLoopDevices(t, r.owner.State)
	for _, m := range d.Mounts() {
		if strings.Contains(m, "/"+r.o.Namespace+"/") {
			t.Errorf("left behind: mount %s", m)
		}
	}
}

// probe is a Spec that answers.
func probe(t testing.TB) runtime.Spec {
	return runtime.Spec{
		Name: "probe", Image: "oci:" + testimage.Layout(t, built.Static(t, probePackage), "v1") + ":v1",
		Limits: runtime.Limits{Memory: 512 << 20},
	}
}

func start(t testing.TB, r *Runtime, spec runtime.Spec) *instance {
	t.Helper()
	i, err := r.Start(bounded(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := i.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return i.(*instance)
}

// call calls a method, and returns its result.
func call(t testing.TB, i runtime.Instance, method string, params any) (map[string]any, error) {
	t.Helper()
	m := &transport.Message{ID: json.RawMessage("1"), Method: method}
	if params != nil {
		raw, err := json.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		m.Params = raw
	}
	reply, err := i.Conn().Call(bounded(t), m, nil)
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, transport.ParseRPCError(reply.Error)
	}
	var result map[string]any
	if err := json.Unmarshal(reply.Result, &result); err != nil {
		t.Fatalf("%s: %v in %s", method, err, reply.Result)
	}
	return result, nil
}

func initialize(t testing.TB, i runtime.Instance) map[string]any {
	t.Helper()
	result, err := call(t, i, "initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]string{"name": "test", "version": "1"},
	})
	if err != nil {
		t.Fatalf("initialize: %v", err)
	}
	if err := i.Conn().Notify(bounded(t), &transport.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatalf("initialized: %v", err)
	}
	return result
}

func exit(t testing.TB, i runtime.Instance) runtime.Exit {
	t.Helper()
	select {
	case e := <-i.Wait():
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("the instance does not end")
		return runtime.Exit{}
	}
}

// alive tells whether a process is there that has a number inside of the
// container.
func alive(i runtime.Instance, inside int) bool {
	first := i.(*instance).pid
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", first))
	if err != nil {
		return false // the whole namespace is gone
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err != nil || ns != want {
			continue
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "NSpid:" && f[len(f)-1] == strconv.Itoa(inside) {
				return true
			}
		}
	}
	return false
}

func eventually(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > d {
			t.Fatalf("after %v not yet: %s", d, what)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func texts(v any) (out []string) {
	all, _ := v.([]any)
	for _, s := range all {
		out = append(out, fmt.Sprint(s))
	}
	return out
}

func mustTarget(t testing.TB, image string) imagespec.Descriptor {
	t.Helper()
	ref, err := parseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	target, err := layoutTarget(ref.layout)
	if err != nil {
		t.Fatal(err)
	}
	return target
}
