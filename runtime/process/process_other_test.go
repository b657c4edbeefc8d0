//go:build !linux

package process_test

import (
	"os"
	"syscall"
)

// detachedDie is true where what has detached itself is found.
const detachedDie = false

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return p.Signal(syscall.Signal(0)) == nil
}
