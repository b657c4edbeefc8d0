//go:build !unix

package runtimetest

import (
	"os/exec"
	"time"
)

func detach(*exec.Cmd) {}

func cpuTime() time.Duration { return 0 }
