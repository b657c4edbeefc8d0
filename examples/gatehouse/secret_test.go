//go:build unix

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// give runs a command with that on its standard input.
func (h *home) give(text string, args ...string) result {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Stdin = strings.NewReader(text)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

func TestSecretCommands(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(".env", "OLD=an old budgie\n")
	cfg := h.write("gatehouse.yaml", fmt.Sprintf(`
secrets: {dotenv: {kind: file, path: .env}}
servers:
  a:
    command: [%q]
    env: {A: "secret://dotenv/NEW", B: "secret://dotenv/OLD", C: "${TOKEN}", D: "${UNSET_ONE:-nothing}"}
    secrets: {EXTRA: {from: "secret://dotenv/EXTRA", optional: true}}
`, os.Args[0]))
	const value = "a new canary"

	r := h.run("secret", "check", "--config", cfg)
	r.want(t, 1, "servers.a.env.A: dotenv/NEW: ", "1 secret of "+cfg+" could not be resolved")
	want := `SERVER  KEY            VALUE                    STATE
a       env.A          secret://dotenv/NEW      missing
a       env.B          secret://dotenv/OLD      ok
a       env.C          ${TOKEN}                 ok
a       env.D          ${UNSET_ONE:-nothing}    ok
a       secrets.EXTRA  secret://dotenv/EXTRA    absent
`
	if flat(r.out) != flat(want) {
		t.Errorf("check prints\n%s", r.out)
	}
	h.run("check", "--config", cfg).want(t, 1, "env.A")

	h.give(value+"\n", "secret", "set", "secret://dotenv/NEW", "--config", cfg).want(t, 0, "NEW was set with dotenv")
	if b, err := os.ReadFile(filepath.Join(h.dir, ".env")); err != nil || !strings.Contains(string(b), value) || !strings.Contains(string(b), "an old budgie") {
		t.Errorf("the file holds %q, %v", b, err)
	}
	r = h.run("secret", "check", "--config", cfg, "--format", "json")
	r.want(t, 0)
	if !strings.Contains(r.out, `{"server":"a","key":"env.A","value":"secret://dotenv/NEW","state":"ok"}`) {
		t.Errorf("check prints %s", r.out)
	}
	r = h.run("secret", "ls", "--config", cfg)
	r.want(t, 0)
	want = `PROVIDER  REFERENCE  SERVERS
dotenv    EXTRA      a
dotenv    NEW        a
dotenv    OLD        a
env       TOKEN      a
env       UNSET_ONE  a
`
	if flat(r.out) != flat(want) {
		t.Errorf("ls prints\n%s", r.out)
	}

	h.give("4711", "secret", "set", "dotenv/NEW", "--config", cfg).want(t, 0)
	r = h.run("secret", "check", "--config", cfg)
	r.want(t, 0, "servers.a.env.A: it is too short or too plain")
	h.run("check", "--config", cfg).want(t, 0, "warning: servers.a.env.A: it is too short or too plain")
	h.run("secret", "rm", "dotenv/NEW", "--config", cfg).want(t, 0, "NEW was removed from dotenv")
	h.run("secret", "rm", "dotenv/NEW", "--config", cfg).want(t, 1, "secret not found")
	h.give("", "secret", "set", "dotenv/NEW", "--config", cfg).want(t, 2, "the value is empty")
	h.give(value, "secret", "set", "TOKEN", "--config", cfg).want(t, 2, `the provider "env" cannot be written to; those that can: dotenv`)
	h.give(value, "secret", "set", "nowhere/TOKEN", "--config", cfg).want(t, 2, `"nowhere" is no provider`)

	for _, args := range [][]string{{"secret", "ls"}, {"secret", "check"}} {
		r := h.run(append(args, "--config", cfg)...)
		for _, v := range []string{value, "an old budgie", "s3cret-token"} {
			if strings.Contains(r.out+r.stderr, v) {
				t.Errorf("%s prints %q", args, v)
			}
		}
	}
}

// flat makes every run of blanks one.
func flat(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}
