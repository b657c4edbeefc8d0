//go:build e2e && linux

package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bed "github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Arguments that make this test binary a gateway of its own.
const (
	gatewayArg     = "gateway"
	withoutInitArg = "gateway-without-init"
)

// gateway starts three servers that share a volume and leave detached processes
// about, tells their processes, and waits to be killed.
func gateway(state string) {
	r, err := New(state, nil)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for range 3 {
		i, err := r.Start(context.Background(), sized(""))
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("pid", i.(*instance).process.Pid)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startGateway starts one, and returns what it told.
func startGateway(t *testing.T, mode, state string) (c *exec.Cmd, pids []int, failed string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c = exec.Command(self, mode, state)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	for sc := bufio.NewScanner(out); sc.Scan(); {
		what, rest, _ := strings.Cut(sc.Text(), " ")
		switch what {
		case "pid":
			pid, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		case "error":
			return c, pids, rest
		case "ready":
			return c, pids, ""
		}
	}
	t.Fatal("the gateway ended")
	return nil, nil, ""
}

// folders lists the control groups that belong to a state folder.
func folders(t *testing.T, r *Runtime) []string {
	t.Helper()
	var all []string
	for _, dir := range r.groups.Folders(filepath.Dir(r.name)) {
		err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, p)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// runs tells whether a process is there and has not ended; whoever has
// inherited it may be slow to take note.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func waitGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for end := time.Now().Add(5 * time.Second); runs(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("process %d is still there", pid)
			}
		}
	}
}

func TestKilledGatewayLeavesNothing(t *testing.T) {
	state := t.TempDir()
	var removed []string
	r, err := New(state, &Options{Events: runtime.Events{Removed: func(what string) { removed = append(removed, what) }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // by then both are dead
		if _, err := r.Reap(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if left := folders(t, r); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		bed.NoLoopDevices(t, r.owner.State)
	})
	mine := started(t, r, probe())
	before := len(folders(t, r))

	dead, deadPIDs, failed := startGateway(t, gatewayArg, state)
	if failed != "" {
		t.Fatal(failed)
	}
	_, livingPIDs, failed := startGateway(t, gatewayArg, state)
	if failed != "" {
		t.Fatal(failed)
	}
	if len(deadPIDs) != 3 || len(livingPIDs) != 3 {
		t.Fatalf("they started %v and %v", deadPIDs, livingPIDs)
	}
	with := len(folders(t, r))
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	waitGone(t, deadPIDs)

	got, err := r.Reap(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 || len(got) != len(removed) {
		t.Errorf("it says that it removed %q, and told %q", got, removed)
	}
	if after := len(folders(t, r)); after != before+(with-before)/2 {
		t.Errorf("%d control groups before, %d with two gateways, %d after one was killed", before, with, after)
	}
	if d := bed.LoopDevices(r.owner.State); len(d) != 1 {
		t.Errorf("the volume of a dead and a living gateway has the devices %q", d)
	}
	for _, pid := range livingPIDs {
		if !runs(pid) {
			t.Errorf("process %d of the living gateway is gone", pid)
		}
	}
	if _, err := ask(t, mine, "ping", nil); err != nil {
		t.Errorf("an instance of this gateway: %v", err)
	}
	if again, err := r.Reap(bounded(t)); err != nil || len(again) != 0 {
		t.Errorf("again it removed %q, %v", again, err)
	}
}

func TestInitIsAskedFor(t *testing.T) {
	_, _, failed := startGateway(t, withoutInitArg, t.TempDir())
	if !strings.Contains(failed, "call sandbox.Init first thing in main") {
		t.Errorf("a program without Init gets %q", failed)
	}
}
