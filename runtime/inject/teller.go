package inject

import (
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Injections that are all alike are told once in repeatTime; so many different
// ones are kept apart.
const (
	repeatTime = time.Second
	maxKept    = 256
)

// teller tells what became of placeholders, without a flood. It is safe for
// concurrent use.
type teller struct {
	f func(runtime.Injection)

	mu   sync.Mutex
	last map[runtime.Injection]*lately
}

type lately struct {
	at    time.Time
	since int
}

func newTeller(f func(runtime.Injection)) *teller {
	return &teller{f: f, last: map[runtime.Injection]*lately{}}
}

func (t *teller) tell(i runtime.Injection) {
	if t.f == nil {
		return
	}
	t.mu.Lock()
	l, now := t.last[i], time.Now()
	switch {
	case l == nil && len(t.last) >= maxKept:
		for k, old := range t.last {
			if now.Sub(old.at) >= repeatTime {
				delete(t.last, k)
			}
		}
		if len(t.last) >= maxKept {
			t.mu.Unlock()
			return
		}
		fallthrough
	case l == nil:
		l = &lately{}
		t.last[i] = l
	case now.Sub(l.at) < repeatTime:
		l.since++
		t.mu.Unlock()
		return
	}
	i.Count = l.since + 1
	l.at, l.since = now, 0
	t.mu.Unlock()
	t.f(i)
}
