package auto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// What can be chosen.
const (
	Containerd = "containerd"
	Sandbox    = "sandbox"
)

// answerTime is how long containerd has to answer.
const answerTime = 3 * time.Second

// Options configures a [Runtime]. The zero value is useful.
type Options struct {
	// Containerd and Sandbox are the options of the two drivers; nil: their
	// defaults.
	Containerd *containerd.Options
	Sandbox    *sandbox.Options

	// Require is [Containerd] or [Sandbox]: New fails when that one cannot
	// be had. Empty: containerd, else the sandbox.
	Require string

	// Logger is told which was chosen, and why; nil: nobody is.
	Logger *slog.Logger
}

// driver is what both have.
type driver interface {
	runtime.Runtime
	runtime.Describer
	runtime.Reaper
	runtime.Checker
	io.Closer
}

// Runtime is the driver that was chosen. It implements [runtime.Runtime],
// [runtime.Chooser], [runtime.Checker], [runtime.Describer],
// [runtime.Reaper] and [io.Closer], and is safe for concurrent use.
type Runtime struct {
	driver
	chosen, why string
}

// Driver returns the driver that was chosen.
func (r *Runtime) Driver() runtime.Runtime { return r.driver }

var (
	_ runtime.Runtime   = (*Runtime)(nil)
	_ runtime.Chooser   = (*Runtime)(nil)
	_ runtime.Describer = (*Runtime)(nil)
)

// New chooses, and makes the driver, which keeps what it needs below the
// folder state. ctx bounds the choice. The caller closes the Runtime.
func New(ctx context.Context, state string, o *Options) (*Runtime, error) {
	if o == nil {
		o = &Options{}
	}
	r, err := choose(ctx, state, o)
	if err != nil {
		return nil, err
	}
	if o.Logger != nil {
		o.Logger.Info("chose what confines servers", "runtime", r.chosen, "why", r.why)
	}
	return r, nil
}

func choose(ctx context.Context, state string, o *Options) (*Runtime, error) {
	var away error
	switch o.Require {
	case "", Containerd:
		d, err := daemon(ctx, state, o.Containerd)
		if err == nil {
			return &Runtime{d, Containerd, "containerd answers"}, nil
		}
		if o.Require == Containerd {
			return nil, fmt.Errorf("containerd is required, but cannot be had: %w", err)
		}
		away = err
	case Sandbox:
	default:
		return nil, fmt.Errorf("auto.Options: Require %q is none of %q, %q", o.Require, Containerd, Sandbox)
	}
	d, err := sandbox.New(state, o.Sandbox)
	switch {
	case err == nil && o.Require == Sandbox:
		return &Runtime{d, Sandbox, "the sandbox is required"}, nil
	case err == nil:
		return &Runtime{d, Sandbox, away.Error()}, nil
	case o.Require == Sandbox:
		return nil, fmt.Errorf("the sandbox is required, but cannot be had: %w", err)
	}
	return nil, errors.Join(
		errors.New("nothing on this machine can confine servers"),
		fmt.Errorf("containerd: %w", away),
		fmt.Errorf("sandbox: %w", err),
	)
}

// daemon makes the driver of containerd if that answers.
func daemon(ctx context.Context, state string, o *containerd.Options) (driver, error) {
	d, err := containerd.New(state, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := d.Ping(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Start implements [runtime.Runtime].
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Instance, error) {
	i, err := r.driver.Start(ctx, spec)
	return i, r.because(err)
}

// Check implements [runtime.Checker].
func (r *Runtime) Check(spec runtime.Spec) error { return r.because(r.driver.Check(spec)) }

// because adds to what the sandbox cannot do why it was chosen.
func (r *Runtime) because(err error) error {
	if r.chosen != Sandbox || !errors.Is(err, runtime.ErrCannotEnforce) {
		return err
	}
	return fmt.Errorf("%w (the sandbox was chosen since %s)", err, r.why)
}

// Chosen returns which driver was chosen: [Containerd] or [Sandbox].
func (r *Runtime) Chosen() string { return r.chosen }

// Why says why.
func (r *Runtime) Why() string { return r.why }

// Description says what confines servers, and why it was chosen.
func (r *Runtime) Description() string {
	return fmt.Sprintf("%s (chosen since %s)", r.driver.Description(), r.why)
}
