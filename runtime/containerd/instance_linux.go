package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/await"
	"github.com/gatehouse-mcp/gatehouse/internal/netns"
	"github.com/gatehouse-mcp/gatehouse/internal/stderrtail"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Bounds of the end of an instance.
const (
	callGrace = time.Second     // for containerd to pass a request on
	askGrace  = time.Second     // from the request to end to the kill
	killGrace = 5 * time.Second // from the kill to the end, before containerd counts as gone
	outGrace  = time.Second     // for the rest of the output
	awayGrace = 5 * time.Second // how long an instance outlives containerd
)

// conn is what both kinds of connection have.
type conn interface {
	transport.Conn
	transport.Done
}

// instance is a container.
type instance struct {
	r      *Runtime
	id     string
	spec   runtime.Spec
	class  Class
	folder string // of its pipes
	made   bool   // there may be something in containerd
	placed bool   // there may be places of volumes

	pid        int
	ns         *netns.NS
	gate       *egress.Gate
	set        *inject.Set // what it is given of secrets
	files      []*os.File  // of its secrets, in the order of the set
	pipes      *pipes
	conn       conn
	tail       *stderrtail.Tail
	leaveGroup func()

	exit  chan runtime.Exit
	ended chan struct{} // closed when everything is gone and joined

	mu      sync.Mutex
	pidfd   int // -1: none
	stopped bool
	cut     bool // killed since its connection had broken
	oom     bool // some process of it was killed for memory
}

var (
	_ runtime.Instance = (*instance)(nil)
	_ runtime.Meter    = (*instance)(nil)
	_ runtime.Refuser  = (*instance)(nil)
)

func newInstance(r *Runtime, spec runtime.Spec, class Class, set *inject.Set) *instance {
	id := "gh-" + newID()
	if name := word(spec.Name, 32); name != "" {
		id = "gh-" + name + id[len("gh"):]
	}
	i := &instance{
		r: r, id: id, spec: spec, class: class, set: set, folder: filepath.Join(r.folder, id), pidfd: -1,
		exit: make(chan runtime.Exit, 1), ended: make(chan struct{}),
	}
	var logged func(string)
	if log := r.o.Logger; log != nil {
		logged = func(line string) {
			log.LogAttrs(context.Background(), slog.LevelDebug, "output of a server", slog.String("server", spec.Name), slog.String("line", line))
		}
	}
	hidden := set.Hidden()
	maps.Copy(hidden, spec.Env)
	i.tail = stderrtail.New(hidden, logged)
	return i
}

// run executes the server's program.
func (i *instance) run(ctx context.Context) error {
	_, err := i.r.client.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: i.id})
	if err != nil {
		return fmt.Errorf("starting %s: %w", i.command(), i.r.native(err))
	}
	i.r.mu.Lock()
	i.r.instances[i.id] = i
	i.r.mu.Unlock()
	go i.watch()
	return nil
}

// abandon ends a start that failed.
func (i *instance) abandon() {
	i.r.mu.Lock()
	watched := i.r.instances[i.id] == i
	i.r.mu.Unlock()
	if watched {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = i.Stop(now)
		i.r.mu.Lock()
		i.r.count++ // the end has counted it out, and so does who began
		i.r.mu.Unlock()
		return
	}
	if i.conn != nil {
		_ = i.conn.Close()
	}
	i.clear(true)
}

// watch owns everything that belongs to the instance, until it has ended.
func (i *instance) watch() {
	var reading sync.WaitGroup
	reading.Go(func() { i.tail.Read(i.pipes.err) })
	if i.spec.Port != 0 {
		reading.Go(func() { i.tail.Read(i.pipes.out) })
	}
	gone := make(chan struct{})
	reading.Go(func() { i.outlive(gone) })
	running, ended := context.WithCancel(context.Background())
	reading.Go(func() { i.refresh(running) })
	end := i.await()
	close(gone)
	ended()
	if !end.lost {
		i.measureOOM()
	}
	// Everything that could write is gone, so that the shim closes the pipes.
	rest := time.AfterFunc(outGrace, func() { _ = i.pipes.err.Close(); _ = i.pipes.out.Close() })
	if i.spec.Port == 0 {
		<-i.conn.Done()
	}
	reading.Wait()
	rest.Stop()
	i.exit <- i.outcome(end)
	close(i.exit)
	_ = i.conn.Close()
	i.clear(end.lost)
	i.r.mu.Lock()
	delete(i.r.instances, i.id)
	i.r.count--
	i.r.mu.Unlock()
	close(i.ended)
}

// outlive ends a server whose connection has ended: it is of no more use.
func (i *instance) outlive(gone <-chan struct{}) {
	select {
	case <-gone:
		return
	case <-i.conn.Done():
	}
	ctx, cancel := context.WithTimeout(i.r.ctx, callGrace)
	i.ask(ctx)
	cancel()
	t := time.NewTimer(runtime.StopGrace)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
		i.mu.Lock()
		i.cut = !i.stopped
		i.mu.Unlock()
		i.kill()
	}
}

func (i *instance) outcome(end ending) runtime.Exit {
	i.mu.Lock()
	defer i.mu.Unlock()
	e := runtime.Exit{Reason: runtime.Exited, Code: end.code, Stderr: i.tail.Last(), Err: end.err}
	// The shim tells the number of a signal as a shell does.
	if n := end.code - 128; n > 0 && n <= 64 {
		e.Reason, e.Code, e.Signal = runtime.Killed, -1, syscall.Signal(n).String()
	}
	switch {
	case i.stopped:
		e.Reason = runtime.Stopped
	case i.oom:
		e.Reason = runtime.OutOfMemory
	case i.cut:
		e.Reason = runtime.Disconnected
		if e.Err == nil {
			e.Err = i.conn.Err()
		}
	case end.lost:
		e.Reason = runtime.Disconnected
	}
	return e
}

// Conn implements [runtime.Instance].
func (i *instance) Conn() transport.Conn { return i.conn }

// Wait implements [runtime.Instance].
func (i *instance) Wait() <-chan runtime.Exit { return i.exit }

// Refusals implements [runtime.Refuser].
func (i *instance) Refusals() []runtime.Refusal {
	if i.gate == nil {
		return nil
	}
	return i.gate.Refusals()
}

// Stop implements [runtime.Instance]. It closes the server's input, waits for
// it to exit, asks it to (SIGTERM), waits for a second more, and kills it and
// everything in its container. What has not ended five seconds later is an
// error.
func (i *instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	select {
	case <-i.ended:
	default:
		i.stopped = true
	}
	i.mu.Unlock()
	if ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, callGrace)
		i.ask(call)
		cancel()
		if await.Within(ctx, i.ended, runtime.StopGrace) {
			return nil
		}
		if i.spec.Port == 0 && ctx.Err() == nil {
			i.signal(ctx, syscall.SIGTERM)
			if await.Within(ctx, i.ended, askGrace) {
				return nil
			}
		}
	}
	i.kill()
	if await.Within(context.WithoutCancel(ctx), i.ended, killGrace+removeGrace) {
		return nil
	}
	return fmt.Errorf("the container %s is still there %v after it was killed", i.id, killGrace+removeGrace)
}

// ask tells the server to end: by the end of its input, or, when it has none,
// by a signal.
func (i *instance) ask(ctx context.Context) {
	if i.spec.Port != 0 {
		i.signal(ctx, syscall.SIGTERM)
		return
	}
	// Either end alone would not do: the shim holds the pipe open, too.
	_ = i.pipes.in.Close()
	_, _ = i.r.client.TaskService().CloseIO(i.r.within(ctx), &tasks.CloseIORequest{ContainerID: i.id, Stdin: true})
}

// signal sends a signal to the first process of the container.
func (i *instance) signal(ctx context.Context, s syscall.Signal) {
	if !i.class.UserKernel && i.direct(s) { // else it would go to that kernel
		return
	}
	_, err := i.r.client.TaskService().Kill(i.r.within(ctx), &tasks.KillRequest{ContainerID: i.id, Signal: uint32(s)})
	if err != nil && s == syscall.SIGKILL {
		i.direct(s)
	}
}

// direct sends a signal without containerd.
func (i *instance) direct(s syscall.Signal) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pidfd < 0 {
		return false
	}
	err := unix.PidfdSendSignal(i.pidfd, s, nil, 0)
	return err == nil || errors.Is(err, unix.ESRCH)
}

// kill kills the first process, and with it all of the container.
func (i *instance) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), killGrace)
	defer cancel()
	i.signal(ctx, syscall.SIGKILL)
}

// exited tells whether the first process has ended, as far as it can be seen
// without containerd.
func (i *instance) exited() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pidfd < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(i.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

// clear removes what was made. force: it may still run, or its shim may be
// dead.
func (i *instance) clear(force bool) {
	if i.gate != nil {
		_ = i.gate.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeGrace)
	defer cancel()
	if i.made {
		var err error
		if force {
			err = i.r.discard(ctx, i.id)
		} else {
			err = i.r.remove(ctx, i.id)
		}
		if err != nil {
			i.r.owe(i.id, err)
		}
	}
	if i.placed {
		if err := volume.Displace(i.r.owner.State, i.placeName()); err != nil {
			i.r.warn("a volume could not be unmounted; the next reaper tries again", slog.String("container", i.id), slog.Any("error", err))
		}
	}
	if i.ns != nil {
		_ = i.ns.Close()
	}
	if i.pipes != nil {
		i.pipes.close()
	}
	for _, f := range i.files {
		_ = f.Close()
	}
	if i.leaveGroup != nil {
		i.leaveGroup()
	}
	_ = os.RemoveAll(i.folder)
	i.mu.Lock()
	if i.pidfd >= 0 {
		_ = unix.Close(i.pidfd)
		i.pidfd = -1
	}
	i.mu.Unlock()
}

// command is the program for an error message.
func (i *instance) command() string {
	if len(i.spec.Command) > 0 {
		return i.spec.Command[0]
	}
	return "the image's program"
}
