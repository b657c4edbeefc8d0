package sandbox

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// The least that a server can be given, in bytes and numbers.
const (
	leastMemory = 16 << 20
	leastPIDs   = 4
	leastTmp    = 4 << 10
	leastFiles  = 16
)

// check refuses what the sandbox cannot hold, all faults at once.
func (r *Runtime) check(spec runtime.Spec) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sandbox: "+format, args...)) }
	refuse := func(what, advice string) { wrong("%s %w: %s", what, runtime.ErrCannotEnforce, advice) }
	if spec.Unconfined {
		refuse("unconfined", "everything is confined here; use the driver of plain processes")
	}
	if spec.Image != "" {
		if _, err := parsePlace(spec.Image); err != nil {
			errs = append(errs, err)
		}
	}
	if spec.Class != "" {
		refuse("class "+spec.Class, "there is but one; use a runtime for containers")
	}
	if spec.WritableRoot {
		refuse("writableRoot", "the root is the host's; use a volume, or a writable mount")
	}
	if _, err := egress.ParseRules(spec.Network.Allow); err != nil {
		wrong("network.allow: %w", err)
	}
	if !r.root {
		if len(spec.Network.Allow) > 0 {
			refuse("network.allow", "without root nobody can enter the server's network; run the gateway as root, or use a runtime for containers")
		}
		if spec.Port != 0 {
			refuse("port", "without root nobody can enter the server's network; let it speak on its standard input and output")
		}
		if spec.User != "" {
			refuse("user "+spec.User, "without root a server runs as the gateway's user; leave the user out")
		}
	}
	if len(spec.Command) == 0 && spec.Image == "" || len(spec.Command) > 0 && spec.Command[0] == "" {
		wrong("the command is empty")
	}
	if spec.MaxLine < 0 {
		wrong("maxLine is negative")
	}
	if spec.Port < 0 || spec.Port > math.MaxUint16 {
		wrong("port %d is none", spec.Port)
	}
	if spec.Path != "" && !strings.HasPrefix(spec.Path, "/") {
		wrong("path %q does not begin with a slash", spec.Path)
	}
	if spec.Dir != "" && (!path.IsAbs(spec.Dir) || strings.ContainsRune(spec.Dir, 0)) {
		wrong("dir %q is not absolute: it is a place inside", spec.Dir)
	}
	if err := hostmount.Check(spec.Mounts); err != nil {
		errs = append(errs, err)
	}
	if hostmount.Sized(spec.Mounts) {
		if !r.root {
			refuse("the size of a volume", "without root nobody can mount its file system; run the gateway as root, or leave the size out")
		} else if err := volume.Able(); err != nil {
			wrong("%w", err)
		}
	}
	if err := inject.Check(spec); err != nil {
		errs = append(errs, fmt.Errorf("sandbox: %w", err))
	}
	if _, _, err := user(spec); err != nil {
		errs = append(errs, err)
	}
	for _, arg := range append(append([]string(nil), spec.Command...), spec.Args...) {
		if strings.ContainsRune(arg, 0) {
			wrong("an argument of the command has a zero byte")
			break
		}
	}
	for name, v := range spec.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			wrong("%q is no name of an environment variable", name)
		case len(v.Refs()) > 0:
			wrong("environment variable %s is not resolved", name)
		case strings.ContainsRune(v.Reveal(), 0):
			wrong("environment variable %s has a zero byte", name)
		}
	}
	return errors.Join(append(errs, checkLimits(spec.Limits)...)...)
}

func checkLimits(given runtime.Limits) (errs []error) {
	l := given.OrDefault()
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sandbox: "+format, args...)) }
	if !(l.CPUs >= 0.01 && l.CPUs <= 1e6) {
		wrong("limits.cpus %g is less than 0.01, or no number of cores", l.CPUs)
	}
	for _, f := range []struct {
		name        string
		have, least int64
	}{{"memory", l.Memory, leastMemory}, {"pids", l.PIDs, leastPIDs}, {"tmp", l.Tmp, leastTmp}, {"files", l.Files, leastFiles}} {
		if f.have < f.least {
			wrong("limits.%s %d is less than %d, with which hardly anything runs", f.name, f.have, f.least)
		}
	}
	var most unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &most); err == nil && l.Files > 0 && uint64(l.Files) > most.Max {
		wrong("limits.files %d is more than %d, which the gateway itself may have", l.Files, most.Max)
	}
	return errs
}

// Check implements [runtime.Checker].
func (r *Runtime) Check(spec runtime.Spec) error { return r.check(spec) }
