//go:build e2e && linux

package containerd

import (
	"bufio"
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
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// gatewayArg makes the test binary a gateway that starts servers and waits to
// be killed.
const gatewayArg = "containerd-gateway"

// order is what a gateway is told, on its standard input.
type order struct {
	State                                string
	Address, SocketDir, RuncRoot, Binary string
	Runsc                                string
	Share                                bool
	Own                                  bool   // it has a mount namespace of its own
	Hide                                 string // and there something else at this path
	Spec                                 runtime.Spec
	Count                                int
}

func orderOf(state string, o *Options, spec runtime.Spec, count int) order {
	return order{
		State: state, Address: o.Address, SocketDir: o.SocketDir, RuncRoot: o.RuncRoot, Binary: o.RuncBinary, Runsc: o.RunscBinary,
		Share: o.ShareShims, Spec: spec, Count: count,
	}
}

func gateway() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	if o.Hide != "" {
		if err := unix.Mount("tmpfs", o.Hide, "tmpfs", 0, ""); err != nil {
			return err
		}
	}
	r, err := New(o.State, &Options{
		Address: o.Address, SocketDir: o.SocketDir, RuncRoot: o.RuncRoot, RuncBinary: o.Binary, RunscBinary: o.Runsc, ShareShims: o.Share,
	})
	if err != nil {
		return err
	}
	for range o.Count {
		if _, err := r.Start(context.Background(), o.Spec); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	fmt.Println(r.owner.ID)
	_, _ = io.Copy(io.Discard, in)
	return r.Close()
}

// child is a gateway in a process of its own.
type child struct {
	id  string
	in  io.Closer
	cmd *exec.Cmd
}

func startChild(t *testing.T, o order) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], gatewayArg)}
	c.cmd.Stderr = os.Stderr
	if o.Own {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in = in
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill() })
	line, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if c.id, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the gateway did not start its servers: %v", err)
	}
	c.id = strings.TrimSpace(c.id)
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// close has the gateway end by itself.
func (c *child) close(t *testing.T) {
	t.Helper()
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
}

// cgroups are the control groups of an owner.
func cgroups(id string) []string {
	a, _ := filepath.Glob(cgroupMount + cgroup(id))
	b, _ := filepath.Glob(cgroupMount + "/*" + cgroup(id))
	return append(a, b...)
}

// belongings counts what an owner has in containerd.
func belongings(t *testing.T, r *Runtime, id string) (boxes, snaps, leased int) {
	t.Helper()
	ctx := r.within(bounded(t))
	filter := `labels."` + labelOwner + `"==` + id
	all, err := r.client.ContainerService().List(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	err = r.client.SnapshotService(r.snapshotter).Walk(ctx, func(context.Context, snapshots.Info) error {
		snaps++
		return nil
	}, filter)
	if err != nil {
		t.Fatal(err)
	}
	l, err := r.client.LeasesService().List(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	return len(all), snaps, len(l)
}

// TestOtherMounts: a gateway with a mount namespace of its own, as systemd
// makes them, can still show its servers what containerd sees as well; what it
// alone sees is refused.
func TestOtherMounts(t *testing.T) {
	d := bed.Containerd(t)
	dir := t.TempDir()
	spec := probe(t)
	spec.Mounts = []runtime.Mount{{Source: dir, Target: "/mnt/x"}, {Volume: "v", Target: "/mnt/v"}, {Volume: "w", Target: "/mnt/w", Size: volumeSize}}
	o := orderOf(t.TempDir(), options(d), spec, 1)
	o.Own = true
	startChild(t, o).close(t)

	o.Hide = dir
	c := exec.Command(os.Args[0], gatewayArg)
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	line, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Stdin = strings.NewReader(string(line) + "\n")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mount of "+dir) || !strings.Contains(string(out), "cannot be enforced") {
		t.Errorf("a mount that containerd sees otherwise: %v, %s", err, out)
	}
}

// TestReap kills one of two gateways of one state folder. What it had goes,
// the other's stays; a gateway of another state folder goes on as well.
func TestReap(t *testing.T) {
	for name, share := range map[string]bool{"own shims": false, "one shim": true} {
		t.Run(name, func(t *testing.T) {
			d := bed.Containerd(t)
			state := t.TempDir()
			spec := probe(t)
			spec.Mounts = []runtime.Mount{{Volume: "v", Target: "/data", Size: volumeSize}}
			o := options(d)
			o.ShareShims = share
			const many = 10
			dead := startChild(t, orderOf(state, o, spec, many))
			living := startChild(t, orderOf(state, o, spec, 2))
			stranger := startChild(t, orderOf(t.TempDir(), o, spec, 2))

			var told []string
			o = options(d)
			o.Events.Removed = func(what string) { told = append(told, what) }
			r, err := New(state, o)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if removed, err := r.Reap(bounded(t)); err != nil || len(removed) > 0 {
				t.Errorf("all live, and %v was removed, %v", removed, err)
			}
			dead.kill()
			if b, s, l := belongings(t, r, dead.id); b != many || s != many || l != 1 {
				t.Errorf("the killed gateway left %d containers, %d snapshots, %d leases", b, s, l)
			}
			begin := time.Now()
			removed, err := r.Reap(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d containers were reaped in %v", many, time.Since(begin))
			if len(removed) != many+1 || len(told) != len(removed) || !strings.Contains(removed[0], "of server probe") {
				t.Errorf("removed %q, told %q", removed, told)
			}
			if b, s, l := belongings(t, r, dead.id); b+s+l != 0 {
				t.Errorf("after the reaper there are %d containers, %d snapshots, %d leases", b, s, l)
			}
			if dirs := cgroups(dead.id); len(dirs) > 0 {
				t.Errorf("left behind: %v", dirs)
			}
			for _, f := range []string{filepath.Join(state, runFolder, dead.id), filepath.Join(d.Runc, dead.id), filepath.Join(state, "owners", dead.id)} {
				if _, err := os.Stat(f); err == nil {
					t.Errorf("left behind: %s", f)
				}
			}
			if all := testbed.LoopDevices(state); len(all) != 1 {
				t.Errorf("the volume of a dead and a living gateway has the devices %q", all)
			}
			for _, c := range []*child{living, stranger} {
				if b, s, l := belongings(t, r, c.id); b != 2 || s != 2 || l != 1 {
					t.Errorf("a living gateway has %d containers, %d snapshots, %d leases", b, s, l)
				}
				c.close(t)
				if b, s, l := belongings(t, r, c.id); b+s+l != 0 {
					t.Errorf("a closed gateway has %d containers, %d snapshots, %d leases", b, s, l)
				}
			}
			if removed, err := r.Reap(bounded(t)); err != nil || len(removed) > 0 {
				t.Errorf("there was nothing to remove, and %v was, %v", removed, err)
			}
			testbed.NoLoopDevices(t, r.owner.State)
		})
	}
}

// TestReapWithoutLockFile: a gateway whose lock file somebody cleaned away
// keeps what it has, as long as its process lives.
func TestReapWithoutLockFile(t *testing.T) {
	d := bed.Containerd(t)
	state := t.TempDir()
	c := startChild(t, orderOf(state, options(d), probe(t), 2))
	r, err := New(state, options(d))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Remove(filepath.Join(state, "owners", c.id)); err != nil {
		t.Fatal(err)
	}
	if removed, err := r.Reap(bounded(t)); err != nil || len(removed) > 0 {
		t.Errorf("it lives, and %v was removed, %v", removed, err)
	}
	if b, s, l := belongings(t, r, c.id); b != 2 || s != 2 || l != 1 {
		t.Errorf("it has %d containers, %d snapshots, %d leases", b, s, l)
	}
	if _, err := os.Stat(filepath.Join(state, runFolder, c.id)); err != nil {
		t.Errorf("its folder is gone: %v", err)
	}
	c.kill()
	if removed, err := r.Reap(bounded(t)); err != nil || len(removed) != 3 {
		t.Errorf("it was killed, and %v was removed, %v", removed, err)
	}
	if b, s, l := belongings(t, r, c.id); b+s+l != 0 {
		t.Errorf("after the reaper there are %d containers, %d snapshots, %d leases", b, s, l)
	}
	if _, err := os.Stat(filepath.Join(state, runFolder, c.id)); err == nil {
		t.Error("its folder is still there")
	}
	// A folder alone tells of whom it is as well.
	living := startChild(t, orderOf(state, options(d), probe(t), 1))
	if err := os.Remove(filepath.Join(state, "owners", living.id)); err != nil {
		t.Fatal(err)
	}
	if removed, err := r.Reap(bounded(t)); err != nil || len(removed) > 0 {
		t.Errorf("it lives, and %v was removed, %v", removed, err)
	}
	living.close(t)
}

// TestContainerdKilled: while containerd is away, starts fail and say so, what
// runs ends, and all is well when it is back.
func TestContainerdKilled(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	i := start(t, r, spec)
	stopped := start(t, r, spec)
	initialize(t, i)
	d.Kill()

	begin := time.Now()
	_, err := r.Start(bounded(t), spec)
	if err == nil || !strings.Contains(err.Error(), "containerd at "+d.Address+" does not answer") {
		t.Errorf("a start without containerd: %v", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the start took %v to fail", took)
	}
	if _, err := r.Reap(bounded(t)); err == nil || !strings.Contains(err.Error(), d.Address) {
		t.Errorf("reaping without containerd: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := stopped.Stop(ctx); err != nil {
		t.Errorf("stopping without containerd: %v", err)
	}
	if e := exit(t, stopped); e.Reason != runtime.Stopped {
		t.Errorf("stopped without containerd: %+v", e)
	}
	e := exit(t, i)
	if e.Reason != runtime.Disconnected || !strings.Contains(e.String(), d.Address) {
		t.Errorf("the exit is %+v", e)
	}
	if _, err := call(t, i, "ping", nil); err == nil {
		t.Error("a call got a reply")
	}
	eventually(t, 5*time.Second, "the server is dead", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", i.pid))
		return err != nil || strings.Contains(string(stat), ") Z ") // its shim may be slow to take note
	})

	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	initialize(t, start(t, r, spec))
	eventually(t, 20*time.Second, "what was left is removed", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.debts) == 0
	})
	if b, s, _ := belongings(t, r, r.owner.ID); b != 1 || s != 1 {
		t.Errorf("there are %d containers, %d snapshots", b, s)
	}
}

// TestContainerdRestarted: a restart that is as fast as that of a package's
// upgrade harms nobody.
func TestContainerdRestarted(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	i := start(t, r, spec)
	initialize(t, i)
	d.Kill()
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if _, err := call(t, i, "ping", nil); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	initialize(t, start(t, r, spec))
	if err := i.Stop(bounded(t)); err != nil {
		t.Error(err)
	}
	if e := exit(t, i); e.Reason != runtime.Stopped {
		t.Errorf("the exit is %+v", e)
	}
}

func TestShimKilled(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	i := start(t, r, probe(t))
	initialize(t, i)
	other := start(t, r, probe(t))
	for pid, command := range d.Shims() {
		if strings.Contains(command, i.id) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	e := exit(t, i)
	if e.Reason != runtime.Disconnected && e.Reason != runtime.Killed || e.Err == nil || !strings.Contains(e.String(), "shim") {
		t.Errorf("the exit is %+v", e)
	}
	if _, err := call(t, i, "ping", nil); err == nil {
		t.Error("a call got a reply")
	}
	initialize(t, other)
	eventually(t, 10*time.Second, "everything of it is removed", func() bool {
		b, s, _ := belongings(t, r, r.owner.ID)
		return b == 1 && s == 1
	})
}

// TestCloseWithoutContainerd: Close ends in time, says what is left, and the
// next reaper removes it.
func TestCloseWithoutContainerd(t *testing.T) {
	d := bed.Containerd(t)
	state := t.TempDir()
	r, err := New(state, options(d))
	if err != nil {
		t.Fatal(err)
	}
	spec := probe(t)
	i, err := r.Start(bounded(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	d.Kill()
	begin := time.Now()
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("Close without containerd: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
	if e := exit(t, i); e.Reason != runtime.Stopped {
		t.Errorf("the exit is %+v", e)
	}
	if _, err := r.Start(bounded(t), spec); !errors.Is(err, errClosed) {
		t.Errorf("a start after Close: %v", err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	next, err := New(state, options(d))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if removed, err := next.Reap(bounded(t)); err != nil || len(removed) < 2 {
		t.Errorf("the reaper removed %v, %v", removed, err)
	}
}

// TestNoContainerd: nobody answers.
func TestNoContainerd(t *testing.T) {
	r, err := New(t.TempDir(), &Options{Address: filepath.Join(t.TempDir(), "none.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, err := range []error{r.Ping(t.Context()), func() error {
		_, err := r.Start(t.Context(), runtime.Spec{Name: "x", Image: "alpine"})
		return err
	}()} {
		if err == nil || !strings.Contains(err.Error(), "none.sock") || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v", err)
		}
	}
}
