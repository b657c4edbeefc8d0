package egress

import (
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// maxRefusals bounds what [Gate.Refusals] returns.
const maxRefusals = 32

// record keeps the refusals of one gate, the newest last.
type record struct {
	mu   sync.Mutex
	list []runtime.Refusal
}

// add counts a refusal and moves it to the end.
func (r *record) add(f runtime.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.list, func(have runtime.Refusal) bool {
		return have.Target == f.Target && have.Reason == f.Reason
	})
	f.Count, f.Last = 1, time.Now()
	if i >= 0 {
		f.Count += r.list[i].Count
		r.list = slices.Delete(r.list, i, i+1)
	}
	if len(r.list) == maxRefusals {
		r.list = slices.Delete(r.list, 0, 1)
	}
	r.list = append(r.list, f)
}

func (r *record) all() []runtime.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}
