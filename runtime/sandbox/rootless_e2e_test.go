//go:build e2e && linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/cgroup"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// rootlessArg makes this test binary a gateway without root, that tells what
// it could start.
const rootlessArg = "gateway-rootless"

// told is what it tells.
type told struct {
	Error       string
	Refused     bool // the error matches ErrCannotEnforce
	Description string
	Refusals    []string
	View        view
	Got         map[string]string
	Memory      string
}

func rootless(state, group string) {
	var out told
	defer func() { _ = json.NewEncoder(os.Stdout).Encode(out) }()
	r, err := New(state, &Options{Cgroup: group})
	if err != nil {
		out.Error, out.Refused = err.Error(), errors.Is(err, runtime.ErrCannotEnforce)
		return
	}
	defer r.Close()
	out.Description = r.Description()
	ctx := context.Background()
	for _, change := range []func(*runtime.Spec){
		func(s *runtime.Spec) { s.User = "12345" },
		func(s *runtime.Spec) { s.Port = 80 },
		func(s *runtime.Spec) { s.Mounts = sized("").Mounts },
		func(s *runtime.Spec) { s.Network.Allow = []string{"example.com:443"} },
	} {
		spec := hostileSpec()
		change(&spec)
		_, err := r.Start(ctx, spec)
		if errors.Is(err, runtime.ErrCannotEnforce) {
			out.Refusals = append(out.Refusals, err.Error())
		}
	}
	spec := hostileSpec()
	spec.Mounts = []runtime.Mount{{Volume: "data", Target: "/tmp/data"}}
	i, err := r.Start(ctx, spec)
	if err != nil {
		out.Error = err.Error()
		return
	}
	ask := func(method string, params, to any) {
		raw, _ := json.Marshal(params)
		reply, err := i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("1"), Method: method, Params: raw}, nil)
		if err == nil {
			err = json.Unmarshal(reply.Result, to)
		}
		if err != nil {
			out.Error += err.Error()
		}
	}
	ask("look", targets{}, &out.View)
	ask("try", targets{TCP: "127.0.0.1:1", Abstract: "@none", Socket: "/none", File: "/none", Folder: "/none"}, &out.Got)
	_ = i.Stop(ctx)
	spec = probe()
	spec.Limits.Memory = 64 << 20
	if i, err = r.Start(ctx, spec); err != nil {
		out.Error += err.Error()
		return
	}
	_, _ = i.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("1"), Method: "probe/memory", Params: json.RawMessage(`{"arg":200}`)}, nil)
	e := <-i.Wait()
	out.Memory = string(e.Reason)
}

// runRootless runs that gateway as another user.
func runRootless(t *testing.T, uid uint32, group string) told {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Where the other user can reach it.
	dir, err := os.MkdirTemp("", "gatehouse-rootless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	copied := filepath.Join(dir, "bin", "gateway")
	if err := os.Mkdir(filepath.Dir(copied), 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(copied, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close(), os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "state"), 0o700),
		os.Chown(filepath.Join(dir, "state"), int(uid), int(uid))); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(bounded(t), copied, rootlessArg, filepath.Join(dir, "state"), group)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{}}}
	c.Stderr = os.Stderr
	out, err := c.Output()
	checkBeside(t, copied)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var v told
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return v
}

func TestRootlessWithoutLimitsIsRefused(t *testing.T) {
	v := runRootless(t, 4321, "")
	if !v.Refused || !strings.Contains(v.Error, "control group") || !strings.Contains(v.Error, "delegate") {
		t.Errorf("it says %q", v.Error)
	}
}

// delegated are the folders of a group of that name at the top of each
// hierarchy.
func delegated(t *testing.T, name string) []string {
	t.Helper()
	above, err := cgroup.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	return above.Folders(name)
}

func TestRootlessWithDelegatedLimits(t *testing.T) {
	const uid = 4321
	name := fmt.Sprintf("gatehouse-delegated-%d", os.Getpid())
	for _, dir := range delegated(t, name) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cgroup.Sweep(context.Background(), dir); err != nil {
				t.Error(err)
			}
		})
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, "cgroup.procs"), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	v := runRootless(t, uid, name)
	if v.Error != "" {
		t.Fatalf("it says %q", v.Error)
	}
	if !strings.Contains(v.Description, "user namespace") {
		t.Errorf("it describes itself as %q", v.Description)
	}
	if len(v.Refusals) != 4 {
		t.Errorf("it refused %q", v.Refusals)
	}
	checkView(t, v.View)
	for what, e := range v.Got {
		if e == "" {
			t.Errorf("succeeded: %s", what)
		}
	}
	if v.Memory != string(runtime.OutOfMemory) {
		t.Errorf("the memory hog ended with %q", v.Memory)
	}
}
