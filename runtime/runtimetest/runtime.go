package runtimetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Config configures [Runtime].
type Config struct {
	Runtime runtime.Runtime

	// Probe makes the Spec that starts the probe: whatever the driver needs,
	// and a Command that ends with [ProbeArg]. The suite appends Args and
	// sets single fields.
	Probe func(t *testing.T) runtime.Spec

	// Alive tells whether the process with this number, as the probe knows
	// it, is there. Nil: the suite does not look.
	Alive func(i runtime.Instance, pid int) bool

	// Detached is true when what the probe has started is killed even if it
	// has detached itself.
	Detached bool

	// UserKernel is true when a server has a kernel of its own that counts
	// against its limit of processes. It may end, and the server with it,
	// when the limit is reached.
	UserKernel bool

	// Minimum names the variables that a server gets beside its Env.
	Minimum []string

	// Unreachable is an address HOST:PORT that answers on this host, and
	// must not be reached from inside. Empty: the suite listens on
	// loopback.
	Unreachable string
}

// suite is one run of it.
type suite struct {
	Config
}

// Runtime runs the suite for a runtime: its instances behave, and each rule
// of a Spec is either enforced or refused with [runtime.ErrCannotEnforce]. It
// includes the suite for the launcher that [runtime.Of] makes of it.
func Runtime(t *testing.T, c Config) {
	s := suite{c}
	t.Run("Launcher", func(t *testing.T) {
		Launcher(t, LauncherConfig{
			Launcher: runtime.Of(c.Runtime, c.Probe(t)),
			Crash: func(t *testing.T, i runtime.Instance) {
				_, _ = i.Conn().Call(bounded(t), &transport.Message{ID: json.RawMessage("1"), Method: "probe/crash"}, nil) // it has no reply
			},
		})
	})
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"ExitCode", s.exitCode}, {"Signal", s.signal}, {"EarlyExit", s.earlyExit}, {"Stderr", s.stderr},
		{"Stdout", s.stdout}, {"Env", s.env}, {"Redaction", s.redaction}, {"NotFound", s.notFound},
		{"Stubborn", s.stubborn}, {"Children", s.children},
		{"LimitMemory", s.limitMemory}, {"LimitPIDs", s.limitPIDs}, {"LimitCPUs", s.limitCPUs},
		{"NetworkNone", s.networkNone}, {"NetworkAllow", s.networkAllow},
		{"MountReadOnly", s.mountReadOnly}, {"MountWritable", s.mountWritable},
		{"VolumeSize", s.volumeSize}, {"User", s.user}, {"Zero", s.zero},
		{"SecretEnv", s.secretEnv}, {"SecretFile", s.secretFile}, {"SecretHosts", s.secretHosts},
	} {
		t.Run(test.name, test.run)
	}
}

// start starts the probe with a changed Spec.
func (s *suite) start(t *testing.T, change func(*runtime.Spec)) (runtime.Instance, error) {
	t.Helper()
	spec := s.Probe(t)
	if change != nil {
		change(&spec)
	}
	i, err := s.Config.Runtime.Start(bounded(t), spec)
	if err != nil {
		return nil, err
	}
	stopAtEnd(t, i)
	return i, nil
}

func (s *suite) must(t *testing.T, change func(*runtime.Spec)) runtime.Instance {
	t.Helper()
	i, err := s.start(t, change)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return i
}

// enforced starts the probe with a rule. It returns nil when the driver
// refuses the rule in the right way.
func (s *suite) enforced(t *testing.T, change func(*runtime.Spec)) runtime.Instance {
	t.Helper()
	i, err := s.start(t, change)
	switch {
	case errors.Is(err, runtime.ErrCannotEnforce):
		t.Logf("refused: %v", err)
		return nil
	case err != nil:
		t.Fatalf("Start: %v, which is neither success nor ErrCannotEnforce", err)
	}
	return i
}

// ask has the probe do something. The error is the probe's.
func ask(t *testing.T, i runtime.Instance, method string, arg any, result any) error {
	t.Helper()
	params, err := json.Marshal(map[string]any{"arg": arg})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := i.Conn().Call(bounded(t), &transport.Message{ID: json.RawMessage("1"), Method: method, Params: params}, nil)
	if err != nil {
		return err
	}
	if reply.Error != nil {
		return transport.ParseRPCError(reply.Error)
	}
	if result != nil {
		if err := json.Unmarshal(reply.Result, result); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	return nil
}

func (s *suite) exitCode(t *testing.T) {
	for _, code := range []int{0, 7} {
		i := s.must(t, nil)
		if err := ask(t, i, "probe/exit", code, nil); err == nil {
			t.Error("a call got a reply from a server that exited")
		}
		e := oneExit(bounded(t), t, i)
		if e.Reason != runtime.Exited || e.Code != code || e.Signal != "" || e.Err != nil {
			t.Errorf("got %+v, want exited with code %d", e, code)
		}
	}
}

func (s *suite) signal(t *testing.T) {
	i := s.must(t, nil)
	_ = ask(t, i, "probe/crash", nil, nil)
	e := oneExit(bounded(t), t, i)
	if e.Reason != runtime.Killed || e.Code != -1 || e.Signal != "killed" {
		t.Errorf("got %+v, want killed by the signal killed", e)
	}
}

func (s *suite) earlyExit(t *testing.T) {
	i, err := s.start(t, func(spec *runtime.Spec) { spec.Args = append(spec.Args, argSilent) })
	if err != nil {
		return // a driver may notice
	}
	e := oneExit(bounded(t), t, i)
	if e.Reason != runtime.Exited || e.Code != 3 || !slices.Equal(e.Stderr, []string{"cannot start: the probe was told so"}) {
		t.Errorf("got %+v, want exited with code 3 and the line of standard error", e)
	}
}

func (s *suite) stderr(t *testing.T) {
	i := s.must(t, nil)
	for n := range 30 {
		if err := ask(t, i, "probe/stderr", fmt.Sprintf("line %d", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(t, i, "probe/stderr", strings.Repeat("long ", 100_000), nil); err != nil {
		t.Fatal(err)
	}
	_ = ask(t, i, "probe/exit", 1, nil)
	e := oneExit(bounded(t), t, i)
	if len(e.Stderr) < 5 || len(e.Stderr) > 100 {
		t.Fatalf("%d lines of standard error were kept: %.300q", len(e.Stderr), e.Stderr)
	}
	last := e.Stderr[len(e.Stderr)-1]
	if !strings.HasPrefix(last, "long long") || len(last) > 64<<10 {
		t.Errorf("of the long line %d bytes were kept", len(last))
	}
	if before := e.Stderr[len(e.Stderr)-2]; before != "line 29" {
		t.Errorf("the line before is %q, want the newest", before)
	}
}

// stdout: what a server prints there, beside the protocol, does no harm.
func (s *suite) stdout(t *testing.T) {
	i := s.must(t, nil)
	for _, line := range []string{"Server is running", `{"level":"info"}`, "", "\x1b[31mred\x1b[0m"} {
		if err := ask(t, i, "probe/stdout", line, nil); err != nil {
			t.Fatalf("after printing %q: %v", line, err)
		}
	}
}

func (s *suite) env(t *testing.T) {
	t.Setenv("RUNTIMETEST_SECRET", "of the gateway")
	i := s.must(t, func(spec *runtime.Spec) {
		spec.Env = map[string]secrets.Value{"ONE": secrets.Plain("1 =\n\"ü\" ${x}"), "EMPTY": secrets.Plain("")}
	})
	var env []string
	if err := ask(t, i, "probe/env", nil, &env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ONE=1 =\n\"ü\" ${x}", "EMPTY="} {
		if !slices.Contains(env, want) {
			t.Errorf("the server does not have %q", want)
		}
	}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if name != "ONE" && name != "EMPTY" && !slices.Contains(s.Minimum, name) {
			t.Errorf("the server has %s, which nobody gave it", name)
		}
	}
}

func (s *suite) redaction(t *testing.T) {
	v, err := secrets.Template("Bearer ${TOKEN}").Resolve(t.Context(), secrets.ProviderFunc(
		func(context.Context, secrets.Ref) (secrets.Secret, error) { return secrets.NewSecret("hunter2"), nil }))
	if err != nil {
		t.Fatal(err)
	}
	i := s.must(t, func(spec *runtime.Spec) {
		spec.Env = map[string]secrets.Value{"A": v, "B": secrets.Plain("plain-but-long"), "C": secrets.Plain("debug")}
	})
	if err := ask(t, i, "probe/stderr", "bad token hunter2, debug plain-but-long", nil); err != nil {
		t.Fatal(err)
	}
	_ = ask(t, i, "probe/exit", 1, nil)
	e := oneExit(bounded(t), t, i)
	if got := fmt.Sprint(e); strings.Contains(got, "hunter2") || strings.Contains(got, "plain-but-long") || !strings.Contains(got, "bad token") {
		t.Errorf("the exit says %q", got)
	}
}

func (s *suite) notFound(t *testing.T) {
	i, err := s.start(t, func(spec *runtime.Spec) { spec.Command = []string{"/no/such/program"} })
	if err == nil {
		e := oneExit(bounded(t), t, i)
		t.Fatalf("a program that does not exist was started: %v", e)
	}
	if !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("the error does not name the program: %v", err)
	}
}

// stubborn: Stop is bounded even when the server heeds nothing.
func (s *suite) stubborn(t *testing.T) {
	i := s.must(t, func(spec *runtime.Spec) { spec.Args = append(spec.Args, argStubborn) })
	handshake(bounded(t), t, i)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	stop(ctx, t, i)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	if e := oneExit(bounded(t), t, i); e.Reason != runtime.Stopped {
		t.Errorf("the reason is %q", e.Reason)
	}
}

func (s *suite) children(t *testing.T) {
	if s.Alive == nil {
		t.Skip("the suite was not told how to see processes of this runtime")
	}
	for _, end := range []string{"stop", "exit", "crash"} {
		i := s.must(t, nil)
		var pids []int
		kinds := []string{"probe/child"}
		if s.Detached {
			kinds = append(kinds, "probe/detached")
		}
		for _, kind := range kinds {
			var text string
			if err := ask(t, i, kind, nil, &text); err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatalf("%s answered %q", kind, text)
			}
			if !s.Alive(i, pid) {
				t.Fatalf("%s: process %d is not there, so that nothing is shown", kind, pid)
			}
			pids = append(pids, pid)
		}
		switch end {
		case "stop":
			stop(bounded(t), t, i)
		case "exit":
			_ = ask(t, i, "probe/exit", 0, nil)
		case "crash":
			_ = ask(t, i, "probe/crash", nil, nil)
		}
		oneExit(bounded(t), t, i)
		for n, pid := range pids {
			if s.Alive(i, pid) {
				t.Errorf("%s: after %s the process %d is still there", kinds[n], end, pid)
			}
		}
	}
}

func (s *suite) limitMemory(t *testing.T) {
	i := s.enforced(t, func(spec *runtime.Spec) { spec.Limits.Memory = 128 << 20 })
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/memory", 256, nil); err == nil {
		t.Fatal("a server with 128 MiB used 256 MiB")
	}
	if e := oneExit(bounded(t), t, i); e.Reason != runtime.OutOfMemory {
		t.Errorf("the reason is %q, want %q", e.Reason, runtime.OutOfMemory)
	}
}

func (s *suite) limitPIDs(t *testing.T) {
	i := s.enforced(t, func(spec *runtime.Spec) { spec.Limits.PIDs = 64 })
	if i == nil {
		return
	}
	var n int
	if err := ask(t, i, "probe/processes", 100, &n); err != nil {
		t.Fatal(err)
	}
	if n >= 64 {
		t.Errorf("a server with 64 processes could start %d", n)
	}
}

func (s *suite) limitCPUs(t *testing.T) {
	i := s.enforced(t, func(spec *runtime.Spec) { spec.Limits.CPUs = 0.25 })
	if i == nil {
		return
	}
	var ms int
	if err := ask(t, i, "probe/cpu", 2000, &ms); err != nil {
		t.Fatal(err)
	}
	if ms > 800 {
		t.Errorf("a server with a quarter of a core used %d ms in 2 s", ms)
	}
}

// listener is something on this host that must not be reached from inside.
func (s *suite) listener(t *testing.T) string {
	t.Helper()
	if s.Unreachable != "" {
		return s.Unreachable
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func (s *suite) networkNone(t *testing.T) {
	addr := s.listener(t)
	i := s.enforced(t, nil)
	if i == nil || s.Probe(t).Unconfined {
		return // whoever says unconfined has been told
	}
	if err := ask(t, i, "probe/dial", addr, nil); err == nil {
		t.Errorf("a server without a network reached %s", addr)
	}
}

func (s *suite) networkAllow(t *testing.T) {
	addr := s.listener(t)
	i := s.enforced(t, func(spec *runtime.Spec) { spec.Network.Allow = []string{"allowed.invalid:443"} })
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/dial", addr, nil); err == nil {
		t.Errorf("a server reached %s, which is not on its list", addr)
	}
}

func (s *suite) mount(t *testing.T, writable bool) (runtime.Instance, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	const target = "/mnt/probe"
	i := s.enforced(t, func(spec *runtime.Spec) {
		spec.Mounts = append(spec.Mounts, runtime.Mount{Source: dir, Target: target, Writable: writable})
	})
	if i != nil {
		var content string
		if err := ask(t, i, "probe/read", target+"/file", &content); err != nil || content != "content" {
			t.Errorf("reading from a mount: %q, %v", content, err)
		}
	}
	return i, target + "/new"
}

func (s *suite) mountReadOnly(t *testing.T) {
	i, file := s.mount(t, false)
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/write", file, nil); err == nil {
		t.Error("a server wrote to a mount that is not writable")
	}
}

func (s *suite) mountWritable(t *testing.T) {
	i, file := s.mount(t, true)
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/write", file, nil); err != nil {
		t.Errorf("writing to a writable mount: %v", err)
	}
}

// volumeSize: a volume with a size holds no more, and keeps what it has.
func (s *suite) volumeSize(t *testing.T) {
	const size, target = 24 << 20, "/mnt/probe"
	sized := func(spec *runtime.Spec) {
		spec.Mounts = append(spec.Mounts, runtime.Mount{Volume: "runtimetest-size", Target: target, Size: size})
	}
	i := s.enforced(t, sized)
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/append", target+"/kept", nil); err != nil {
		t.Fatalf("writing to a volume: %v", err)
	}
	var n int
	if err := ask(t, i, "probe/fill", target+"/full", &n); err != nil || n > size || n < size/4 {
		t.Errorf("%d bytes fitted into a volume of %d, %v", n, size, err)
	}
	other := s.must(t, sized) // at the same time
	for _, i := range []runtime.Instance{i, other} {
		var kept string
		if err := ask(t, i, "probe/read", target+"/kept", &kept); err != nil || kept != "probe\n" {
			t.Errorf("a full volume has kept %q, %v", kept, err)
		}
	}
	var more int // what the file system had put aside
	if err := ask(t, other, "probe/fill", target+"/more", &more); err != nil || n+more > size {
		t.Errorf("%d and %d bytes of two instances fitted into a volume of %d, %v", n, more, size, err)
	}
	stop(bounded(t), t, other)
	stop(bounded(t), t, i)
	var kept string
	if err := ask(t, s.must(t, sized), "probe/read", target+"/kept", &kept); err != nil || kept != "probe\n" {
		t.Errorf("the next instance reads %q, %v", kept, err)
	}
}

func (s *suite) user(t *testing.T) {
	i := s.enforced(t, func(spec *runtime.Spec) { spec.User = "12345:12345" })
	if i == nil {
		return
	}
	var uid int
	if err := ask(t, i, "probe/user", nil, &uid); err != nil || uid != 12345 {
		t.Errorf("the server runs as %d, %v; want 12345", uid, err)
	}
}

// zero: without Unconfined the zero value is the safe default, or refused.
func (s *suite) zero(t *testing.T) {
	i := s.enforced(t, func(spec *runtime.Spec) { spec.Unconfined = false })
	if i == nil {
		return
	}
	if err := ask(t, i, "probe/write", "/runtimetest", nil); err == nil {
		t.Error("a server wrote to the root file system")
	}
	if err := ask(t, i, "probe/dial", s.listener(t), nil); err == nil {
		t.Error("a server without a network reached the host")
	}
	if os.Getuid() == 0 {
		var uid int
		if err := ask(t, i, "probe/user", nil, &uid); err != nil || uid == 0 {
			t.Errorf("the server runs as %d, %v", uid, err)
		}
	}
	var n int
	switch err := ask(t, i, "probe/processes", 400, &n); {
	case err != nil && s.UserKernel:
		t.Logf("it ended when it had too many processes: %v", oneExit(bounded(t), t, i))
	case err != nil || n >= 256:
		t.Errorf("a server could start %d processes, %v; the default is 256", n, err)
	}
}
