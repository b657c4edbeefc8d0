package egress

import (
	"context"
	"sync"
	"time"
)

// How many decisions a gate makes: connections, requests to the proxy, and
// questions of DNS. Each is an event that somebody may write to a disk.
const (
	maxRate  = 200  // a second
	maxBurst = 1000 // at once, after a quiet time
)

// pace bounds a rate.
type pace struct {
	mu    sync.Mutex
	rate  float64 // a second
	burst float64
	have  float64
	since time.Time
}

func newPace(rate, burst float64) *pace {
	return &pace{rate: rate, burst: burst, have: burst, since: time.Now()}
}

// take takes one, and says how long to wait when there is none.
func (p *pace) take() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.have = min(p.burst, p.have+now.Sub(p.since).Seconds()*p.rate)
	p.since = now
	if p.have < 1 {
		return max(time.Duration((1-p.have)/p.rate*float64(time.Second)), time.Microsecond)
	}
	p.have--
	return 0
}

// wait waits until one can be taken; false: ctx has ended.
func (p *pace) wait(ctx context.Context) bool {
	for {
		d := p.take()
		if d == 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
}

// repeatTime is for how long a refusal like one that was told is not told.
const repeatTime = time.Second

// maxRepeats bounds the refusals that are remembered for that. The pace keeps
// those of one repeatTime well below.
const maxRepeats = 4096

// repeats finds refusals that were told a moment ago.
type repeats struct {
	mu   sync.Mutex
	seen map[repeat]repeated
}

type repeat struct{ protocol, target, reason string }

type repeated struct {
	told time.Time
	more int // since
}

func newRepeats() *repeats { return &repeats{seen: map[repeat]repeated{}} }

// tell reports whether a refusal is to be told, and how many like it were not
// since the last one that was.
func (r *repeats) tell(k repeat) (more int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	e, known := r.seen[k]
	if known && now.Sub(e.told) < repeatTime {
		e.more++
		r.seen[k] = e
		return 0, false
	}
	if !known && len(r.seen) >= maxRepeats {
		for k, e := range r.seen {
			if now.Sub(e.told) >= repeatTime {
				delete(r.seen, k)
			}
		}
		if len(r.seen) >= maxRepeats {
			return 0, false
		}
	}
	r.seen[k] = repeated{told: now}
	return e.more, true
}
