package containerd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/coredump"
	"github.com/gatehouse-mcp/gatehouse/internal/netns"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// gcRoot has containerd's garbage collector keep what has no container yet.
const gcRoot = "containerd.io/gc.root"

// Bounds of a start that is given up: containerd finishes what it has begun,
// since it would leave half of it otherwise.
const (
	giveUp = time.Second      // to end in good order
	finish = 30 * time.Second // for a step that was begun
)

// Start implements [runtime.Runtime].
func (r *Runtime) Start(ctx context.Context, spec runtime.Spec) (runtime.Instance, error) {
	ref, class, err := r.check(spec)
	if err != nil {
		return nil, err
	}
	leave, err := r.enter()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(r.starts, cancel)()
	defer cancel()
	fail := func(err error) error {
		if r.starts.Err() != nil {
			err = errClosed
		}
		return fmt.Errorf("starting server %s in a container: %w", spec.Name, err)
	}

	type result struct {
		i   *instance
		err error
	}
	results := make(chan result, 1)
	var taken atomic.Bool // by one of the two: the result, or nobody waits for it
	go func() {           // Close waits for it
		i, err := r.begin(ctx, spec, ref, class)
		if err == nil && !taken.CompareAndSwap(false, true) {
			i.abandon()
			err = ctx.Err()
		}
		leave(err == nil)
		results <- result{i, err}
	}()
	var late <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case res := <-results:
			if res.err != nil {
				return nil, fail(res.err)
			}
			return res.i, nil
		case <-done:
			done = nil
			t := time.NewTimer(giveUp)
			defer t.Stop()
			late = t.C
		case <-late:
			late = nil
			if taken.CompareAndSwap(false, true) {
				return nil, fail(ctx.Err())
			}
		}
	}
}

// begin gets ready what a container needs, and starts it.
func (r *Runtime) begin(ctx context.Context, spec runtime.Spec, ref reference, class Class) (*instance, error) {
	where, err := r.ready(ctx)
	if err != nil {
		return nil, err
	}
	if err := where.suits(); err != nil {
		return nil, err
	}
	if err := r.makeFolder(); err != nil {
		return nil, err
	}
	r.used.Store(true)
	r.listen()
	for again := false; ; again = true {
		img, err := r.image(ctx, spec.Image, ref)
		if err != nil {
			return nil, err
		}
		g, err := r.ground(ctx, img, spec)
		if errors.Is(err, errParent) && !again {
			r.forgetImage(img) // somebody removed it from containerd
			continue
		}
		if err != nil {
			return nil, err
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		i, err := r.launch(ctx, spec, class, where, img, g)
		<-r.slots
		if errors.Is(err, errParent) && !again {
			r.forgetImage(img) // somebody removed it from containerd
			continue
		}
		return i, err
	}
}

// errParent is matched when an image is not unpacked any more.
var errParent = errors.New("the image is gone from containerd")

// launch makes a container and starts it. What it has made is removed when it
// fails.
func (r *Runtime) launch(ctx context.Context, spec runtime.Spec, class Class, where place, img *image, g ground) (_ *instance, err error) {
	set, err := inject.New(ctx, spec, r.o.Events.Injection)
	if err != nil {
		return nil, err
	}
	i := newInstance(r, spec, class, set)
	defer func() {
		if err != nil {
			i.abandon()
		}
	}()
	// A step that was begun is finished, and no other is begun.
	asked := ctx
	ctx, cancel := context.WithTimeout(r.within(context.WithoutCancel(ctx)), finish)
	defer cancel()

	// The file system.
	mine := labels(r.owner)
	mine[gcRoot] = time.Now().UTC().Format(time.RFC3339)
	i.made = true
	root, err := r.client.SnapshotService(r.snapshotter).Prepare(ctx, i.id, img.parent, snapshots.WithLabels(mine))
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %w", errParent, err)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing its root: %w", r.native(err))
	}
	p := plan{
		id: i.id, namespace: r.o.Namespace, spec: spec, class: class, image: img.config,
		user: g.user, dir: g.dir.path,
		cgroup: cgroup(r.owner.ID) + "/" + i.id, oomScore: r.oomScore,
		secrets: set.Env(), core: coredump.Off(),
	}
	if r.o.ShareShims {
		p.group = "gatehouse-" + digest(r.owner.ID, spec.Name, spec.Owner, spec.Class)
	}

	// The network, and what the server is told of it.
	if err := os.MkdirAll(i.folder, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for its pipes: %w", err)
	}
	if err := i.network(ctx, &p, img); err != nil {
		return nil, err
	}
	m, err := i.mounts(ctx, p.user)
	if err != nil {
		return nil, err
	}
	defer m.close()
	if err := m.holds(g.dir); err != nil {
		return nil, err
	}
	p.mounts = append(append(p.mounts, m.list...), placesOf(set.Files())...)
	if i.pipes, err = newPipes(i.folder, spec.Port == 0); err != nil {
		return nil, fmt.Errorf("making its pipes: %w", err)
	}

	// The container.
	s, err := p.ociSpec()
	if err != nil {
		return nil, err
	}
	if err := asked.Err(); err != nil {
		return nil, err
	}
	body, err := typeurl.MarshalAny(s)
	if err != nil {
		return nil, fmt.Errorf("encoding its spec: %w", err)
	}
	options, err := r.options(class)
	if err != nil {
		return nil, err
	}
	mine = labels(r.owner)
	mine[labelServer] = spec.Name
	if p.group != "" {
		mine[labelGroup] = p.group
	}
	_, err = r.client.ContainerService().Create(ctx, containers.Container{
		ID: i.id, Labels: mine, Image: img.name, Spec: body,
		Runtime:     containers.RuntimeInfo{Name: class.Runtime, Options: options},
		Snapshotter: r.snapshotter, SnapshotKey: i.id,
	})
	if err != nil {
		return nil, fmt.Errorf("making its record: %w", r.native(err))
	}
	if err := i.create(ctx, where, root, p.group); err != nil {
		return nil, err
	}
	if err := m.verify(i.roots()); err != nil {
		return nil, err
	}
	if err := coredump.Empty(strconv.Itoa(i.pid)); err != nil {
		return nil, fmt.Errorf("leaving its memory out of core dumps: %w", err)
	}
	if err := i.showFiles(set.Files(), p.user); err != nil {
		return nil, err
	}
	if err := i.connect(); err != nil {
		return nil, err
	}
	if err := asked.Err(); err != nil {
		return nil, err
	}
	if err := i.run(ctx); err != nil {
		return nil, err
	}
	if spec.Port != 0 {
		if err := i.awaitPort(asked); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// network makes the network of a container, and the files that tell of it.
func (i *instance) network(ctx context.Context, p *plan, img *image) (err error) {
	if i.ns, err = netns.New(); err != nil {
		return err
	}
	p.netns = i.ns.Path()
	host := "localhost"
	if h := word(p.spec.Name, 63); h != "" {
		host += " " + h
	}
	hosts, err := write(i.folder, "hosts", "127.0.0.1 "+host+"\n::1 "+host+"\n")
	if err != nil {
		return err
	}
	p.mounts = append(p.mounts, bind(hosts, "/etc/hosts", false, p.class))
	if len(p.spec.Network.Allow) == 0 {
		return nil
	}
	a := egress.Attachment{Server: p.spec.Name, Allow: p.spec.Network.Allow}
	i.set.Attach(&a)
	i.gate, err = i.r.egress.Attach(ctx, i.ns.File(), a)
	if errors.Is(err, egress.ErrUnsupported) {
		return fmt.Errorf("network.allow %w: %w", runtime.ErrCannotEnforce, err)
	}
	if err != nil {
		return err
	}
	p.env = i.gate.Env()
	if ca := i.gate.CA(); ca != nil {
		if err := i.trust(ctx, p, img, ca); err != nil {
			return err
		}
	}
	resolv, err := write(i.folder, "resolv.conf", string(i.gate.ResolvConf()))
	if err != nil {
		return err
	}
	p.mounts = append(p.mounts, bind(resolv, "/etc/resolv.conf", false, p.class))
	return nil
}

// options are those of the class for its shim.
func (r *Runtime) options(class Class) (typeurl.Any, error) {
	switch {
	case class.Options != nil:
		o, err := typeurl.MarshalAny(class.Options)
		if err != nil {
			return nil, fmt.Errorf("encoding the options of its class: %w", err)
		}
		return o, nil
	case class.Binary == "":
		return nil, nil
	}
	binary := class.Binary
	if len(class.Args) > 0 {
		var err error
		if binary, err = r.script(class); err != nil {
			return nil, err
		}
	}
	return typeurl.MarshalAny(&runcoptions.Options{BinaryName: binary, Root: r.runcRoot(r.owner.ID)})
}

// group is the containers that share a shim.
type group struct {
	first sync.Mutex // held while one starts and none is there
	up    atomic.Bool
	users int
}

// create makes the task: the processes up to the moment before the server's
// program is executed.
func (i *instance) create(ctx context.Context, where place, root []mount.Mount, share string) error {
	req := &tasks.CreateTaskRequest{
		ContainerID: i.id, Stdin: i.pipes.paths[0], Stdout: i.pipes.paths[1], Stderr: i.pipes.paths[2],
	}
	for _, m := range root {
		req.Rootfs = append(req.Rootfs, &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	create := func() (*tasks.CreateTaskResponse, error) { return i.r.client.TaskService().Create(ctx, req) }
	if share != "" {
		leave := i.r.join(share)
		i.leaveGroup = leave
		g := i.r.groupOf(share)
		once := create
		create = func() (*tasks.CreateTaskResponse, error) {
			// The first of a group starts alone: two shims would fight for
			// one socket. A shim that is just ending fails who joins it.
			g.first.Lock()
			if g.up.Load() {
				g.first.Unlock()
			} else {
				defer g.first.Unlock()
			}
			resp, err := once()
			if err != nil && sleep(ctx, retryEvery) {
				resp, err = once()
			}
			if err == nil {
				g.up.Store(true)
			}
			return resp, err
		}
	}
	resp, err := create()
	if err != nil {
		err = fmt.Errorf("making its processes: %w", i.r.native(err))
		if !where.mounts {
			err = fmt.Errorf("%w (containerd does not run in the gateway's mount namespace, and must see its state folder %s and the sources of mounts)", err, i.r.owner.State)
		}
		return err
	}
	i.pid = int(resp.Pid)
	if where.pids && i.pid > 0 {
		if i.pidfd, err = unix.PidfdOpen(i.pid, 0); err != nil {
			i.pidfd = -1 // containerd is asked in its stead
		}
	}
	return nil
}

// join counts a container into a group; leave counts it out.
func (r *Runtime) join(share string) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[share]
	if g == nil {
		g = &group{}
		r.groups[share] = g
	}
	g.users++
	r.shared[share] = struct{}{}
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if g.users--; g.users == 0 && r.groups[share] == g {
			delete(r.groups, share)
		}
	})
}

func (r *Runtime) groupOf(share string) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.groups[share]
}

func newID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
