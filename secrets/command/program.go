package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/lookpath"
	"github.com/gatehouse-mcp/gatehouse/internal/stderrtail"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

const (
	maxOutput = 1 << 20
	maxStderr = 64 << 10
	maxShown  = 500 // of standard error, in an error

	defaultTimeout = 10 * time.Second
	defaultPath    = "/usr/local/bin:/usr/bin:/bin"

	// parallel bounds how many run at once.
	parallel = 4

	// lingering is how long those who inherited the output may hold it open
	// after the program has ended. Some start an agent that stays.
	lingering = 200 * time.Millisecond
)

// program is a program with where and how it runs.
type program struct {
	name    string
	dir     string
	env     map[string]secrets.Value
	timeout time.Duration
	slots   chan struct{}
}

func newProgram(name, dir string, env map[string]secrets.Value, timeout time.Duration) (*program, error) {
	if name == "" {
		return nil, errors.New("the program is not named")
	}
	if timeout < 0 {
		return nil, fmt.Errorf("the option Timeout is %v: leave it out for %v", timeout, defaultTimeout)
	}
	for k, v := range env {
		if k == "" || strings.ContainsAny(k, "=\x00") {
			return nil, fmt.Errorf("the option Env: %q is no name of a variable", k)
		}
		if len(v.Refs()) > 0 {
			return nil, fmt.Errorf("the option Env: %s has references: resolve them first", k)
		}
	}
	return &program{
		name: name, dir: dir, env: maps.Clone(env), timeout: cmp.Or(timeout, defaultTimeout),
		slots: make(chan struct{}, parallel),
	}, nil
}

// ended is the error of a program that ended with another code than 0.
type ended struct {
	code   int
	output []byte // never shown
	text   string // of standard error, to show
}

func (e *ended) Error() string {
	if e.text == "" {
		return fmt.Sprintf("it ended with code %d and said nothing on standard error: run it by hand to see why", e.code)
	}
	return fmt.Sprintf("it ended with code %d: %s", e.code, e.text)
}

// run runs the program once and returns what it printed.
func (p *program) run(ctx context.Context, input string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("it did not end within %v, and was killed: does it ask for a password, or wait for a network?", p.timeout))
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, p.fault(context.Cause(ctx))
	}
	path := defaultPath
	if v, ok := p.env["PATH"]; ok {
		path = v.Reveal()
	}
	file, err := lookpath.Find(p.name, p.dir, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p.fault(fmt.Errorf("it is not there: install it, or write its whole path (PATH is %q)", path))
	}
	if err != nil {
		return nil, p.fault(err)
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Args[0], cmd.Dir, cmd.WaitDelay = p.name, p.dir, lingering
	cmd.Env = []string{"PATH=" + path}
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		cmd.Env = append(cmd.Env, name+"="+p.env[name].Reveal())
	}
	inGroup(cmd)
	stdout, stderr := &bounded{max: maxOutput, over: cancel}, &bounded{max: maxStderr}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), stdout, stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case stdout.full:
		return nil, p.fault(fmt.Errorf("it printed more than %d bytes: it prints something else than a secret", maxOutput))
	case ctx.Err() != nil && err != nil:
		return nil, p.fault(context.Cause(ctx))
	case errors.As(err, &exit):
		return nil, p.fault(&ended{exit.ExitCode(), stdout.kept, p.complaint(stderr.kept, stdout.kept)})
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, p.fault(err)
	}
	return stdout.kept, nil
}

func (p *program) fault(err error) error { return fmt.Errorf("%s: %w", p.name, err) }

// complaint is what of a program's standard error may be shown.
func (p *program) complaint(stderr, stdout []byte) string {
	hidden := maps.Clone(p.env)
	if hidden == nil {
		hidden = map[string]secrets.Value{}
	}
	delete(hidden, "PATH")
	delete(hidden, "HOME")
	text := string(stderr)
	for line := range strings.Lines(string(stdout)) { // a word may be the secret
		for _, word := range append(strings.Fields(line), strings.TrimSpace(line)) {
			if len(word) >= 4 {
				text = strings.ReplaceAll(text, word, secrets.Redacted)
			}
		}
	}
	tail := stderrtail.New(hidden, nil)
	tail.Read(strings.NewReader(text))
	text = strings.Join(tail.Last(), "; ")
	if len(text) > maxShown {
		text = "…" + strings.ToValidUTF8(text[len(text)-maxShown:], "")
	}
	return text
}

// bounded keeps what is written to it, up to a number of bytes.
type bounded struct {
	kept []byte
	max  int
	over func() // called when there is more; nil: the rest is dropped
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - len(b.kept)
	if len(p) > room && b.over != nil {
		b.full = true
		b.over()
	}
	b.kept = append(b.kept, p[:min(len(p), room)]...)
	return len(p), nil
}

// checkPart refuses a part of a reference that would change what a command is.
func checkPart(part, element, filled string) error {
	if strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("it holds a control character")
	}
	if strings.HasPrefix(filled, "-") && !strings.HasPrefix(element, "-") {
		return errors.New("it begins with -, which would be an option of the program")
	}
	return nil
}

// base names a program in a message.
func base(name string) string { return filepath.Base(name) }
