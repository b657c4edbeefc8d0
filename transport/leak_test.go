package transport

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain makes sure that the tests leave no goroutine of this package and no
// descriptor behind.
func TestMain(m *testing.M) {
	before, known := descriptors()
	code := m.Run()
	if code == 0 && !left(before, known) {
		code = 1
	}
	os.Exit(code)
}

// left waits for what is still ending, and reports whether nothing was left.
func left(before map[string]bool, known bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		stacks, extra := goroutinesOfPackage(), opened(before, known)
		if len(stacks) == 0 && len(extra) == 0 {
			return true
		}
		<-tick.C // goroutines that were told to end need not be scheduled yet
	}
	fmt.Fprintf(os.Stderr, "the tests left %d descriptors: %v\nand goroutines:\n%s\n",
		len(opened(before, known)), opened(before, known), strings.Join(goroutinesOfPackage(), "\n\n"))
	return false
}

// goroutinesOfPackage returns the stacks that run code of this package, but
// for the one that asks.
func goroutinesOfPackage() (stacks []string) {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, stack := range all[1:] {
		if strings.Contains(stack, "/gatehouse/transport") || strings.Contains(stack, "net/http.(*conn)") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// descriptors lists the sockets and pipes of this process, where the system
// tells.
func descriptors() (open map[string]bool, known bool) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, false
	}
	open = make(map[string]bool)
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:")) {
			open[to] = true
		}
	}
	return open, true
}

func opened(before map[string]bool, known bool) (extra []string) {
	if !known {
		return nil
	}
	now, _ := descriptors()
	for d := range now {
		if !before[d] {
			extra = append(extra, d)
		}
	}
	return extra
}
