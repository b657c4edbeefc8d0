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

// Empty leaves all memory out of the core dumps of a process, by its name in
// /proc, and of what it starts.
func Empty(process string) error {
	err := os.WriteFile("/proc/"+process+"/coredump_filter", []byte("0"), 0)
	if os.IsNotExist(err) {
		return nil // this kernel writes no core dumps
	}
	return err
}
