//go:build e2e && linux

package testbed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// LoopDevices lists the loop devices of files below a folder.
func LoopDevices(dir string) (all []string) {
	found, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, p := range found {
		if b, err := os.ReadFile(p); err == nil && strings.HasPrefix(string(b), dir+"/") {
			all = append(all, "/dev/"+filepath.Base(filepath.Dir(filepath.Dir(p))))
		}
	}
	return all
}

// NoLoopDevices fails when files below a folder still have loop devices, once
// those that look at every device have had time to let go.
func NoLoopDevices(t testing.TB, dir string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); len(LoopDevices(dir)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("left behind: %q", LoopDevices(dir))
			return
		}
	}
}
