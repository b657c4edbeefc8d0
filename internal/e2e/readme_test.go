//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadme runs the first commands of the README as a newcomer would: on a
// fresh clone, with an empty home. Only Go's caches are kept.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "\n```sh\n")
	commands, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatal("README.md has no block of commands")
	}
	source, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`https://github\.com/\S+`)
	if !address.MatchString(commands) {
		t.Fatalf("the README's commands clone nothing:\n%s", commands)
	}
	commands = address.ReplaceAllString(commands, source+" gatehouse") // a clone may have any name

	home := t.TempDir()
	cmd := exec.Command("bash", "-e", "-c", commands)
	cmd.Dir = t.TempDir()
	cmd.Env = environ(home,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(value)))
	}
	p := spawn(t, cmd)
	t.Cleanup(func() { // what Ctrl-C does
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			t.Error("the quickstart did not end within 20 s of an interrupt")
		}
	})

	printed := regexp.MustCompile(`http://[\w.:\[\]-]+/mcp\b`)
	var url string
	eventually(t, 5*time.Minute, "printing a URL", func() bool {
		select {
		case <-p.done:
			t.Fatalf("the commands ended: %v\n%s", p.err, p.out)
		default:
		}
		url = printed.FindString(p.out.String())
		return url != "" && get(url) != 0
	})
	tr := act(t, "v2", url, []expectation{{step: step{Do: "tools"}}})
	var tools []struct{ Name string }
	if err := json.Unmarshal(tr.Steps[0].Result, &tools); err != nil {
		t.Fatal(err)
	}
	prefixes := map[string]bool{}
	for _, tool := range tools {
		if prefix, _, ok := strings.Cut(tool.Name, "__"); ok {
			prefixes[prefix] = true
		}
	}
	if len(prefixes) < 2 {
		t.Errorf("the quickstart offers %+v, want tools of two servers", tools)
	}
	act(t, "v1", url, []expectation{{step: step{Do: "call", Name: tools[0].Name}, want: []string{"content"}}})
}

// TestReadmeConfiguration has the program check the README's configuration.
func TestReadmeConfiguration(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no configuration")
	}
	for i, block := range blocks {
		home := t.TempDir()
		file := filepath.Join(home, "gatehouse.yaml")
		if err := os.WriteFile(file, []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, err := runProgram(t, time.Minute, environ(home, "DOCS_TOKEN=x"), home,
			program(t, "examples/gatehouse"), "check", "--config", file)
		var ended *exec.ExitError
		// 1 says that a program of the example is not installed here.
		if err != nil && !(errors.As(err, &ended) && ended.ExitCode() == 1) {
			t.Errorf("configuration %d: %v\n%s%s", i, err, out, errs)
		}
	}
}
