//go:build !linux

package hostmount

import (
	"os"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Open fails: only Linux can open a path so that nobody can change what is
// mounted. The error matches [runtime.ErrCannotEnforce].
func Open(m runtime.Mount) (*os.File, error) {
	return nil, fault(m, "mounts of the host %w: they need Linux", runtime.ErrCannotEnforce)
}
