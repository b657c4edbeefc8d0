//go:build unix

package main_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// process is what ps says of an instance.
type process struct {
	Gateway, Server, Kind, Confined, State, Instance, Session, Error string

	PID     int
	Calls   int64
	Started *time.Time
}

func processes(t *testing.T, h *home, cfg string) []process {
	t.Helper()
	r := h.run("ps", "--config", cfg, "--format", "json")
	r.want(t, 0)
	var all []process
	for line := range strings.Lines(r.out) {
		var p process
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, p)
	}
	return all
}

// instances are the ids of the instances by their servers' names.
func instances(t *testing.T, h *home, cfg string) map[string]string {
	t.Helper()
	ids := make(map[string]string)
	for _, p := range processes(t, h, cfg) {
		ids[p.Server] = p.Instance
	}
	return ids
}

func TestPsAndStats(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", servers(entry("one", "say"), "  bad: {command: no-such-program}\n"))

	for _, command := range []string{"ps", "stats"} {
		r := h.run(command, "--config", cfg)
		r.want(t, 0, "no gateway of "+cfg+" is running")
		if r.out != "" {
			t.Errorf("%s without a gateway: %s", command, r.out)
		}
	}

	// Two gateways of one configuration; one of them has a client.
	a, b := h.serve("--config", cfg, "--listen", "127.0.0.1:0"), h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	c := a.connect(nil)
	for range 3 {
		call(t, c, "one__say", nil)
	}
	if text := call(t, c, "bad__any", nil); !strings.Contains(text, `server "bad" is not available: starting "no-such-program"`) {
		t.Errorf("a server that does not start answers %q", text)
	}

	all := processes(t, h, cfg)
	if len(all) != 4 {
		t.Fatalf("ps has %d lines: %+v", len(all), all)
	}
	gateways := make(map[string]int)
	for _, p := range all {
		gateways[p.Gateway] = p.PID
		mine := p.PID == a.cmd.Process.Pid
		switch {
		case p.Kind != "command" || p.Confined != "no":
			t.Errorf("%+v: not an unconfined command", p)
		case mine && p.Server == "one" && (p.State != "running" || p.Instance == "" || p.Session == "" || p.Started == nil || p.Calls < 3):
			t.Errorf("%+v: not the instance that was called", p)
		case mine && p.Server == "bad" && (p.State != "failed" || !strings.Contains(p.Error, "no-such-program")):
			t.Errorf("%+v: no reason for the failure", p)
		case !mine && (p.State != "idle" || p.Instance != ""):
			t.Errorf("%+v: the other gateway has not been asked for anything", p)
		}
	}
	if len(gateways) != 2 {
		t.Errorf("gateways: %v", gateways)
	}

	r := h.run("ps", "--config", cfg)
	r.want(t, 0)
	if !regexp.MustCompile(`(?m)^GATEWAY +SERVER +KIND +CONFINED +STATE +INSTANCE +SESSION +UPTIME +CPU +MEMORY +CALLS +ERROR$`).MatchString(r.out) ||
		!regexp.MustCompile(`(?m)^\S+ +one +command +no +running +\S+ +\S+ +\d+s +- +- +\d+$`).MatchString(r.out) ||
		strings.Contains(r.out, "\x1b") {
		t.Errorf("ps:\n%s", r.out)
	}

	r = h.run("stats", "--config", cfg, "--format", "json")
	r.want(t, 0)
	found := false
	for line := range strings.Lines(r.out) {
		var s struct {
			PID, Sessions int
			URL           string
			Calls         int64
			Servers       []struct {
				Name, State string
				Instances   int
			}
			States map[string]int
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if s.PID != a.cmd.Process.Pid {
			continue
		}
		found = true
		if s.URL != a.url || s.Sessions != 1 || s.Calls < 3 || len(s.Servers) != 2 || s.States["running"] != 1 || s.States["failed"] != 1 {
			t.Errorf("stats: %s", line)
		}
	}
	if !found {
		t.Errorf("stats knows nothing of a gateway:\n%s", r.out)
	}

	// A gateway that was killed is not asked any more, and what it left goes
	// with the next start.
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.code()
	for _, p := range processes(t, h, cfg) {
		if p.PID != b.cmd.Process.Pid {
			t.Errorf("%+v: of a gateway that was killed", p)
		}
	}
	d := h.serve("--config", cfg, "--listen", "127.0.0.1:0")
	if found, _ := filepath.Glob(filepath.Join(h.dir, ".local/state/gatehouse/*/*.sock")); len(found) != 2 {
		t.Errorf("sockets after the next start: %v", found)
	}
	b.stop()
	d.stop()

	// Configurations have nothing to do with each other.
	other := h.write("other.yaml", servers(entry("one", "say"))+"admin: {disabled: true}\n")
	h.run("ps", "--config", other).want(t, 2, "disables the admin socket")
}
