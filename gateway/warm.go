package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// bootTime is how long a warm instance may take to answer a ping before it is
// taken for ready all the same: a server need not answer before initialize.
const bootTime = 10 * time.Second

// warmth keeps started instances of one server for whoever comes next. They
// have booted and answered a ping, which the protocol allows before
// initialize; initialize itself carries what the client can do, so that it
// waits for the client.
type warmth struct {
	p   *pool
	srv *server

	mu       sync.Mutex
	ready    []*warm // the oldest first
	filling  bool
	failures int // in a row
	notUntil time.Time
	closed   bool
}

// warm is an instance that nobody uses yet.
type warm struct {
	runtime.Instance
	of    *warmth
	began time.Time
	exit  chan runtime.Exit
	ended chan struct{}
	to    atomic.Pointer[transport.Receiver]
}

var _ runtime.Instance = (*warm)(nil)

// Wait implements [runtime.Instance].
func (w *warm) Wait() <-chan runtime.Exit { return w.exit }

// Receive implements [transport.Receiver]: what comes before somebody uses
// the instance is for nobody.
func (w *warm) Receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if r := w.to.Load(); r != nil {
		return (*r).Receive(ctx, m)
	}
	return nil, transport.Errorf(transport.CodeMethodNotFound, "nobody is connected yet")
}

// heat sees to it that every server of the snapshot has its warm instances,
// and that servers which are gone have none.
func (p *pool) heat(snap *snapshot) {
	p.mu.Lock()
	var gone, here []*warmth
	for srv, w := range p.warm {
		if snap.byName[srv.Name] != srv {
			gone = append(gone, w)
			delete(p.warm, srv)
		}
	}
	for _, srv := range snap.servers {
		if srv.Warm > 0 && p.warm[srv] == nil && !p.closed {
			p.warm[srv] = &warmth{p: p, srv: srv}
		}
		if w := p.warm[srv]; w != nil {
			here = append(here, w)
		}
	}
	p.mu.Unlock()
	for _, w := range gone {
		w.close()
	}
	for _, w := range here {
		w.fill()
	}
}

// fill starts instances in the background until there are enough, or there
// is no room for more.
func (w *warmth) fill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.filling || len(w.ready) >= w.srv.Warm || time.Now().Before(w.notUntil) {
		return
	}
	w.filling = true
	w.p.wg.Go(func() {
		for w.another() {
		}
	})
}

// another starts one more, and reports whether it is worth going on.
func (w *warmth) another() bool {
	w.mu.Lock()
	enough := w.closed || len(w.ready) >= w.srv.Warm
	w.mu.Unlock()
	room := false
	if !enough {
		w.p.mu.Lock()
		if room = !w.p.closed && w.p.rooms.waiting.Load() == 0 && !w.p.crowded(w.srv) && !w.p.full(); room {
			w.p.enter(w.srv)
		}
		w.p.mu.Unlock()
	}
	if !room {
		w.mu.Lock()
		w.filling = false
		w.mu.Unlock()
		return false
	}
	inst, err := w.boot()
	if err != nil {
		w.srv.setError(err.Error())
		w.p.g.log.Warn("a warm instance did not start", "server", w.srv.Name, "error", err)
		w.p.leave(w.srv)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.failures++
		w.notUntil = time.Now().Add(max(time.Second, backoff(w.failures)))
		w.filling = false
		return false
	case w.closed:
		w.p.wg.Go(func() { w.drop(inst) })
		w.filling = false
		return false
	}
	w.ready = append(w.ready, inst)
	w.p.wg.Go(func() { w.watch(inst) })
	w.p.wg.Go(w.p.arrived)
	return true
}

// arrived lets those in who wait for what is there now.
func (p *pool) arrived() {
	p.mu.Lock()
	p.letIn()
	p.mu.Unlock()
}

// boot starts an instance and waits until it answers.
func (w *warmth) boot() (*warm, error) {
	deadline := w.srv.StartTimeout
	if deadline <= 0 {
		deadline = w.p.g.snap.Load().opts.Timeouts.Start
	}
	ctx, cancel := context.WithTimeout(w.p.g.ctx, deadline)
	defer cancel()
	if err := w.p.turns.take(ctx, "\x00warm"); err != nil {
		return nil, err
	}
	run, err := w.srv.Launcher.Launch(ctx, runtime.Key{Server: w.srv.Name, Attempt: 1, Secrets: w.srv.secrets})
	w.p.turns.give() // others need not wait until it has booted
	if err != nil {
		return nil, err
	}
	inst := &warm{Instance: run, of: w, began: time.Now(), exit: make(chan runtime.Exit, 1), ended: make(chan struct{})}
	go func() { // ends with the instance, which somebody stops
		if e, ok := <-run.Wait(); ok {
			inst.exit <- e
		}
		close(inst.exit)
		close(inst.ended)
	}()
	run.Conn().Listen(inst)
	ctx, stop := context.WithTimeout(ctx, bootTime)
	defer stop()
	_, _ = run.Conn().Call(ctx, &transport.Message{ID: json.RawMessage("0"), Method: "ping"}, nil) // any answer will do, or none
	return inst, nil
}

// watch forgets an instance that ended while it waited.
func (w *warmth) watch(inst *warm) {
	select {
	case <-inst.ended:
	case <-w.p.g.ctx.Done():
		return
	}
	if w.remove(inst) {
		exit := <-inst.exit
		w.srv.setError(exit.String())
		w.p.g.log.Warn("a warm instance ended", "server", w.srv.Name, "exit", exit.String())
		w.mu.Lock()
		if time.Since(inst.began) > stable {
			w.failures = 0
		}
		w.failures++
		w.notUntil = time.Now().Add(max(time.Second, backoff(w.failures)))
		w.mu.Unlock()
		w.drop(inst)
	}
}

func (w *warmth) remove(inst *warm) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.ready {
		if w.ready[i] == inst {
			w.ready = append(w.ready[:i:i], w.ready[i+1:]...)
			return true
		}
	}
	return false
}

// drop stops an instance that nobody will use.
func (w *warmth) drop(inst *warm) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*runtime.StopGrace)
	defer cancel()
	if err := inst.Stop(ctx); err != nil {
		w.p.g.log.Warn("stopping a warm instance failed", "server", w.srv.Name, "error", err)
	}
	w.p.leave(w.srv)
}

// pop takes the oldest instance that lives, which counts as one already, and
// has another started; nil when there is none. The pool's lock is held.
func (w *warmth) pop() *warm {
	if w == nil {
		return nil
	}
	inst := w.oldest()
	if inst != nil {
		w.fill()
	}
	return inst
}

func (w *warmth) oldest() *warm {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.ready) > 0 {
		inst := w.ready[0]
		w.ready = w.ready[1:]
		select {
		case <-inst.ended: // its watcher comes too late
			w.p.wg.Go(func() { w.drop(inst) })
		default:
			w.failures = 0
			return inst
		}
	}
	return nil
}

// cool takes the oldest warm instance of any server, for another to have
// room. p.mu is held.
func (p *pool) cool() (*warmth, *warm) {
	for _, w := range p.warm {
		w.mu.Lock()
		if len(w.ready) > 0 {
			inst := w.ready[0]
			w.ready = w.ready[1:]
			w.mu.Unlock()
			return w, inst
		}
		w.mu.Unlock()
	}
	return nil, nil
}

// warmCount returns how many instances of srv wait.
func (p *pool) warmCount(srv *server) int {
	p.mu.Lock()
	w := p.warm[srv]
	p.mu.Unlock()
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ready)
}

// close stops the instances; there are no more afterwards.
func (w *warmth) close() {
	w.mu.Lock()
	all := w.ready
	w.ready, w.closed = nil, true
	w.mu.Unlock()
	for _, inst := range all {
		w.p.wg.Go(func() { w.drop(inst) })
	}
}
