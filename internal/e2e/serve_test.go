//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gatehouse is a running gateway binary.
type gatehouse struct {
	*process
	url  string // of the MCP endpoint
	base string // without the path
	home string
}

// serve starts the gateway binary with a configuration. When the test ends it
// must drain, exit with 0, report no data race and leave no process.
func serve(t *testing.T, config string) *gatehouse {
	t.Helper()
	bin := program(t, "examples/gatehouse")
	home := t.TempDir()
	file := filepath.Join(home, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port(t))
	cmd := exec.Command(bin, "serve", "--config", file, "--listen", addr)
	cmd.Dir = home
	cmd.Env = environ(home, "GORACE=halt_on_error=0 exitcode=66")
	g := &gatehouse{process: spawn(t, cmd), url: "http://" + addr + "/mcp", base: "http://" + addr, home: home}
	t.Cleanup(func() {
		select {
		case <-g.done:
			return // the test ended it
		default:
		}
		left := descendants(t, cmd.Process.Pid)
		g.stop(t)
		if g.err != nil {
			t.Errorf("the gateway ended with %v", g.err)
		}
		if strings.Contains(g.out.String(), "DATA RACE") {
			t.Errorf("the race detector found something in the gateway:\n%s", g.out)
		}
		for _, pid := range left {
			eventually(t, 5*time.Second, fmt.Sprintf("gone: process %d of the gateway (%s)", pid, command(pid)), func() bool { return !alive(pid) })
		}
	})
	g.listening(t, addr)
	eventually(t, 30*time.Second, "healthy", func() bool { return get(g.base+"/healthz") == 200 })
	return g
}

// everything starts the Go SDK's everything-server over HTTP and returns its
// URL. Stateful means that it serves legacy sessions.
func everything(t *testing.T, stateful bool) string {
	t.Helper()
	addr := fmt.Sprintf("localhost:%d", port(t))
	cmd := exec.Command(bed.golden, "-http="+addr, fmt.Sprintf("-stateless=%v", !stateful))
	cmd.Env = environ(t.TempDir())
	spawn(t, cmd).listening(t, addr)
	return "http://" + addr
}

// unprefixed is the configuration for one server with bare names.
func unprefixed(server string) string {
	return "version: 1\nunprefixed: everything\nservers:\n  everything: " + server + "\n"
}
