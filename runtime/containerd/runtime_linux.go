package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"

	"github.com/gatehouse-mcp/gatehouse/internal/owner"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

// defaultUser is who a server runs as when nobody says.
const defaultUser = runtime.DefaultUser

// Bounds of the work in the background.
const (
	removeGrace = 15 * time.Second // to remove a container
	maxStarts   = 4                // at once, for each core
)

// Runtime starts containers. It implements [runtime.Runtime],
// [runtime.Describer], [runtime.Reaper] and [io.Closer], and is safe for
// concurrent use.
type Runtime struct {
	o           Options
	owner       *owner.Owner
	client      *containerd.Client
	snapshotter string
	folder      string // below the state folder; goes with this Runtime
	oomScore    int    // of servers
	transport   http.RoundTripper
	egress      *egress.Proxy
	ownEgress   bool
	slots       chan struct{} // for starts

	sound atomic.Bool // containerd answered when it was last asked
	used  atomic.Bool // something may have been made in containerd

	ctx      context.Context // ends last in Close
	cancel   context.CancelFunc
	starts   context.Context // ends first in Close
	noStarts context.CancelFunc
	work     sync.WaitGroup // what runs in the background

	mu        sync.Mutex
	closed    bool
	starting  sync.WaitGroup
	count     int // instances, and starts under way
	instances map[string]*instance
	images    map[string]*fetching
	debts     map[string]struct{} // containers to remove when containerd is back
	paying    bool
	housed    bool // the folder is made
	watching  bool // for events of containerd
	groups    map[string]*group
	shared    map[string]struct{} // the names of all groups there were
}

var (
	_ runtime.Runtime   = (*Runtime)(nil)
	_ runtime.Describer = (*Runtime)(nil)
	_ runtime.Reaper    = (*Runtime)(nil)
	_ runtime.Checker   = (*Runtime)(nil)
	_ io.Closer         = (*Runtime)(nil)
)

// New returns a Runtime that keeps what it needs below the folder state:
// locks, the pipes of its servers, their volumes. It does not connect; see
// [Runtime.Ping]. o may be nil. The caller closes it.
func New(state string, o *Options) (_ *Runtime, err error) {
	r := &Runtime{
		instances: map[string]*instance{}, images: map[string]*fetching{},
		debts: map[string]struct{}{}, groups: map[string]*group{}, shared: map[string]struct{}{},
		slots: make(chan struct{}, maxStarts*goruntime.NumCPU()),
	}
	if r.o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if r.snapshotter = r.o.Snapshotter; r.snapshotter == "" {
		r.snapshotter = defaults.DefaultSnapshotter
	}
	if r.oomScore, err = serversOOMScore(); err != nil {
		return nil, fmt.Errorf("containerd: %w", err)
	}
	if r.transport = r.o.RoundTripper; r.transport == nil {
		r.transport = newTransport()
	}
	if err := r.connect(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = r.client.Close()
		}
	}()
	if r.egress = r.o.Egress; r.egress == nil {
		if r.egress, err = egress.New(&egress.Options{Events: r.o.Events}); err != nil {
			return nil, fmt.Errorf("containerd: %w", err)
		}
		r.ownEgress = true
	}
	if r.owner, err = owner.Hold(state); err != nil {
		return nil, fmt.Errorf("containerd: %w", err)
	}
	r.folder = filepath.Join(r.owner.State, runFolder, r.owner.ID)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.starts, r.noStarts = context.WithCancel(r.ctx)
	return r, nil
}

// serversOOMScore is one that has servers die before the gateway.
func serversOOMScore() (int, error) {
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	mine, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, err
	}
	return min(mine+500, 1000), nil
}

// cgroup is the parent of the control groups of an owner's containers.
func cgroup(id string) string { return "/gatehouse-" + id }

// Description implements [runtime.Describer].
func (r *Runtime) Description() string {
	class := r.o.Classes[r.o.RequireClass]
	with := class.Binary
	if with == "" {
		with = class.Runtime
	}
	return fmt.Sprintf("containers of containerd at %s by %s: namespaces, control groups, %s, no capabilities, a read-only root, and no network but what is allowed",
		r.o.Address, filepath.Base(with), map[bool]string{false: "seccomp", true: "a kernel of their own"}[class.UserKernel])
}

// Check implements [runtime.Checker]. It asks nobody.
func (r *Runtime) Check(spec runtime.Spec) error {
	_, _, err := r.check(spec)
	return err
}

// Ping tells whether containerd answers, and runs where containers can be
// given a network. It takes no more than a few seconds.
func (r *Runtime) Ping(ctx context.Context) error {
	p, err := r.ready(ctx)
	if err != nil {
		return err
	}
	return p.suits()
}

// enter counts a start in, unless it cannot be let in.
func (r *Runtime) enter() (leave func(started bool), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if most := r.o.MaxInstances; most > 0 && r.count >= most {
		return nil, fmt.Errorf("containerd: there are %d instances, which is the most that MaxInstances allows", r.count)
	}
	r.count++
	r.starting.Add(1)
	return func(started bool) {
		if !started {
			r.mu.Lock()
			r.count--
			r.mu.Unlock()
		}
		r.starting.Done()
	}, nil
}

// Close ends all instances, removes what the Runtime has made, but for images,
// which are kept for the next one, and releases its state folder. It is
// idempotent and bounded in time. What cannot be removed since containerd is
// away is an error; a later [Runtime.Reap] on the same state folder removes it.
func (r *Runtime) Close() error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	if !first {
		return nil
	}
	r.noStarts()
	r.starting.Wait()
	now, stop := context.WithCancel(context.Background())
	stop()
	r.mu.Lock()
	all := make([]*instance, 0, len(r.instances))
	for _, i := range r.instances {
		all = append(all, i)
	}
	r.mu.Unlock()
	errs := make([]error, len(all))
	var ending sync.WaitGroup
	for n, i := range all {
		ending.Go(func() { errs[n] = i.Stop(now) })
	}
	ending.Wait()
	r.cancel()
	r.work.Wait()
	if r.used.Load() {
		ctx, done := context.WithTimeout(context.Background(), removeGrace)
		errs = append(errs, r.settle(ctx), r.release(ctx, r.owner.ID))
		for name := range r.shared {
			r.removeSharedSocket(ctx, name)
		}
		done()
	}
	if r.ownEgress {
		errs = append(errs, r.egress.Close())
	}
	if c, ok := r.transport.(interface{ CloseIdleConnections() }); ok && r.o.RoundTripper == nil {
		c.CloseIdleConnections()
	}
	errs = append(errs, r.client.Close(), removeFolder(r.owner.State, r.owner.ID))
	if err := errors.Join(errs...); err != nil {
		r.owner.Abandon() // so that a reaper finds what is left
		return err
	}
	r.owner.Release()
	return nil
}
