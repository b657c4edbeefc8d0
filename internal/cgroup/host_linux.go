package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// controllers are those that hold the limits.
var controllers = []string{"memory", "pids", "cpu"}

// Host is where groups are made. It is safe for concurrent use.
type Host struct {
	v2   bool
	base map[string]string // controller to folder; of version 2 all the same

	noSwapLimit bool // the machine has no swap, and no limit of it
}

// Open finds the groups of this process, below which others are made. Under,
// when it is not empty, is the path of another group, such as one that an
// administrator has delegated, relative to the root of each hierarchy.
//
// In version 2 a group that has processes cannot have limited groups below
// it. There the next group upwards that can is taken.
func Open(under string) (*Host, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return find(mounts(info), own(self), under, bytes.Count(swaps, []byte("\n")) > 1)
}

func find(all []mount, groups map[string]string, under string, swap bool) (*Host, error) {
	h := &Host{base: map[string]string{}}
	for _, c := range append(slices.Clone(controllers), "cpuacct") {
		i := slices.IndexFunc(all, func(m mount) bool { return m.has(c) })
		if i < 0 {
			continue
		}
		group, ok := groups[c]
		if under != "" {
			group, ok = path.Join("/", under), true
			if all[i].root != "/" {
				group = path.Join(all[i].root, under)
			}
		}
		dir, shown := all[i].folder(group)
		if !ok || !shown {
			return nil, fmt.Errorf("limits %w: the control group of this process does not show below %s", runtime.ErrCannotEnforce, all[i].point)
		}
		h.base[c] = dir
	}
	missing := slices.DeleteFunc(slices.Clone(controllers), func(c string) bool { return h.base[c] != "" })
	switch len(missing) {
	case 0:
		return h, h.checkV1(swap)
	case len(controllers):
		return findV2(all, groups[""], under, swap)
	}
	return nil, fmt.Errorf("limits %w: the control group controllers %s are not mounted beside the others of version 1", runtime.ErrCannotEnforce, strings.Join(missing, ", "))
}

func (h *Host) checkV1(swap bool) error {
	for _, c := range controllers {
		if err := writable(h.base[c]); err != nil {
			return fmt.Errorf("limits %w: the control group %s is not writable for this user (%w); an administrator can delegate one", runtime.ErrCannotEnforce, h.base[c], err)
		}
	}
	// The root group has no such file, so that one cannot look before.
	if !swap {
		h.noSwapLimit = true
	}
	return nil
}

func findV2(all []mount, group, under string, swap bool) (*Host, error) {
	i := slices.IndexFunc(all, func(m mount) bool { return m.v2 })
	if i < 0 {
		return nil, fmt.Errorf("limits %w: no control groups are mounted on this machine", runtime.ErrCannotEnforce)
	}
	if under != "" {
		group = path.Join(all[i].root, under)
	}
	dir, ok := all[i].folder(group)
	if !ok {
		return nil, fmt.Errorf("limits %w: the control group of this process does not show below %s", runtime.ErrCannotEnforce, all[i].point)
	}
	var first error
	for at := dir; ; at = path.Dir(at) {
		err := enable(at)
		if err == nil {
			err = writable(at)
		}
		if err == nil {
			h := &Host{v2: true, noSwapLimit: !swap, base: map[string]string{}}
			for _, c := range controllers {
				h.base[c] = at
			}
			return h, nil
		}
		if first == nil {
			first = err
		}
		if under != "" || at == all[i].point || len(at) <= 1 {
			break
		}
	}
	return nil, fmt.Errorf("limits %w: no control group from %s upwards can have limited groups below it (%w); delegate one with the controllers memory, pids and cpu, or name one that has no processes", runtime.ErrCannotEnforce, dir, first)
}

// enable gives the groups below dir their controllers.
func enable(dir string) error {
	name := filepath.Join(dir, "cgroup.subtree_control")
	have, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for _, c := range controllers {
		if slices.Contains(strings.Fields(string(have)), c) {
			continue
		}
		if err := os.WriteFile(name, []byte("+"+c), 0); err != nil {
			return err
		}
	}
	return nil
}

func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// String says which version it is, such as "cgroup v1".
func (h *Host) String() string {
	if h.v2 {
		return "cgroup v2"
	}
	return "cgroup v1"
}

// Folders lists the folders in which a group of a name is or would be, each
// once.
func (h *Host) Folders(name string) []string {
	var all []string
	for _, base := range h.base {
		all = append(all, filepath.Join(base, name))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
