//go:build e2e && linux

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

// series is one value a round; NaN where a round has none.
type series []float64

func (s series) known() series {
	v := slices.DeleteFunc(slices.Clone(s), math.IsNaN)
	slices.Sort(v)
	return v
}

// median of the rounds.
func (s series) median() figure {
	v := s.known()
	switch n := len(v); {
	case n == 0:
		return figure(nan)
	case n%2 == 1:
		return figure(v[n/2])
	default:
		return figure((v[n/2-1] + v[n/2]) / 2)
	}
}

// least of the rounds.
func (s series) least() figure {
	if v := s.known(); len(v) > 0 {
		return figure(v[0])
	}
	return figure(nan)
}

// with has f of both for each round.
func (s series) with(other series, f func(mine, theirs float64) float64) series {
	out := make(series, min(len(s), len(other)))
	for i := range out {
		out[i] = f(s[i], other[i])
	}
	return out
}

func ratio(mine, theirs float64) float64      { return mine / theirs }
func difference(mine, theirs float64) float64 { return mine - theirs }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
