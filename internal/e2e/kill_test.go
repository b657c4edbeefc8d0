//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKillLeavesNothing kills the gateway with SIGKILL, so that it can do
// nothing itself: its servers and what they started must end all the same.
func TestKillLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	// A server that starts processes of its own: one that stays in its group
	// and one that leaves it.
	script := filepath.Join(folder, "server.sh")
	err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 7777 &\nsetsid sleep 7778 &\n\"$@\"\n"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	everything := npm(t, "@modelcontextprotocol/server-everything/dist/index.js")
	g := serve(t, fmt.Sprintf(`servers:
  plain: {command: [%q, %q, stdio]}
  family: {command: [%q, %q, %q, stdio]}
`, bed.node, everything, script, bed.node, everything))
	act(t, "v2", g.url, []expectation{
		{step: step{Do: "call", Name: "plain__echo", Arguments: map[string]any{"message": "a"}}, want: []string{"Echo: a"}},
		{step: step{Do: "call", Name: "family__echo", Arguments: map[string]any{"message": "b"}}, want: []string{"Echo: b"}},
	})
	below := descendants(t, g.cmd.Process.Pid)
	var lines []string
	for _, pid := range below {
		lines = append(lines, command(pid))
	}
	listing := strings.Join(lines, "\n")
	holds(t, "processes of the gateway", listing, "sleep 7777", "sleep 7778", "server-everything")

	if err := syscall.Kill(g.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-g.done
	for _, pid := range below {
		name := command(pid)
		eventually(t, 15*time.Second, fmt.Sprintf("gone: process %d (%s)", pid, name), func() bool { return !alive(pid) })
	}
}
