//go:build unix

package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/command"
)

// asHelper makes the test binary be a docker-credential program that keeps
// credentials in the folder that the variable names.
const asHelper = "GATEHOUSE_TEST_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asHelper); dir != "" {
		os.Exit(helper(dir, os.Args[1]))
	}
	os.Exit(m.Run())
}

func helper(dir, action string) int {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 2
	}
	server := string(in)
	var stored struct{ ServerURL, Username, Secret string }
	if action == "store" {
		if err := json.Unmarshal(in, &stored); err != nil || stored.Username == "" {
			fmt.Println("no credentials username")
			return 1
		}
		server = stored.ServerURL
	}
	path := filepath.Join(dir, url.PathEscape(server))
	switch action {
	case "store":
		err = os.WriteFile(path, in, 0o600)
	case "erase":
		err = os.Remove(path)
	case "get":
		var b []byte
		if b, err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
			fmt.Println("credentials not found in native keychain")
			return 1
		}
		fmt.Println(string(b))
	case "list":
		users := map[string]string{}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			name, _ := url.PathUnescape(e.Name())
			users[name] = "u"
		}
		err = json.NewEncoder(os.Stdout).Encode(users)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// shell is a command that runs a script with the reference as its arguments.
func shell(script string, more ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, more...)
}

// want checks what a reference resolves to, or the text of its error.
func want(t *testing.T, p secrets.Provider, ref secrets.Ref, value, fault string, missing bool) {
	t.Helper()
	s, err := p.Resolve(t.Context(), ref)
	switch {
	case fault == "" && (err != nil || s.Reveal() != value):
		t.Errorf("%s is %q, %v", ref, s.Reveal(), err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || errors.Is(err, secrets.ErrNotFound) != missing || strings.Contains(err.Error(), "hidden")):
		t.Errorf("%s: %v", ref, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	token, err := secrets.Template("${X}").Resolve(t.Context(), secrets.ProviderFunc(
		func(context.Context, secrets.Ref) (secrets.Secret, error) {
			return secrets.NewSecret("hidden-token"), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]secrets.Value{"TOKEN": token, "PATH": secrets.Plain("/usr/bin:/bin")}
	for _, c := range []struct {
		argv    []string
		o       command.Options
		ref     secrets.Ref
		value   string
		fault   string
		missing bool
	}{
		{argv: shell(`printf '%s,%s\n\n' "$1" "$2"`, "{path}", "op://{path}/{field}"), ref: "a b/$(c)#d;e", value: "a b/$(c),op://a b/$(c)/d;e\n"},
		{argv: shell(`printf 'first\r\nnote\n'`, "{path}"), o: command.Options{FirstLine: true}, ref: "x", value: "first"},
		{argv: shell(`echo '{"a":{"b":"c"}}'`, "{path}"), o: command.Options{Format: "json"}, ref: "x#a/b", value: "c"},
		{argv: shell(`echo '{"a":{"b":"hidden"}}'`, "{path}"), o: command.Options{Format: "json"}, ref: "x#c", fault: "has no field c", missing: true},
		{argv: shell(`echo 'hidden'`, "{path}"), o: command.Options{Format: "json"}, ref: "x#c", fault: "is not read as json"},
		{argv: shell(`echo "$TOKEN/$HOME/$GATEHOUSE_TEST/$#"; env | wc -l | tr -d ' '`, "{path}"), o: command.Options{Env: env}, ref: "x", value: "hidden-token///1\n3"},
		{argv: shell(`pwd`, "{path}"), o: command.Options{Dir: "/"}, ref: "x", value: "/"},
		{argv: shell(`cat; echo end`, "{path}"), ref: "x", value: "end"},
		{argv: shell(`echo hidden; echo "no such item: hidden $TOKEN" >&2; exit 3`, "{path}"), o: command.Options{Env: env}, ref: "x", fault: "sh: it ended with code 3: no such item: [redacted] [redacted]"},
		{argv: shell(`echo "no such item" >&2; exit 3`, "{path}"), o: command.Options{NotFound: "no such"}, ref: "x", fault: "no such item: secret not found", missing: true},
		{argv: shell(`echo hidden; exit 1`, "{path}"), ref: "x", fault: "said nothing on standard error"},
		{argv: shell(`yes $(seq 1000) | head -c 100000 >&2; exit 1`, "{path}"), ref: "x", fault: "…"},
		{argv: shell(`:`, "{path}"), ref: "x", fault: "it printed nothing for x"},
		{argv: shell(`yes hidden`, "{path}"), ref: "x", fault: "it printed more than 1048576 bytes"},
		{argv: shell(`kill -9 $$`, "{path}"), ref: "x", fault: "it ended with code -1"},
		{argv: []string{"no-such-program", "{path}"}, ref: "x", fault: `no-such-program: it is not there: install it`},
		{argv: []string{"/etc/passwd", "{path}"}, ref: "x", fault: "is not executable"},
		{argv: []string{"echo", "{path}"}, ref: "-n", fault: "it begins with -"},
		{argv: []string{"echo", "x", "{field}{path}"}, ref: "a#-n", fault: "it begins with -"},
		{argv: []string{"echo", "--key={path}"}, ref: "-n", value: "--key=-n"},
		{argv: []string{"echo", "{path}"}, ref: "a\nb", fault: "control character"},
		{argv: []string{"echo", "{path}"}, ref: "a#b", fault: "names a field, and the command has no {field}"},
		{argv: []string{"echo", "{path}/{field}"}, ref: "a", fault: "needs one: write PATH#FIELD"},
		{argv: []string{"echo", "{path}"}, ref: "", fault: "names no path"},
	} {
		p, err := command.New(c.argv, &c.o)
		if err != nil {
			t.Errorf("%q: %v", c.argv, err)
			continue
		}
		want(t, p, c.ref, c.value, c.fault, c.missing)
	}
}

// A program that hangs is killed with all that it started; one that leaves an
// agent behind is not waited for.
func TestDeadline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := command.New(shell(`sleep 1000 & echo $! > "$1"; wait`, "{path}"), &command.Options{Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(dir, "pid")
	want(t, p, secrets.Ref(pidFile), "", "sh: it did not end within 300ms, and was killed", false)
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil && !dead(pid); {
		if time.Now().After(end) {
			t.Fatal("what it started is still running")
		}
		time.Sleep(time.Millisecond)
	}

	p, err = command.New(shell(`sleep 5 & echo "$1"`, "{path}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	want(t, p, "x", "x", "", false)
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("it waited %v for the agent", d)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Resolve(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// dead reports whether a process has ended and nobody has asked for it yet.
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	p, err := command.New([]string{"echo", "{path}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() { want(t, p, secrets.Ref(fmt.Sprint(n)), fmt.Sprint(n), "", false) })
	}
	all.Wait()
}

func TestNew(t *testing.T) {
	t.Parallel()
	env := func(name, value string) map[string]secrets.Value {
		return map[string]secrets.Value{name: secrets.Template(value)}
	}
	for _, c := range []struct {
		argv []string
		o    command.Options
		want string
	}{
		{nil, command.Options{}, "the command is empty"},
		{[]string{"", "{path}"}, command.Options{}, "not named"},
		{[]string{"echo"}, command.Options{}, "no argument of echo holds {path}"},
		{[]string{"echo", "{path}"}, command.Options{Format: "plain"}, "no Format"},
		{[]string{"echo", "{path}{field}"}, command.Options{Format: "json"}, "Format and {field}"},
		{[]string{"echo", "{path}"}, command.Options{Format: "json", FirstLine: true}, "Format and FirstLine"},
		{[]string{"echo", "{path}"}, command.Options{Timeout: -1}, "Timeout"},
		{[]string{"echo", "{path}"}, command.Options{Env: env("A=B", "x")}, "no name of a variable"},
		{[]string{"echo", "{path}"}, command.Options{Env: env("A", "${X}")}, "A has references"},
	} {
		if _, err := command.New(c.argv, &c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %+v: %v", c.argv, c.o, err)
		}
	}
	if _, err := command.NewDocker("", nil); err == nil {
		t.Error("a helper without a name")
	}
}

func TestDocker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := command.NewDocker(os.Args[0], &command.DockerOptions{Env: map[string]secrets.Value{
		asHelper: secrets.Plain(dir), "GORACE": secrets.Plain("atexit_sleep_ms=0"), // else it ends a second late under -race
	}})
	if err != nil {
		t.Fatal(err)
	}
	const server = "https://index.docker.io/v1/"
	want(t, h, server, "", "it has no credentials for "+server+": store them", true)
	if err := h.Remove(t.Context(), server); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
	if err := h.Set(t.Context(), server, secrets.NewSecret("first")); err != nil {
		t.Fatal(err)
	}
	want(t, h, server, "first", "", false)
	want(t, h, server+"#username", "gatehouse", "", false)
	if err := os.WriteFile(filepath.Join(dir, url.PathEscape(server)), []byte(`{"Username":"me","Secret":"first"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Set(t.Context(), server, secrets.NewSecret("rotated")); err != nil {
		t.Fatal(err)
	}
	want(t, h, server+"#Secret", "rotated", "", false)
	want(t, h, server+"#Username", "me", "", false)
	want(t, h, server+"#x", "", "no field x", false)
	want(t, h, "", "", "no name of a server", false)
	want(t, h, "a\nb", "", "no name of a server", false)
	if refs, err := h.List(t.Context()); fmt.Sprint(refs) != "["+server+"]" || err != nil {
		t.Error(refs, err)
	}
	if h.Set(t.Context(), server+"#Username", secrets.NewSecret("x")) == nil || h.Remove(t.Context(), server+"#Username") == nil {
		t.Error("the name of the user was changed")
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte(`hidden`), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, h, "broken", "", "its answer is no JSON object", false)
	if err := h.Remove(t.Context(), server); err != nil {
		t.Error(err)
	}
	want(t, h, server, "", "no credentials", true)
}
