package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/await"
	"github.com/gatehouse-mcp/gatehouse/internal/cgroup"
	"github.com/gatehouse-mcp/gatehouse/internal/netns"
	"github.com/gatehouse-mcp/gatehouse/internal/stderrtail"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Bounds of the end of an instance.
const (
	askGrace    = time.Second     // from the request to end to the kill
	killGrace   = 5 * time.Second // until everything that was killed must be gone
	outGrace    = time.Second     // for the rest of the output, once everything is gone
	removeGrace = 2 * time.Second // for the control group, once everything is gone
)

// instance is a running sandbox.
type instance struct {
	r     *Runtime
	spec  runtime.Spec
	group *cgroup.Group
	alarm *cgroup.Alarm

	process *os.Process // process 1: everything ends with it
	reports *json.Decoder
	tell    *os.File   // ends with the gateway
	saying  sync.Mutex // of those who write to it
	hear    *os.File
	stdin   *os.File    // our end
	set     *inject.Set // what it is given of secrets
	stderr  *stderrtail.Tail
	conn    conn

	image *os.File // where it has one; held so long

	net  *netns.NS       // where the Spec has a port or an allow-list
	gate *egress.Gate    // where it has an allow-list
	http *http.Transport // where it has a port

	exit  chan runtime.Exit
	ended chan struct{} // closed when everything is gone and joined

	mu      sync.Mutex
	stopped bool
	cut     bool // killed since its connection had broken
}

// conn is what an instance has as its connection.
type conn interface {
	transport.Conn
	Done() <-chan struct{}
	Err() error
}

var (
	_ runtime.Instance = (*instance)(nil)
	_ runtime.Meter    = (*instance)(nil)
	_ runtime.Refuser  = (*instance)(nil)
)

// connect makes the connection and begins to watch.
func (i *instance) connect(ctx context.Context, stdout, stderr *os.File) error {
	var logLine func(line string)
	if log := i.r.o.Logger; log != nil {
		logLine = func(line string) {
			log.LogAttrs(context.Background(), slog.LevelDebug, "output of a server", slog.String("server", i.spec.Name), slog.String("line", line))
		}
	}
	hidden := i.set.Hidden()
	maps.Copy(hidden, i.spec.Env)
	i.stderr = stderrtail.New(hidden, logLine)
	fail := func(err error) error {
		closeAll([]*os.File{stdout, stderr, i.stdin, i.tell, i.hear})
		_ = i.process.Kill()
		_, _ = i.process.Wait()
		return err
	}
	var err error
	if i.alarm, err = i.group.Alarm(); err != nil {
		return fail(err)
	}
	printed := []*os.File{stderr}
	if i.spec.Port != 0 {
		c, err := i.client()
		if err != nil {
			_ = i.alarm.Close()
			return fail(err)
		}
		i.conn = c
		printed = append(printed, stdout)
	} else {
		o := &transport.StreamOptions{Limits: transport.Limits{Body: int64(i.spec.MaxLine)}}
		if f := i.r.o.OnGarbage; f != nil {
			o.OnGarbage = func([]byte) { f(i.spec.Name) }
		}
		i.conn = transport.NewStream(stdout, i.stdin, o)
	}
	i.r.mu.Lock()
	i.r.instances[i] = struct{}{}
	i.r.mu.Unlock()
	go i.watch(printed)
	if i.spec.Port == 0 {
		return nil
	}
	if err := i.listens(ctx); err != nil {
		now, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, i.Stop(now))
	}
	return nil
}

// discard removes what a failed start has left.
func (i *instance) discard() {
	i.detach()
	ctx, cancel := context.WithTimeout(context.Background(), removeGrace)
	defer cancel()
	_ = i.group.Remove(ctx) // Close and Reap try again
}

// watch owns everything that belongs to the instance, until it has ended.
func (i *instance) watch(printed []*os.File) {
	var reading sync.WaitGroup
	for _, f := range printed {
		reading.Go(func() { i.stderr.Read(f) })
	}
	gone := make(chan struct{})
	if i.spec.Port == 0 {
		reading.Go(func() { i.cutOff(gone) })
	}
	running, ended := context.WithCancel(context.Background())
	reading.Go(func() {
		// What is left of a server of which a process was killed for memory
		// is in no known state.
		if i.alarm.Wait(running) {
			_ = i.process.Kill()
		}
	})
	reading.Go(func() { i.set.Refresh(running, i.rewrite) })
	e := i.await()
	close(gone)
	ended()
	// Everything that could write is gone, so that all pipes end now.
	rest := time.AfterFunc(outGrace, func() { closeAll(printed) })
	if i.spec.Port == 0 {
		select {
		case <-i.conn.Done():
		case <-time.After(outGrace):
		}
	}
	reading.Wait()
	rest.Stop()
	closeAll(printed)
	e = i.reason(e)
	_ = i.alarm.Close()
	_ = i.conn.Close()
	_ = i.stdin.Close() // the conn may have closed it
	i.detach()
	ctx, cancel := context.WithTimeout(context.Background(), removeGrace)
	if err := i.group.Remove(ctx); err != nil && e.Err == nil {
		e.Err = fmt.Errorf("removing its control group: %w", err)
	}
	cancel()
	i.r.mu.Lock()
	delete(i.r.instances, i)
	i.r.mu.Unlock()
	i.exit <- e
	close(i.exit)
	close(i.ended)
}

// cutOff kills a server that has closed its output: it is of no more use.
func (i *instance) cutOff(gone <-chan struct{}) {
	select {
	case <-gone:
		return
	case <-i.conn.Done():
	}
	t := time.NewTimer(runtime.StopGrace)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
		i.mu.Lock()
		i.cut = !i.stopped
		i.mu.Unlock()
		_ = i.process.Kill()
	}
}

// await waits for the end of process 1, and with it of everything inside.
func (i *instance) await() runtime.Exit {
	var r report
	err := i.reports.Decode(&r)
	state, werr := i.process.Wait()
	_ = i.tell.Close()
	_ = i.hear.Close()
	switch {
	case err == nil && r.Ended && r.Signal != 0:
		return runtime.Exit{Reason: runtime.Killed, Code: -1, Signal: syscall.Signal(r.Signal).String()}
	case err == nil && r.Ended:
		return runtime.Exit{Reason: runtime.Exited, Code: r.Code}
	case werr != nil:
		return runtime.Exit{Reason: runtime.Killed, Code: -1, Err: werr}
	}
	// Process 1 was killed: by us, by the kernel for want of memory, or by
	// somebody else.
	e := runtime.Exit{Reason: runtime.Killed, Code: -1, Signal: syscall.SIGKILL.String()}
	if s, ok := state.Sys().(syscall.WaitStatus); !ok || !s.Signaled() {
		e.Err = fmt.Errorf("process 1 of the sandbox ended: %v", state)
	}
	return e
}

// say tells process 1 something.
func (i *instance) say(t telling) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	defer clear(b)
	i.saying.Lock()
	defer i.saying.Unlock()
	_, err = i.tell.Write(append(b, '\n'))
	return err
}

// reason looks at what else is known of the end.
func (i *instance) reason(e runtime.Exit) runtime.Exit {
	e.Stderr = i.stderr.Last()
	i.mu.Lock()
	defer i.mu.Unlock()
	kills, err := i.group.OOMKills()
	switch {
	case err == nil && kills > 0 && (e.Reason == runtime.Killed || e.Code != 0):
		e.Reason = runtime.OutOfMemory
	case i.stopped:
		e.Reason = runtime.Stopped
	case i.cut:
		e.Reason = runtime.Disconnected
		e.Err = errors.Join(e.Err, i.conn.Err())
	}
	return e
}

// Conn implements [runtime.Instance].
func (i *instance) Conn() transport.Conn { return i.conn }

// Wait implements [runtime.Instance].
func (i *instance) Wait() <-chan runtime.Exit { return i.exit }

// Usage implements [runtime.Meter]. It includes what process 1 uses.
func (i *instance) Usage(context.Context) (runtime.Usage, error) {
	u, err := i.group.Usage()
	if err != nil {
		return runtime.Usage{}, fmt.Errorf("reading what a server uses: %w", err)
	}
	return runtime.Usage{CPU: u.CPU, Memory: u.Memory, PIDs: u.PIDs}, nil
}

// Stop implements [runtime.Instance]. It closes the server's input, waits for
// it to exit unless it speaks on a port, asks it to (SIGTERM), waits for a
// second more, and kills everything. What cannot be killed within five seconds is an error.
func (i *instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	select {
	case <-i.ended:
	default:
		i.stopped = true
	}
	i.mu.Unlock()
	_ = i.stdin.Close() // the conn may have closed it
	if i.spec.Port == 0 && await.Within(ctx, i.ended, runtime.StopGrace) {
		return nil
	}
	if ctx.Err() == nil {
		_ = i.say(telling{Ask: true}) // who is gone needs no telling
		if await.Within(ctx, i.ended, askGrace) {
			return nil
		}
	}
	_ = i.process.Kill()
	if await.Within(context.WithoutCancel(ctx), i.ended, killGrace) {
		return nil
	}
	return fmt.Errorf("the processes of the server are still there %v after they were killed", killGrace)
}
