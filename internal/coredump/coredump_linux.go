package coredump

import (
	"os"
	"strings"
)

// Off returns the RLIMIT_CORE with which the kernel writes no core dump of a
// process and hands none to a program.
func Off() uint64 {
	b, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err == nil && strings.HasPrefix(string(b), "|") {
		return 1
	}
	return 0
}
