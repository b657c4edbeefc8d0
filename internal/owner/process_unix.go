//go:build unix

package owner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process identifies this process among all of this boot: its number, when it
// started, and the namespaces in which the two are so. It is empty where the
// system does not tell.
func process() string {
	start, err := started(os.Getpid())
	if err != nil {
		return ""
	}
	ns := namespaces()
	if ns == "" {
		return ""
	}
	return fmt.Sprintf("%d %s %s", os.Getpid(), start, ns)
}

// namespaces are those that numbers of processes and times are counted in.
func namespaces() string {
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	times, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		times = "-" // Linux before 5.6 has none
	}
	return pids + "," + times
}

// started is when a process started, in ticks since the boot.
func started(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The second field is the name of the program, which can hold anything.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return "", fmt.Errorf("the state of process %d is not understood", pid)
	}
	return f[19], nil // the 22nd of all
}

// ended tells whether a process that process named has ended. What cannot be
// told, such as one of another namespace, has not.
func ended(p string) bool {
	f := strings.Fields(p)
	if len(f) != 3 {
		return false
	}
	pid, err := strconv.Atoi(f[0])
	if err != nil || pid <= 0 {
		return false
	}
	if namespaces() != f[2] {
		return false
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return true
	}
	start, err := started(pid)
	return err == nil && start != f[1] // the number has gone to another one
}
