package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

const mountinfo = `22 1 0:20 / /proc rw,nosuid - proc proc rw
30 25 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw
31 25 0:27 /docker/1f /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /a\040b/memory rw - cgroup cgroup rw,memory
malformed
`

func TestMounts(t *testing.T) {
	t.Parallel()
	all := mounts([]byte(mountinfo))
	if len(all) != 3 || !all[0].v2 || all[1].v2 || all[2].point != "/a b/memory" {
		t.Fatalf("got %+v", all)
	}
	if !all[1].has("cpuacct") || all[1].has("memory") || all[0].has("cpu") {
		t.Error("the controllers are mixed up")
	}
	for _, test := range []struct {
		m     mount
		group string
		want  string // empty: it does not show
	}{
		{all[0], "/user.slice", "/sys/fs/cgroup/unified/user.slice"},
		{all[0], "/", "/sys/fs/cgroup/unified"},
		{all[0], "/../other", ""},
		{all[1], "/docker/1f", "/sys/fs/cgroup/cpu,cpuacct"},
		{all[1], "/docker/1f/x", "/sys/fs/cgroup/cpu,cpuacct/x"},
		{all[1], "/docker/1fx", ""},
		{all[1], "/", ""},
	} {
		got, ok := test.m.folder(test.group)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s below %+v: %q, %t", test.group, test.m, got, ok)
		}
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	got := own([]byte("9:name=systemd:/\n4:memory:/a:b\n2:cpu,cpuacct:/c\n0::/d\n"))
	for name, want := range map[string]string{"memory": "/a:b", "cpu": "/c", "cpuacct": "/c", "": "/d"} {
		if got[name] != want {
			t.Errorf("%q is in %q, want %q", name, got[name], want)
		}
	}
}

// machine is a tree of folders that looks like hierarchies.
func machine(t *testing.T, folders ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(root, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFindVersion1(t *testing.T) {
	t.Parallel()
	root := machine(t, "memory/a", "pids/b", "cpu/c", "memory/under", "pids/under", "cpu/under")
	all := []mount{
		{root: "/", point: root + "/memory", option: []string{"rw", "memory"}},
		{root: "/", point: root + "/pids", option: []string{"pids"}},
		{root: "/", point: root + "/cpu", option: []string{"cpu", "cpuacct"}},
		{v2: true, root: "/", point: root + "/unified"},
	}
	groups := map[string]string{"memory": "/a", "pids": "/b", "cpu": "/c", "cpuacct": "/c", "": "/"}
	h, err := find(all, groups, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if h.String() != "cgroup v1" {
		t.Errorf("it is %s", h)
	}
	if got := strings.Join(h.Folders("x"), " "); got != root+"/cpu/c/x "+root+"/memory/a/x "+root+"/pids/b/x" {
		t.Errorf("its folders are %s", got)
	}
	if h, err = find(all, groups, "/under", false); err != nil || h.base["memory"] != root+"/memory/under" {
		t.Errorf("below a named group: %+v, %v", h, err)
	}
	if _, err = find(all, groups, "/none", false); !errors.Is(err, runtime.ErrCannotEnforce) {
		t.Errorf("below a group that is not there: %v", err)
	}
	if _, err = find(all[1:], groups, "", false); !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("without memory: %v", err)
	}
	if _, err = find(nil, groups, "", false); !errors.Is(err, runtime.ErrCannotEnforce) {
		t.Errorf("without anything: %v", err)
	}
}

func TestFindVersion2(t *testing.T) {
	t.Parallel()
	root := machine(t, "user.slice/session.scope")
	all := []mount{{v2: true, root: "/", point: root}}
	groups := map[string]string{"": "/user.slice/session.scope"}
	if _, err := find(all, groups, "", false); !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "delegate") {
		t.Errorf("without controllers: %v", err)
	}
	write(t, root, "user.slice/cgroup.subtree_control", "cpu io memory pids\n")
	h, err := find(all, groups, "", false)
	if err != nil {
		t.Fatal(err)
	}
	// The scope itself has no such file here, as if it had processes.
	if got := h.Folders("x"); len(got) != 1 || got[0] != root+"/user.slice/x" || h.String() != "cgroup v2" {
		t.Errorf("%s with the folders %s", h, got)
	}
	if _, err := find(all, groups, "/user.slice/session.scope", false); err == nil {
		t.Error("below a named group that cannot have limited ones, another was taken")
	}
}

func TestVersion2(t *testing.T) {
	t.Parallel()
	root := machine(t, "g")
	h := &Host{v2: true, base: map[string]string{"memory": root, "pids": root, "cpu": root}}
	g := &Group{h: h, name: "g"}
	for name, content := range map[string]string{
		"memory.max": "max\n", "memory.oom.group": "0\n", "pids.max": "", "cpu.max": "", "pids.current": "7\n", "memory.current": "1000\n",
		"cpu.stat": "usage_usec 1500\nuser_usec 1\n", "memory.stat": "anon 5\ninactive_file 300\n", "memory.events": "low 0\noom 1\noom_kill 2\n",
		"cgroup.procs": "12\n13\n",
	} {
		write(t, root, "g/"+name, content)
	}
	limits := Limits{Memory: 1 << 20, PIDs: 9, CPUs: 0.5}
	if err := g.limitV2(limits); !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "swap") {
		t.Errorf("swap that cannot be limited: %v", err)
	}
	h.noSwapLimit = true
	if err := g.limitV2(limits); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "1048576", "memory.oom.group": "1", "pids.max": "9", "cpu.max": "50000 100000"} {
		// The files of the kernel are written over, those here from their start.
		if got, err := os.ReadFile(filepath.Join(root, "g", name)); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	u, err := g.Usage()
	if err != nil || u != (Usage{CPU: 1500 * time.Microsecond, Memory: 700, PIDs: 7}) {
		t.Errorf("it uses %+v, %v", u, err)
	}
	if n, err := g.OOMKills(); err != nil || n != 2 {
		t.Errorf("killed: %d, %v", n, err)
	}
	if all, err := g.Processes(); err != nil || len(all) != 2 || all[1] != 13 {
		t.Errorf("in it are %v, %v", all, err)
	}
}

func TestSweepIsForControlGroupsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Sweep(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no folder of control groups") {
		t.Errorf("an ordinary folder: %v", err)
	}
	if err := Sweep(t.Context(), filepath.Join(dir, "none")); err != nil {
		t.Errorf("a folder that is gone: %v", err)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	for cpus, want := range map[float64]int64{1: 100_000, 0.25: 25_000, 0.001: 1000, 4: 400_000} {
		if got := quota(cpus); got != want {
			t.Errorf("%g cores: %d, want %d", cpus, got, want)
		}
	}
}
