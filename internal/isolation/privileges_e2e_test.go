//go:build e2e && linux

package isolation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// leaky opens a file in this process so that it passes on to children.
func leaky(t *testing.T, name string) {
	t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
}

// tempting is a folder with copies of the hostile program that give who runs
// them more rights: a set-user-ID one of root, and one with capabilities.
func tempting(t *testing.T) string {
	t.Helper()
	dir := public(t)
	for _, name := range []string{"setuid", "capable"} {
		from, err := os.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "setuid"), 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "capable"), 0o755); err != nil {
		t.Fatal(err)
	}
	var rights bytes.Buffer // struct vfs_cap_data, version 2: permitted and effective
	for _, word := range []uint32{0x02000001, 1 << unix.CAP_NET_RAW, 0, 0, 0} {
		_ = binary.Write(&rights, binary.LittleEndian, word)
	}
	if err := unix.Setxattr(filepath.Join(dir, "capable"), "security.capability", rights.Bytes(), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kernels says why a call that gVisor answers itself lets nothing out.
var kernels = map[string]string{"gvisor": "it asks gVisor's own kernel, of which there is one for each container"}

// privileges are the attempts to become somebody else.
func privileges(dir string) []attempt {
	all := []attempt{
		{tool: "setuid", args: args{"how": "setuid"}, as: byRoot},
		{tool: "setuid", args: args{"how": "setresuid"}, as: byRoot},
		{tool: "setuid", args: args{"how": "setgid"}, as: byRoot},
		{tool: "setuid", args: args{"how": "setgroups"}, as: byRoot},
		{tool: "privileged", args: args{"path": "/tempting/setuid"}, as: byUser, how: args{"path": filepath.Join(dir, "setuid")}},
		{tool: "privileged", args: args{"path": "/tempting/capable"}, as: byUser, how: args{"path": filepath.Join(dir, "capable")}},
		{tool: "capset", args: args{"how": "effective"}, as: byRoot},
		{tool: "capset", args: args{"how": "inheritable"}, as: byRoot},
		{tool: "capset", args: args{"how": "ambient"}},
		{tool: "capset", args: args{"how": "privileges"}},
		{tool: "chroot", args: args{"how": "chroot"}, as: byRoot},
		{tool: "chroot", args: args{"how": "pivot_root"}, as: byRoot, how: args{"how": "pivot_root", "private": "yes"}},
		{tool: "terminal"},
	}
	for _, kind := range []string{"user", "mount", "net", "pid", "ipc", "uts", "cgroup", "time"} {
		as := byRoot
		if kind == "user" {
			as = byUser
		}
		all = append(all, attempt{tool: "unshare", args: args{"kind": kind}, as: as, lets: kernels})
		if kind != "time" {
			all = append(all, attempt{tool: "clone", args: args{"kind": kind}, as: as, lets: kernels})
		}
	}
	for _, ns := range []string{"mnt", "net", "pid", "ipc", "uts", "cgroup", "user"} {
		all = append(all, attempt{tool: "setns", args: args{"path": "/proc/1/ns/" + ns}})
	}
	for _, ns := range []string{"net", "ipc", "uts", "cgroup"} {
		all = append(all, attempt{tool: "setns", args: args{"path": "/proc/self/ns/" + ns}, as: byRoot})
	}
	for _, kind := range []string{
		"tmpfs", "proc", "sysfs", "devpts", "cgroup2", "overlay", "bind", "move", "remount", "propagate", "umount", "unmask",
		"fsopen", "open_tree", "setattr",
	} {
		a := attempt{tool: "mount", args: args{"kind": kind}, as: byRoot, how: args{"kind": kind, "private": "yes"}}
		if kind == "unmask" || kind == "move" {
			a.as = byNone // there is nothing over it, or it lies below what is shared
		}
		all = append(all, a)
	}
	for _, kind := range []string{"packet", "raw", "raw6", "vsock", "alg", "audit", "key", "bluetooth", "can", "xdp", "tipc", "netfilter"} {
		a := attempt{tool: "socket", args: args{"kind": kind}}
		if kind == "packet" || kind == "raw" || kind == "raw6" || kind == "vsock" || kind == "audit" {
			a.as = byRoot // others are missing in many kernels, and netfilter's would change this machine's rules
		}
		if kind == "audit" {
			a.lets = map[string]string{"runc": "every user may open it, and what can be asked over it needs rights"}
		}
		all = append(all, a)
	}
	for _, name := range []string{
		"init_module", "finit_module", "delete_module", "bpf", "kexec_load", "kexec_file_load", "keyctl", "add_key", "request_key",
		"io_uring_setup", "userfaultfd", "perf_event_open", "syslog", "reboot", "swapon", "acct", "settimeofday", "clock_settime",
		"open_by_handle_at", "fanotify_init", "quotactl", "sethostname", "setdomainname", "clone3", "kcmp", "mknod", "nice", "realtime",
	} {
		a := attempt{tool: "syscall", args: args{"name": name}, as: byRoot}
		if name == "nice" || name == "syslog" || name == "clone3" {
			a.lets = kernels
		}
		all = append(all, a)
	}
	return all
}

// TestPrivileges: a server gains none, and reaches no part of the kernel that
// it has no use for.
func TestPrivileges(t *testing.T) {
	dir := tempting(t)
	all := privileges(dir)
	controlled(t, all)
	boxes(t, nil, func(t *testing.T, b *box) {
		tempted := func(user string) func(s *runtime.Spec) {
			return func(s *runtime.Spec) {
				s.User = user
				s.Mounts = []runtime.Mount{{Source: dir, Target: "/tempting"}}
			}
		}
		t.Run("user", func(t *testing.T) {
			confined(t, b, b.start(t, tempted(fmt.Sprint(attacker))), all)
		})
		// Root, where an operator asked for it, has no more rights: only what
		// it is already succeeds.
		t.Run("root", func(t *testing.T) {
			var rest []attempt
			for _, a := range all {
				if a.tool == "setuid" || a.tool == "privileged" && a.args["path"] == "/tempting/setuid" {
					continue
				}
				rest = append(rest, a)
			}
			confined(t, b, b.start(t, tempted("0")), rest)
		})
	})
}

// TestTerminal: typing on the terminal of who started it works for a program
// that has inherited it, and no server has.
func TestTerminal(t *testing.T) {
	side := terminal(t)
	c := exec.Command(program, "attempt", "terminal", "{}")
	c.Stdin, c.Stderr = side, side
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if out, err := c.Output(); err != nil || !bytes.Contains(out, []byte("typed on")) {
		t.Errorf("would not succeed unconfined, so that it proves nothing: %s, %v", out, err)
	}
	boxes(t, nil, func(t *testing.T, b *box) {
		confined(t, b, b.start(t, nil), []attempt{{tool: "terminal"}})
	})
}

// terminal opens a new one, and returns the side of programs.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = side.Close() })
	return side
}
