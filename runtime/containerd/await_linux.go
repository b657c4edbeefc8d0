package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
)

// ending is how a container ended.
type ending struct {
	code int
	lost bool // nobody could tell: the shim or containerd is gone
	err  error
}

// await returns when the container has ended, or when containerd has been away
// for too long: the container is killed then.
func (i *instance) await() ending {
	r := i.r
	var awaySince, oddSince time.Time
	for {
		resp, err := r.client.TaskService().Wait(r.within(r.ctx), &tasks.WaitRequest{ContainerID: i.id})
		if err == nil {
			return ending{code: int(resp.ExitStatus)}
		}
		err = typed(err)
		if r.ctx.Err() != nil {
			i.kill()
			return ending{code: -1, lost: true, err: errClosed}
		}
		ctx, cancel := context.WithTimeout(r.ctx, callGrace)
		_, gone := r.ready(ctx)
		cancel()
		if gone != nil {
			if awaySince.IsZero() {
				awaySince = time.Now()
			}
			// Without containerd nobody knows the exit code.
			if i.exited() {
				return ending{code: -1, lost: true, err: gone}
			}
			if time.Since(awaySince) > awayGrace {
				i.direct(killSignal)
				return ending{code: -1, lost: true, err: gone}
			}
			sleep(r.ctx, retryEvery)
			continue
		}
		awaySince = time.Time{}
		if errdefs.IsNotFound(err) || !i.runs() {
			return ending{code: -1, lost: true, err: errors.New("the shim of its container ended, and the container with it")}
		}
		if oddSince.IsZero() {
			oddSince = time.Now()
		}
		if time.Since(oddSince) > killGrace {
			i.kill()
			return ending{code: -1, lost: true, err: fmt.Errorf("waiting for the end of its container: %w", err)}
		}
		sleep(r.ctx, retryEvery)
	}
}

// runs tells whether containerd knows the container as one that runs.
func (i *instance) runs() bool {
	ctx, cancel := context.WithTimeout(i.r.ctx, callGrace)
	defer cancel()
	resp, err := i.r.client.TaskService().Get(i.r.within(ctx), &tasks.GetRequest{ContainerID: i.id})
	if err != nil {
		return !errdefs.IsNotFound(typed(err))
	}
	switch resp.Process.Status {
	case tasktypes.Status_RUNNING, tasktypes.Status_CREATED, tasktypes.Status_PAUSED, tasktypes.Status_PAUSING:
		return true
	default:
		return false
	}
}

// listen starts to watch for containers that ran out of memory, once.
func (r *Runtime) listen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watching || r.closed {
		return
	}
	r.watching = true
	r.work.Go(func() {
		for r.ctx.Err() == nil {
			r.hear()
			sleep(r.ctx, retryEvery)
		}
	})
}

// hear ends a server of which a process was killed for memory: what is left of
// it is in no known state. It returns when containerd is gone.
func (r *Runtime) hear() {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	events, errs := r.client.Subscribe(r.within(ctx), `namespace==`+r.o.Namespace+`,topic=="/tasks/oom"`)
	for {
		select {
		case e := <-events:
			if e == nil {
				return
			}
			v, err := typeurl.UnmarshalAny(e.Event)
			if err != nil {
				continue
			}
			if oom, ok := v.(*eventtypes.TaskOOM); ok {
				r.mu.Lock()
				i := r.instances[oom.ContainerID]
				r.mu.Unlock()
				if i != nil {
					i.mu.Lock()
					i.oom = true
					i.mu.Unlock()
					i.kill()
				}
			}
		case <-errs:
			return
		case <-ctx.Done():
			return
		}
	}
}
