//go:build !linux

package containerd

import (
	"context"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Runtime cannot be made on this system.
type Runtime struct{}

var (
	_ runtime.Runtime = (*Runtime)(nil)

	errLinux = fmt.Errorf("containers of containerd %w: they need Linux", runtime.ErrCannotEnforce)
)

// New fails: the driver hands over what only Linux has. The error matches
// [runtime.ErrCannotEnforce].
func New(string, *Options) (*Runtime, error) { return nil, errLinux }

// Check implements [runtime.Checker].
func (*Runtime) Check(runtime.Spec) error { return errLinux }

// Ping tells that there are no containers on this system.
func (*Runtime) Ping(context.Context) error { return errLinux }

// Start implements [runtime.Runtime].
func (*Runtime) Start(context.Context, runtime.Spec) (runtime.Instance, error) { return nil, errLinux }

// Description implements [runtime.Describer].
func (*Runtime) Description() string { return errLinux.Error() }

// Reap implements [runtime.Reaper].
func (*Runtime) Reap(context.Context) ([]string, error) { return nil, nil }

// Prune removes nothing.
func (*Runtime) Prune(context.Context, []string) ([]string, error) { return nil, errLinux }

// Close implements [io.Closer].
func (*Runtime) Close() error { return nil }
