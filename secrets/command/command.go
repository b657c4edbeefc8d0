package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/document"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Options changes how [New] runs a command.
type Options struct {
	// Env is the environment of the program. It gets nothing else of this
	// program's; without a PATH it gets /usr/local/bin:/usr/bin:/bin. Values
	// must be resolved.
	Env map[string]secrets.Value

	// Dir is the folder that the program runs in. Empty: that of this program.
	Dir string

	// Timeout bounds one run [10 seconds].
	Timeout time.Duration

	// Format is how the program prints several secrets at once, of which the
	// field of the reference names one: json, yaml or dotenv. Empty: it
	// prints one.
	Format string

	// FirstLine takes the first line alone of what is printed, as pass has
	// notes behind the password.
	FirstLine bool

	// NotFound is a text on the program's standard error by which it tells
	// that there is no such secret. Without it every failure is one that
	// tells nothing about the secret.
	NotFound string
}

// Command is a provider that runs a command for each secret, at most four at
// a time. It is safe for concurrent use.
type Command struct {
	p    *program
	args []string
	o    Options
}

var _ secrets.Provider = (*Command)(nil)

const pathMark, fieldMark = "{path}", "{field}"

// New makes a provider of a command: a program and its arguments, in which
// {path} and {field} stand for the parts of a reference. The program is looked
// for in the PATH of Options.Env, at each run.
func New(command []string, o *Options) (*Command, error) {
	c := &Command{}
	if o != nil {
		c.o = *o
	}
	if len(command) == 0 {
		return nil, errors.New("the command is empty")
	}
	c.args = slices.Clone(command[1:])
	var err error
	if c.p, err = newProgram(command[0], c.o.Dir, c.o.Env, c.o.Timeout); err != nil {
		return nil, err
	}
	switch format := document.Format(c.o.Format); {
	case !c.marked(pathMark):
		return nil, fmt.Errorf("no argument of %s holds {path}: it would print the same secret for each reference", base(c.p.name))
	case format == document.Plain || format.Check() != nil:
		return nil, fmt.Errorf("there is no Format %q of output: use json, yaml or dotenv, or leave it out", c.o.Format)
	case format != "" && c.marked(fieldMark):
		return nil, errors.New("the option Format and {field} exclude each other: both say what the field names")
	case format != "" && c.o.FirstLine:
		return nil, errors.New("the options Format and FirstLine exclude each other")
	}
	return c, nil
}

func (c *Command) marked(mark string) bool {
	return slices.ContainsFunc(c.args, func(a string) bool { return strings.Contains(a, mark) })
}

// Resolve implements [secrets.Provider].
func (c *Command) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	path, field := ref.Cut()
	wants := c.o.Format != "" || c.marked(fieldMark)
	switch {
	case path == "":
		return secrets.Secret{}, fmt.Errorf("%q names no path", string(ref))
	case wants && field == "":
		return secrets.Secret{}, fmt.Errorf("%s names no field, and %s needs one: write PATH#FIELD", ref, base(c.p.name))
	case !wants && field != "":
		return secrets.Secret{}, fmt.Errorf("%s names a field, and the command has no {field} and prints one secret: leave out the # and what follows", ref)
	}
	args := make([]string, len(c.args))
	for i, a := range c.args {
		args[i] = strings.NewReplacer(pathMark, path, fieldMark, field).Replace(a)
		if err := checkPart(path+field, a, args[i]); err != nil {
			return secrets.Secret{}, fmt.Errorf("the reference %q is not given to %s: %w", string(ref), base(c.p.name), err)
		}
	}
	out, err := c.p.run(ctx, "", args...)
	if err != nil {
		var e *ended
		if errors.As(err, &e) && c.o.NotFound != "" && strings.Contains(e.text, c.o.NotFound) {
			err = fmt.Errorf("%w: %w", err, secrets.ErrNotFound)
		}
		return secrets.Secret{}, err
	}
	if c.o.Format != "" {
		return c.pick(out, path, field)
	}
	value := document.TrimNewline(string(out))
	if c.o.FirstLine {
		value, _, _ = strings.Cut(value, "\n")
		value = strings.TrimSuffix(value, "\r")
	}
	if value == "" {
		return secrets.Secret{}, c.p.fault(fmt.Errorf("it printed nothing for %s", ref))
	}
	return secrets.NewSecret(value), nil
}

// pick takes one of several secrets.
func (c *Command) pick(out []byte, path, field string) (secrets.Secret, error) {
	doc, err := document.Parse(document.Format(c.o.Format), "", out)
	if err != nil {
		return secrets.Secret{}, c.p.fault(fmt.Errorf("what it printed is not read as %s: %w", c.o.Format, err))
	}
	v, ok, err := doc.Get(secrets.Ref(field))
	if err == nil && !ok {
		err = fmt.Errorf("what it printed for %s has no field %s: %w", path, field, secrets.ErrNotFound)
	}
	if err != nil {
		return secrets.Secret{}, c.p.fault(err)
	}
	return secrets.NewSecret(v), nil
}
