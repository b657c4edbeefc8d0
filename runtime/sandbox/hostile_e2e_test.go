//go:build e2e && linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// hostileArg makes this test binary a server that tries to get out.
const hostileArg = "hostile-probe"

func hostile() {
	conn := transport.NewStream(os.Stdin, os.Stdout, nil)
	conn.Listen(transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
		var p targets
		_ = json.Unmarshal(m.Params, &p)
		var answer any
		switch m.Method {
		case "try":
			answer = attempts(p)
		case "look":
			answer = look()
		}
		raw, err := json.Marshal(answer)
		return m.Reply(raw), err
	}))
	<-conn.Done()
}

// targets are what the test has made on the host.
type targets struct {
	TCP, Abstract, Socket, File, Folder string
}

// attempts tries everything, and tells what each got: the text of an error,
// or "" where it succeeded.
func attempts(p targets) map[string]string {
	got := map[string]string{}
	try := func(what string, err error) {
		got[what] = ""
		if err != nil {
			got[what] = err.Error()
		}
	}
	read := func(name string) {
		_, err := os.ReadFile(name)
		if errors.Is(err, syscall.EISDIR) {
			_, err = os.ReadDir(name)
		}
		try("read "+name, err)
	}
	for _, name := range []string{
		"/root", "/home", "/var", "/run", "/sys", "/boot", "/srv", "/opt", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl/private",
		"/proc/kcore", "/proc/1/environ", "/proc/1/fd", "/proc/1/fd/0", "/proc/1/fd/3", "/proc/1/fd/4", "/proc/1/root", "/proc/1/cwd", "/proc/1/maps", "/proc/1/mem",
		"/proc/1/task/1/environ", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/fuse", p.File, p.Folder,
	} {
		read(name)
	}
	for _, name := range []string{"/proc/1/exe", "/proc/1/cwd", "/proc/1/ns/net"} {
		_, err := os.Readlink(name)
		try("readlink "+name, err)
	}
	if b, err := os.ReadFile("/proc/keys"); err == nil && len(b) > 0 {
		try("read /proc/keys", nil)
	}
	write := func(name string) { try("write "+name, os.WriteFile(name, []byte("0"), 0o600)) }
	for _, name := range []string{
		"/new", "/usr/new", "/etc/new", "/etc/passwd", "/etc/hosts", "/dev/new", "/bin/new", "/proc/sysrq-trigger",
		"/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj",
		"/proc/self/uid_map", "/proc/1/oom_score_adj", "/sys/fs/cgroup/new",
	} {
		write(name)
	}
	_ = os.WriteFile(filepath.Join(filepath.Dir(os.Args[0]), "new"), nil, 0o600) // in a /tmp it may; the host must not see it
	try("remove the program", os.Remove(os.Args[0]))
	try("chmod /etc/passwd", os.Chmod("/etc/passwd", 0o666))
	f, err := os.OpenFile(os.Args[0], os.O_WRONLY, 0)
	try("open the program for writing", err)
	_ = f.Close()

	dial := func(network, addr string) {
		c, err := net.DialTimeout(network, addr, 2*time.Second)
		try("dial "+network+" "+addr, err)
		if err == nil {
			_ = c.Close()
		}
	}
	dial("tcp", p.TCP)
	dial("unix", p.Abstract)
	dial("unix", p.Socket)
	dial("tcp", "192.0.2.1:80")
	dial("tcp", "[2001:db8::1]:80")
	dial("udp", "192.0.2.1:53")

	call := func(what string, trap uintptr, a ...uintptr) {
		var args [6]uintptr
		copy(args[:], a)
		r, _, e := syscall.RawSyscall6(trap, args[0], args[1], args[2], args[3], args[4], args[5])
		if e != 0 {
			try(what, e)
			return
		}
		try(what, nil)
		_ = r
	}
	socket := func(what string, domain, kind, proto int) {
		fd, err := unix.Socket(domain, kind, proto)
		try("socket "+what, err)
		if err == nil {
			_ = unix.Close(fd)
		}
	}
	socket("vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	socket("alg", unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	socket("packet", unix.AF_PACKET, unix.SOCK_RAW, 0)
	socket("raw", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	socket("raw6", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
	socket("nftables", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	for name, flag := range map[string]int{"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID, "time": unix.CLONE_NEWTIME} {
		try("unshare "+name, unix.Unshare(flag))
	}
	c := exec.Command("/proc/self/exe", "hostile-nothing")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	try("clone NEWUSER", c.Run())
	try("mount", unix.Mount("none", "/tmp", "tmpfs", 0, ""))
	try("remount", unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	try("umount /proc", unix.Unmount("/proc", unix.MNT_DETACH))
	try("umount /proc/kcore", unix.Unmount("/proc/kcore", unix.MNT_DETACH))
	try("pivot_root", unix.PivotRoot("/tmp", "/tmp"))
	try("chroot", unix.Chroot("/tmp"))
	_, err = unix.Fsopen("tmpfs", 0)
	try("fsopen", err)
	_, err = unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
	try("open_tree", err)
	try("mount_setattr", unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
	try("setns", unix.Setns(0, 0))
	call("bpf", unix.SYS_BPF)
	call("io_uring_setup", unix.SYS_IO_URING_SETUP, 1)
	call("keyctl", unix.SYS_KEYCTL)
	call("add_key", unix.SYS_ADD_KEY)
	call("perf_event_open", unix.SYS_PERF_EVENT_OPEN)
	call("userfaultfd", unix.SYS_USERFAULTFD)
	call("init_module", unix.SYS_INIT_MODULE)
	call("finit_module", unix.SYS_FINIT_MODULE)
	call("kexec_load", unix.SYS_KEXEC_LOAD)
	call("reboot", unix.SYS_REBOOT)
	call("swapon", unix.SYS_SWAPON)
	call("syslog", unix.SYS_SYSLOG, 3)
	call("open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT)
	call("personality", unix.SYS_PERSONALITY, 0x40000)
	call("clone3", unix.SYS_CLONE3)
	call("settimeofday", unix.SYS_SETTIMEOFDAY)
	call("acct", unix.SYS_ACCT)
	try("sethostname", unix.Sethostname([]byte("x")))
	try("mknod", unix.Mknod("/tmp/dev", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))))
	try("ptrace process 1", unix.PtraceAttach(1))
	buf := make([]byte, 8)
	local, remote := unix.Iovec{Base: &buf[0], Len: 8}, unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&buf[0])), Len: 8}
	_, err = unix.ProcessVMReadv(1, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	try("process_vm_readv process 1", err)
	if pidfd, err := unix.PidfdOpen(1, 0); err == nil {
		_, err = unix.PidfdGetfd(pidfd, 0, 0)
		try("pidfd_getfd process 1", err)
	}
	call("setuid 0", unix.SYS_SETUID, 0) // of this thread alone
	call("setgid 0", unix.SYS_SETGID, 0)
	call("setresuid 0", unix.SYS_SETRESUID, 0, 0, 0)
	try("setgroups 0", unix.Setgroups([]int{0}))
	try("raise the limit of files", syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}))
	try("nice", unix.Setpriority(unix.PRIO_PROCESS, 0, -10))
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGQUIT, unix.SIGSEGV, unix.SIGABRT, unix.SIGHUP, unix.SIGUSR1} {
		_ = unix.Kill(1, sig) // process 1 does not care
	}
	try("write to the terminal's input", typeOnTerminal())
	// What lies in /tmp cannot be executed.
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		if err = os.WriteFile("/tmp/copy", self, 0o755); err == nil {
			err = exec.Command("/tmp/copy", "hostile-nothing").Run()
		}
	}
	try("execute from /tmp", err)
	return got
}

// typeOnTerminal tries to put a character into the input of a terminal.
func typeOnTerminal() error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil // a terminal of its own is allowed: show that
	}
	defer unix.Close(fd)
	c := byte('x')
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c))); e != 0 {
		return e
	}
	return nil
}

// view is what the server sees of itself and others.
type view struct {
	PIDs   []int
	Files  map[int]string
	Status map[string]string
	Env    []string
	Cgroup string
	Host   string
	Links  []string // interfaces
	Root   []string
	Limits map[string]uint64
}

func look() view {
	v := view{Files: map[int]string{}, Status: map[string]string{}, Env: os.Environ(), Limits: map[string]uint64{}}
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			v.PIDs = append(v.PIDs, pid)
		}
	}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		fd, _ := strconv.Atoi(e.Name())
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			v.Files[fd] = to
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		v.Status[name] = strings.TrimSpace(value)
	}
	group, _ := os.ReadFile("/proc/self/cgroup")
	v.Cgroup = string(group)
	v.Host, _ = os.Hostname()
	links, _ := net.Interfaces()
	for _, l := range links {
		v.Links = append(v.Links, l.Name)
	}
	root, _ := os.ReadDir("/")
	for _, e := range root {
		v.Root = append(v.Root, e.Name())
	}
	for name, which := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "core": unix.RLIMIT_CORE} {
		var l unix.Rlimit
		if unix.Getrlimit(which, &l) == nil {
			v.Limits[name] = l.Max
		}
	}
	return v
}

// checkBeside fails if a hostile server has written beside its program.
func checkBeside(t *testing.T, program string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(filepath.Dir(program), "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("on the host it has written beside its program: %v", err)
	}
}

func hostileSpec() runtime.Spec {
	spec := probe()
	spec.Command[1] = hostileArg
	return spec
}

func TestHostileServer(t *testing.T) {
	r := testRuntime(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	abstract, err := net.Listen("unix", "@gatehouse-sandbox-test")
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	// What a careless gateway leaves open must not pass on.
	leak, err := unix.Open(file, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	t.Setenv("GATEWAY_SECRET", "hunter2")

	i := started(t, r, hostileSpec())
	raw, err := call(t, i, "look", targets{})
	if err != nil {
		t.Fatal(err)
	}
	var v view
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	checkView(t, v)

	raw, err = call(t, i, "try", targets{TCP: tcp.Addr().String(), Abstract: "@gatehouse-sandbox-test", Socket: filepath.Join(dir, "s"), File: file, Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, what := range slices.Sorted(maps.Keys(got)) {
		if got[what] == "" {
			t.Errorf("succeeded: %s", what)
		} else {
			t.Logf("%-45s %s", what, got[what])
		}
	}
	checkBeside(t, hostileSpec().Command[0])
	if len(got) < 100 {
		t.Errorf("only %d attempts were made", len(got))
	}
	// The signals have done nothing to process 1.
	if _, err := call(t, i, "look", targets{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func checkView(t *testing.T, v view) {
	t.Helper()
	if len(v.PIDs) != 2 || v.PIDs[0] != 1 {
		t.Errorf("it sees the processes %v", v.PIDs)
	}
	for fd, to := range v.Files {
		if fd > 2 && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "/proc/") {
			t.Errorf("descriptor %d leads to %s", fd, to)
		}
	}
	for name, want := range map[string]string{
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Uid": "65532\t65532\t65532\t65532", "Gid": "65532\t65532\t65532\t65532", "Groups": "",
	} {
		if v.Status[name] != want {
			t.Errorf("its %s is %q, want %q", name, v.Status[name], want)
		}
	}
	if !slices.Equal(v.Env, []string{"HOME=/tmp", "PATH=" + DefaultPath}) {
		t.Errorf("its environment is %q", v.Env)
	}
	for line := range strings.Lines(v.Cgroup) {
		if strings.Contains(line, "gatehouse") {
			t.Errorf("it sees its control group %s", line)
		}
	}
	if v.Host != hostname || !slices.Equal(v.Links, []string{"lo"}) {
		t.Errorf("its host is %q with the interfaces %q", v.Host, v.Links)
	}
	for _, name := range v.Root {
		if !slices.Contains([]string{"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"}, name) {
			t.Errorf("it sees /%s", name)
		}
	}
	if v.Limits["nofile"] != runtime.DefaultFiles || v.Limits["core"] != 0 {
		t.Errorf("its limits are %v", v.Limits)
	}
}

// TestNothingIsWeakerForRoot: the user 0, where it was asked for, has no more
// rights than to be that user.
func TestNothingIsWeakerForRoot(t *testing.T) {
	r := testRuntime(t)
	spec := hostileSpec()
	spec.User = "0"
	i := started(t, r, spec)
	raw, err := call(t, i, "try", targets{TCP: "127.0.0.1:1", Abstract: "@none", Socket: "/none", File: "/none", Folder: "/none"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	checkBeside(t, spec.Command[0])
	for what, e := range got {
		// It is 0 already; and the owner of a folder may list it.
		if e == "" && !strings.HasPrefix(what, "set") && what != "read /proc/1/fd" {
			t.Errorf("succeeded: %s", what)
		}
	}
}

// TestWithoutLandlock: where the kernel has no Landlock, the rest holds as
// well.
func TestWithoutLandlock(t *testing.T) {
	r := testRuntime(t)
	r.landlock = 0
	i := started(t, r, hostileSpec())
	raw, err := call(t, i, "try", targets{TCP: "127.0.0.1:1", Abstract: "@none", Socket: "/none", File: "/none", Folder: "/none"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for what, e := range got {
		// Without CAP_SYS_RESOURCE nobody can set a least score.
		if e == "" && what != "write /proc/self/oom_score_adj" {
			t.Errorf("succeeded: %s", what)
		}
	}
	if _, err := call(t, i, "look", targets{}); err != nil {
		t.Errorf("after it was sent signals, process 1 is gone: %v", err)
	}
}

func ExampleRuntime() {
	state, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(state)
	rt, err := New(state, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	i, err := rt.Start(context.Background(), runtime.Spec{Name: "hello", Command: []string{"echo", "hello"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-i.Wait())
	// Output: exited with code 0
}
