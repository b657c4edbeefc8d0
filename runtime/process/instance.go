package process

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/await"
	"github.com/gatehouse-mcp/gatehouse/internal/stderrtail"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Bounds of the end of an instance.
const (
	askGrace  = time.Second     // from the request to end to the kill
	killGrace = 5 * time.Second // until everything that was killed must be gone
	outGrace  = time.Second     // for the rest of the output, once everything is gone
)

// instance is a running command.
type instance struct {
	tree   tree
	conn   *transport.Stream
	stdin  *os.File // our end; the conn writes to it
	stderr *stderrtail.Tail

	exit  chan runtime.Exit
	ended chan struct{} // closed when everything is gone and joined

	mu      sync.Mutex
	stopped bool
	cut     bool // killed since its connection had broken
}

var _ runtime.Instance = (*instance)(nil)

// launch starts the command with pipes.
func (r *Runtime) launch(ctx context.Context, spec runtime.Spec, c command) (_ runtime.Instance, err error) {
	var files []*os.File
	defer func() {
		if err != nil {
			for _, f := range files {
				_ = f.Close()
			}
		}
	}()
	pipe := func() (in, out *os.File) {
		if err != nil {
			return nil, nil
		}
		if in, out, err = os.Pipe(); err == nil {
			files = append(files, in, out)
		}
		return in, out
	}
	var stdin, stdout, stderr *os.File // our ends
	c.stdin, stdin = pipe()
	stdout, c.stdout = pipe()
	stderr, c.stderr = pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", c.argv[0], err)
	}
	t, err := startTree(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", c.argv[0], err)
	}
	for _, f := range []*os.File{c.stdin, c.stdout, c.stderr} {
		_ = f.Close() // the command has them
	}
	var logged func(string)
	if log := r.o.Logger; log != nil {
		logged = func(line string) {
			log.LogAttrs(context.Background(), slog.LevelDebug, "output of a server", slog.String("server", spec.Name), slog.String("line", line))
		}
	}
	i := &instance{
		tree: t, stdin: stdin,
		stderr: stderrtail.New(spec.Env, logged),
		exit:   make(chan runtime.Exit, 1),
		ended:  make(chan struct{}),
	}
	o := &transport.StreamOptions{Limits: transport.Limits{Body: int64(spec.MaxLine)}}
	if f := r.o.OnGarbage; f != nil {
		o.OnGarbage = func([]byte) { f(spec.Name) }
	}
	i.conn = transport.NewStream(stdout, stdin, o)
	go i.watch(stderr)
	return i, nil
}

// watch owns everything that belongs to the instance, until it has ended.
func (i *instance) watch(stderr *os.File) {
	var reading sync.WaitGroup
	reading.Go(func() { i.stderr.Read(stderr) })
	gone := make(chan struct{})
	reading.Go(func() { // a server that closes its output is of no more use
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
			i.tree.kill()
		}
	})
	out := i.tree.wait()
	close(gone)
	// Everything that could write is gone, so that both pipes end now.
	rest := time.AfterFunc(outGrace, func() { _ = stderr.Close() })
	select {
	case <-i.conn.Done():
	case <-time.After(outGrace):
	}
	reading.Wait()
	rest.Stop()
	_ = stderr.Close()
	i.exit <- i.outcome(out)
	close(i.exit)
	_ = i.conn.Close()
	close(i.ended)
}

func (i *instance) outcome(out outcome) runtime.Exit {
	i.mu.Lock()
	defer i.mu.Unlock()
	e := runtime.Exit{Reason: runtime.Exited, Code: out.code, Signal: out.signal, Stderr: i.stderr.Last(), Err: out.err}
	switch {
	case i.stopped:
		e.Reason = runtime.Stopped
	case i.cut:
		e.Reason = runtime.Disconnected
		if e.Err == nil {
			e.Err = i.conn.Err()
		}
	case out.signal != "":
		e.Reason = runtime.Killed
	}
	return e
}

// Conn implements [runtime.Instance].
func (i *instance) Conn() transport.Conn { return i.conn }

// Wait implements [runtime.Instance].
func (i *instance) Wait() <-chan runtime.Exit { return i.exit }

// Stop implements [runtime.Instance]. It closes the server's input, waits for
// it to exit, asks it to (SIGTERM), waits for a second more, and kills
// everything. What cannot be killed within five seconds is an error.
func (i *instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	select {
	case <-i.ended:
	default:
		i.stopped = true
	}
	i.mu.Unlock()
	_ = i.stdin.Close() // the conn may have closed it
	if await.Within(ctx, i.ended, runtime.StopGrace) {
		return nil
	}
	if ctx.Err() == nil {
		i.tree.ask()
		if await.Within(ctx, i.ended, askGrace) {
			return nil
		}
	}
	i.tree.kill()
	if await.Within(context.WithoutCancel(ctx), i.ended, killGrace) {
		return nil
	}
	return fmt.Errorf("the processes of the server are still there %v after they were killed", killGrace)
}
