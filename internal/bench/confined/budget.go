//go:build e2e && linux

package main

import "math"

// budget is a bound of the project's design, and what was measured.
type budget struct {
	Kind   string `json:"kind"` // "budget"
	What   string `json:"what"`
	Value  figure `json:"value"` // the median
	Best   figure `json:"best"`
	Bound  figure `json:"bound"`
	Unit   string `json:"unit"` // "x", "ms" or "µs"
	OK     bool   `json:"ok"`
	BestOK bool   `json:"bestOK"`
}

// The bounds.
const (
	mostToBare      = 1.25 // x
	mostSandbox     = 20   // ms
	mostWarm        = 10   // ms
	mostOverProcess = 100  // µs
)

// budgets holds the figures against the bounds.
func (b *bench) budgets() []budget {
	var out []budget
	add := func(what string, value, best figure, bound figure, unit string) {
		if !math.IsNaN(float64(value)) {
			out = append(out, budget{"budget", what, value, best, bound, unit, value <= bound, best <= bound})
		}
	}
	ours, theirs := b.cold[inRunc].start, b.cold[asBare].start
	add("cold start of a container, to a bare client's", ours.with(theirs, ratio).median(), ours.least()/theirs.least(), mostToBare, "x")
	box := b.cold[asSandbox].start
	add("cold start in the sandbox", box.median(), box.least(), mostSandbox, "ms")
	warm := b.calls[inRunc].warm
	add("first call of a session, warm container", warm.median(), warm.least(), mostWarm, "ms")
	for _, name := range []string{inRunc, asSandbox} {
		over := b.trips[name].with(b.trips[asProcess], difference)
		add("round trip to a "+name+", over a process's", over.median(), b.trips[name].least()-b.trips[asProcess].least(), mostOverProcess, "µs")
	}
	return out
}

// loaded is the part of the CPUs that others may use before medians are
// doubted.
const loaded = 0.15

func (b *bench) loaded() bool { return float64(b.busy.median()) > loaded }

// verdict is the last column of the table.
func (x budget) verdict() string {
	switch {
	case x.OK:
		return "ok"
	case x.BestOK:
		return "over, best ok"
	}
	return "over"
}
