package containerd

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// leastPIDs is the limit of processes that a kernel in user space needs for
// its own threads.
const leastPIDs = 128

// check refuses what cannot be held and what makes no sense, all faults at
// once. It touches nothing.
func (r *Runtime) check(spec runtime.Spec) (reference, Class, error) {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("containerd: "+format, args...)) }
	if spec.Unconfined {
		fault("unconfined %w: it asks for a plain process; use the process driver", runtime.ErrCannotEnforce)
	}
	var ref reference
	if spec.Image == "" {
		fault("a command of this machine %w: there is no image; use the sandbox", runtime.ErrCannotEnforce)
	} else {
		var err error
		if ref, err = parseReference(spec.Image); err != nil {
			errs = append(errs, fmt.Errorf("containerd: %w", err))
		}
	}
	class, err := r.class(spec.Class)
	if err != nil {
		errs = append(errs, err)
	}
	l := spec.Limits
	switch {
	case l.CPUs < 0 || math.IsNaN(l.CPUs) || math.IsInf(l.CPUs, 0):
		fault("limits.cpus is %g; 0 is the default", l.CPUs)
	case l.Memory < 0 || l.PIDs < 0 || l.Tmp < 0 || l.Files < 0:
		fault("a limit is negative; 0 is the default")
	case class.UserKernel && l.OrDefault().PIDs < leastPIDs:
		fault("limits.pids %d in class %q %w: its kernel counts against it; give %d or more", l.PIDs, spec.Class, runtime.ErrCannotEnforce, leastPIDs)
	}
	if _, _, err := parseUser(spec.User); spec.User != "" && err != nil {
		fault("user %q: %w", spec.User, err)
	}
	if spec.Dir != "" && !path.IsAbs(spec.Dir) {
		fault("dir %q is not absolute", spec.Dir)
	}
	if spec.Port < 0 || spec.Port > 65535 {
		fault("port %d does not exist", spec.Port)
	}
	if spec.Port == 0 && spec.Path != "" {
		fault("path %q is given without a port", spec.Path)
	}
	if spec.Path != "" && !path.IsAbs(spec.Path) {
		fault("path %q does not begin with /", spec.Path)
	}
	if spec.MaxLine < 0 {
		fault("maxLine is negative")
	}
	if err := hostmount.Check(spec.Mounts); err != nil {
		errs = append(errs, err)
	}
	if hostmount.Sized(spec.Mounts) {
		if err := volume.Able(); err != nil {
			fault("%w", err)
		}
	}
	if err := inject.Check(spec); err != nil {
		errs = append(errs, fmt.Errorf("containerd: %w", err))
	}
	for _, u := range spec.Secrets {
		if u.File != "" && class.UserKernel {
			fault("the file of secret %s in class %q %w: nobody else can write to the memory of its kernel; name an env for it", u.Name, spec.Class, runtime.ErrCannotEnforce)
		}
	}
	if _, err := egress.ParseRules(spec.Network.Allow); err != nil {
		fault("network.allow: %w", err)
	}
	for _, a := range append(append([]string(nil), spec.Command...), spec.Args...) {
		if strings.ContainsRune(a, 0) {
			fault("an argument has a zero byte")
		}
	}
	for name, v := range spec.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			fault("%q is no name of an environment variable", name)
		case len(v.Refs()) > 0:
			fault("environment variable %s is not resolved", name)
		case strings.ContainsRune(v.Reveal(), 0):
			fault("environment variable %s has a zero byte", name)
		}
	}
	return ref, class, errors.Join(errs...)
}

// class finds a runtime class.
func (r *Runtime) class(name string) (Class, error) {
	if must := r.o.RequireClass; must != "" && name != must {
		if name != "" {
			return Class{}, fmt.Errorf("containerd: class %q: the operator requires %q", name, must)
		}
		name = must
	}
	class, ok := r.o.Classes[name]
	if !ok {
		return Class{}, fmt.Errorf("containerd: class %q %w: it is not configured", name, runtime.ErrCannotEnforce)
	}
	return class, nil
}

// parseUser reads "uid" or "uid:gid". Without a gid it is the uid.
func parseUser(s string) (uid, gid uint32, err error) {
	u, g, ok := strings.Cut(s, ":")
	if !ok {
		g = u
	}
	for _, p := range []struct {
		text string
		to   *uint32
	}{{u, &uid}, {g, &gid}} {
		n, err := strconv.ParseUint(p.text, 10, 31) // runc takes no more
		if err != nil {
			return 0, 0, errors.New("a user is a uid or uid:gid, as numbers below 2^31")
		}
		*p.to = uint32(n)
	}
	return uid, gid, nil
}
