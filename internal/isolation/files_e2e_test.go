//go:build e2e && linux

package isolation

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// TestFiles: a server sees no file of the host but its mounts, and writes to
// nothing but its own places and writable mounts.
func TestFiles(t *testing.T) {
	dir := public(t)
	name := mark("file")
	secret := filepath.Join(dir, name)
	if err := os.WriteFile(secret, []byte(mark("content")), 0o644); err != nil {
		t.Fatal(err)
	}
	shownDir := filepath.Join(dir, "shown")
	if err := os.Mkdir(shownDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(shownDir, 0o777); err != nil {
		t.Fatal(err)
	}
	gateway := fmt.Sprintf("/proc/%d", os.Getpid())
	reads := func(as control, paths ...string) (all []attempt) {
		for _, p := range paths {
			all = append(all, attempt{tool: "read", args: args{"path": p}, as: as})
		}
		return all
	}
	all := reads(byUser, secret, dir, "/var/log", "/proc/self/root"+secret, "/tmp/../.."+secret)
	all = append(all, reads(byRoot,
		"/etc/shadow", "/root", "/dev/kmsg", "/proc/interrupts",
		gateway+"/environ", gateway+"/maps", gateway+"/root"+secret, gateway+"/cwd", gateway+"/fd",
	)...)
	all = append(all, reads(byNone, "/proc/kcore", "/proc/1/root"+secret, "/home", "/boot", "/dev/vda", "/dev/mem", "/dev/sda", "/dev/port", "/proc/kmsg", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
		"/proc/scsi", "/proc/acpi", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/cgroup", "/run/containerd", "/run/docker.sock", "/etc/ssh")...)
	all = append(all,
		attempt{tool: "find", args: args{"from": "/", "name": name}, as: byUser, how: args{"from": dir, "name": name}},
		attempt{tool: "environ", args: args{"want": os.Getenv(secretEnv)}, as: byRoot},
		attempt{tool: "processes", args: args{"want": filepath.Base(os.Args[0])}, as: byUser},
		attempt{tool: "handle", args: args{"path": "/"}, as: byRoot},
		attempt{tool: "handle", args: args{"path": "/ro"}, as: byRoot, how: args{"path": dir}},
	)
	// Opening these for writing changes nothing yet.
	for _, p := range []string{
		"/etc/passwd", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/power/state", "/dev/kmsg",
	} {
		a := attempt{tool: "overwrite", args: args{"path": p}, as: byRoot}
		if _, err := os.Stat(p); err != nil {
			a.as = byNone // this kernel has none
		}
		if strings.HasPrefix(p, "/proc") {
			a.lets = kernels
		}
		all = append(all, a)
	}
	for _, p := range []string{"/etc/hosts", "/etc/resolv.conf", "/server", program, "/proc/1/exe", "/proc/self/exe", "/dev/mem"} {
		all = append(all, attempt{tool: "overwrite", args: args{"path": p}})
	}
	for _, p := range []string{
		"/new", "/etc/new", "/usr/new", "/bin/new", "/var/new", "/run/new", "/home/new", "/root/new", "/dev/new", "/sys/new",
		"/sys/fs/cgroup/new", "/proc/new", "/proc/self/uid_map",
		filepath.Join(filepath.Dir(program), "new"), filepath.Join(dir, "new"),
	} {
		a := attempt{tool: "write", args: args{"path": p}}
		if filepath.Dir(p) == filepath.Dir(program) {
			a.lets = map[string]string{"sandbox": "it lies below /tmp, which inside is the server's own"}
		}
		all = append(all, a)
	}
	all = append(all,
		attempt{tool: "write", args: args{"path": "/ro/new"}, as: byUser, how: args{"path": filepath.Join(shownDir, "control")}},
		attempt{tool: "chmod", args: args{"path": "/etc/passwd"}, as: byRoot},
		attempt{tool: "symlink", args: args{"path": "/ro/link", "to": "/etc"}, as: byUser, how: args{"path": filepath.Join(shownDir, "control-link"), "to": "/etc"}},
		// A user namespace, where it can be had, gives rights over mounts.
		attempt{tool: "remount", args: args{"path": "/ro"}},
		attempt{tool: "remount", args: args{"path": "/"}},
		attempt{tool: "execute", args: args{"dir": "/tmp"}, as: byUser, how: args{"dir": shownDir}},
		attempt{tool: "execute", args: args{"dir": "/dev/shm"}, as: byUser, how: args{"dir": shownDir}},
		// Not every root may do these.
		attempt{tool: "escalate", args: args{"how": "files"}},
		attempt{tool: "escalate", args: args{"how": "oom"}, lets: kernels},
		attempt{tool: "write", args: args{"path": "/proc/self/oom_score_adj"}, lets: lowScore()},
	)
	controlled(t, all)
	boxes(t, nil, func(t *testing.T, b *box) {
		c := b.start(t, func(s *runtime.Spec) {
			s.Mounts = []runtime.Mount{{Source: shownDir, Target: "/ro"}, {Source: writable(t), Target: "/rw", Writable: true}}
		})
		all := append(reads(byNone, b.state, filepath.Join(b.state, "owners")), all...)
		t.Run("user", func(t *testing.T) { confined(t, b, c, all) })
		t.Run("root", func(t *testing.T) {
			confined(t, b, b.start(t, func(s *runtime.Spec) {
				s.User = "0"
				s.Mounts = []runtime.Mount{{Source: shownDir, Target: "/ro"}}
			}), all)
		})
		// The places that are its own, so that the attempts are not idle.
		for _, p := range []string{"/tmp/x", "/dev/shm/x", "/rw/x"} {
			if _, err := c.try(t, "write", args{"path": p}); err != nil {
				t.Errorf("writing %s: %v", p, err)
			}
		}
	})
	for folder, mine := range map[string]string{shownDir: "control", filepath.Dir(program): "hostile"} {
		left, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range left {
			if !strings.HasPrefix(e.Name(), mine) {
				t.Errorf("a server has written %s to %s of the host", e.Name(), folder)
			}
		}
	}
}

// lowScore says where a server may lower its score for the out-of-memory
// killer down to that of the gateway: the kernel lets only CAP_SYS_RESOURCE set
// a least one.
func lowScore() map[string]string {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	lets := maps.Clone(kernels)
	if unix.Capget(&head, &have[0]) == nil && have[0].Effective&(1<<unix.CAP_SYS_RESOURCE) == 0 {
		lets["runc"] = "the gateway lacks CAP_SYS_RESOURCE"
	}
	return lets
}

// TestNothingIsInherited: what a careless gateway leaves open passes on to
// servers without confinement, and to no other.
func TestNothingIsInherited(t *testing.T) {
	leak := filepath.Join(public(t), mark("leak"))
	if err := os.WriteFile(leak, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	leaky(t, leak)
	controlled(t, []attempt{{tool: "descriptors", as: byRoot}})
	boxes(t, nil, func(t *testing.T, b *box) {
		confined(t, b, b.start(t, nil), []attempt{{tool: "descriptors"}})
	})
}
