//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
)

// within fails the test when nothing comes in time.
func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
}

// A change of the file reaches the sessions that are open, and a server that
// is in both keeps its instance.
func TestReloadOnChange(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	changed := make(chan struct{}, 1)
	c := s.connect(changed)
	if got := tools(t, c); got != "one__hold one__say" {
		t.Errorf("tools: %s", got)
	}
	before := instances(t, h, cfg)

	h.write("gatehouse.yaml", servers(entry("one", "say"), entry("two", "say")))
	s.logged("the configuration file changed")
	within(t, "a change of the tools", changed)
	if got := tools(t, c); got != "one__hold one__say two__hold two__say" {
		t.Errorf("tools after the change: %s", got)
	}
	if after := instances(t, h, cfg); after["one"] != before["one"] {
		t.Errorf("the instance of one was %s and is %s", before["one"], after["one"])
	}
	if got := call(t, c, "two__say", map[string]any{"variable": "TOKEN"}); got != "[redacted:known-secret]" { // the server has it, the client does not see it
		t.Errorf("two's TOKEN: %q", got)
	}
	s.stop()
}

// SIGHUP reloads, and a bad file leaves the running configuration alone.
func TestReloadOnSignal(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	c := s.connect(nil)
	if got := tools(t, c); got != "one__hold one__say" {
		t.Errorf("tools: %s", got)
	}

	h.write("gatehouse.yaml", "servers:\n  one: {comand: cat}\n  two: {url: 5}\n")
	s.signal(syscall.SIGHUP)
	s.logged(`msg="the new configuration is bad; the running one stays" file=` + cfg + ` line=2 column=9 key=servers.one.comand error="unknown key; did you mean \"command\"?"`)
	s.logged(`line=3 column=14 key=servers.two.url error="must be text, not a number"`)
	if got := tools(t, c); got != "one__hold one__say" {
		t.Errorf("tools after a bad reload: %s", got)
	}
	if got := call(t, c, "one__say", map[string]any{"variable": "TOKEN"}); got != "[redacted:known-secret]" { // the server has it, the client does not see it
		t.Errorf("one after a bad reload: %q", got)
	}

	// What only a new start can change is refused as a whole.
	h.write("gatehouse.yaml", "listen: 127.0.0.1:1\nstate: elsewhere\n"+servers(entry("other", "say")))
	s.signal(syscall.SIGHUP)
	s.logged("listen cannot be changed while the gateway runs: start it anew")
	s.logged("state cannot be changed while the gateway runs: start it anew")
	if got := tools(t, c); got != "one__hold one__say" {
		t.Errorf("tools after a reload that was refused: %s", got)
	}

	h.write("gatehouse.yaml", servers(entry("other", "talk")))
	s.signal(syscall.SIGHUP)
	s.logged(`msg="the configuration was reloaded" servers=1`)
	if got := tools(t, c); got != "other__hold other__talk" {
		t.Errorf("tools after the reload: %s", got)
	}
	s.stop()
}

// A call in flight ends on the configuration that it began with.
func TestReloadDuringCall(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	call := hold(t, s)
	h.write("gatehouse.yaml", servers(entry("two", "say")))
	s.signal(syscall.SIGHUP)
	s.logged(`msg="the configuration was reloaded"`)
	if _, err := call.conn.Write([]byte("done\n")); err != nil {
		t.Fatal(err)
	}
	if text, err := <-call.answer, <-call.err; text != "done" || err != nil {
		t.Errorf("the call in flight: %q, %v", text, err)
	}
	s.stop()
}

// The admin socket reloads and drains, and tells why not.
func TestAdminSocket(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", "state: state\n"+servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	sockets, err := admin.Sockets(filepath.Join(h.dir, "state"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets: %v, %v", sockets, err)
	}
	if st, err := os.Stat(sockets[0].Path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", st.Mode(), err)
	}
	c := admin.NewClient(sockets[0].Path)
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.URL != s.url || st.PID != s.cmd.Process.Pid || st.Config != cfg || len(st.Servers) != 1 || st.Servers[0].Confined != "no" {
		t.Errorf("status: %+v", st)
	}
	if err := c.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	h.write("gatehouse.yaml", "nonsense: 1\n")
	if err := c.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nonsense: unknown key") {
		t.Errorf("a bad reload: %v", err)
	}
	if err := c.Restart(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), `no server "none"`) {
		t.Errorf("restarting a server that is not there: %v", err)
	}
	if err := c.Restart(t.Context(), "one"); err != nil {
		t.Error(err)
	}
	s.logged("msg=admin action=restart server=one")
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if code := s.code(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	s.logged("msg=draining asked=\"admin socket\"")
}
