package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var (
	unwatched = flag.Bool("unwatched", false, "do without process.Init")
	asGateway = flag.Bool("gateway", false, "be a gateway that runs a server, for another test to kill")
)

func TestMain(m *testing.M) {
	runtimetest.Main()
	if len(os.Args) > 1 {
		flag.Parse()
	}
	if !*unwatched {
		process.Init()
	}
	if *asGateway {
		gateway()
	}
	os.Exit(m.Run())
}

// spec starts this test binary as the server of a test.
func spec() runtime.Spec {
	return runtime.Spec{Name: "probe", Command: []string{os.Args[0], runtimetest.ProbeArg}, Unconfined: true}
}

func TestRuntime(t *testing.T) {
	runtimetest.Runtime(t, runtimetest.Config{
		Runtime:  process.New(nil),
		Probe:    func(*testing.T) runtime.Spec { return spec() },
		Alive:    func(_ runtime.Instance, pid int) bool { return alive(pid) },
		Detached: detachedDie && !*unwatched,
		Minimum:  []string{"PATH", "HOME", "SYSTEMROOT"},
	})
}

// TestRuntimeWithoutInit runs the suite in a program that does not call Init.
func TestRuntimeWithoutInit(t *testing.T) {
	if *unwatched {
		t.Skip("this is that program")
	}
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRuntime$", "-unwatched").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// start starts the probe and has it do things.
func start(ctx context.Context, rt *process.Runtime, s runtime.Spec) (runtime.Instance, func(method string, result any) error, error) {
	i, err := rt.Start(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	i.Conn().Listen(nil)
	return i, func(method string, result any) error {
		reply, err := i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("1"), Method: method, Params: json.RawMessage(`{"arg":"said by the server"}`)}, nil)
		if err != nil {
			return err
		}
		if reply.Error != nil {
			return transport.ParseRPCError(reply.Error)
		}
		return json.Unmarshal(reply.Result, result)
	}, nil
}

// gateway runs a server with a child and a detached grandchild, prints their
// pids and waits to be killed.
func gateway() {
	_, ask, err := start(context.Background(), process.New(nil), spec())
	var server int
	var child, detached string
	if err == nil {
		err = errors.Join(ask("probe/pid", &server), ask("probe/child", &child), ask("probe/detached", &detached))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server, child, detached)
	select {}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*runtime.Spec){
		"confinement":    func(s *runtime.Spec) { s.Unconfined = false },
		"image":          func(s *runtime.Spec) { s.Image = "docker.io/mcp/files" },
		"user":           func(s *runtime.Spec) { s.User = "1000" },
		"mounts":         func(s *runtime.Spec) { s.Mounts = []runtime.Mount{{Source: "/a", Target: "/b"}} },
		"limits.cpus":    func(s *runtime.Spec) { s.Limits.CPUs = 1 },
		"limits.memory":  func(s *runtime.Spec) { s.Limits.Memory = 1 },
		"limits.pids":    func(s *runtime.Spec) { s.Limits.PIDs = 1 },
		"network.allow":  func(s *runtime.Spec) { s.Network.Allow = []string{"a:1"} },
		"limits.pids ":   func(s *runtime.Spec) { s.Unconfined = false; s.Limits.PIDs = 1 },
		"confinement ":   func(s *runtime.Spec) { s.Unconfined = false; s.Limits.PIDs = 1 },
		"network.allow ": func(s *runtime.Spec) { s.User = "1"; s.Network.Allow = []string{"a:1"} },
	} {
		s := spec()
		change(&s)
		_, err := process.New(nil).Start(t.Context(), s)
		if !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "process: "+strings.TrimSpace(name)+" cannot be enforced") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "probe.exe"), self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(command, workdir, path string) error {
		s := spec()
		s.Command[0], s.Dir = command, workdir
		i, err := process.New(&process.Options{Env: map[string]string{"PATH": path}}).Start(t.Context(), s)
		if err != nil {
			return err
		}
		return i.Stop(t.Context())
	}
	for _, c := range [][3]string{
		{filepath.Join(dir, "probe.exe"), "", ""},
		{"probe.exe", "", "/no/such/folder" + string(os.PathListSeparator) + dir},
		{"." + string(os.PathSeparator) + "probe.exe", dir, ""},
	} {
		if err := run(c[0], c[1], c[2]); err != nil {
			t.Errorf("%q: %v", c, err)
		}
	}
	for _, c := range []struct {
		command, dir, path string
		want               error
	}{
		{"probe.exe", "", "", fs.ErrNotExist},
		{"probe.exe", dir, ".", fs.ErrNotExist},
		{"text", "", dir, fs.ErrPermission},
		{"probe.exe", "/no/such/folder", dir, fs.ErrNotExist},
	} {
		if err := run(c.command, c.dir, c.path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), `starting "`+c.command+`"`) {
			t.Errorf("%v: got %v, want %v", c, err, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	rt := process.New(&process.Options{Env: map[string]string{"PATH": "/x", "HOME": "", "LANG": "C.UTF-8"}})
	i, ask, err := start(t.Context(), rt, spec())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Stop(t.Context())
	var env []string
	if err := ask("probe/env", &env); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(env, " "); got != "LANG=C.UTF-8 PATH=/x" {
		t.Errorf("the server has %s", got)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	rt := process.New(&process.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	i, ask, err := start(t.Context(), rt, spec())
	if err != nil {
		t.Fatal(err)
	}
	var none any
	if err := ask("probe/stderr", &none); err != nil {
		t.Fatal(err)
	}
	if err := i.Stop(t.Context()); err != nil { // joins who writes the log
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, `level=DEBUG`) || !strings.Contains(got, `server=probe line="said by the server"`) {
		t.Errorf("the log holds %q", got)
	}
}

func TestLineTooLong(t *testing.T) {
	t.Parallel()
	s := spec()
	s.MaxLine = 2000
	i, ask, err := start(t.Context(), process.New(nil), s)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Stop(t.Context())
	params := json.RawMessage(`{"arg":"` + strings.Repeat("a/../", 1000) + `"}`)
	_, err = i.Conn().Call(t.Context(), &transport.Message{ID: json.RawMessage("1"), Method: "probe/read", Params: params}, nil)
	if err == nil || !strings.Contains(err.Error(), "longer than the limit of 2000 bytes (line)") {
		t.Errorf("got %v", err)
	}
	var pid int
	if err := ask("probe/pid", &pid); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}
