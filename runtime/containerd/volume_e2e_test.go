//go:build e2e && linux

package containerd

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

const volumeSize = 32 << 20

// sized is the probe with a volume of volumeSize at /data.
func sized(t *testing.T, owner string) runtime.Spec {
	s := probe(t)
	s.Owner, s.Args = owner, []string{runtimetest.ProbeArg}
	s.Mounts = []runtime.Mount{{Volume: "state", Target: "/data", Size: volumeSize}}
	return s
}

// TestVolumeSize: one server fills its volume; that is felt by those who share
// it alone, in whatever gateway, and outlives instance and gateway.
func TestVolumeSize(t *testing.T) {
	for _, class := range []string{"", "gvisor"} {
		t.Run("class "+class, func(t *testing.T) { volumeSizes(t, class) })
	}
}

func volumeSizes(t *testing.T, class string) {
	sized := func(t *testing.T, owner string) runtime.Spec {
		spec := sized(t, owner)
		spec.Class = class
		return spec
	}
	d := bed.Containerd(t)
	state := t.TempDir()
	gateways := [2]*Runtime{}
	for n := range gateways {
		r, err := New(state, options(d))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		gateways[n] = r
	}
	r := gateways[0]
	filler, shares, other := start(t, r, sized(t, "alice")), start(t, gateways[1], sized(t, "alice")), start(t, r, sized(t, "bob"))
	if all := testbed.LoopDevices(r.owner.State); len(all) != 2 {
		t.Errorf("two volumes have the devices %q", all)
	}
	if _, err := ask(t, shares, "probe/append", "/data/kept"); err != nil {
		t.Errorf("writing to a volume: %v", err)
	}
	reply, err := filler.Conn().Call(bounded(t), message(t, "probe/fill", "/data/full"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := strconv.Atoi(string(reply.Result)); n < volumeSize/2 || n > volumeSize {
		t.Errorf("%s bytes fitted into %d", reply.Result, volumeSize)
	}
	for _, i := range []runtime.Instance{filler, shares} {
		if got, err := ask(t, i, "probe/read", "/data/kept"); err != nil || got != "probe\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := ask(t, other, "probe/append", "/data/kept"); err != nil {
		t.Errorf("another owner: %v", err)
	}
	for _, r := range gateways {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	nothingOf(t, d, r)

	if r, err = New(state, options(d)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		nothingOf(t, d, r)
	})
	spec := sized(t, "alice")
	spec.Mounts[0].Size *= 2
	spec.Dir = "/data"
	next := start(t, r, spec)
	if got, err := ask(t, next, "probe/dir", ""); err != nil || got != "/data" {
		t.Errorf("it works in %q, %v", got, err)
	}
	if got, err := ask(t, next, "probe/read", "/data/kept"); err != nil || got != "probe\n" {
		t.Errorf("the next gateway reads %q, %v", got, err)
	}
	if _, err := ask(t, next, "probe/append", "/data/more"); err != nil {
		t.Errorf("it has grown: %v", err)
	}
	spec.Dir = "/data/none"
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "the working directory /data/none is not in what is mounted at /data") {
		t.Errorf("a working directory that is not there: %v", err)
	}
	spec.Mounts[0].Size = volumeSize
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "mount of volume state at /data: the volume has a size of 67108864 bytes, and cannot shrink") {
		t.Errorf("with a smaller size: %v", err)
	}
}

// TestVolumePlaceThatIsNotSeen: where containerd does not see the place of a
// volume, it is refused, and the server does not write to what is below.
func TestVolumePlaceThatIsNotSeen(t *testing.T) {
	d := bed.Containerd(t)
	state := t.TempDir()
	spec := sized(t, "alice")
	spec.Class = "gvisor"
	c := exec.Command(os.Args[0], gatewayArg)
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	line, err := json.Marshal(orderOf(state, options(d), spec, 1))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdin = strings.NewReader(string(line) + "\n")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mount of volume state at /data cannot be enforced") {
		t.Errorf("got %v, %s", err, out)
	}
	testbed.NoLoopDevices(t, state)
	if left, err := filepath.Glob(state + "/volumes/*/*/@state/on/*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestReapVolumes kills a gateway whose volumes have places on the host.
func TestReapVolumes(t *testing.T) {
	d := bed.Containerd(t)
	state := t.TempDir()
	spec := sized(t, "alice")
	spec.Class = "gvisor"
	spec.Mounts = append(spec.Mounts, runtime.Mount{Volume: "state", Target: "/twice", Size: volumeSize})
	dead, living := startChild(t, orderOf(state, options(d), spec, 2)), startChild(t, orderOf(state, options(d), spec, 1))
	places := func(c *child) int {
		found, err := filepath.Glob(state + "/volumes/*/*/@state/on/" + c.id + ".*")
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	mounted := func() int {
		b, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b), " "+state+"/volumes/")
	}
	if places(dead) != 2 || places(living) != 1 || mounted() != 6 {
		t.Errorf("there are %d and %d places, %d mounts", places(dead), places(living), mounted())
	}
	dead.kill()
	r, err := New(state, options(d))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if removed, err := r.Reap(bounded(t)); err != nil || len(removed) != 3 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if places(dead) != 0 || places(living) != 1 || mounted() != 2 || len(testbed.LoopDevices(state)) != 1 {
		t.Errorf("there are %d and %d places, %d mounts, and the devices %q", places(dead), places(living), mounted(), testbed.LoopDevices(state))
	}
	living.close(t)
	if places(living) != 0 || mounted() != 0 {
		t.Errorf("a closed gateway has %d places, %d mounts", places(living), mounted())
	}
	testbed.NoLoopDevices(t, state)
}
