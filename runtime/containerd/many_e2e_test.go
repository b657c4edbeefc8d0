//go:build e2e && linux

package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

// counts are what must return to the start.
type counts struct{ fds, goroutines, netns int }

func count(t *testing.T) counts {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	nets := map[string]bool{}
	for _, f := range all {
		if ns, err := os.Readlink(f); err == nil {
			nets[ns] = true
		}
	}
	return counts{len(fds), goruntime.NumGoroutine(), len(nets)}
}

// TestManyAtOnce starts and stops twenty containers at once, again and again,
// with a shim each and with one for all.
func TestManyAtOnce(t *testing.T) {
	for name, share := range map[string]bool{"own shims": false, "one shim": true} {
		t.Run(name, func(t *testing.T) {
			d := bed.Containerd(t)
			r := newRuntime(t, d, func(o *Options) { o.ShareShims = share })
			spec := probe(t)
			round := func(n int) time.Duration {
				begin := time.Now()
				var all sync.WaitGroup
				started := make(chan runtime.Instance, n)
				for range n {
					all.Go(func() {
						i, err := r.Start(bounded(t), spec)
						if err != nil {
							t.Error(err)
							return
						}
						started <- i
					})
				}
				all.Wait()
				took := time.Since(begin)
				close(started)
				if shims := len(d.Shims()); share && shims > 1 || !share && shims != n {
					t.Errorf("%d containers have %d shims", n, shims)
				}
				for i := range started {
					all.Go(func() {
						initialize(t, i)
						if err := i.Stop(bounded(t)); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				return took
			}
			round(1) // what is made once
			before := count(t)
			for range 3 {
				t.Logf("20 starts took %v", round(20))
			}
			var last string
			defer func() { t.Log(last) }()
			eventually(t, 10*time.Second, "counts return to the start", func() bool {
				now := count(t)
				ok := now.fds <= before.fds+1 && now.goroutines <= before.goroutines && now.netns <= before.netns
				last = fmt.Sprintf("before %+v, now %+v", before, now)
				return ok
			})
		})
	}
}

func TestMaxInstances(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, func(o *Options) { o.MaxInstances = 2 })
	spec := probe(t)
	first := start(t, r, spec)
	start(t, r, spec)
	if _, err := r.Start(bounded(t), spec); err == nil || !strings.Contains(err.Error(), "MaxInstances") {
		t.Errorf("a third instance: %v", err)
	}
	bad := spec
	bad.Command = []string{"/no/such/program"}
	if err := first.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a start that fails does not count
		if _, err := r.Start(bounded(t), bad); err == nil || strings.Contains(err.Error(), "MaxInstances") {
			t.Errorf("got %v", err)
		}
	}
	start(t, r, spec)
}

// TestOneProcessOutOfMemory: the first process lives on when the kernel kills
// another one for memory, which the driver does not leave at that.
func TestOneProcessOutOfMemory(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	spec.Limits.Memory = 128 << 20
	spec.Command = []string{"/server", "init-forever", "/server", runtimetest.ProbeArg}
	i := start(t, r, spec)
	if _, err := call(t, i, "probe/memory", map[string]any{"arg": 512}); err == nil {
		t.Error("a call got a reply from a server that ran out of memory")
	}
	if e := exit(t, i); e.Reason != runtime.OutOfMemory || !strings.Contains(e.String(), "out of memory") {
		t.Errorf("the exit is %+v", e)
	}
}

func TestUsage(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	i := start(t, r, probe(t))
	initialize(t, i)
	u, err := i.Usage(bounded(t))
	if err != nil || u.CPU <= 0 || u.Memory < 1<<18 || u.Memory > 512<<20 || u.PIDs < 2 {
		t.Errorf("got %+v, %v", u, err)
	}
	if err := i.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Usage(bounded(t)); err == nil {
		t.Error("a stopped instance uses something")
	}
}

func TestPort(t *testing.T) {
	for _, class := range []string{"", "gvisor"} {
		t.Run("class "+class, func(t *testing.T) {
			d := bed.Containerd(t)
			r := newRuntime(t, d, nil)
			spec := probe(t)
			spec.Class, spec.Port, spec.Args = class, 8080, []string{"http", "8080"}
			i := start(t, r, spec)
			if got := initialize(t, i)["protocolVersion"]; got != "2025-11-25" {
				t.Errorf("the version is %v", got)
			}
			begin := time.Now()
			if err := i.Stop(bounded(t)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("stopping took %v", took)
			}
			if e := exit(t, i); e.Reason != runtime.Stopped {
				t.Errorf("the exit is %+v", e)
			}

			spec.Args = []string{"nonsense"}
			_, err := r.Start(bounded(t), spec)
			if err == nil || !strings.Contains(err.Error(), "before it listened on port 8080") || !strings.Contains(err.Error(), "unknown arguments") {
				t.Errorf("a server that ends: %v", err)
			}
			spec.Args = []string{"http", "8081"}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err = r.Start(ctx, spec); err == nil || !strings.Contains(err.Error(), "does not listen on port 8080") {
				t.Errorf("a server that listens elsewhere: %v", err)
			}
		})
	}
}

// TestStartsThatAreGivenUp: whenever the context of a start ends, nothing is
// left of it.
func TestStartsThatAreGivenUp(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	if err := start(t, r, spec).Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	before := count(t)
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*4*time.Millisecond)
			defer cancel()
			i, err := r.Start(ctx, spec)
			if err == nil {
				_ = i.Stop(bounded(t))
			}
		})
		if n%4 == 3 {
			all.Wait()
		}
	}
	all.Wait()
	var last string
	defer func() { t.Log(last) }()
	eventually(t, 20*time.Second, "nothing is left", func() bool {
		b, s, _ := belongings(t, r, r.owner.ID)
		now := count(t)
		ok := b+s == 0 && len(d.Shims()) == 0 && now.fds <= before.fds+1 && now.goroutines <= before.goroutines && now.netns <= before.netns
		last = fmt.Sprintf("%d containers, %d snapshots, %d shims, before %+v, now %+v", b, s, len(d.Shims()), before, now)
		return ok
	})
	initialize(t, start(t, r, spec))
}

// TestCloseDuringStarts: Close ends starts that are under way.
func TestCloseDuringStarts(t *testing.T) {
	d := bed.Containerd(t)
	r := newRuntime(t, d, nil)
	spec := probe(t)
	if err := start(t, r, spec).Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = r.Start(bounded(t), spec) })
	}
	time.Sleep(30 * time.Millisecond)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	nothingOf(t, d, r)
}
