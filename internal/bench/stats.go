package main

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

var nan = math.NaN()

// figure is a measured value; NaN, which JSON shows as null, is none.
type figure float64

// MarshalJSON implements [json.Marshaler].
func (f figure) MarshalJSON() ([]byte, error) {
	if v := float64(f); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(math.Round(float64(f)*1000) / 1000)
}

// quantile of sorted durations, in µs.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return nan
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i]) / float64(time.Microsecond)
}

// median of values, those that are NaN left out.
func median(values []float64) float64 {
	v := known(values)
	switch n := len(v); {
	case n == 0:
		return nan
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// spread is how far the extremes are apart, as a part of the median.
func spread(values []float64) float64 {
	v := known(values)
	if len(v) == 0 {
		return nan
	}
	return (v[len(v)-1] - v[0]) / median(v)
}

// known are the values that are not NaN, sorted.
func known(values []float64) []float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(v)
	return v
}

// summary is a row over all rounds: medians, and ratios that were made in
// each round before the median was taken of them.
type summary struct {
	Kind string `json:"kind"` // "row"
	Name string `json:"name"`
	row
	CallsPerSecond figure `json:"callsPerSecond"`
	P50            figure `json:"p50Micros"`
	P99            figure `json:"p99Micros"`
	CPU            figure `json:"cpuMillisPer1000"`
	Allocs         figure `json:"allocsPerCall"`
	Bytes          figure `json:"bytesPerCall"`
	ToDirect       figure `json:"callsToDirect"` // calls a second, as a part of direct
	ToHop          figure `json:"callsToHop"`
	CPUToHop       figure `json:"cpuToHop"`
	P50OverHop     figure `json:"p50OverHopMicros"`
	Spread         figure `json:"spread"` // of the CPU, else of the calls a second
	Calls          int    `json:"calls"`
	Errors         int    `json:"errors"`
	FirstError     string `json:"firstError,omitempty"`
}

// summarize makes the line of a row.
func (b *bench) summarize(r row) summary {
	samples := b.samples[r]
	s := summary{Kind: "row", Name: r.String(), row: r}
	of := func(f func(sample) float64) []float64 {
		v := make([]float64, len(samples))
		for i, x := range samples {
			v[i] = f(x)
		}
		return v
	}
	// against holds each round's value against that of another row.
	against := func(other row, f func(mine, theirs sample) float64) figure {
		beside := b.samples[other]
		var v []float64
		for i := range min(len(samples), len(beside)) {
			v = append(v, f(samples[i], beside[i]))
		}
		return figure(median(v))
	}
	calls := func(x sample) float64 { return x.perSec }
	cpu := func(x sample) float64 { return x.cpu }
	s.CallsPerSecond = figure(median(of(calls)))
	s.P50 = figure(median(of(func(x sample) float64 { return x.p50 })))
	s.P99 = figure(median(of(func(x sample) float64 { return x.p99 })))
	s.CPU = figure(median(of(cpu)))
	s.Allocs = figure(median(of(func(x sample) float64 { return x.allocs })))
	s.Bytes = figure(median(of(func(x sample) float64 { return x.bytes })))
	s.ToDirect = against(r.with(direct), func(m, t sample) float64 { return m.perSec / t.perSec })
	s.ToHop = against(r.yardstick(), func(m, t sample) float64 { return m.perSec / t.perSec })
	s.CPUToHop = against(r.yardstick(), func(m, t sample) float64 { return m.cpu / t.cpu })
	s.P50OverHop = against(r.yardstick(), func(m, t sample) float64 { return m.p50 - t.p50 })
	s.Spread = figure(spread(of(cpu)))
	if math.IsNaN(float64(s.Spread)) {
		s.Spread = figure(spread(of(calls)))
	}
	for _, x := range samples {
		s.Calls += x.calls
		s.Errors += x.errors
		if s.FirstError == "" && x.first != nil {
			s.FirstError = x.first.Error()
		}
	}
	return s
}
