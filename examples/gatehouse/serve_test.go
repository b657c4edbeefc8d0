//go:build unix

package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestServe(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say"), entry("two", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	s.logged(`level=WARN msg="this server is a plain process that nothing confines" server=one`)
	if line := s.logged("serving"); !strings.Contains(line, "serving 2 servers on http://127.0.0.1:") {
		t.Errorf("it says %q", line)
	}

	c := s.connect(nil)
	if got, want := tools(t, c), "one__hold one__say two__hold two__say"; got != want {
		t.Errorf("tools: %s, want %s", got, want)
	}
	if got := call(t, c, "two__say", map[string]any{"variable": "TOKEN"}); got != "[redacted:known-secret]" { // the server has it, the client does not see it
		t.Errorf("the server's TOKEN is %q", got)
	}
	if got := call(t, c, "two__say", map[string]any{"variable": "HOME"}); got != h.dir {
		t.Errorf("the server's HOME is %q", got)
	}

	for path, status := range map[string]string{"healthz": "ok", "readyz": "ready"} {
		resp, err := http.Get(strings.TrimSuffix(s.url, "mcp") + path)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Status  string
			Servers []struct{ Name, State string }
		}
		err = json.NewDecoder(resp.Body).Decode(&body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || body.Status != status || len(body.Servers) != 2 || body.Servers[1].State != "running" {
			t.Errorf("/%s: %s, %v: %+v", path, resp.Status, err, body)
		}
	}

	s.stop()
	if out, err := io.ReadAll(s.out); err != nil || len(out) != 0 {
		t.Errorf("on standard output: %q, %v", out, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if log := strings.Join(s.log, "\n"); strings.Contains(log, "s3cret") {
		t.Errorf("the log holds a secret:\n%s", log)
	}
}

// A profile shows its own servers and tools, and nothing else, also after the
// file was changed.
func TestServeProfile(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	const profiles = "profiles:\n  review:\n    servers:\n      two: {tools: {allow: [\"s*\"]}}\n      three: {}\n"
	text := servers(entry("one", "say"), entry("two", "say"), entry("three", "tell")) + "unprefixed: one\n"
	cfg := h.write("gatehouse.yaml", text+profiles)
	h.run("serve", "--config", cfg, "--profile", "reviw").want(t, 2, `there is no profile "reviw"; did you mean "review"?; the file has review`)
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0", "--profile", "review")
	if line := s.logged("serving"); !strings.Contains(line, "serving 2 servers") {
		t.Errorf("it says %q", line)
	}
	changed := make(chan struct{}, 10)
	c := s.connect(changed)
	if got, want := tools(t, c), "two__say three__hold three__tell"; got != want {
		t.Errorf("tools: %s, want %s", got, want)
	}
	if got, err := tryCall(t.Context(), c, "two__hold", nil); err == nil {
		t.Errorf("a hidden tool answered %q", got)
	}
	if got, err := tryCall(t.Context(), c, "one__say", nil); err == nil {
		t.Errorf("a tool of a server that the profile lacks answered %q", got)
	}
	call(t, c, "two__say", map[string]any{"variable": "HOME"})

	// The profile goes: the running one stays.
	h.write("gatehouse.yaml", text)
	s.logged(`the new configuration is bad`)
	h.write("gatehouse.yaml", text+strings.Replace(profiles, "three", "one", 1))
	<-changed
	if got, want := tools(t, c), "hold say two__say"; got != want {
		t.Errorf("tools: %s, want %s", got, want)
	}
	s.stop()
}

// The configuration is found where the XDG specification says.
func TestServeDefaultConfig(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.run("serve").want(t, 2, "there is no configuration at "+filepath.Join(h.dir, ".config/gatehouse/config.yaml"), "--config FILE")

	h.write(".config/gatehouse/config.yaml", "listen: 127.0.0.1:0\n"+servers(entry("home", "say")))
	s := h.serve()
	if got := tools(t, s.connect(nil)); got != "home__hold home__say" {
		t.Errorf("tools: %s", got)
	}
	s.stop()

	xdg := h.write("xdg/gatehouse/config.yaml", "listen: 127.0.0.1:0\n"+servers(entry("xdg", "say")))
	h.env = append(h.env, "XDG_CONFIG_HOME="+filepath.Join(h.dir, "xdg"), "XDG_STATE_HOME="+filepath.Join(h.dir, "state"))
	s = h.serve()
	if got := tools(t, s.connect(nil)); got != "xdg__hold xdg__say" {
		t.Errorf("tools: %s", got)
	}
	if found, _ := filepath.Glob(filepath.Join(h.dir, "state/gatehouse/*/*.sock")); len(found) != 1 {
		t.Errorf("sockets for %s: %v", xdg, found)
	}
	s.stop()
	if left, _ := filepath.Glob(filepath.Join(h.dir, "state/gatehouse/*/*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	h.env = []string{"PATH=" + os.Getenv("PATH")}
	h.run("serve").want(t, 2, "neither XDG_CONFIG_HOME nor HOME is set")
}

func TestServeStdio(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--stdio")
	if !strings.Contains(s.logged("serving"), "serving 1 server on standard input and output") {
		t.Error("it does not say where it serves")
	}
	ask := func(method, params string) map[string]any {
		t.Helper()
		if _, err := fmt.Fprintf(s.in, `{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`+"\n", method, params); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := s.out.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				ID     json.RawMessage
				Result map[string]any
			}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("on standard output: %s", line)
			}
			if m.ID != nil {
				return m.Result
			}
		}
	}
	init := ask("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)
	if init["protocolVersion"] != "2025-11-25" {
		t.Errorf("initialize: %v", init)
	}
	res := ask("tools/call", `{"name":"one__say","arguments":{"variable":"TOKEN"}}`)
	if got := fmt.Sprint(res["content"]); got != "[map[text:[redacted:known-secret] type:text]]" {
		t.Errorf("the call: %s", got)
	}
	// The admin socket is there too.
	r := h.run("stats", "--config", cfg)
	r.want(t, 0)
	if !strings.Contains(r.out, "stdio") {
		t.Errorf("stats: %s", r.out)
	}

	// A client that goes away ends the program.
	if err := s.in.Close(); err != nil {
		t.Fatal(err)
	}
	if code := s.code(); code != 0 {
		t.Errorf("it ended with %d when its client went away", code)
	}

	s = h.serve("--config", cfg, "--stdio")
	s.stop() // while its client stays

	h.run("serve", "--config", cfg, "--stdio", "--listen", "127.0.0.1:0").want(t, 2, "[listen stdio]")
}

func TestServePortTaken(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := h.write("gatehouse.yaml", "listen: "+l.Addr().String()+"\n"+servers(entry("one", "say")))
	h.run("serve", "--config", cfg).want(t, 1, "the address "+l.Addr().String()+" is in use: choose another with --listen")
	h.run("serve", "--config", cfg, "--listen", "nonsense").want(t, 2, `listening on "nonsense"`)
}

func TestServeBadConfig(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", "listne: x\nservers:\n  a: {command: [], comand: x}\n")
	h.run("serve", "--config", cfg).want(t, 2, cfg+":1:1: listne: unknown key; did you mean \"listen\"?", cfg+":3:", "comand: unknown key")
	h.run("serve", "--config", filepath.Join(h.dir, "none.yaml")).want(t, 2, "none.yaml", "no such file")
	h.run("serve", "--config", h.dir).want(t, 2, "is a folder")
	cfg = h.write("good.yaml", servers(entry("a", "say")))
	h.run("serve", "--config", cfg, "--log-format", "xml").want(t, 2, "must be text or json", "Run 'gatehouse serve --help'")
	h.run("serve", "--config", cfg, "extra").want(t, 2, "unknown command", "Run 'gatehouse serve --help'")
}

func TestServeLogs(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	file := filepath.Join(h.dir, "log")
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0", "--log-format", "json", "--log-file", file)
	c := s.connect(nil)
	call(t, c, "one__say", nil)
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON on standard error: %s", line)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"msg":"ready"`) || !strings.Contains(string(data), `"msg":"ended"`) {
		t.Errorf("the log file:\n%s", data)
	}
}

// held is a call in flight that the test lets go.
type held struct {
	conn   net.Conn
	answer chan string
	err    chan error
}

func hold(t *testing.T, s *serving) *held {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := s.connect(nil)
	h := &held{answer: make(chan string, 1), err: make(chan error, 1)}
	go func() {
		text, err := tryCall(t.Context(), c, "one__hold", map[string]any{"at": l.Addr().String()})
		h.answer <- text
		h.err <- err
	}()
	if h.conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.conn.Close() })
	return h
}

// SIGTERM waits for the calls in flight.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	call := hold(t, s)
	s.signal(syscall.SIGTERM)
	s.logged("msg=draining signal=terminated")
	if _, err := fmt.Fprintln(call.conn, "done"); err != nil {
		t.Fatal(err)
	}
	if text, err := <-call.answer, <-call.err; text != "done" || err != nil {
		t.Errorf("the call in flight: %q, %v", text, err)
	}
	if code := s.code(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

// A second signal does not wait any longer.
func TestServeEndsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say")))
	s := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	call := hold(t, s)
	s.signal(syscall.SIGINT)
	s.logged("msg=draining signal=interrupt")
	s.signal(syscall.SIGINT)
	if code := s.code(); code != 1 {
		t.Errorf("it ended with %d", code)
	}
	s.logged("calls in flight were cut off")
	if _, err := bufio.NewReader(call.conn).ReadByte(); err == nil {
		t.Error("the server lives on")
	}
	<-call.answer
	if err := <-call.err; err == nil {
		t.Error("the call that was cut off is no error")
	}
}
