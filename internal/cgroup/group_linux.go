package cgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Group is a group of processes under limits. It is safe for concurrent use.
type Group struct {
	h    *Host
	name string
}

// races bounds how often a folder is made again whose parent somebody has
// removed meanwhile.
const races = 8

// Create makes a group that does not exist yet. Name is a path of one or more
// elements; those before the last may exist.
func (h *Host) Create(name string, l Limits) (_ *Group, err error) {
	g := &Group{h: h, name: name}
	defer func() {
		if err != nil {
			_ = g.rmdir()
			err = fmt.Errorf("making the control group %s: %w", name, err)
		}
	}()
	for _, dir := range h.Folders(name) {
		if err := h.mkdir(dir, strings.Count(name, "/")); err != nil {
			return nil, err
		}
	}
	if h.v2 {
		return g, g.limitV2(l)
	}
	return g, g.limitV1(l)
}

// mkdir makes a folder and its parents, as many as are ours.
func (h *Host) mkdir(dir string, parents int) error {
	for n := 0; ; n++ {
		up := dir
		var ours []string
		for range parents {
			up = filepath.Dir(up)
			ours = append([]string{up}, ours...)
		}
		err := error(nil)
		for _, p := range ours {
			if err = os.Mkdir(p, 0o755); errors.Is(err, fs.ErrExist) {
				err = nil
			}
			if err == nil && h.v2 {
				err = enable(p)
			}
			if err != nil {
				break
			}
		}
		if err == nil {
			err = os.Mkdir(dir, 0o755)
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) || n == races {
			return err
		}
	}
}

func (g *Group) limitV1(l Limits) error {
	memory := strconv.FormatInt(l.Memory, 10)
	if err := g.write("memory", "memory.limit_in_bytes", memory); err != nil {
		return err
	}
	if err := g.write("memory", "memory.memsw.limit_in_bytes", memory); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !g.h.noSwapLimit {
			return fmt.Errorf("memory without swap %w: this kernel does not account for swap", runtime.ErrCannotEnforce)
		}
	}
	if err := g.write("pids", "pids.max", strconv.FormatInt(l.PIDs, 10)); err != nil {
		return err
	}
	if err := g.write("cpu", "cpu.cfs_period_us", strconv.Itoa(period)); err != nil {
		return err
	}
	return g.write("cpu", "cpu.cfs_quota_us", strconv.FormatInt(quota(l.CPUs), 10))
}

func (g *Group) limitV2(l Limits) error {
	if err := g.write("memory", "memory.max", strconv.FormatInt(l.Memory, 10)); err != nil {
		return err
	}
	if err := g.write("memory", "memory.swap.max", "0"); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !g.h.noSwapLimit {
			return fmt.Errorf("memory without swap %w: this kernel does not account for swap", runtime.ErrCannotEnforce)
		}
	}
	// Who goes over the limit ends as a whole.
	if err := g.write("memory", "memory.oom.group", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := g.write("pids", "pids.max", strconv.FormatInt(l.PIDs, 10)); err != nil {
		return err
	}
	return g.write("cpu", "cpu.max", fmt.Sprintf("%d %d", quota(l.CPUs), period))
}

// write writes to a file of the group, which the kernel has made.
func (g *Group) write(controller, file, value string) error {
	f, err := os.OpenFile(g.file(controller, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func (g *Group) file(controller, file string) string {
	return filepath.Join(g.h.base[controller], g.name, file)
}

// Add moves a process into the group, with all its threads.
func (g *Group) Add(pid int) error {
	for _, dir := range g.h.Folders(g.name) {
		f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(strconv.Itoa(pid))
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("moving process %d into its control group: %w", pid, err)
		}
	}
	return nil
}

// Usage tells what the group uses now.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	var cached int64
	var errs [4]error
	u.PIDs, errs[0] = g.number("pids", "pids.current", "")
	if g.h.v2 {
		var µs int64
		µs, errs[1] = g.number("cpu", "cpu.stat", "usage_usec")
		u.CPU = time.Duration(µs) * time.Microsecond
		u.Memory, errs[2] = g.number("memory", "memory.current", "")
		cached, errs[3] = g.number("memory", "memory.stat", "inactive_file")
	} else {
		if g.h.base["cpuacct"] != "" {
			var ns int64
			ns, errs[1] = g.number("cpuacct", "cpuacct.usage", "")
			u.CPU = time.Duration(ns)
		}
		u.Memory, errs[2] = g.number("memory", "memory.usage_in_bytes", "")
		cached, errs[3] = g.number("memory", "memory.stat", "total_inactive_file")
	}
	u.Memory = max(u.Memory-cached, 0)
	return u, errors.Join(errs[:]...)
}

// OOMKills tells how many processes of the group were killed since it had no
// memory left.
func (g *Group) OOMKills() (int64, error) {
	if g.h.v2 {
		return g.number("memory", "memory.events", "oom_kill")
	}
	return g.number("memory", "memory.oom_control", "oom_kill")
}

// number reads a file that is a number, or has a line of key and number.
func (g *Group) number(controller, file, key string) (int64, error) {
	name := g.file(controller, file)
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		switch {
		case key == "" && len(fields) == 1:
			return strconv.ParseInt(fields[0], 10, 64)
		case key != "" && len(fields) == 2 && fields[0] == key:
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no number %q", name, key)
}

// Processes lists who is in the group.
func (g *Group) Processes() ([]int, error) { return processes(g.file("pids", "")) }

func processes(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, f := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	return all, nil
}

// Remove removes the group, once nobody is in it any more, for which it waits
// as long as ctx allows. It is no error that the group is gone.
func (g *Group) Remove(ctx context.Context) error {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := g.rmdir()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (g *Group) rmdir() error {
	var errs []error
	for _, dir := range g.h.Folders(g.name) {
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
			errs = append(errs, &fs.PathError{Op: "rmdir", Path: dir, Err: err})
		}
	}
	return errors.Join(errs...)
}
