//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", `
servers:
  files: {command: [cat, -u], env: {TOKEN: "${TOKEN}"}}
  docs: {url: "https://mcp.example.com/mcp?key=hidden", headers: {Authorization: "Bearer ${TOKEN}"}, instance: shared}
  off: {command: no-such-program, disabled: true}
unprefixed: files
`)
	r := h.run("check", "--config", cfg)
	r.want(t, 0)
	const want = `SERVER  KIND     CONFINED  TOOLS     INSTANCE  TARGET
files   command  no        *         session   cat
docs    url      -         docs__*   shared    https://mcp.example.com/mcp
off     command  no        disabled  session   no-such-program
`
	if r.out != want {
		t.Errorf("it prints\n%s\nnot\n%s", r.out, want)
	}
	if r.stderr != "" {
		t.Errorf("on standard error: %s", r.stderr)
	}

	r = h.run("check", "--config", cfg, "--format", "json")
	r.want(t, 0)
	var names []string
	for line := range strings.Lines(r.out) {
		var s struct {
			Name, Kind, Target, Confined, Instance string
			Line                                   int
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		names = append(names, fmt.Sprint(s.Name, ":", s.Line))
	}
	if got := strings.Join(names, " "); got != "files:3 docs:4 off:5" {
		t.Errorf("servers: %s", got)
	}
	for _, secret := range []string{"s3cret", "hidden"} {
		if strings.Contains(r.out, secret) {
			t.Errorf("it prints %q:\n%s", secret, r.out)
		}
	}

	// Nothing but the configuration is read: no state is made.
	if _, err := os.Stat(filepath.Join(h.dir, ".local")); err == nil {
		t.Error("check makes a state folder")
	}

	r = h.run("check", "--config", h.write("empty.yaml", ""))
	r.want(t, 0, "is fine and names no servers")
}

// What would keep a server from starting ends check with 1.
func TestCheckProblems(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", `
servers:
  a: {command: no-such-program}
  b: {command: ./tool, cwd: .}
  c: {command: cat, env: {A: "${UNSET_ONE}", B: "${TOKEN}"}}
  d: {command: cat, cwd: missing}
  e: {command: "cat -u"}
  f: {command: cat}
`)
	r := h.run("check", "--config", cfg)
	r.want(t, 1,
		cfg+`:3: servers.a: command: "no-such-program" is not in PATH`,
		cfg+`:4: servers.b: command: `+filepath.Join(h.dir, "tool"),
		cfg+`:5: servers.c: env.A: UNSET_ONE: the environment variable UNSET_ONE is not set`,
		cfg+`:6: servers.d: cwd: there is no folder `+filepath.Join(h.dir, "missing"),
		`write it as a list: command: [cat, …]`,
		"5 servers of "+cfg+" could not start",
	)
	if strings.Contains(r.stderr, "servers.f") {
		t.Errorf("f is fine:\n%s", r.stderr)
	}
	r = h.run("check", "--config", cfg, "--format", "json")
	r.want(t, 1)
	var problems int
	for line := range strings.Lines(r.out) {
		var s struct{ Problems []string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		problems += len(s.Problems)
	}
	if problems != 5 {
		t.Errorf("%d problems in\n%s", problems, r.out)
	}
}

// A program is looked for in the PATH that the server will have.
func TestCheckPath(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	tool := h.write("bin/own-tool", "#!/bin/sh\n")
	if err := os.Chmod(tool, 0o700); err != nil {
		t.Fatal(err)
	}
	h.env = append(h.env, "BIN="+filepath.Dir(tool))
	cfg := h.write("gatehouse.yaml", `
servers:
  a: {command: own-tool}
  b: {command: own-tool, env: {PATH: "/nowhere:${BIN}"}}
  c: {command: cat, env: {PATH: "${BIN}"}}
  d: {command: bin/own-tool, cwd: .}
`)
	r := h.run("check", "--config", cfg)
	r.want(t, 1, `servers.a: command: "own-tool" is not in PATH`, `servers.c: command: "cat" is not in PATH`, "2 servers")
}

// Every fault of a file is reported, with its place.
func TestCheckFaults(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	cfg := h.write("gatehouse.yaml", `listen: 8811
servers:
  a: {command: cat, comand: x}
  b: {command: cat, command: dog}
  c: {url: "ftp://example.com"}
telemetry: {}
`)
	wants := []string{
		":1:9: listen: must be text, not a number",
		`:3:21: servers.a.comand: unknown key; did you mean "command"?`,
		":4:21: servers.b.command: this key stands twice: first on line 4",
		":5:12: servers.c.url: must be an http or https URL with a host",
		":6:12: telemetry: this program has no telemetry: remove the section",
	}
	r := h.run("check", "--config", cfg)
	r.want(t, 2)
	if r.out != "" {
		t.Errorf("on standard output: %s", r.out)
	}
	var want strings.Builder
	for _, w := range wants {
		want.WriteString("gatehouse: " + cfg + w + "\n")
	}
	if r.stderr != want.String() {
		t.Errorf("it says\n%s\nnot\n%s", r.stderr, want.String())
	}

	r = h.run("check", "--config", cfg, "--format", "json")
	r.want(t, 2, "has 5 faults")
	var n int
	for line := range strings.Lines(r.out) {
		var f struct {
			File, Key, Message string
			Line, Column       int
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if got := fmt.Sprintf(":%d:%d: %s: %s", f.Line, f.Column, f.Key, f.Message); f.File != cfg || n >= len(wants) || got != wants[n] {
			t.Errorf("fault %d is %s", n, line)
		}
		n++
	}
	if n != len(wants) {
		t.Errorf("%d faults", n)
	}
}
