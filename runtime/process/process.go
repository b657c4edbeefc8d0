package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/internal/lookpath"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Options configures a [Runtime]. The zero value is useful.
type Options struct {
	// Env is the minimum that every server gets beside the Env of its Spec,
	// which goes first. The driver does not read the environment of the
	// program: a program that wants its own PATH passed on says so here. A
	// variable that is empty here is not set.
	Env map[string]string

	// Logger gets the standard error of the servers, redacted, at the level
	// debug. Nil: it is not logged.
	Logger *slog.Logger

	// OnGarbage is told how many lines of a server's standard output were no
	// messages of the protocol. It must return fast.
	OnGarbage func(server string)
}

// Runtime starts plain commands. It implements [runtime.Runtime].
type Runtime struct {
	o Options
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a Runtime. o may be nil.
func New(o *Options) *Runtime {
	r := &Runtime{}
	if o != nil {
		r.o = *o
		r.o.Env = make(map[string]string, len(o.Env))
		for name, v := range o.Env {
			r.o.Env[name] = v
		}
	}
	return r
}

// Description says, in one sentence for an operator, what holds for the
// processes of this Runtime on this system.
func (r *Runtime) Description() string {
	return "plain process without limits; " + guarantee()
}

// Start implements [runtime.Runtime].
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Instance, error) {
	if err := check(spec); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	argv := slices.Concat(spec.Command, spec.Args)
	env := r.environment(spec)
	dir, err := directory(spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting %q: working directory: %w", argv[0], err)
	}
	path, err := lookpath.Find(argv[0], dir, env["PATH"])
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", argv[0], err)
	}
	return r.launch(ctx, spec, command{path: path, argv: argv, env: list(env), dir: dir})
}

// directory is where a server runs: where the gateway does, unless its Spec
// says something else.
func directory(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	s, err := os.Stat(abs)
	switch {
	case err != nil:
		return "", err
	case !s.IsDir():
		return "", fmt.Errorf("%s is no directory", abs)
	}
	return abs, nil
}

// check refuses what a plain process cannot do, all faults at once.
func check(spec runtime.Spec) error {
	var errs []error
	refuse := func(what, advice string) {
		errs = append(errs, fmt.Errorf("process: %s %w: %s", what, runtime.ErrCannotEnforce, advice))
	}
	const confine = "use a runtime that confines"
	if !spec.Unconfined {
		refuse("confinement", "a plain command can do whatever the gateway's user can; say unconfined to allow it, or "+confine)
	}
	if spec.Image != "" {
		refuse("image", "use a runtime for containers")
	}
	if spec.User != "" {
		refuse("user", confine)
	}
	if len(spec.Mounts) > 0 {
		refuse("mounts", confine)
	}
	if spec.Limits.CPUs != 0 {
		refuse("limits.cpus", confine)
	}
	if spec.Limits.Memory != 0 {
		refuse("limits.memory", confine)
	}
	if spec.Limits.PIDs != 0 {
		refuse("limits.pids", confine)
	}
	if spec.Limits.Tmp != 0 {
		refuse("limits.tmp", confine)
	}
	if spec.Limits.Files != 0 {
		refuse("limits.files", confine)
	}
	if spec.Class != "" {
		refuse("class", confine)
	}
	if spec.Port != 0 {
		refuse("port", "a plain command speaks on its standard input and output; use a url for what listens")
	}
	if len(spec.Network.Allow) > 0 {
		refuse("network.allow", confine)
	}
	for _, u := range spec.Secrets {
		if len(u.Hosts) > 0 || u.File != "" {
			refuse("a placeholder or a file for secret "+u.Name, "a plain command can read what the gateway's user can; give it the environment alone, or "+confine)
		}
	}
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		errs = append(errs, errors.New("process: the command is empty"))
	}
	if spec.MaxLine < 0 {
		errs = append(errs, errors.New("process: maxLine is negative"))
	}
	for name, v := range spec.Env {
		if !validName(name) {
			errs = append(errs, fmt.Errorf("process: %q is no name of an environment variable", name))
		}
		if len(v.Refs()) > 0 {
			errs = append(errs, fmt.Errorf("process: environment variable %s is not resolved", name))
		}
	}
	return errors.Join(errs...)
}

// command is what a tree is started from.
type command struct {
	path string
	argv []string
	env  []string
	dir  string

	stdin, stdout, stderr *os.File // its ends
}

// tree is a running command and everything that it started.
type tree interface {
	// ask tells the command, and its group, to end.
	ask()
	// kill ends everything. It does not wait.
	kill()
	// wait returns when the command has ended and nothing that could be found
	// is left. It is called once.
	wait() outcome
}

// outcome is how a command ended.
type outcome struct {
	code   int // -1 when it was a signal
	signal string
	err    error
}
