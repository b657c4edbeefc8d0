//go:build e2e && linux

package isolation

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// slow is what a ping to another server may take while one wastes what it
// can. Most of them take a thousandth of it; the machine may be busy with
// other things, too, so that it is held to half of the pings.
const slow = time.Second

// during pings another server all the while that f runs.
func during(t *testing.T, other *cell, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	done := make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for ctx.Err() == nil {
			begin := time.Now()
			err := other.ping(bounded(t))
			all = append(all, time.Since(begin))
			if err != nil {
				t.Errorf("another server does not answer: %v", err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		done <- all
	}()
	f()
	cancel()
	all := <-done
	slices.Sort(all)
	median, worst := all[len(all)/2], all[len(all)-1]
	t.Logf("%d pings to another server: half within %v, all within %v", len(all), median.Round(10*time.Microsecond), worst.Round(10*time.Microsecond))
	if median > slow {
		t.Errorf("half of the pings to another server took more than %v", median)
	}
}

// small is a limit of memory that a hog reaches at once; gVisor needs some for
// itself.
func (b *box) small() int64 {
	if b.name == "gvisor" {
		return 256 << 20
	}
	return 128 << 20
}

const hugeBytes = 1 << 30

// TestMemoryHog: who goes over its limit of memory is killed, and the exit
// says why, also when it is a child of the server that was killed.
func TestMemoryHog(t *testing.T) {
	for _, tool := range []string{"allocate", "child"} {
		t.Run(tool, func(t *testing.T) {
			boxes(t, nil, func(t *testing.T, b *box) {
				other := b.start(t, nil)
				c := b.start(t, func(s *runtime.Spec) { s.Limits.Memory = b.small() })
				during(t, other, func() {
					got, err := c.try(t, tool, args{"bytes": fmt.Sprint(hugeBytes)})
					if err == nil {
						t.Errorf("succeeded: %s", got)
					}
					e := c.exit(t)
					if e.Reason != runtime.OutOfMemory || !strings.Contains(e.String(), "out of memory") {
						t.Errorf("the exit says %q", e)
					}
					t.Logf("the exit says %q; the call said: %v", e, err)
				})
			})
		})
	}
}

// TestCPUHog: who burns as much as it can gets its share.
func TestCPUHog(t *testing.T) {
	const share = 0.5
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		c := b.start(t, func(s *runtime.Spec) { s.Limits.CPUs = share })
		usage := func() time.Duration {
			u, err := c.i.(runtime.Meter).Usage(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			return u.CPU
		}
		during(t, other, func() {
			before, begin := usage(), time.Now()
			if _, err := c.try(t, "burn", args{"seconds": "4", "threads": "4"}); err != nil {
				t.Fatal(err)
			}
			used, took := usage()-before, time.Since(begin)
			t.Logf("it used %v in %v", used.Round(time.Millisecond), took.Round(time.Millisecond))
			// A share is given out for a tenth of a second at a time.
			if most := time.Duration(share*float64(took)*1.2) + 300*time.Millisecond; used > most {
				t.Errorf("it used %v of CPU in %v", used, took)
			}
			if used < 300*time.Millisecond {
				t.Errorf("it has hardly burnt: %v", used)
			}
		})
	})
}

// TestForkBomb: who forks without end has as many processes as it may, and
// nothing of it is left.
func TestForkBomb(t *testing.T) {
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		limit := int64(64)
		if b.name == "gvisor" {
			limit = 200
		}
		c := b.start(t, func(s *runtime.Spec) { s.Limits.PIDs = limit })
		// Process 1 of a sandbox is not the server's.
		most := limit
		if b.name == "sandbox" {
			most += 12
		}
		var peak int64
		during(t, other, func() {
			over := make(chan error, 1)
			go func() {
				_, err := c.try(t, "bomb", args{"seconds": "3"})
				over <- err
			}()
			for running := true; running; {
				select {
				case err := <-over:
					// It may have had no process left for itself.
					t.Logf("the bomb ends: %v", err)
					running = false
				case <-time.After(50 * time.Millisecond):
					if u, err := c.i.(runtime.Meter).Usage(bounded(t)); err == nil {
						peak = max(peak, u.PIDs)
					}
				}
			}
		})
		t.Logf("up to %d processes", peak)
		if peak > most || peak < most/2 {
			t.Errorf("there were up to %d processes, with a limit of %d", peak, limit)
		}
		stop(t, c, time.Second)
	})
}

// TestDiskHog: who fills what it can write to fills no more than its bounds,
// and nothing of the host.
func TestDiskHog(t *testing.T) {
	const tmp, shm = 8 << 20, 16 << 20
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		c := b.start(t, func(s *runtime.Spec) { s.Limits.Tmp = tmp })
		during(t, other, func() {
			for dir, most := range map[string]int{"/tmp": tmp, "/dev/shm": shm} {
				got, err := c.try(t, "fill", args{"dir": dir})
				var n int
				if _, serr := fmt.Sscanf(got, "wrote %d bytes", &n); err != nil || serr != nil {
					t.Errorf("%s: %q, %v", dir, got, err)
					continue
				}
				t.Logf("%s: %s", dir, got)
				if n > most || n < 1<<20 || !strings.Contains(got, "no space left") {
					t.Errorf("%s: %s", dir, got)
				}
			}
			for _, dir := range []string{"/", "/etc", "/dev", "/proc", "/sys", "/var", "/run", "/usr"} {
				if got, err := c.try(t, "fill", args{"dir": dir}); err == nil {
					t.Errorf("%s: %s", dir, got)
				}
			}
		})
	})
}

// TestLitter: files without content count as well, as files or as memory.
func TestLitter(t *testing.T) {
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		c := b.start(t, func(s *runtime.Spec) { s.Limits.Memory, s.Limits.Tmp = b.small(), 8<<20 })
		during(t, other, func() {
			got, err := c.try(t, "litter", args{"dir": "/tmp"})
			switch {
			case err == nil:
				t.Log(got)
			case errors.Is(err, errFailed):
				t.Log(err)
			default:
				if e := c.exit(t); e.Reason != runtime.OutOfMemory {
					t.Errorf("the exit says %q, the call %v", e, err)
				} else {
					t.Logf("the exit says %q", e)
				}
			}
			if u, err := c.i.(runtime.Meter).Usage(bounded(t)); err == nil && u.Memory > b.small() {
				t.Errorf("it uses %d bytes", u.Memory)
			}
		})
	})
}

// TestFileHog: who opens files without end opens as many as it may.
func TestFileHog(t *testing.T) {
	const limit = 64
	boxes(t, nil, func(t *testing.T, b *box) {
		c := b.start(t, func(s *runtime.Spec) { s.Limits.Files = limit })
		got, err := c.try(t, "open", nil)
		var n int
		if _, serr := fmt.Sscanf(got, "opened %d files", &n); err != nil || serr != nil || n >= limit || n < limit/2 || !strings.Contains(got, "too many open files") {
			t.Errorf("%q, %v", got, err)
		}
		if err := c.ping(bounded(t)); err != nil {
			t.Error(err)
		}
	})
}

// growth runs f and tells by how much the heap of the gateway has grown
// meanwhile, at most.
func growth(f func()) int64 {
	heap := func() int64 {
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	goruntime.GC()
	before, peak := heap(), int64(0)
	over := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for {
			peak = max(peak, heap())
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	f()
	close(over)
	<-looked
	return peak - before
}

// modest is how much of the gateway's heap a flood may take, in bytes. What is
// sent is a multiple of it.
const modest = 32 << 20

// TestFloods: what a server prints without end is dropped, cut or refused, and
// does not pile up in the gateway.
func TestFloods(t *testing.T) {
	const maxLine = 1 << 20
	for _, test := range []struct {
		tool   string
		args   args
		fails  string // what the call says; empty: it succeeds
		serves bool   // it answers afterwards
	}{
		{"log", args{"bytes": fmt.Sprint(100 << 20)}, "", true},
		{"flood", args{"bytes": fmt.Sprint(100 << 20)}, fmt.Sprintf("longer than the limit of %d bytes", maxLine), false},
		{"chatter", args{"number": "100000"}, "", true},
	} {
		t.Run(test.tool, func(t *testing.T) {
			boxes(t, nil, func(t *testing.T, b *box) {
				other := b.start(t, nil)
				c := b.start(t, func(s *runtime.Spec) { s.MaxLine = maxLine })
				var grown int64
				during(t, other, func() {
					grown = growth(func() {
						got, err := c.try(t, test.tool, test.args)
						t.Logf("%q, %v", got, err)
						if test.fails == "" && err != nil || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
							t.Errorf("the call said %q, %v, want %q", got, err, test.fails)
						}
					})
				})
				t.Logf("the heap of the gateway grew by %d KiB", grown>>10)
				if grown > modest {
					t.Errorf("the heap of the gateway grew by %d bytes", grown)
				}
				if test.serves {
					if err := c.ping(bounded(t)); err != nil {
						t.Errorf("afterwards: %v", err)
					}
					return
				}
				// A server whose output makes no sense is of no more use: it is
				// ended, if it does not end by itself.
				t.Logf("the exit says %q", c.exit(t))
			})
		})
	}
}

// TestDeafServer: a server that reads no more blocks the calls to itself, as
// long as their callers wait, and nothing else.
func TestDeafServer(t *testing.T) {
	boxes(t, nil, func(t *testing.T, b *box) {
		other := b.start(t, nil)
		c := b.start(t, nil)
		if _, err := c.try(t, "deaf", nil); err != nil {
			t.Fatal(err)
		}
		big := strings.Repeat("x", 256<<10)
		var grown int64
		during(t, other, func() {
			grown = growth(func() {
				const calls = 200
				errs := make(chan error, calls)
				for range calls {
					go func() {
						ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
						defer cancel()
						_, err := c.call(ctx, "tools/call", map[string]any{"name": "read", "arguments": args{"path": big}})
						errs <- err
					}()
				}
				for range calls {
					select {
					case err := <-errs:
						if err == nil {
							t.Error("a call succeeded")
						}
					case <-time.After(20 * time.Second):
						t.Fatal("a call does not end with its context")
					}
				}
			})
		})
		t.Logf("the heap of the gateway grew by %d KiB for 50 MiB of calls", grown>>10)
		stop(t, c, 0)
	})
}
