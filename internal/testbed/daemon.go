//go:build e2e && linux

package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// config is that of a daemon below a folder. The tables of an older version
// would be ignored silently, and the system's socket used; a path of a socket
// is 64 hex digits below s, and must fit into 106 bytes.
const config = `version = 4
root  = "%[1]s/root"
state = "%[1]s/state"
temp  = "%[1]s/t"
imports = []
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile","io.containerd.image-verifier.v1.bindir","io.containerd.nri.v1.nri","io.containerd.monitor.container.v1.restart","io.containerd.internal.v1.opt"]
[plugins.'io.containerd.server.v1.grpc']
  address = "%[1]s/c.sock"
[plugins.'io.containerd.server.v1.ttrpc']
  address = "%[1]s/c.sock.ttrpc"
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = "%[1]s/s"
`

// Daemon is a containerd with its own root, state and sockets.
type Daemon struct {
	Address string // of its socket
	Dir     string // its folder; State, Sockets and Runc lie below it
	State   string // what it keeps while containers run
	Sockets string // those of its shims
	Runc    string // for the state of runc and runsc, which is shared by default

	bed  *Bed
	cmd  *exec.Cmd
	lock *os.File
}

// folders is what the paths of daemons' folders begin with: short ones.
const folders = "/tmp/gh-"

// Containerd starts a daemon for a test. At the end of the test it is stopped
// and its folder removed; containers that are still there then fail the test.
func (b *Bed) Containerd(t testing.TB) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp(path.Dir(folders), path.Base(folders)) // not the test's: its path is too long
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{
		bed: b, Dir: dir, Address: dir + "/c.sock",
		State: dir + "/state", Sockets: dir + "/s", Runc: dir + "/runc",
	}
	t.Cleanup(func() { d.end(t) })
	if d.lock, err = hold(dir); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"root", "state", "t", "s", "runc"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), fmt.Appendf(nil, config, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// Start starts the daemon after Kill, and returns when it answers.
func (d *Daemon) Start() error {
	log, err := os.OpenFile(filepath.Join(d.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.bed.Program("containerd"), "-c", filepath.Join(d.Dir, "config.toml"))
	cmd.Env = []string{"PATH=" + filepath.Join(d.bed.Cache, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = d.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd = cmd
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", d.Address)
		if err == nil {
			return c.Close()
		}
		if time.Since(begin) > 20*time.Second {
			d.Kill()
			return fmt.Errorf("containerd does not answer: %w\n%s", err, d.Log())
		}
	}
}

// Kill kills the daemon. Its shims and containers live on.
func (d *Daemon) Kill() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	d.cmd = nil
}

// PID is the number of the daemon's process; 0 when it was killed.
func (d *Daemon) PID() int {
	if d.cmd == nil {
		return 0
	}
	return d.cmd.Process.Pid
}

// Log returns the last warnings and errors that the daemon printed.
func (d *Daemon) Log() string {
	b, err := os.ReadFile(filepath.Join(d.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, "level=info") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-50):], "")
}

// Shims are the processes of the daemon's shims: number and command line.
func (d *Daemon) Shims() map[int]string {
	found := processes(func(pid int) bool {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err == nil && bytes.Contains(command, []byte("containerd-shim")) && bytes.Contains(command, []byte(d.Address))
	})
	return found
}

// Mounts are the mount points below the daemon's folder, the deepest first.
func (d *Daemon) Mounts() []string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], d.Dir+"/") {
			found = append([]string{f[4]}, found...)
		}
	}
	return found
}

// end stops the daemon and complains about what is left.
func (d *Daemon) end(t testing.TB) {
	if t.Failed() {
		t.Logf("containerd said:\n%s", d.Log())
	}
	for begin := time.Now(); len(d.Shims()) > 0 && time.Since(begin) < 5*time.Second; {
		time.Sleep(20 * time.Millisecond) // a shim ends a moment after its last task
	}
	for pid, command := range d.Shims() {
		t.Errorf("left behind: %d %s", pid, command)
		_ = syscall.Kill(pid, syscall.SIGKILL)
		time.Sleep(100 * time.Millisecond) // for containerd to clean up after it
	}
	d.Kill()
	for _, m := range d.Mounts() {
		t.Errorf("left behind: mount %s", m)
		_ = unix.Unmount(m, unix.MNT_DETACH)
	}
	if sockets, err := os.ReadDir(d.Sockets); err == nil && len(sockets) > 0 {
		t.Errorf("left behind: %d sockets of shims", len(sockets))
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
	if err := os.RemoveAll(d.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removing the folder of containerd: %v", err)
	}
}
