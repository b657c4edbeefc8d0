//go:build e2e && linux

package isolation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// What all tests share: it is made before the first of them.
var (
	bed     *testbed.Bed
	built   *testimage.Images
	program string // the hostile program, where any user can start it
)

const (
	hostilePackage = "internal/hostile"
	secretEnv      = "GATEWAY_SECRET" // in the environment of the gateway, which is this process

	// attacker is who the servers run as: nobody else on the machine is.
	attacker = 64999
)

func TestMain(m *testing.M) {
	sandbox.Init()
	runtimetest.Main()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolation:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	// What a process was started with is what others can read of it.
	if os.Getenv(secretEnv) == "" {
		if err := os.Setenv(secretEnv, mark("environment")); err != nil {
			return 1, err
		}
	}
	if bed, err = testbed.Enter(os.Getenv("GATEHOUSE_CACHE")); err != nil {
		return 1, err
	}
	if built, err = testimage.New(); err != nil {
		return 1, err
	}
	defer built.Close()
	folder, err := os.MkdirTemp("", "gatehouse-hostile-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil {
		return 1, err
	}
	program = filepath.Join(folder, "hostile")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/gatehouse-mcp/gatehouse/"+hostilePackage)
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the hostile program: %w\n%s", err, out)
	}
	code = m.Run()
	return code, bed.Leave()
}

// mark is a text that is nowhere else.
func mark(what string) string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails
	return "hostile-" + what + "-" + hex.EncodeToString(b)
}

// box is a driver that confines.
type box struct {
	name  string // "runc", "gvisor" or "sandbox"
	rt    runtime.Runtime
	state string // the gateway's state folder
	image string // of the hostile program; empty in the sandbox
}

// boxes runs a test in every driver. way may be nil.
func boxes(t *testing.T, way *egress.Proxy, test func(t *testing.T, b *box)) {
	for _, name := range []string{"runc", "gvisor", "sandbox"} {
		t.Run(name, func(t *testing.T) {
			b := &box{name: name, state: filepath.Join(public(t), "state")}
			var err error
			var closer interface{ Close() error }
			if name == "sandbox" {
				var rt *sandbox.Runtime
				rt, err = sandbox.New(b.state, &sandbox.Options{Egress: way})
				b.rt, closer = rt, rt
			} else {
				d := bed.Containerd(t)
				b.image = "oci:" + testimage.Layout(t, built.Static(t, hostilePackage), "v1") + ":v1"
				var rt *containerd.Runtime
				rt, err = containerd.New(b.state, &containerd.Options{
					Address: d.Address, SocketDir: d.Sockets, RuncRoot: d.Runc,
					RuncBinary: bed.Program("runc"), RunscBinary: bed.Program("runsc"), Egress: way,
				})
				b.rt, closer = rt, rt
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := closer.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test(t, b)
		})
	}
}

// public is a folder of a test that every user can enter.
func public(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// writable is one that the attacker can write to.
func writable(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(public(t), "writable")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, attacker, attacker); err != nil {
		t.Fatal(err)
	}
	return dir
}

// spec is a Spec of the hostile server.
func (b *box) spec() runtime.Spec {
	s := runtime.Spec{Name: "hostile", User: fmt.Sprint(attacker), Limits: runtime.Limits{Memory: 512 << 20}}
	if b.image == "" {
		s.Command = []string{program}
	} else {
		s.Image = b.image
	}
	if b.name == "gvisor" {
		s.Class = "gvisor"
	}
	return s
}

// start starts a hostile server, which ends with the test. change may be nil.
func (b *box) start(t testing.TB, change func(*runtime.Spec)) *cell {
	t.Helper()
	spec := b.spec()
	if change != nil {
		change(&spec)
	}
	return launch(t, b.rt, spec)
}

// cell is a hostile server.
type cell struct {
	i   runtime.Instance
	ids atomic.Int64
}

func launch(t testing.TB, rt runtime.Runtime, spec runtime.Spec) *cell {
	t.Helper()
	i, err := rt.Start(bounded(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{i: i}
	t.Cleanup(func() { c.stop(t) })
	return c
}

// free starts a server without confinement: the control of what is tried.
func free(t testing.TB, uid int) *cell {
	t.Helper()
	spec := runtime.Spec{Name: "free", Command: []string{program}, Unconfined: true}
	if uid != 0 {
		spec.Args = []string{"as", fmt.Sprint(uid)}
	}
	return launch(t, process.New(nil), spec)
}

func (c *cell) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.i.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// errFailed is matched by the errors of attempts that have failed, other than
// those of calls that got no answer.
var errFailed = errors.New("the attempt failed")

// call calls a method.
func (c *cell) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	reply, err := c.i.Conn().Call(ctx, &transport.Message{ID: fmt.Append(nil, c.ids.Add(1)), Method: method, Params: raw}, nil)
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, transport.ParseRPCError(reply.Error)
	}
	return reply.Result, nil
}

// try makes an attempt, and returns what succeeded.
func (c *cell) try(t testing.TB, tool string, a args) (string, error) {
	t.Helper()
	raw, err := c.call(bounded(t), "tools/call", map[string]any{"name": tool, "arguments": a})
	if err != nil {
		return "", err
	}
	return outcome(raw)
}

// outcome reads the result of a tool.
func outcome(raw json.RawMessage) (string, error) {
	var r struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := json.Unmarshal(raw, &r); err != nil || len(r.Content) == 0 {
		return "", fmt.Errorf("no result of a tool: %w: %.200s", err, raw)
	}
	var all []string
	for _, c := range r.Content {
		all = append(all, c.Text)
	}
	text := strings.Join(all, "; ")
	if r.IsError {
		return "", fmt.Errorf("%w: %s", errFailed, text)
	}
	return text, nil
}

func (c *cell) ping(ctx context.Context) error {
	_, err := c.call(ctx, "ping", struct{}{})
	return err
}

// exit waits for the end of the server.
func (c *cell) exit(t testing.TB) runtime.Exit {
	t.Helper()
	select {
	case e := <-c.i.Wait():
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not end")
		return runtime.Exit{}
	}
}

type args map[string]string

// attempt is one attack. It must fail in every box, and succeed in a control.
type attempt struct {
	tool string
	args args

	as  control // who must succeed without confinement
	how args    // what the control is given instead of args

	// lets names the boxes in which it may succeed, and why that lets nothing
	// out.
	lets map[string]string
}

// control says who tries without confinement.
type control string

const (
	byUser control = "user"
	byRoot control = "root"
	byNone control = "" // it would do harm, or another test has it
)

func (a attempt) String() string {
	var b strings.Builder
	b.WriteString(a.tool)
	for _, name := range []string{"kind", "name", "how", "network", "address", "server", "url", "proxy", "target", "sni", "host", "path", "dir", "from", "pid", "key"} {
		if v := a.args[name]; v != "" {
			fmt.Fprintf(&b, " %s=%s", name, v)
		}
	}
	return b.String()
}

// controlled makes the attempts without confinement, where each must succeed.
func controlled(t *testing.T, all []attempt) {
	t.Helper()
	t.Run("control", func(t *testing.T) {
		who := map[control]*cell{}
		for _, a := range all {
			if a.as == byNone {
				continue
			}
			if who[a.as] == nil {
				uid := 0
				if a.as == byUser {
					uid = attacker
				}
				who[a.as] = free(t, uid)
			}
			with := a.how
			if with == nil {
				with = a.args
			}
			got, err := who[a.as].try(t, a.tool, with)
			switch {
			case err == nil:
				t.Logf("%-60v %.120s", a, got)
			case strings.Contains(err.Error(), "function not implemented"):
				t.Logf("%-60v this kernel has no such call", a)
			default:
				t.Errorf("would not succeed unconfined, so that it proves nothing: %v %v: %v", a, with, err)
			}
		}
	})
}

// confined makes the attempts in a box, where each must fail.
func confined(t *testing.T, b *box, c *cell, all []attempt) {
	t.Helper()
	for _, a := range all {
		got, err := c.try(t, a.tool, a.args)
		why, may := a.lets[b.name]
		switch {
		case err == nil && may:
			t.Logf("%-60v succeeded (%.100s), which lets nothing out: %s", a, got, why)
		case err == nil:
			t.Errorf("succeeded: %v: %s", a, got)
		case !errors.Is(err, errFailed):
			t.Fatalf("the server did not survive %v: %v", a, err)
		default:
			t.Logf("%-60v %.160s", a, strings.ReplaceAll(strings.TrimPrefix(err.Error(), errFailed.Error()+": "), "\n", "; "))
		}
	}
}

// bounded ends before the test does.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > d {
			t.Fatalf("after %v not yet: %s", d, what)
		}
	}
}

// stop stops a server within its patience; 0 kills it at once.
func stop(t testing.TB, c *cell, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.i.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}
