//go:build e2e && linux

package containerd

import (
	"errors"
	"path/filepath"
)

// gatewayArg makes the test binary a gateway that is to be killed.
const gatewayArg = "containerd-gateway"

func gateway(args []string) error { return errors.New("not yet") }

// cgroups are the control groups of an owner.
func cgroups(id string) []string {
	a, _ := filepath.Glob("/sys/fs/cgroup" + cgroup(id))
	b, _ := filepath.Glob("/sys/fs/cgroup/*" + cgroup(id))
	return append(a, b...)
}
