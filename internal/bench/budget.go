package main

import (
	"fmt"
	"math"
)

// budget is a bound of the project's design, and what was measured.
type budget struct {
	Kind  string `json:"kind"` // "budget"
	What  string `json:"what"`
	Value figure `json:"value"`
	Bound figure `json:"bound"`
	Unit  string `json:"unit"` // "x hop", "µs over hop" or "KB"
	OK    bool   `json:"ok"`
}

// budgets holds the figures against the bounds. What was not measured is left
// out. The bounds on CPU are for several clients at once: with one alone most
// of it is threads that go to sleep and wake up, in the gateway as in the hop,
// so that the table shows that ratio but nothing is held against it; what
// counts then is the time that the client waits.
func (b *bench) budgets() []budget {
	var out []budget
	add := func(what string, value figure, bound float64, unit string) {
		if !math.IsNaN(float64(value)) {
			out = append(out, budget{"budget", what, value, figure(bound), unit, float64(value) <= bound})
		}
	}
	cpu := func(r row, bound float64) {
		add("CPU of "+r.String(), b.summarize(r).CPUToHop, bound, "x hop")
	}
	for _, e := range []era{legacy, modern} {
		r := row{Link: overHTTP, Era: e, Clients: many, Op: opEcho}
		cpu(r.with(empty), 1.0)
		cpu(r.with(ten), 1.4)
		r.Link = overStdio
		cpu(r.with(empty), 0.6)
		cpu(r.with(ten), 0.9)
	}
	for _, l := range []link{overHTTP, overStdio} {
		for _, e := range []era{legacy, modern} {
			r := row{l, e, one, opEcho, empty}
			add("median of "+r.String(), b.summarize(r).P50OverHop, 50, "µs over hop")
		}
	}
	cpu(row{overHTTP, legacy, many, opBig, empty}, 1.0)
	cpu(row{overHTTP, legacy, many, opBig, baseline}, 3.5)
	cpu(row{overHTTP, legacy, many, opList, empty}, 1.0)
	cpu(row{overHTTP, modern, many, opList, empty}, 1.0)
	for _, m := range b.memory {
		if m.Path != hop {
			what := fmt.Sprintf("idle session, server over %s, ", m.Link)
			add(what+"without its connection", m.Without/1024, 16, "KB")
			add(what+"with its connection", m.With/1024, 40, "KB")
		}
	}
	return out
}
