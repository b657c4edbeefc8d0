//go:build e2e && linux

package e2e

import (
	"os"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
)

// containers is the test bed for containers.
var containers *testbed.Bed

// enter moves the tests into a mount namespace of their own; leave complains
// about what is left in it.
func enter() (leave func() error, err error) {
	if containers, err = testbed.Enter(os.Getenv("GATEHOUSE_CACHE")); err != nil {
		return nil, err
	}
	return func() error {
		all, err := images()
		if err == nil {
			err = all.Close()
		}
		if left := containers.Leave(); left != nil {
			return left
		}
		return err
	}, nil
}
