//go:build e2e && linux

package containerd

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func proc(t *testing.T, i *instance, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", itoa(i.pid), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// field returns what stands after a word at the beginning of a line.
func field(text, word string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, word); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return ""
}

// TestWhatHoldsAServer looks at the process from outside.
func TestWhatHoldsAServer(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	spec.Limits.Tmp, spec.Limits.Files = 8<<20, 99
	spec.Env = map[string]secrets.Value{"OWN": secrets.Plain("x")}
	i := start(t, r, spec)
	initialize(t, i)
	status := proc(t, i, "status")
	for word, want := range map[string]string{
		"Uid:": "65532 65532 65532 65532", "Gid:": "65532 65532 65532 65532", "NoNewPrivs:": "1", "Seccomp:": "2", "Seccomp_filters:": "1",
		"CapInh:": "0000000000000000", "CapPrm:": "0000000000000000", "CapEff:": "0000000000000000",
		"CapBnd:": "0000000000000000", "CapAmb:": "0000000000000000",
	} {
		if got := field(status, word); got != want {
			t.Errorf("%s %s, want %s", word, got, want)
		}
	}
	if got := field(proc(t, i, "limits"), "Max open files"); got != "99 99 files" {
		t.Errorf("open files: %s", got)
	}
	if got := field(proc(t, i, "limits"), "Max core file size"); got != "0 0 bytes" {
		t.Errorf("core: %s", got)
	}
	if got := strings.TrimSpace(proc(t, i, "oom_score_adj")); got != itoa(r.oomScore) {
		t.Errorf("oom_score_adj: %s, want %d", got, r.oomScore)
	}
	for _, ns := range []string{"pid", "ipc", "uts", "mnt", "net", "cgroup"} {
		inside, err1 := os.Readlink(filepath.Join("/proc", itoa(i.pid), "ns", ns))
		outside, err2 := os.Readlink("/proc/self/ns/" + ns)
		if err1 != nil || err2 != nil || inside == outside {
			t.Errorf("namespace %s: %s inside, %s outside, %v, %v", ns, inside, outside, err1, err2)
		}
	}
	// What is mounted, by its target: options of the mount and of the file
	// system, and its type.
	mounts := map[string][]string{}
	for line := range strings.Lines(proc(t, i, "mountinfo")) {
		left, right, _ := strings.Cut(line, " - ")
		l, f := strings.Fields(left), strings.Fields(right)
		mounts[l[4]] = slices.Concat(strings.Split(l[5], ","), strings.Split(f[2], ","), []string{f[0]})
	}
	for target, want := range map[string][]string{
		"/":        {"ro", "overlay"},
		"/tmp":     {"rw", "nosuid", "nodev", "noexec", "size=8192k", "tmpfs"},
		"/dev/shm": {"nosuid", "nodev", "noexec", "size=16384k", "tmpfs"},
		"/sys":     {"ro", "nosuid", "nodev", "noexec"}, "/proc/sys": {"ro"}, "/sys/firmware": {"ro"},
		"/etc/hosts": {"ro", "nosuid", "nodev"},
	} {
		have, ok := mounts[target]
		if !ok {
			t.Errorf("nothing is mounted at %s", target)
		}
		for _, w := range want {
			if !slices.Contains(have, w) {
				t.Errorf("%s is not %s: %v", target, w, have)
			}
		}
	}
	for _, target := range []string{"/run", "/sys/fs/cgroup", "/etc/resolv.conf"} {
		if have, ok := mounts[target]; ok {
			t.Errorf("%s is mounted: %v", target, have)
		}
	}
	if env := texts(must(call(t, i, "probe/env", nil))["env"]); !slices.Contains(env, "OWN=x") || len(env) != 3 {
		t.Errorf("the environment is %q", env)
	}
	i = start(t, r, runtime.Spec{Name: "probe", Image: spec.Image, Args: []string{runtimetest.ProbeArg}})
	if got, err := ask(t, i, "probe/read", "/proc/self/cgroup"); err != nil || strings.Contains(got, "gatehouse") {
		t.Errorf("the server sees the names of its control groups: %q, %v", got, err)
	}
	if got, err := ask(t, i, "probe/read", "/etc/hosts"); err != nil || !strings.Contains(got, "127.0.0.1 localhost probe") {
		t.Errorf("/etc/hosts is %q, %v", got, err)
	}
}

func must(m map[string]any, err error) map[string]any {
	if err != nil {
		return map[string]any{"error": err}
	}
	return m
}

// TestWhereAServerCanWrite: to /tmp and /dev/shm, and nowhere else.
func TestWhereAServerCanWrite(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	spec.Args = []string{runtimetest.ProbeArg}
	i := start(t, r, spec)
	for path, want := range map[string]bool{
		"/tmp/x": true, "/dev/shm/x": true, "/x": false, "/etc/x": false, "/dev/x": false, "/proc/sys/kernel/hostname": false,
		"/sys/x": false, "/run/x": false, "/etc/hosts": false, "/proc/sysrq-trigger": false,
	} {
		if _, err := ask(t, i, "probe/write", path); (err == nil) != want {
			t.Errorf("writing %s: %v", path, err)
		}
	}
	spec.WritableRoot, spec.User = true, "0"
	i = start(t, r, spec)
	if _, err := ask(t, i, "probe/write", "/etc/x"); err != nil {
		t.Errorf("writing to a writable root: %v", err)
	}
}

// hostAddress is an address of this machine that is not loopback.
func hostAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this machine has no address but loopback")
	return ""
}

// TestNetwork: a server reaches what its list allows, and what it was refused
// is told with the line that would allow it.
func TestNetwork(t *testing.T) {
	host := hostAddress(t)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for _, class := range []string{"", "gvisor"} {
		t.Run("class "+class, func(t *testing.T) {
			d := bed.Containerd(t)
			r := newRuntime(t, d, nil)
			spec := probe(t)
			spec.Class, spec.Args = class, []string{runtimetest.ProbeArg}
			none := start(t, r, spec)
			if _, err := ask(t, none, "probe/dial", l.Addr().String()); err == nil {
				t.Error("a server without a network reached the host")
			}
			if refused := none.Refusals(); refused != nil {
				t.Errorf("without a list: %v", refused)
			}
			spec.Network.Allow = []string{l.Addr().String()}
			some := start(t, r, spec)
			if _, err := ask(t, some, "probe/dial", l.Addr().String()); err != nil {
				t.Errorf("what is allowed: %v", err)
			}
			if got, err := ask(t, some, "probe/read", "/etc/resolv.conf"); err != nil || !strings.HasPrefix(got, "nameserver 127.") {
				t.Errorf("/etc/resolv.conf is %q, %v", got, err)
			}
			if refused := some.Refusals(); len(refused) > 0 {
				t.Errorf("refused: %v", refused)
			}
			// A connection that is refused may be reset only after it was made.
			_, _ = ask(t, some, "probe/dial", host+":1")
			eventually(t, 5e9, "the refusal is told", func() bool {
				refused := some.Refusals()
				return len(refused) == 1 && refused[0].Target == host+":1" && refused[0].Allow == host+":1"
			})
			spec.Network.Allow = []string{"not a target"}
			if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "network.allow") {
				t.Errorf("a list that cannot be read: %v", err)
			}
		})
	}
}
