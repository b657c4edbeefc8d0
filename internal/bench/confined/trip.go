//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// measureTrips pings servers that are up.
func (b *bench) measureTrips(ctx context.Context) (err error) {
	pings := 2000
	if b.o.quick {
		pings = 100
	}
	ways := b.only(asProcess, asSandbox, asBare, inRunc, inGvisor)
	b.trips = map[string]series{}
	servers := map[string]server{}
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop(ctx))
		}
	}()
	for _, w := range ways {
		s, err := w.up(ctx)
		if err != nil {
			return err
		}
		servers[w.name] = s
	}
	for round := range b.o.rounds {
		b.progress("round trips", round, b.o.rounds)
		for _, w := range rotated(ways, round) {
			took := make([]time.Duration, pings)
			for i := range took {
				begin := time.Now()
				if err := servers[w.name].ping(ctx); err != nil {
					return fmt.Errorf("%s: ping: %w", w.name, err)
				}
				took[i] = time.Since(begin)
			}
			slices.Sort(took)
			b.trips[w.name] = append(b.trips[w.name], micros(took[pings/2]))
		}
	}
	return nil
}
