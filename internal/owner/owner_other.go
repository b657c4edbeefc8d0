//go:build !unix

package owner

import (
	"errors"
	"fmt"
)

// Owner is a gateway that lives; there is none on this system.
type Owner struct {
	ID      string
	Boot    string
	State   string
	Process string
}

// Hold fails: this system has no lock that ends with its process.
func Hold(string) (*Owner, error) {
	return nil, fmt.Errorf("telling which gateway owns what needs a Unix system: %w", errors.ErrUnsupported)
}

// Release does nothing.
func (o *Owner) Release() {}

// Abandon does nothing.
func (o *Owner) Abandon() {}

// Gone is false: nothing can be told on this system.
func Gone(state, id, bootID, process string) bool { return false }

// Private fails: who may write to a folder is not known on this system.
func Private(string) error {
	return fmt.Errorf("telling who may write to a folder needs a Unix system: %w", errors.ErrUnsupported)
}

// Dead is false: nothing can be told on this system.
func Dead(state, id, bootID string) bool { return false }

// Sweep does nothing.
func Sweep(state string) error { return nil }
