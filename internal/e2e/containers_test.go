//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
)

// images builds the images of these tests, each once.
var images = sync.OnceValues(testimage.New)

// nodeImage is the reference of an image with published npm servers.
func nodeImage(t *testing.T) string {
	t.Helper()
	all, err := images()
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + testimage.Layout(t, all.Node(t, bed.node, bed.mods), "v1") + ":v1"
}

// probeImage is the reference of an image with a small static server.
func probeImage(t *testing.T) string {
	t.Helper()
	all, err := images()
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + testimage.Layout(t, all.Static(t, "internal/e2e/cell"), "v1") + ":v1"
}

// runtimeSection is the configuration of a runtime that uses the daemon.
func runtimeSection(d *testbed.Daemon, driver string) string {
	return fmt.Sprintf("runtime: {driver: %s, address: %s, socketDir: %s, runcRoot: %s, runc: %s, runsc: %s}\n",
		driver, d.Address, d.Sockets, d.Runc, containers.Program("runc"), containers.Program("runsc"))
}

// processes are the lines of ps.
func (g *gatehouse) processes(t *testing.T) []processLine {
	t.Helper()
	out, stderr, err := runProgram(t, time.Minute, environ(g.home), g.home, program(t, "examples/gatehouse"), "ps", "--config", filepath.Join(g.home, "gatehouse.yaml"), "--format", "json")
	if err != nil {
		t.Fatalf("ps: %v\n%s", err, stderr)
	}
	var lines []processLine
	for line := range strings.Lines(out) {
		var l processLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("ps: %v: %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

type processLine struct {
	Server, State, Confined, Error string
	Instance                       string
	CPUSeconds                     float64
	Memory                         int64
	Refused                        []string
}

// TestPublishedServersInContainers runs published npm servers in containers
// and calls them with published clients.
func TestPublishedServersInContainers(t *testing.T) {
	d := containers.Containerd(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hello.txt"), []byte("hello from a mount\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	image := nodeImage(t)
	g := serve(t, runtimeSection(d, "auto")+fmt.Sprintf(`servers:
  everything:
    image: %[1]s
    args: [%[2]q, stdio]
  files:
    image: %[1]s
    args: [%[3]q, /docs]
    mounts: [{source: %[4]q, target: /docs}]
    limits: {memory: 512MiB, pids: 64}
  caged:
    image: %[1]s
    args: [%[2]q, stdio]
    class: gvisor
`, image, testimage.Everything, testimage.Filesystem, folder))
	for kind := range map[string]string{"v1": "", "v2": ""} {
		act(t, kind, g.url, []expectation{
			{step: step{Do: "call", Name: "everything__echo", Arguments: map[string]any{"message": "a"}}, want: []string{"Echo: a"}},
			{step: step{Do: "call", Name: "files__read_text_file", Arguments: map[string]any{"path": "/docs/hello.txt"}}, want: []string{"hello from a mount"}},
			{step: step{Do: "call", Name: "files__write_file", Arguments: map[string]any{"path": "/docs/new.txt", "content": "x"}}, want: []string{"EROFS"}},
			{step: step{Do: "call", Name: "caged__echo", Arguments: map[string]any{"message": "b"}}, want: []string{"Echo: b"}},
		})
	}
	out, stderr, err := runProgram(t, 2*time.Minute, environ(g.home), g.home, bed.node, npm(t, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
		"--cli", g.url, "--transport", "http", "--method", "tools/call", "--tool-name", "everything__get-sum", "--tool-arg", "a=2", "--tool-arg", "b=40")
	if err != nil || !strings.Contains(out, "42") {
		t.Errorf("the Inspector: %v\n%s%s", err, out, stderr)
	}
	// A session of our own stays, so that there is something to see.
	c := &session{url: g.url}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, server := range []string{"everything", "caged"} {
		if got, err := c.call(server+"__echo", `{"message":"c"}`); err != nil || got != "Echo: c" {
			t.Errorf("%s: %q, %v", server, got, err)
		}
	}
	if _, err := c.call("files__list_directory", `{"path":"/docs"}`); err != nil {
		t.Error(err)
	}
	seen := make(map[string]bool)
	for _, l := range g.processes(t) {
		if l.Confined != "containerd" {
			t.Errorf("%+v is not confined by containerd", l)
		}
		if l.Instance != "" {
			seen[l.Server] = true
			if l.Memory < 1<<20 || l.CPUSeconds <= 0 {
				t.Errorf("%+v uses nothing", l)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("ps shows instances of %v", seen)
	}
	if len(d.Shims()) == 0 {
		t.Error("there is no shim, so that nothing was in a container")
	}
}

// TestRefusedConnectionIsNamed: what a server was refused is in the error of
// its call and in ps, with the line that would allow it.
func TestRefusedConnectionIsNamed(t *testing.T) {
	d := containers.Containerd(t)
	for name, text := range map[string]string{
		"container": runtimeSection(d, "containerd") + fmt.Sprintf("servers:\n  cell: {image: %s, network: {allow: [\"allowed.example:443\"]}}\n", probeImage(t)),
		"sandbox":   fmt.Sprintf("servers:\n  cell: {command: [%q], confine: true, network: {allow: [\"allowed.example:443\"]}}\n", open(t, program(t, "internal/e2e/cell"))),
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, text)
			c := &session{url: g.url}
			if err := c.open(); err != nil {
				t.Fatal(err)
			}
			defer c.close()
			const line = `to allow it: network: {allow: ["denied.example:443"]}`
			got, err := c.call("cell__dial", `{"address":"denied.example:443"}`)
			if err == nil || !strings.Contains(err.Error(), "the connection to denied.example was refused") || !strings.Contains(err.Error(), line) {
				t.Errorf("the call: %q, %v", got, err)
			}
			found := false
			for _, l := range g.processes(t) {
				found = found || strings.Contains(strings.Join(l.Refused, " "), line)
			}
			if !found {
				t.Errorf("ps does not name the refusal: %+v", g.processes(t))
			}
		})
	}
}

// open copies a program to where the user of a sandbox may enter.
func open(t *testing.T, program string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "gatehouse-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(folder, filepath.Base(program))
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// sessions opens n sessions on the gateway that each hold an instance of the
// server, and returns the function that ends them.
func sessions(t *testing.T, url string, n int) (end func()) {
	t.Helper()
	clients := make([]*session, n)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := &session{url: url}
			if err := c.open(); err != nil {
				t.Error(err)
				return
			}
			if got, err := c.call("cell__pid", ""); err != nil {
				t.Errorf("session %d: %v %s", i, err, got)
			}
			clients[i] = c
		})
	}
	wg.Wait()
	return func() {
		for _, c := range clients {
			if c != nil {
				c.close()
			}
		}
	}
}

// TestKilledGatewayLeavesContainers kills a gateway with 20 containers, while
// another one of the same configuration runs: what the dead one had goes when
// the next starts, or by reap; what the living one has stays.
func TestKilledGatewayLeavesContainers(t *testing.T) {
	d := containers.Containerd(t)
	state := filepath.Join(t.TempDir(), "state")
	text := runtimeSection(d, "containerd") + fmt.Sprintf("state: %s\nservers:\n  cell: {image: %s, limits: {memory: 128MiB}}\n", state, probeImage(t))
	a, b := serve(t, text), serve(t, text)
	sessions(t, a.url, 20)
	living := &session{url: b.url}
	if err := living.open(); err != nil {
		t.Fatal(err)
	}
	before, err := living.call("cell__pid", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Shims()); n != 21 {
		t.Fatalf("%d shims, want 21", n)
	}
	if err := syscall.Kill(a.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-a.done
	out, stderr, err := runProgram(t, time.Minute, environ(b.home), b.home, program(t, "examples/gatehouse"), "reap", "--config", filepath.Join(b.home, "gatehouse.yaml"))
	if err != nil {
		t.Fatalf("reap: %v\n%s%s", err, out, stderr)
	}
	if n := strings.Count(out, "removed "); n < 20 {
		t.Errorf("reap printed %d lines:\n%s", n, out)
	}
	eventually(t, 15*time.Second, "one shim left", func() bool { return len(d.Shims()) == 1 })
	if after, err := living.call("cell__pid", ""); err != nil || after != before {
		t.Errorf("the living gateway's container: %q, %v; before %q", after, err, before)
	}
	living.close()
}

// TestContainerdGoesAndComesBack: while containerd is away calls that need a
// new container fail with its name; those that have one go on.
func TestContainerdGoesAndComesBack(t *testing.T) {
	d := containers.Containerd(t)
	g := serve(t, runtimeSection(d, "containerd")+fmt.Sprintf("servers:\n  cell: {image: %s, startTimeout: 10s}\n", probeImage(t)))
	old, fresh, late := &session{url: g.url}, &session{url: g.url}, &session{url: g.url}
	for _, s := range []*session{old, fresh, late} {
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := old.call("cell__pid", ""); err != nil {
		t.Fatalf("%s, %v", got, err)
	}
	d.Kill()
	if got, err := old.call("cell__pid", ""); err != nil {
		t.Errorf("a running container does not answer while containerd is away: %s, %v", got, err)
	}
	if got, err := fresh.call("cell__pid", ""); err == nil || !strings.Contains(err.Error(), d.Address) {
		t.Errorf("a new container while containerd is away: %s, %v", got, err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "a new container", func() bool {
		_, err := late.call("cell__pid", "")
		return err == nil
	})
	// A shim that is killed takes its container with it; the next call
	// starts another.
	for pid := range d.Shims() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	eventually(t, 30*time.Second, "a container after the shims were killed", func() bool {
		_, err := old.call("cell__pid", "")
		return err == nil
	})
}

// TestSessionsComeAndGo opens and ends sessions with a container each, and
// compares what there is before and after.
func TestSessionsComeAndGo(t *testing.T) {
	d := containers.Containerd(t)
	g := serve(t, runtimeSection(d, "containerd")+fmt.Sprintf("servers:\n  cell: {image: %s, limits: {memory: 64MiB}, startTimeout: 2m}\n", probeImage(t)))
	sessions(t, g.url, 2)()
	eventually(t, 30*time.Second, "no shim", func() bool { return len(d.Shims()) == 0 })
	before := counts(t, g, d)
	eventually(t, 30*time.Second, "two equal counts in a row", func() bool {
		last := before
		time.Sleep(time.Second)
		before = counts(t, g, d)
		return before == last
	})
	rounds := 0
	for end := time.Now().Add(churn); time.Now().Before(end); rounds++ {
		sessions(t, g.url, 100)()
	}
	eventually(t, time.Minute, "no shim", func() bool { return len(d.Shims()) == 0 })
	after := counts(t, g, d)
	for begin := time.Now(); after != before; after = counts(t, g, d) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("there is something left:\nbefore %s\nafter  %s", before, after)
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("%d rounds of 100 sessions; %s", rounds, after)
}

// churn is how long sessions come and go.
const churn = time.Minute

// counts are the mounts, control groups, network namespaces and descriptors
// that there are on behalf of the gateway, in a line.
func counts(t *testing.T, g *gatehouse, d *testbed.Daemon) string {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", g.cmd.Process.Pid, fd.Name()))
		if !strings.HasPrefix(to, "socket:") { // connections of the test come and go
			files++
		}
	}
	owners, err := filepath.Glob(filepath.Join(g.home, ".local/state/gatehouse/*/owners/*"))
	if err != nil || len(owners) == 0 {
		t.Fatalf("the gateway owns nothing: %v, %v", owners, err)
	}
	id := filepath.Base(owners[0])
	groups, fifos := 0, 0
	for _, root := range []string{"/sys/fs/cgroup", g.home, d.Dir} {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil: // it went meanwhile
			case e.IsDir() && root == "/sys/fs/cgroup" && strings.Contains(path, id):
				groups++
			case e.Type()&fs.ModeNamedPipe != 0:
				fifos++
			}
			return nil
		})
	}
	return fmt.Sprintf("%d mounts, %d control groups, %d FIFOs, %d files, %d processes",
		len(d.Mounts()), groups, fifos, files, len(descendants(t, d.PID()))+len(descendants(t, g.cmd.Process.Pid)))
}
