package containerd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/owner"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
)

// payEvery is how often containerd is looked for when something is to be
// removed from it.
const payEvery = 500 * time.Millisecond

// absent has what is not there count as removed.
func absent(err error) error {
	if err = typed(err); errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// remove removes a container that has ended.
func (r *Runtime) remove(ctx context.Context, id string) error {
	ctx = r.within(ctx)
	_, err := r.client.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	if err = absent(err); err != nil {
		return fmt.Errorf("removing the processes of container %s: %w", id, r.native(err))
	}
	if err := absent(r.client.ContainerService().Delete(ctx, id)); err != nil {
		return fmt.Errorf("removing container %s: %w", id, r.native(err))
	}
	if err := absent(r.client.SnapshotService(r.snapshotter).Remove(ctx, id)); err != nil {
		return fmt.Errorf("removing the snapshot of container %s: %w", id, r.native(err))
	}
	return nil
}

// discard removes a container in whatever state it is.
func (r *Runtime) discard(ctx context.Context, id string) error {
	nctx := r.within(ctx)
	service := r.client.TaskService()
	if _, err := r.ready(ctx); err != nil {
		return err
	}
	// To delete it while it runs would take the runtime much longer.
	_, err := service.Kill(nctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(unix.SIGKILL), All: true})
	if !errdefs.IsNotFound(typed(err)) {
		wait, cancel := context.WithTimeout(nctx, killGrace)
		_, _ = service.Wait(wait, &tasks.WaitRequest{ContainerID: id})
		cancel()
	}
	err = r.remove(ctx, id)
	r.removeSocket(id)
	return err
}

// removeSocket removes the socket of a shim that was killed. Its path follows
// from the container, or from the name of a group, so that it is nobody
// else's. It reports whether there is none any more.
func (r *Runtime) removeSocket(name string) bool {
	sum := sha256.Sum256([]byte(filepath.Join(r.o.Address, r.o.Namespace, name)))
	path := filepath.Join(r.o.SocketDir, fmt.Sprintf("%x", sum))
	if _, err := os.Lstat(path); err != nil {
		return true
	}
	c, err := net.DialTimeout("unix", path, callGrace)
	if err == nil {
		_ = c.Close()
		return false
	}
	return errors.Is(err, unix.ECONNREFUSED) && os.Remove(path) == nil
}

// removeSharedSocket waits for a shared shim, of which no container is left,
// to end: it leaves its socket behind.
func (r *Runtime) removeSharedSocket(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, callGrace)
	defer cancel()
	for !r.removeSocket(name) && sleep(ctx, retryEvery/5) {
	}
}

// owe notes a container that could not be removed, and has it removed when
// containerd is back.
func (r *Runtime) owe(id string, why error) {
	r.warn("a container could not be removed; that is tried again", slog.String("container", id), slog.Any("error", why))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.debts[id] = struct{}{}
	if r.paying || r.ctx.Err() != nil {
		return
	}
	r.paying = true
	r.work.Go(func() {
		for sleep(r.ctx, payEvery) {
			ctx, cancel := context.WithTimeout(r.ctx, removeGrace)
			err := r.settle(ctx)
			cancel()
			r.mu.Lock()
			if done := len(r.debts) == 0; err == nil && done {
				r.paying = false
				r.mu.Unlock()
				return
			}
			r.mu.Unlock()
		}
	})
}

// settle removes what could not be removed before.
func (r *Runtime) settle(ctx context.Context) error {
	r.mu.Lock()
	var ids []string
	for id := range r.debts {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	for _, id := range ids {
		if err := r.discard(ctx, id); err != nil {
			return fmt.Errorf("%d containers are left behind: %w", len(ids), err)
		}
		r.mu.Lock()
		delete(r.debts, id)
		r.mu.Unlock()
	}
	return nil
}

func (r *Runtime) warn(msg string, attrs ...slog.Attr) {
	if r.o.Logger != nil {
		r.o.Logger.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
	}
}

// release removes what an owner has beside containers: leases and the parent
// of its control groups.
func (r *Runtime) release(ctx context.Context, id string) error {
	ctx = r.within(ctx)
	manager := r.client.LeasesService()
	all, err := manager.List(ctx, "labels."+strconv.Quote(labelOwner)+"=="+id)
	if err != nil {
		return fmt.Errorf("listing leases: %w", r.native(err))
	}
	var errs []error
	for _, l := range all {
		if err := absent(manager.Delete(ctx, leases.Lease{ID: l.ID})); err != nil {
			errs = append(errs, fmt.Errorf("removing a lease: %w", r.native(err)))
		}
	}
	removeCgroups(id)
	return errors.Join(append(errs, r.removeRuncRoot(id))...)
}

// runcRoot is where runc and its like keep what runs of an owner.
func (r *Runtime) runcRoot(id string) string { return filepath.Join(r.o.RuncRoot, id) }

// removeRuncRoot removes what runc and its like leave when nothing runs any
// more: empty folders, and of runsc a mounted network namespace.
func (r *Runtime) removeRuncRoot(id string) error {
	root := r.runcRoot(id)
	if _, err := os.Lstat(root); err != nil {
		return nil
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], root+"/") {
			if err := unix.Unmount(f[4], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				return &os.PathError{Op: "umount", Path: f[4], Err: err}
			}
		}
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	_ = os.Remove(r.o.RuncRoot) // while nobody else has one
	return nil
}

// cgroupMount is where the control groups are mounted, each hierarchy of
// version 1 below it.
const cgroupMount = "/sys/fs/cgroup"

// removeCgroups removes the control groups of an owner that are empty.
func removeCgroups(id string) {
	for _, pattern := range []string{cgroupMount + cgroup(id), cgroupMount + "/*" + cgroup(id)} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			var dirs []string
			_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, p)
				}
				return nil
			})
			for _, d := range slices.Backward(dirs) {
				_ = unix.Rmdir(d) // fails while a process is in it
			}
		}
	}
}

// Reap implements [runtime.Reaper]: it removes the containers, tasks,
// snapshots, leases, pipes, sockets and control groups that dead gateways of
// the same state folder have left in containerd's namespace.
func (r *Runtime) Reap(ctx context.Context) (removed []string, err error) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if _, err := r.ready(ctx); err != nil {
		return nil, err
	}
	tell := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		removed = append(removed, line)
		if f := r.o.Events.Removed; f != nil {
			f(line)
		}
	}
	dead, kept := map[string]bool{}, map[string]bool{}
	isDead := func(l map[string]string) bool {
		if l[labelState] != r.owner.State || l[labelOwner] == r.owner.ID {
			return false
		}
		id := l[labelOwner]
		if _, known := dead[id]; !known {
			dead[id] = owner.Gone(r.owner.State, id, l[labelBoot], l[labelProcess])
		}
		return dead[id]
	}
	var errs []error
	nctx := r.within(ctx)
	groups := map[string]struct{}{}

	boxes, err := r.client.ContainerService().List(nctx, ofState(r.owner.State))
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", r.native(err))
	}
	for _, c := range boxes {
		if !isDead(c.Labels) {
			continue
		}
		if err := r.discard(ctx, c.ID); err != nil {
			kept[c.Labels[labelOwner]] = true
			errs = append(errs, err)
			continue
		}
		if group := c.Labels[labelGroup]; group != "" {
			groups[group] = struct{}{}
		}
		tell("container %s of server %s", c.ID, c.Labels[labelServer])
	}

	service := r.client.SnapshotService(r.snapshotter)
	for name := range groups {
		r.removeSharedSocket(ctx, name)
	}

	var left []snapshots.Info
	err = service.Walk(nctx, func(_ context.Context, s snapshots.Info) error {
		if isDead(s.Labels) {
			left = append(left, s)
		}
		return nil
	}, ofState(r.owner.State))
	if err != nil {
		errs = append(errs, fmt.Errorf("listing snapshots: %w", r.native(err)))
	}
	for _, s := range left { // whose containers were never made
		if err := r.discard(ctx, s.Name); err != nil {
			kept[s.Labels[labelOwner]] = true
			errs = append(errs, err)
			continue
		}
		tell("snapshot %s", s.Name)
	}

	all, err := r.client.LeasesService().List(nctx, ofState(r.owner.State))
	if err != nil {
		errs = append(errs, fmt.Errorf("listing leases: %w", r.native(err)))
	}
	for _, l := range all {
		isDead(l.Labels)
	}
	folders, _ := os.ReadDir(filepath.Join(r.owner.State, runFolder))
	for _, f := range folders {
		isDead(folderLabels(r.owner.State, f.Name()))
	}
	for id, gone := range dead {
		if !gone || kept[id] {
			continue
		}
		err := volume.Displace(r.owner.State, id+".")
		if err == nil {
			err = errors.Join(r.release(ctx, id), removeFolder(r.owner.State, id))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		tell("what gateway %s had left beside", id)
	}
	if len(errs) == 0 {
		errs = append(errs, owner.Sweep(r.owner.State))
	}
	return removed, errors.Join(errs...)
}
