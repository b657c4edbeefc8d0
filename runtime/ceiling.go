package runtime

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ErrCeiling is matched by the error for a [Spec] that goes over its
// [Ceiling].
var ErrCeiling = errors.New("over the operator's ceiling")

// Ceiling is what an operator lets the Specs of others ask for. Going over it
// is an error, never a silent clamp. A zero field bounds nothing.
type Ceiling struct {
	// Limits are the most that a Spec may have of each.
	Limits Limits `json:"limits,omitzero"`

	// Mounts are the folders of the host below which the sources of mounts
	// may lie; nil: anywhere that is not sensitive. An empty list: nowhere.
	// With a list, local commands see their program without its folder.
	Mounts []string `json:"mounts,omitzero"`

	// ReadOnly refuses writable mounts of the host and a writable root;
	// named volumes stay allowed.
	ReadOnly bool `json:"readOnly,omitempty"`

	// Volume is the most bytes that a named volume may hold; a volume without
	// a size is over it.
	Volume int64 `json:"volume,omitempty"`

	// Network are the entries of network.allow that a Spec may have: equal
	// to one of them, or a name below one that begins with "*."; nil: any.
	// An empty list: none.
	Network []string `json:"network,omitzero"`

	// NoRoot refuses the user 0, and NoForce what a mount can force.
	NoRoot  bool `json:"noRoot,omitempty"`
	NoForce bool `json:"noForce,omitempty"`

	// Classes are the runtime classes that a Spec may name, "" being the
	// driver's default; nil: any.
	Classes []string `json:"classes,omitzero"`

	// Confined refuses Specs that say Unconfined.
	Confined bool `json:"confined,omitempty"`
}

// Check returns every way in which spec goes over the ceiling. The errors
// match [ErrCeiling].
func (c *Ceiling) Check(spec Spec) error {
	if c == nil {
		return nil
	}
	var errs []error
	over := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCeiling))
	}
	have, most := spec.Limits.OrDefault(), c.Limits
	if most.CPUs != 0 && !(have.CPUs > 0 && have.CPUs <= most.CPUs) {
		over("limits.cpus %g is more than %g, or no number of cores", have.CPUs, most.CPUs)
	}
	for _, l := range []struct {
		name       string
		have, most int64
	}{
		{"memory", have.Memory, most.Memory}, {"pids", have.PIDs, most.PIDs},
		{"tmp", have.Tmp, most.Tmp}, {"files", have.Files, most.Files},
	} {
		switch {
		case l.most == 0:
		case l.have > l.most:
			over("limits.%s %d is more than %d", l.name, l.have, l.most)
		case l.have < 0:
			over("limits.%s %d is negative", l.name, l.have)
		}
	}
	for _, m := range spec.Mounts {
		if m.Volume != "" {
			switch {
			case c.Volume == 0:
			case m.Size <= 0:
				over("mount of volume %s: without a size, of at most %d", m.Volume, c.Volume)
			case m.Size > c.Volume:
				over("mount of volume %s: the size %d is more than %d", m.Volume, m.Size, c.Volume)
			}
			continue
		}
		if c.Mounts != nil && !slices.ContainsFunc(c.Mounts, func(f string) bool { return within(m.Source, f) }) {
			over("mount of %s: only what lies below %s may be mounted", m.Source, list(c.Mounts))
		}
		if c.ReadOnly && m.Writable {
			over("mount of %s: writable", m.Source)
		}
		if c.NoForce && m.Force {
			over("mount of %s: force", m.Source)
		}
	}
	if c.ReadOnly && spec.WritableRoot {
		over("writableRoot")
	}
	for _, entry := range spec.Network.Allow {
		if c.Network != nil && !slices.ContainsFunc(c.Network, func(most string) bool { return covers(most, entry) }) {
			over("network.allow %s: only %s may be allowed", entry, list(c.Network))
		}
	}
	if c.NoRoot && isRoot(spec.User) {
		over("user %s", spec.User)
	}
	if c.Classes != nil && !slices.Contains(c.Classes, spec.Class) {
		over("class %q: only %s may be named", spec.Class, list(c.Classes))
	}
	if c.Confined && spec.Unconfined {
		over("unconfined")
	}
	return errors.Join(errs...)
}

// Within returns rt behind a ceiling: Start refuses every Spec that goes over
// it.
func Within(rt Runtime, c Ceiling) Runtime { return &bounded{Runtime: rt, c: c} }

type bounded struct {
	Runtime
	c Ceiling
}

func (b *bounded) Start(ctx context.Context, spec Spec) (Instance, error) {
	if err := b.c.Check(spec); err != nil {
		return nil, err
	}
	if b.c.Mounts != nil { // the folder of a program is one of the host's too
		spec.ProgramAlone = true
	}
	return b.Runtime.Start(ctx, spec)
}

// Check implements [Checker].
func (b *bounded) Check(spec Spec) error {
	if err := b.c.Check(spec); err != nil {
		return err
	}
	if c, ok := b.Runtime.(Checker); ok {
		return c.Check(spec)
	}
	return nil
}

// Chosen implements [Chooser].
func (b *bounded) Chosen() string {
	if c, ok := b.Runtime.(Chooser); ok {
		return c.Chosen()
	}
	return ""
}

// Definition is equal for two of the same runtime behind the same ceiling.
func (b *bounded) Definition() string { return fmt.Sprintf("%p within %#v", b.Runtime, b.c) }

// Description implements [Describer].
func (b *bounded) Description() string { return Describe(b.Runtime) }

// Reap implements [Reaper].
func (b *bounded) Reap(ctx context.Context) ([]string, error) {
	if r, ok := b.Runtime.(Reaper); ok {
		return r.Reap(ctx)
	}
	return nil, nil
}

// Close implements [io.Closer].
func (b *bounded) Close() error {
	if c, ok := b.Runtime.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// within reports whether a path is folder or lies below it, by the letters
// alone: who opens it sees to symbolic links.
func within(p, folder string) bool {
	p, folder = path.Clean(p), path.Clean(folder)
	return p == folder || folder == "/" || strings.HasPrefix(p, folder+"/")
}

// covers reports whether entry allows nothing that most does not.
func covers(most, entry string) bool {
	if strings.EqualFold(most, entry) {
		return true
	}
	mh, mp, ok1 := cutPort(most)
	eh, ep, ok2 := cutPort(entry)
	if !ok1 || !ok2 || mp != ep {
		return false
	}
	suffix, ok := strings.CutPrefix(strings.ToLower(mh), "*")
	return ok && suffix != "" && strings.HasSuffix(strings.ToLower(eh), suffix)
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func isRoot(user string) bool {
	uid, gid, _ := strings.Cut(user, ":")
	zero := func(s string) bool { return s != "" && strings.Trim(s, "0") == "" }
	return zero(uid) || zero(gid)
}

func list(s []string) string {
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}
