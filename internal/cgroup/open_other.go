//go:build !linux

package cgroup

import (
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Host is where groups are made. There is none on this system.
type Host struct{}

// Open fails: control groups are Linux's.
func Open(string) (*Host, error) {
	return nil, fmt.Errorf("limits %w: control groups need Linux", runtime.ErrCannotEnforce)
}
