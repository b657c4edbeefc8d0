package hostmount

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// reserved are the places inside that are the driver's own.
var reserved = []string{"/proc", "/sys", "/dev"}

// leastSize is what a volume with a size has at least, in bytes.
const leastSize = 16 << 20

// Sized tells whether one of mounts is a volume with a size.
func Sized(mounts []runtime.Mount) bool {
	return slices.ContainsFunc(mounts, func(m runtime.Mount) bool { return m.Volume != "" && m.Size > 0 })
}

// Check returns every fault of mounts that shows without looking at the host:
// a source or volume that is missing or malformed, a target that is not
// allowed or named twice. Each error names its mount.
func Check(mounts []runtime.Mount) error {
	var errs []error
	seen := make(map[string]bool, len(mounts))
	for _, m := range mounts {
		if err := check(m); err != nil {
			errs = append(errs, fault(m, "%w", err))
			continue
		}
		if seen[m.Target] {
			errs = append(errs, fault(m, "another mount has the same target; give each its own"))
		}
		seen[m.Target] = true
	}
	return errors.Join(errs...)
}

func check(m runtime.Mount) error {
	switch {
	case m.Source == "" && m.Volume == "":
		return errors.New("it names neither a source nor a volume")
	case m.Source != "" && m.Volume != "":
		return errors.New("it names both a source and a volume; use two mounts")
	case m.Volume != "" && !volumeName(m.Volume):
		return errors.New("the name of a volume is 1 to 64 of a-z, 0-9, '.', '_' and '-', and does not begin with '.'")
	case m.Volume != "" && m.Force:
		return errors.New("a volume needs no force")
	case m.Size != 0 && m.Volume == "":
		return errors.New("the size is one of a volume, and this is none")
	case m.Size < 0:
		return fmt.Errorf("the size %d is negative; 0 is no bound", m.Size)
	case m.Size > 0 && m.Size < leastSize:
		return fmt.Errorf("the size %d is less than %d, which the file system of a volume needs", m.Size, leastSize)
	case m.Source != "" && !path.IsAbs(m.Source):
		return errors.New("the source is not absolute")
	case strings.ContainsRune(m.Source, 0):
		return errors.New("the source has a zero byte")
	}
	return checkTarget(m.Target)
}

func checkTarget(target string) error {
	switch {
	case target == "":
		return errors.New("it has no target")
	case strings.ContainsRune(target, 0):
		return errors.New("the target has a zero byte")
	case !path.IsAbs(target):
		return errors.New("the target is not absolute")
	case path.Clean(target) != target:
		return fmt.Errorf("the target is not clean; write %s", path.Clean(target))
	case target == "/":
		return errors.New("the target is the root; mount into a folder of its own")
	}
	for _, r := range reserved {
		if target == r || strings.HasPrefix(target, r+"/") {
			return fmt.Errorf("the target lies in %s, which is the runtime's own; choose another", r)
		}
	}
	return nil
}

func volumeName(s string) bool {
	if len(s) < 1 || len(s) > 64 || s[0] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// fault is an error that names its mount.
func fault(m runtime.Mount, format string, args ...any) error {
	from := m.Source
	if m.Volume != "" {
		from = "volume " + m.Volume
	}
	return fmt.Errorf("mount of %s at %s: %w", from, m.Target, fmt.Errorf(format, args...))
}
