package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/cgroup"
	"github.com/gatehouse-mcp/gatehouse/internal/owner"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// Runtime starts local commands in sandboxes. It implements
// [runtime.Runtime], [runtime.Describer], [runtime.Reaper] and [io.Closer],
// and is safe for concurrent use.
type Runtime struct {
	o        Options
	owner    *owner.Owner
	groups   *cgroup.Host
	name     string // of the group of all instances: gatehouse-HASH/OWNER
	filter   []byte
	landlock int // its version; 0: the kernel has none
	root     bool
	spawn    *spawner
	egress   *egress.Proxy

	unpacking chan struct{} // full while an image is unpacked

	mu        sync.Mutex
	closed    bool
	starting  sync.WaitGroup
	instances map[*instance]struct{}
}

var (
	_ runtime.Runtime   = (*Runtime)(nil)
	_ runtime.Describer = (*Runtime)(nil)
	_ runtime.Reaper    = (*Runtime)(nil)
	_ io.Closer         = (*Runtime)(nil)
)

// New returns a Runtime that keeps what it needs below the folder state. It
// fails, with an error that matches [runtime.ErrCannotEnforce] and names what
// is missing, where limits, namespaces or the filter of system calls cannot
// be had. o may be nil. The caller closes it.
func New(state string, o *Options) (_ *Runtime, err error) {
	r := &Runtime{instances: map[*instance]struct{}{}, unpacking: make(chan struct{}, 1)}
	if o != nil {
		r.o = *o
	}
	if r.root, err = privileged(); err != nil {
		return nil, err
	}
	if err := mountable(); err != nil {
		return nil, err
	}
	if r.filter, err = nativeFilter(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if r.groups, err = cgroup.Open(r.o.Cgroup); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	r.landlock = landlockVersion()
	if r.owner, err = owner.Hold(state); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer func() {
		if err != nil {
			r.owner.Release()
		}
	}()
	r.name = groupName(r.owner.State, r.owner.ID)
	if err := r.note(); err != nil {
		return nil, fmt.Errorf("sandbox: noting what to remove: %w", err)
	}
	if r.egress = r.o.Egress; r.egress == nil {
		if r.egress, err = egress.New(&egress.Options{Events: r.o.Events}); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	r.spawn = newSpawner(!r.root)
	return r, nil
}

// groupName is the control group of all instances of an owner.
func groupName(state, id string) string {
	sum := sha256.Sum256([]byte(state))
	return "gatehouse-" + hex.EncodeToString(sum[:6]) + "/" + id
}

// privileged tells whether this process can make namespaces itself; else it
// must be able to make user namespaces.
func privileged() (bool, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return false, fmt.Errorf("sandbox: reading the capabilities of this process: %w", err)
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_CHOWN
	if have[0].Effective&need == need {
		return true, nil
	}
	for name, forbids := range map[string]string{
		"/proc/sys/user/max_user_namespaces":                     "0",
		"/proc/sys/kernel/unprivileged_userns_clone":             "0",
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
	} {
		if b, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(b)) == forbids {
			return false, fmt.Errorf("sandbox: namespaces %w: this process is not root, and %s is %s, so that it cannot have a user namespace; run the gateway as root, or change that", runtime.ErrCannotEnforce, name, forbids)
		}
	}
	return false, nil
}

// mountable asks for the system calls that build a root.
func mountable() error {
	if err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}); err == unix.ENOSYS {
		return fmt.Errorf("sandbox: a root file system %w: it needs mount_setattr(2), which Linux has from 5.12 on and this system does not have or allow", runtime.ErrCannotEnforce)
	}
	return nil
}

// Description says, in one sentence for an operator, what confines the
// servers on this machine.
func (r *Runtime) Description() string {
	with := []string{"namespaces"}
	if !r.root {
		with = []string{"a user namespace (no root) and the other namespaces"}
	}
	with = append(with, r.groups.String(), "a filter of system calls (seccomp)")
	last := fmt.Sprintf("Landlock ABI %d", r.landlock)
	if r.landlock == 0 {
		last = "without Landlock, which this kernel does not have"
	} else {
		last = "and " + last
	}
	text := "sandbox: local commands confined by " + strings.Join(with, ", ") + " " + last
	if !initialised.Load() {
		text += "; it cannot start anything, since the program does not call sandbox.Init"
	}
	return text
}

// Close waits for the starts under way, ends all instances, removes what the Runtime has made and releases
// its state folder. It is idempotent and bounded in time.
func (r *Runtime) Close() error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	if !first {
		return nil
	}
	r.starting.Wait() // each is bounded, and refused from here on
	r.mu.Lock()
	var all []*instance
	for i := range r.instances {
		all = append(all, i)
	}
	r.mu.Unlock()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	errs := make([]error, len(all))
	var ending sync.WaitGroup
	for n, i := range all {
		ending.Go(func() { errs[n] = i.Stop(now) })
	}
	ending.Wait()
	r.spawn.close()
	if r.o.Egress == nil {
		errs = append(errs, r.egress.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeGrace)
	defer cancel()
	errs = append(errs, r.sweep(ctx, r.groups.Folders(r.name)), os.RemoveAll(r.run(r.owner.ID)))
	_ = os.Remove(filepath.Join(r.owner.State, runFolder)) // while nobody else has one
	r.owner.Release()
	return errors.Join(errs...)
}
