//go:build e2e && linux

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

func TestMemoryHogIsKilledAndReported(t *testing.T) {
	r := testRuntime(t)
	spec := probe()
	spec.Limits.Memory = 96 << 20
	i := started(t, r, spec)
	other := started(t, r, probe())
	if _, err := ask(t, i, "probe/memory", 200); err == nil {
		t.Fatal("a server with 96 MiB used 200 MiB")
	}
	e := <-i.Wait()
	if e.Reason != runtime.OutOfMemory || !strings.Contains(e.String(), "out of memory") {
		t.Errorf("the exit says %q", e)
	}
	if _, err := ask(t, other, "ping", nil); err != nil {
		t.Errorf("another server: %v", err)
	}
}

func TestProcessorShare(t *testing.T) {
	r := testRuntime(t)
	spec := probe()
	spec.Limits.CPUs = 0.3
	i := started(t, r, spec)
	before, err := i.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, i, "probe/cpu", 2000); err != nil {
		t.Fatal(err)
	}
	after, err := i.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < 300*time.Millisecond || used > 850*time.Millisecond {
		t.Errorf("of 2 s it used %v of CPU, with 0.3 cores", used)
	}
	if after.Memory < 1<<20 || after.Memory > 64<<20 || after.PIDs < 2 || after.PIDs > 64 {
		t.Errorf("it uses %+v", after)
	}
}

func TestForkBombIsStopped(t *testing.T) {
	r := testRuntime(t)
	spec := probe()
	spec.Limits.PIDs = 50
	i := started(t, r, spec)
	other := started(t, r, probe())
	got, err := ask(t, i, "probe/processes", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := json.Unmarshal([]byte(got), &n); err != nil || n == 0 || n >= 50 {
		t.Errorf("it could start %s processes", got)
	}
	if _, err := ask(t, other, "ping", nil); err != nil {
		t.Errorf("another server: %v", err)
	}
}

func TestTmpIsBounded(t *testing.T) {
	r := testRuntime(t)
	spec := runtime.Spec{Name: "dd", Limits: runtime.Limits{Tmp: 4 << 20}, Command: []string{
		"sh", "-c", "cat /dev/zero >/tmp/full; stat -c %s /tmp/full >&2; cat /dev/zero >/dev/shm/full; stat -c %s /dev/shm/full >&2",
	}}
	i := started(t, r, spec)
	e := <-i.Wait()
	sizes := 0
	for _, line := range e.Stderr {
		if line == "4194304" {
			sizes++
		}
	}
	if !strings.Contains(strings.Join(e.Stderr, "\n"), "No space left") || sizes != 2 {
		t.Errorf("the exit says %q", e)
	}
}

func TestOpenFilesAreBounded(t *testing.T) {
	r := testRuntime(t)
	spec := runtime.Spec{Name: "sh", Limits: runtime.Limits{Files: 33}, Command: []string{"sh", "-c", "ulimit -n >&2; ulimit -Hn >&2; ulimit -c >&2"}}
	e := <-started(t, r, spec).Wait()
	if strings.Join(e.Stderr, " ") != "33 33 0" {
		t.Errorf("the exit says %q", e)
	}
}

func TestVolumes(t *testing.T) {
	r := testRuntime(t)
	with := func(owner string) runtime.Spec {
		spec := probe()
		spec.Owner = owner
		spec.Mounts = []runtime.Mount{{Volume: "state", Target: "/data"}}
		return spec
	}
	i := started(t, r, with("alice"))
	if _, err := ask(t, i, "probe/write", "/data/x"); err != nil {
		t.Errorf("writing to a volume: %v", err)
	}
	if err := os.WriteFile(filepath.Join(volume.Path(r.owner.State, with("alice").Name, "alice", "state"), "kept"), []byte("alice's"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, started(t, r, with("alice")), "probe/read", "/data/kept"); err != nil || got != `"alice's"` {
		t.Errorf("the same owner reads %s, %v", got, err)
	}
	for _, owner := range []string{"bob", ""} {
		if got, err := ask(t, started(t, r, with(owner)), "probe/read", "/data/kept"); err == nil {
			t.Errorf("the owner %q reads %s", owner, got)
		}
	}
}

func TestStateFolderIsNotShown(t *testing.T) {
	r := testRuntime(t)
	for _, source := range []string{r.owner.State, filepath.Dir(r.owner.State), filepath.Join(r.owner.State, "owners")} {
		spec := probe()
		spec.Mounts = []runtime.Mount{{Source: source, Target: "/mnt/x"}}
		if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "state folder") {
			t.Errorf("a mount of %s: %v", source, err)
		}
	}
	spec := probe()
	spec.Command[0] = filepath.Join(r.owner.State, "server")
	if err := os.WriteFile(spec.Command[0], []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "state folder") {
		t.Errorf("a program in it: %v", err)
	}
}

func TestProgramsAndFolders(t *testing.T) {
	r := testRuntime(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(dir, "bin", "where")
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\npwd >&2\nls "+dir+" >&2\nls \"$(dirname \"$0\")\" >&2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		spec runtime.Spec
		want string // on its standard error, or in the error
	}{
		{runtime.Spec{Command: []string{script}}, "/tmp|bin|where"},
		{runtime.Spec{Command: []string{"./bin/where"}, Dir: dir}, dir + "|bin|where"}, // of dir nothing else is shown
		{runtime.Spec{Command: []string{script}, Dir: "/srv"}, "cannot be entered"},
		{runtime.Spec{Command: []string{"./where"}, Dir: filepath.Dir(script)}, filepath.Dir(script) + "|bin|where"},
		{runtime.Spec{Command: []string{"/app/bin/where"}, Mounts: []runtime.Mount{{Source: dir, Target: "/app"}}, Dir: "/app"}, "/app|ls: cannot access"},
		{runtime.Spec{Command: []string{"sh", "-c", "id -un >&2; hostname >&2; cat /etc/resolv.conf >&2; getent hosts localhost >&2"}}, "sandbox|sandbox|# no network|::1"},
		{runtime.Spec{Command: []string{"/etc/profile"}}, "not executable"},
		{runtime.Spec{Command: []string{"no-such-command"}}, "no such command in the PATH"},
		{runtime.Spec{Command: []string{"bin/where"}}, "relative"},
	} {
		i, err := r.Start(bounded(t), test.spec)
		if err != nil {
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v: %v, want %q", test.spec.Command, err, test.want)
			}
			continue
		}
		e := <-i.Wait()
		if got := strings.Join(e.Stderr, "|"); !strings.HasPrefix(got, test.want) {
			t.Errorf("%v: %q, want %q", test.spec.Command, got, test.want)
		}
	}
	// A program among root's files.
	spec := probe()
	home, err := os.MkdirTemp("/root", "sandbox-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	spec.Command[0] = filepath.Join(home, "server")
	if err := os.WriteFile(spec.Command[0], []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "/root is a sensitive place") || !strings.Contains(err.Error(), "move the program") {
		t.Errorf("a program in /root: %v", err)
	}
}

func TestStopAsks(t *testing.T) {
	r := testRuntime(t)
	i := started(t, r, runtime.Spec{Command: []string{"sh", "-c", "trap 'echo asked >&2; exit 5' TERM; echo ready >&2; while :; do sleep 0.05; done"}})
	for end := time.Now().Add(10 * time.Second); len(i.stderr.Last()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := i.Stop(bounded(t)); err != nil {
		t.Error(err)
	}
	if e := <-i.Wait(); e.Reason != runtime.Stopped || e.Code != 5 || e.Stderr[len(e.Stderr)-1] != "asked" {
		t.Errorf("the exit says %+v", e)
	}
}

// TestProcess1IsSmall holds what is not the server's to what the limits allow
// for.
func TestProcess1IsSmall(t *testing.T) {
	r := testRuntime(t)
	i := started(t, r, runtime.Spec{Command: []string{"sleep", "100"}})
	time.Sleep(50 * time.Millisecond) // until nothing happens any more
	u, err := i.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", i.process.Pid))
	if err != nil || len(environ) != 0 {
		t.Errorf("its environment is %q, %v", environ, err)
	}
	t.Logf("a sandbox with sleep: %d KiB, %d threads", u.Memory>>10, u.PIDs)
	if u.PIDs-1 > initThreads || u.Memory > 24<<20 {
		t.Errorf("it uses %+v", u)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if want, ok := map[string]string{"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "Groups": ""}[name]; ok && strings.TrimSpace(value) != want {
			t.Errorf("its %s is %s", name, value)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	r := testRuntime(t)
	once := func() {
		i, err := r.Start(bounded(t), probe())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, i, "ping", nil); err != nil {
			t.Fatal(err)
		}
		if err := i.Stop(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	counts := func() [5]int {
		fds, _ := os.ReadDir("/proc/self/fd")
		mounts, _ := os.ReadFile("/proc/self/mountinfo")
		return [5]int{len(fds), strings.Count(string(mounts), "\n"), len(folders(t, r)), goruntime.NumGoroutine(), children()}
	}
	once()
	before := counts()
	for range 100 {
		once()
	}
	more := func(after [5]int) bool {
		for n := range after {
			if after[n] > before[n] {
				return true
			}
		}
		return false
	}
	after := counts()
	for end := time.Now().Add(5 * time.Second); more(after) && time.Now().Before(end); after = counts() {
		time.Sleep(10 * time.Millisecond)
	}
	if more(after) {
		t.Errorf("files, mounts, control groups, goroutines, children: %v before, %v after 100 starts", before, after)
	}
}

// children counts the processes that this one has started.
func children() int {
	n := 0
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		data, _ := os.ReadFile(f)
		n += len(strings.Fields(string(data)))
	}
	return n
}
