package sandbox

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// decide runs the filter on one call.
func decide(t *testing.T, vm *bpf.VM, id arch.AuditArch, number int, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64) // the virtual machine reads big endian words, in the places of a little endian kernel
	binary.BigEndian.PutUint32(data, uint32(number))
	binary.BigEndian.PutUint32(data[4:], uint32(id))
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	v, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, of := range []*arch.Info{arch.X86_64, arch.AARCH64} {
		program, err := assemble(of)
		if err != nil {
			t.Fatalf("%s: %v", of.Name, err)
		}
		if len(program) > 4096 {
			t.Errorf("%s: %d instructions, more than the kernel takes", of.Name, len(program))
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatalf("%s: %v", of.Name, err)
		}
		// Every number, without arguments, is decided as the list says.
		special := map[string]uint32{
			"clone": uint32(permit), "clone3": uint32(absent), "ioctl": uint32(permit), "personality": uint32(permit),
			"socket": uint32(refuse), "socketpair": uint32(refuse), "openat2": uint32(absent),
		}
		for _, m := range modes {
			special[m.name] = uint32(permit)
		}
		for number, name := range of.SyscallNumbers {
			want := uint32(refuse)
			if s, ok := special[name]; ok {
				want = s
			} else if slices.Contains(allowed, name) {
				want = uint32(permit)
			}
			if got := decide(t, vm, of.ID, number); got != want {
				t.Errorf("%s: %s gets %#x, want %#x", of.Name, name, got, want)
			}
		}
		for _, must := range []string{
			"bpf", "perf_event_open", "keyctl", "add_key", "request_key", "io_uring_setup", "userfaultfd", "unshare", "setns",
			"mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "fsconfig", "move_mount", "open_tree", "mount_setattr",
			"init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "open_by_handle_at", "syslog",
			"settimeofday", "clock_settime", "sethostname", "quotactl", "acct", "kcmp", "fanotify_init", "lookup_dcookie",
		} {
			n, ok := of.SyscallNames[must]
			if !ok {
				t.Errorf("%s: the table does not know %s", of.Name, must)
			} else if got := decide(t, vm, of.ID, n); got != uint32(refuse) {
				t.Errorf("%s: %s gets %#x", of.Name, must, got)
			}
		}
		for _, must := range []string{"read", "write", "futex", "execve", "mmap", "openat", "newfstatat", "exit_group", "epoll_pwait", "statx", "getrandom", "rseq", "prlimit64", "wait4", "pidfd_open"} {
			if got := decide(t, vm, of.ID, of.SyscallNames[must]); got != uint32(permit) {
				t.Errorf("%s: %s gets %#x", of.Name, must, got)
			}
		}
		const high = 0xdead << 32 // of no meaning to the kernel
		for _, test := range []struct {
			name string
			args []uint64
			want bool
		}{
			{"clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, true},
			{"clone", []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, false},
			{"clone", []uint64{unix.CLONE_NEWNS}, false},
			{"clone", []uint64{unix.CLONE_NEWNET | high}, false},
			{"clone", []uint64{unix.CLONE_NEWCGROUP}, false},
			{"socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, true},
			{"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 6}, true},
			{"socket", []uint64{unix.AF_INET6, unix.SOCK_DGRAM, 17}, true},
			{"socket", []uint64{unix.AF_INET6 | high, unix.SOCK_DGRAM, 17}, true},
			{"socket", []uint64{unix.AF_INET, unix.SOCK_RAW, 1}, false},
			{"socket", []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC, 1}, false},
			{"socket", []uint64{unix.AF_INET6, unix.SOCK_PACKET}, false},
			{"socket", []uint64{unix.AF_INET, unix.SOCK_DCCP}, false},
			{"socket", []uint64{unix.AF_INET, unix.SOCK_SEQPACKET, 132}, false},
			{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, true},
			{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, false},
			{"socket", []uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, false},
			{"socket", []uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, false},
			{"socket", []uint64{unix.AF_PACKET, unix.SOCK_RAW}, false},
			{"socket", []uint64{unix.AF_KEY, unix.SOCK_RAW}, false},
			{"socketpair", []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, true},
			{"socketpair", []uint64{unix.AF_TIPC, unix.SOCK_STREAM}, false},
			{"ioctl", []uint64{0, tiocsti}, false},
			{"ioctl", []uint64{0, tiocsti | high}, false},
			{"ioctl", []uint64{0, tioclinux}, false},
			{"ioctl", []uint64{0, 0x5401}, true},
			{"chmod", []uint64{0, 0o755}, true},
			{"chmod", []uint64{0, 0o1777}, true},
			{"chmod", []uint64{0, 0o4755}, false},
			{"chmod", []uint64{0, 0o2755 | high}, false},
			{"fchmod", []uint64{0, 0o6755}, false},
			{"fchmodat", []uint64{0, 0o7777, 0o755}, true},
			{"fchmodat", []uint64{0, 0, 0o4755}, false},
			{"fchmodat2", []uint64{0, 0, 0o2755, 0}, false},
			{"mkdir", []uint64{0, 0o2755}, false},
			{"mkdirat", []uint64{0, 0, 0o2755}, false},
			{"mkdirat", []uint64{0, 0, 0o777}, true},
			{"mknod", []uint64{0, unix.S_IFREG | 0o4755}, false},
			{"mknodat", []uint64{0, 0, unix.S_IFREG | 0o4755}, false},
			{"mknodat", []uint64{0, 0, unix.S_IFIFO | 0o644}, true},
			{"creat", []uint64{0, 0o4755}, false},
			{"creat", []uint64{0, 0o755}, true},
			{"open", []uint64{0, unix.O_WRONLY | unix.O_CREAT, 0o4755}, false},
			{"open", []uint64{0, unix.O_WRONLY, 0o4755}, true}, // it has no mode
			{"openat", []uint64{0, 0, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, 0o2755}, false},
			{"openat", []uint64{0, 0, unix.O_RDWR | makingFlags&^unix.O_CREAT, 0o4755}, false}, // O_TMPFILE
			{"openat", []uint64{0, 0, unix.O_RDWR | unix.O_CREAT, 0o666}, true},
			{"openat", []uint64{0, 0, unix.O_RDONLY | unix.O_DIRECTORY, 0xffffffff}, true},
			{"personality", []uint64{0xffffffff}, true},
			{"personality", []uint64{0x20008}, true},
			{"personality", []uint64{0x40000}, false}, // no randomisation of addresses
		} {
			want := uint32(refuse)
			if test.want {
				want = uint32(permit)
			}
			number, ok := of.SyscallNames[test.name]
			if !ok { // a call that only older architectures have
				continue
			}
			if got := decide(t, vm, of.ID, number, test.args...); got != want {
				t.Errorf("%s: %s%#x gets %#x, want %#x", of.Name, test.name, test.args, got, want)
			}
		}
		if got := decide(t, vm, of.ID, 5000); got != uint32(absent) {
			t.Errorf("%s: a call newer than the table gets %#x", of.Name, got)
		}
		if got := decide(t, vm, of.ID, of.SyscallNames["read"]|0x40000000); got != uint32(absent) {
			t.Errorf("%s: a call of the x32 kind gets %#x", of.Name, got)
		}
		if got := decide(t, vm, arch.I386.ID, of.SyscallNames["read"]); got != uint32(refuse) {
			t.Errorf("%s: a call of another architecture gets %#x", of.Name, got)
		}
	}
}

func TestFilterIsForKnownArchitectures(t *testing.T) {
	t.Parallel()
	for _, goarch := range []string{"amd64", "arm64"} {
		if raw, err := filterFor(goarch); err != nil || len(raw)%8 != 0 || len(raw) == 0 {
			t.Errorf("%s: %d bytes, %v", goarch, len(raw), err)
		}
	}
	if _, err := filterFor("riscv64"); err == nil {
		t.Error("a filter for an architecture without a table")
	}
}
