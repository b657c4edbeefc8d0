//go:build e2e && linux

package testbed

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockName is the file of a daemon's folder whose lock its test binary holds.
const lockName = "lock"

// hold takes the lock of a daemon's folder; closing the file gives it back.
func hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes what test binaries that were killed have left: their daemons,
// shims and containers, and the folders.
func sweep() {
	dirs, _ := filepath.Glob(folders + "*")
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
			continue // not ours
		}
		lock, err := hold(dir)
		if err != nil {
			continue // it lives
		}
		groups := map[string]bool{}
		for pid, p := range all() {
			if strings.Contains(p.command, dir+"/c") { // its socket or its configuration
				for child, c := range all() {
					if c.parent == pid {
						groups[parentGroup(child)] = true
						_ = syscall.Kill(child, syscall.SIGKILL)
					}
				}
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(100 * time.Millisecond)
		for g := range groups {
			removeGroup(g)
		}
		_ = lock.Close()
		_ = os.RemoveAll(dir) // its mounts went with their namespace
	}
}

// process is one of this machine.
type process struct {
	parent  int
	command string
}

func all() map[int]process {
	found := map[int]process{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err1 := os.ReadFile("/proc/" + e.Name() + "/stat")
		command, err2 := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err1 != nil || err2 != nil {
			continue
		}
		var p process
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		if f := strings.Fields(rest); len(f) > 1 {
			p.parent, _ = strconv.Atoi(f[1])
		}
		p.command = strings.ReplaceAll(string(command), "\x00", " ")
		found[pid] = p
	}
	return found
}

// parentGroup is the control group of a gateway that a process is in; empty:
// in none.
func parentGroup(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for line := range strings.Lines(string(b)) {
		if i := strings.Index(line, ":/gatehouse-"); i >= 0 {
			name, _, _ := strings.Cut(strings.TrimSpace(line[i+2:]), "/")
			return name
		}
	}
	return ""
}

// removeGroup removes a control group in every hierarchy, if it is empty.
func removeGroup(name string) {
	if name == "" {
		return
	}
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, _ := filepath.Glob(pattern + name)
		for _, root := range found {
			var dirs []string
			_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, p)
				}
				return nil
			})
			for _, d := range slices.Backward(dirs) {
				_ = syscall.Rmdir(d)
			}
		}
	}
}
