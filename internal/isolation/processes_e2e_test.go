//go:build e2e && linux

package isolation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// victim is a process of the host, of the same user as the hostile servers.
func victim(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command(program, "as", fmt.Sprint(attacker), "wait", mark("victim"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	// Until it is that user, others of it may do nothing to it.
	eventually(t, 10*time.Second, "the victim is another user", func() bool {
		s, err := os.Stat(fmt.Sprintf("/proc/%d", c.Process.Pid))
		return err == nil && s.Sys().(*syscall.Stat_t).Uid == attacker
	})
	return c
}

// runs tells whether a process is there and has not ended.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	for i := len(stat) - 1; i > 1; i-- {
		if stat[i] == ')' {
			return i+2 < len(stat) && stat[i+2] != 'Z' && stat[i+2] != 'X'
		}
	}
	return false
}

// TestProcesses: a server neither sees nor traces nor signals what is not its
// own: processes of the host, process 1 of a sandbox, other servers.
func TestProcesses(t *testing.T) {
	v := victim(t)
	pid := strconv.Itoa(v.Process.Pid)
	on := func(pid string, as control) []attempt {
		return []attempt{
			{tool: "read", args: args{"path": "/proc/" + pid + "/environ"}, as: as},
			{tool: "trace", args: args{"pid": pid}, as: as},
			{tool: "peek", args: args{"pid": pid}, as: as},
			{tool: "steal", args: args{"pid": pid, "fd": "0"}, as: as},
		}
	}
	all := append(on(pid, byUser), attempt{tool: "processes", args: args{"want": v.Args[4]}, as: byUser})
	controlled(t, all)
	// The last thing that can be done to it.
	t.Run("control of a kill", func(t *testing.T) {
		v := victim(t)
		if _, err := free(t, attacker).try(t, "signal", args{"pid": strconv.Itoa(v.Process.Pid)}); err != nil {
			t.Error(err)
		}
		eventually(t, 10*time.Second, "the victim ends", func() bool { return !runs(v.Process.Pid) })
	})
	all = append(all, attempt{tool: "signal", args: args{"pid": pid}})
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		c := b.start(t, nil)
		confined(t, b, c, all)
		if b.name == "sandbox" { // elsewhere the server itself is process 1
			confined(t, b, c, append(on("1", byNone),
				attempt{tool: "overwrite", args: args{"path": "/proc/1/mem"}}, attempt{tool: "readlink", args: args{"path": "/proc/1/exe"}},
				attempt{tool: "readlink", args: args{"path": "/proc/1/root"}}, attempt{tool: "readlink", args: args{"path": "/proc/1/fd/3"}}))
		}
		// What it may do to its own is up to the kernel.
		got, err := c.try(t, "sibling", nil)
		t.Logf("tracing a process of its own: %q, %v", got, err)
		// To kill all that can be killed kills none but its own: where the
		// server is process 1, not even itself.
		if got, err := c.try(t, "killall", nil); err == nil {
			t.Logf("killing all: %s", got)
		} else {
			t.Logf("killing all: %v", err)
		}
		if err := other.ping(bounded(t)); err != nil {
			t.Errorf("another server of the same user did not survive: %v", err)
		}
		if !runs(v.Process.Pid) {
			t.Fatal("a process of the host did not survive")
		}
	})
}

// TestNothingOutlivesStop: a grandchild that has left the server's session,
// hears no signal and holds no pipe ends with the instance, and where there is
// no confinement it lives on.
func TestNothingOutlivesStop(t *testing.T) {
	beats := func(file string) bool { // whether somebody writes to it
		before, err := os.Stat(file)
		if err != nil {
			return false
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if now, err := os.Stat(file); err == nil && now.ModTime() != before.ModTime() {
				return true
			}
		}
		return false
	}
	t.Run("control", func(t *testing.T) {
		file := filepath.Join(writable(t), "beat")
		c := exec.Command(program, "as", fmt.Sprint(attacker), "attempt", "detach", fmt.Sprintf(`{"path":%q}`, file))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(b))
		if err != nil || !beats(file) {
			t.Errorf("would not outlive anything, so that it proves nothing: %q, %v", b, err)
		}
		if pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for how, patience := range map[string]time.Duration{"asked": 10 * time.Second, "killed": 0} {
		t.Run(how, func(t *testing.T) {
			boxes(t, nil, func(t *testing.T, b *box) {
				dir := writable(t)
				file := filepath.Join(dir, "beat")
				c := b.start(t, func(s *runtime.Spec) { s.Mounts = []runtime.Mount{{Source: dir, Target: "/rw", Writable: true}} })
				if _, err := c.try(t, "detach", args{"path": "/rw/beat"}); err != nil {
					t.Fatal(err)
				}
				if !beats(file) {
					t.Fatal("it does not write while the server runs")
				}
				stop(t, c, patience)
				if beats(file) {
					t.Error("it has outlived the instance")
				}
			})
		})
	}
}
