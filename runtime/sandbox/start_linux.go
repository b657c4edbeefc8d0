package sandbox

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/cgroup"
	"github.com/gatehouse-mcp/gatehouse/internal/coredump"
	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// initThreads are what process 1 needs of a group's processes beside those of
// the server.
const initThreads = 12

// errForgotten is what a program without Init is told.
var errForgotten = errors.New("the sandbox starts copies of this program, which must know what they are: call sandbox.Init first thing in main (and in TestMain)")

// Start implements [runtime.Runtime].
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Instance, error) {
	if err := r.check(spec); err != nil {
		return nil, err
	}
	if !initialised.Load() {
		return nil, errForgotten
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errors.New("sandbox: the runtime is closed")
	}
	r.starting.Add(1)
	r.mu.Unlock()
	defer r.starting.Done()
	i, err := r.start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", cmp.Or(spec.Image, strings.Join(spec.Command[:min(len(spec.Command), 1)], "")), err)
	}
	return i, nil
}

func (r *Runtime) start(ctx context.Context, spec runtime.Spec) (_ *instance, err error) {
	o, held, err := r.order(ctx, spec)
	defer func() {
		closeAll(held) // until then nothing else has the same identity
		if err != nil && o != nil && o.image != nil {
			_ = o.image.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	// What was unpacked is there; the rest is bounded.
	ctx, cancel := context.WithTimeout(ctx, runtime.DefaultStart)
	defer cancel()
	l := spec.Limits.OrDefault()
	id := make([]byte, 8)
	_, _ = rand.Read(id) // it never fails
	group, err := r.groups.Create(path.Join(r.name, hex.EncodeToString(id)), cgroup.Limits{
		Memory: l.Memory, PIDs: l.PIDs + initThreads, CPUs: l.CPUs,
	})
	if err != nil {
		return nil, err
	}
	i := &instance{r: r, group: group, spec: spec, image: o.image, set: o.set, exit: make(chan runtime.Exit, 1), ended: make(chan struct{})}
	if err := i.start(ctx, o); err != nil {
		i.discard()
		return nil, err
	}
	return i, nil
}

// order plans what process 1 does. The files are what must stay open until it
// has done so.
func (r *Runtime) order(ctx context.Context, spec runtime.Spec) (o *order, held []*os.File, err error) {
	o = &order{
		Root: r.root, Files: uint64(spec.Limits.OrDefault().Files), Filter: r.filter, Landlock: r.landlock > 0,
		Core: coredump.Off(), given: map[string]bool{}, env: map[string]string{"PATH": DefaultPath, "HOME": "/tmp"},
	}
	var img *image
	if spec.Image == "" {
		o.UID, o.GID, err = user(spec)
	} else if img, err = r.image(ctx, spec.Image); err == nil {
		o.image = img.held
		if o.UID, o.GID, err = img.user(spec); err == nil && !r.root {
			spec.User = "" // there is but one
			o.UID, o.GID, err = user(spec)
		}
		for _, v := range img.config.Env {
			if name, value, ok := strings.Cut(v, "="); ok && name != "" {
				o.env[name] = value
			}
		}
	}
	if err != nil {
		return o, nil, err
	}
	if o.set, err = inject.New(ctx, spec, r.o.Events.Injection); err != nil {
		return o, nil, err
	}
	for name, v := range spec.Env {
		o.env[name], o.given[name] = v.Reveal(), true
	}
	for name, v := range o.set.Env() {
		o.env[name], o.given[name] = v, true
	}
	mounts, held, err := r.mounts(ctx, spec, o.UID, o.GID)
	if err != nil {
		return o, held, err
	}
	for _, m := range mounts {
		if m.writable {
			o.Writable = append(o.Writable, m.target)
		}
	}
	o.Writable = append(o.Writable, "/tmp", "/dev/shm")
	if img != nil {
		err = o.planImage(spec, img, mounts)
	} else {
		err = o.planHost(spec, mounts, r.owner.State)
	}
	if err == nil {
		err = o.planSecrets(img)
	}
	o.trusts = func(authority []byte) error { return o.trust(authority, img, mounts) }
	return o, held, err
}

// mounts opens what the Spec mounts.
func (r *Runtime) mounts(ctx context.Context, spec runtime.Spec, uid, gid int) (mounts []shown, held []*os.File, err error) {
	for _, m := range spec.Mounts {
		var f *os.File
		source, device := m.Source, ""
		if m.Volume != "" {
			f, source, device, err = r.volume(ctx, spec, m, uid, gid)
			m.Writable = true
		} else if f, err = hostmount.Open(m); err == nil && !m.Force && overlaps(path.Clean(m.Source), r.owner.State) {
			held = append(held, f)
			err = fmt.Errorf("mount of %s at %s: it shows the state folder of the gateway, %s; force: true allows it", m.Source, m.Target, r.owner.State)
		}
		if err != nil {
			return nil, held, err
		}
		held = append(held, f)
		info, err := f.Stat()
		if err != nil {
			return nil, held, err
		}
		s := shown{target: m.Target, source: path.Clean(source), file: !info.IsDir(), writable: m.Writable, device: device}
		if s.dev, s.inode, err = identity(f); err != nil {
			return nil, held, err
		}
		mounts = append(mounts, s)
	}
	return mounts, held, nil
}

// overlaps tells whether one of two folders lies in the other.
func overlaps(a, b string) bool { return below(a, b) || below(b, a) }

// planHost plans the root of a local command.
func (o *order) planHost(spec runtime.Spec, mounts []shown, state string) error {
	h := host{private: state, alone: spec.ProgramAlone}
	o.Argv = slices.Concat(spec.Command, spec.Args)
	exec, more, err := h.program(o.Argv[0], spec.Dir, o.env["PATH"], mounts)
	if err != nil {
		return err
	}
	o.Path, o.Dir = exec, cmp.Or(spec.Dir, "/tmp")
	o.Steps, err = h.plan(slices.Concat(mounts, more), o.UID, o.GID, spec.Limits.OrDefault().Tmp)
	return err
}

// plan is everything that makes the root of a local command.
func (h host) plan(all []shown, uid, gid int, tmp int64) ([]step, error) {
	steps, err := h.system()
	if err != nil {
		return nil, err
	}
	steps = append(append(steps, files(uid, gid)...), kernel(tmp)...)
	binds, err := h.binds(all)
	return append(steps, binds...), err
}

// planImage plans the root of an image.
func (o *order) planImage(spec runtime.Spec, img *image, mounts []shown) (err error) {
	if o.Argv, err = img.arguments(spec); err != nil {
		return err
	}
	o.Dir = path.Join("/", cmp.Or(spec.Dir, img.config.WorkingDir))
	if o.Path, err = img.program(o.Argv[0], o.Dir, o.env["PATH"], mounts); err != nil {
		return err
	}
	top, links, err := img.shown()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(o.set.Files(), func(f inject.File) bool { return below(f.Path, "/run") }) {
		// What is there while the system runs is none of an image's.
		top = slices.DeleteFunc(top, func(s shown) bool { return s.target == "/run" })
	}
	h := host{image: true}
	binds, err := h.binds(slices.Concat(top, mounts))
	if err != nil {
		return err
	}
	o.Steps = append(links, kernel(spec.Limits.OrDefault().Tmp)...)
	own := files(o.UID, o.GID)
	if !slices.ContainsFunc(top, func(s shown) bool { return s.target == "/etc" }) {
		o.Steps = append(append(o.Steps, own...), binds...)
		return nil
	}
	// The image's own /etc comes before what is mounted over its files.
	o.Steps = append(o.Steps, binds...)
	for _, s := range own {
		covered := slices.ContainsFunc(mounts, func(m shown) bool { return below(s.Target, m.target) })
		if slices.Contains(made, s.Target) && !covered {
			s.Kind = cover
			o.Steps = append(o.Steps, s)
		}
	}
	return nil
}

// variables makes the form in which the system wants it, in a fixed order.
func variables(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, v := range env {
		out = append(out, name+"="+v)
	}
	slices.Sort(out)
	return out
}

// pipes are what connects an instance with its process 1 and its server.
type pipes struct {
	ours, theirs []*os.File
	err          error
}

// in is a pipe of which we have the end to write, out one to read.
func (p *pipes) in() *os.File  { return p.make(true) }
func (p *pipes) out() *os.File { return p.make(false) }

func (p *pipes) make(weWrite bool) *os.File {
	if p.err != nil {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		p.err = err
		return nil
	}
	if weWrite {
		r, w = w, r
	}
	p.ours, p.theirs = append(p.ours, r), append(p.theirs, w)
	return r
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// start starts process 1 and has it start the server.
func (i *instance) start(ctx context.Context, o *order) (err error) {
	var p pipes
	stdin, stdout, stderr, tell, hear := p.in(), p.out(), p.out(), p.in(), p.out()
	if p.err != nil {
		closeAll(append(p.ours, p.theirs...))
		return p.err
	}
	process, err := i.r.spawn.start(p.theirs, o.UID, o.GID)
	closeAll(p.theirs)
	if err != nil {
		closeAll(p.ours)
		if !i.r.root {
			return fmt.Errorf("a user namespace %w: %w", runtime.ErrCannotEnforce, err)
		}
		return fmt.Errorf("a copy of this program: %w", err)
	}
	i.process, i.stdin, i.tell, i.hear = process, stdin, tell, hear
	i.reports = json.NewDecoder(bufio.NewReader(hear))
	if err := i.handshake(ctx, o); err != nil {
		_ = process.Kill()
		_, _ = process.Wait()
		closeAll(p.ours)
		return err
	}
	return i.connect(ctx, stdout, stderr)
}

// handshake puts process 1 under its limits and gives it the order.
func (i *instance) handshake(ctx context.Context, o *order) error {
	unhook := context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		_ = i.tell.SetWriteDeadline(past)
		_ = i.hear.SetReadDeadline(past)
	})
	err := i.instruct(ctx, o)
	if !unhook() {
		return ctx.Err()
	}
	return err
}

func (i *instance) instruct(ctx context.Context, o *order) error {
	if err := i.group.Add(i.process.Pid); err != nil {
		return err
	}
	var ready report
	if err := i.reports.Decode(&ready); err != nil {
		return fmt.Errorf("process 1 of the sandbox did not answer: %w; %w", err, errForgotten)
	}
	if !ready.Ready {
		return errors.New(ready.Error)
	}
	if err := i.attach(ctx, o); err != nil {
		return err
	}
	o.Env = variables(o.env)
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := i.tell.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("telling process 1 of the sandbox what to start: %w", err)
	}
	var started report
	switch err := i.reports.Decode(&started); {
	case err != nil:
		return fmt.Errorf("process 1 of the sandbox ended while it built the sandbox: %w", err)
	case !started.Started:
		return errors.New(started.Error)
	}
	return nil
}
