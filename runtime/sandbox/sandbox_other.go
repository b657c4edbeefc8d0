//go:build !linux

package sandbox

import (
	"context"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Init does nothing: there are no sandboxes on this system.
func Init() {}

// Runtime cannot be made on this system.
type Runtime struct{}

var _ runtime.Runtime = (*Runtime)(nil)

// New fails: the sandbox is made of what Linux has. The error matches
// [runtime.ErrCannotEnforce].
func New(string, *Options) (*Runtime, error) { return nil, errLinux }

var errLinux = fmt.Errorf("the sandbox %w: it needs Linux; use a runtime of containers", runtime.ErrCannotEnforce)

// Start implements [runtime.Runtime].
func (*Runtime) Start(context.Context, runtime.Spec) (runtime.Instance, error) { return nil, errLinux }

// Check implements [runtime.Checker].
func (*Runtime) Check(runtime.Spec) error { return errLinux }

// Description implements [runtime.Describer].
func (*Runtime) Description() string { return errLinux.Error() }

// Reap implements [runtime.Reaper].
func (*Runtime) Reap(context.Context) ([]string, error) { return nil, nil }

// Close implements [io.Closer].
func (*Runtime) Close() error { return nil }
