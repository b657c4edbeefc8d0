//go:build unix

package main_test

import (
	"strings"
	"testing"
)

func TestScanSecrets(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	const pass = "Tr4il-mix!92"
	lines := `{"arguments":{"q":"hello"}}
{"arguments":{"password":"` + pass + `"}}
just text
`
	calls := h.write("calls.jsonl", lines)
	want := `{"line":2,"findings":[{"rule":"password","path":"$.arguments.password","start":26,"end":38,"severity":"high"}]}` + "\n"

	r := h.run("scan", "secrets", calls)
	r.want(t, 1, "secrets were found in 1 line")
	if r.out != want {
		t.Errorf("it prints %s", r.out)
	}
	if strings.Contains(r.out+r.stderr, pass) {
		t.Error("it prints the secret")
	}

	for _, args := range [][]string{{"scan", "secrets"}, {"scan", "secrets", "-"}} {
		cmd := h.command(args...)
		cmd.Stdin = strings.NewReader(lines)
		out, _ := cmd.Output()
		if cmd.ProcessState.ExitCode() != 1 || string(out) != want {
			t.Errorf("%q of standard input: %d, %s", args, cmd.ProcessState.ExitCode(), out)
		}
	}

	r = h.run("scan", "secrets", "--all", calls)
	if want := "{\"line\":1,\"findings\":[]}\n" + want + "{\"line\":3,\"findings\":[]}\n"; r.out != want {
		t.Errorf("with --all it prints %s", r.out)
	}

	clean := h.write("clean.jsonl", "{}\n")
	r = h.run("scan", "secrets", clean)
	r.want(t, 0)
	if r.out != "" || r.stderr != "" {
		t.Errorf("of a clean file it prints %s%s", r.out, r.stderr)
	}

	r = h.run("scan", "secrets", clean, calls)
	r.want(t, 1)
	if !strings.HasPrefix(r.out, `{"file":"`+calls+`","line":2,`) {
		t.Errorf("of two files it prints %s", r.out)
	}

	h.run("scan", "secrets", "nowhere.jsonl").want(t, 2, "open nowhere.jsonl: no such file or directory")
	rules := h.write("rules.toml", "[[rules]]\nid = \"acme-token\"\nkeywords = [\"acme_\"]\nregex = '''acme_[0-9a-f]{12}'''\n")
	note := h.write("note.txt", "use acme_7f03b9c21d4e")
	if r = h.run("scan", "secrets", "--rules", rules, note); !strings.Contains(r.out, `"rule":"acme-token","path":"","start":4`) {
		t.Errorf("with more rules it prints %s", r.out)
	}
	h.run("scan", "secrets", "--rules", calls, note).want(t, 2, calls+": rules: line 1")
}
