package process_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
)

// detachedDie is true where what has detached itself is found.
const detachedDie = true

// alive reports whether a process is there and no corpse that nobody has
// reaped: what survives the gateway of a test has a parent that may be slow.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := bytes.TrimSpace(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(state) > 0 && state[0] != 'Z' && state[0] != 'X'
}

// gone waits until none of the processes is left.
func gone(t *testing.T, pids ...int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // what others do cannot be waited for
		left := 0
		for _, pid := range pids {
			if alive(pid) {
				left = pid
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of the processes %v, %d is still there", pids, left)
		}
	}
}

// killed starts a gateway in a process of its own, kills it, and returns the
// pids of its server, the server's child and a detached grandchild.
func killed(t *testing.T, args ...string) (server, child, detached int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-gateway"}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	if _, err := fmt.Sscan(line, &server, &child, &detached); err != nil {
		t.Fatalf("the gateway said %q: %v", line, err)
	}
	for _, pid := range []int{server, child, detached} {
		if !alive(pid) {
			t.Fatalf("the process %d is not there, so that nothing is shown", pid)
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // says that it was killed
	return server, child, detached
}

func TestGatewayKilled(t *testing.T) {
	t.Parallel()
	server, child, detached := killed(t)
	gone(t, server, child, detached)
}

// TestGatewayKilledWithoutInit shows what Description says of a program that
// does not call Init.
func TestGatewayKilledWithoutInit(t *testing.T) {
	t.Parallel()
	server, child, detached := killed(t, "-unwatched")
	gone(t, server)
	for _, pid := range []int{child, detached} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("killing what was left behind: %v", err)
		}
	}
}

// TestWatcherKilled: the server goes with its watcher, and the instance says
// why.
func TestWatcherKilled(t *testing.T) {
	t.Parallel()
	i, ask, err := start(t.Context(), process.New(nil), spec())
	if err != nil {
		t.Fatal(err)
	}
	var server int
	if err := ask("probe/pid", &server); err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", server))
	if err != nil {
		t.Fatal(err)
	}
	var state string
	var watcher int
	if _, err := fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &watcher); err != nil {
		t.Fatal(err)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", watcher)); err != nil || !strings.HasPrefix(string(name), "gatehouse-process-watcher") {
		t.Fatalf("the parent of the server is %q, %v", name, err)
	}
	if err := syscall.Kill(watcher, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := <-i.Wait()
	if e.Reason != runtime.Killed || e.Err == nil || !strings.Contains(e.Err.Error(), "watched over it ended") {
		t.Errorf("got %+v", e)
	}
	gone(t, server)
}

// TestSignals: a server is asked politely before it is killed, and starts
// with the default of every signal.
func TestSignals(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Command = []string{"/bin/sh", "-c", `trap "echo asked >&2; exit 5" TERM; while :; do sleep 0.1; done`}
	i, err := process.New(nil).Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := <-i.Wait(); e.Reason != runtime.Stopped || e.Code != 5 || !slices.Contains(e.Stderr, "asked") {
		t.Errorf("got %+v", e)
	}
	s.Command = []string{"/bin/sh", "-c", `grep -E "^Sig(Blk|Ign)" /proc/self/status >&2`}
	if i, err = process.New(nil).Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	e := <-i.Wait()
	// 32 and 33 are the C library's own, which it may have ignored in the
	// program that started the test.
	masks := regexp.MustCompile(`^SigBlk:\t([0-9a-f]{16})\|SigIgn:\t([0-9a-f]{16})$`).FindStringSubmatch(strings.Join(e.Stderr, "|"))
	if masks == nil {
		t.Fatalf("the server wrote %q", e.Stderr)
	}
	for _, mask := range masks[1:] {
		if n, err := strconv.ParseUint(mask, 16, 64); err != nil || n&^(3<<31) != 0 {
			t.Errorf("the server starts with %q", e.Stderr)
		}
	}
}

// TestDisconnected: a server that closes its output is no server any more.
func TestDisconnected(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Command = []string{"/bin/sh", "-c", `exec >&-; sleep 1000`}
	i, err := process.New(nil).Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-i.Wait(); e.Reason != runtime.Disconnected || e.Err == nil {
		t.Errorf("got %+v", e)
	}
}

// TestStartIsBounded: the context ends a start that hangs, and nothing is
// left of it.
func TestStartIsBounded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if i, err := process.New(nil).Start(ctx, spec()); err != context.Canceled {
		t.Errorf("got %v, %v", i, err)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	want := "detached or not"
	if *unwatched {
		want = "does not call process.Init"
	}
	if d := process.New(nil).Description(); !strings.Contains(d, want) {
		t.Errorf("the description is %q", d)
	}
}
