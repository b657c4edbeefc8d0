//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// together is how many servers are started at once.
const together = 8

// many is the starts of one way, many at once.
type many struct {
	wall  series // ms until all have answered
	eight series // starts a second, with the stops, of so many workers
}

func (b *bench) measureMany(ctx context.Context) error {
	ways := b.only(asProcess, asSandbox, asBare, inRunc)
	b.many = map[string]*many{}
	for _, w := range ways {
		b.many[w.name] = &many{}
	}
	rounds := max(1, b.o.rounds/3)
	for round := range rounds {
		b.progress("many starts at once", round, rounds)
		for _, w := range rotated(ways, round) {
			m := b.many[w.name]
			wall, err := w.atOnce(ctx)
			if err != nil {
				return err
			}
			m.wall = append(m.wall, millis(wall))
			span := time.Second
			if b.o.quick {
				span = 100 * time.Millisecond
			}
			perSecond, err := w.workers(ctx, span)
			if err != nil {
				return err
			}
			m.eight = append(m.eight, perSecond)
		}
	}
	return nil
}

// atOnce starts servers together and returns how long it takes until all have
// answered.
func (w *way) atOnce(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var launches [together]func(context.Context) (server, error)
	for i := range launches {
		var err error
		if launches[i], err = w.prepare(); err != nil {
			return 0, err
		}
	}
	var servers [together]server
	var errs [together]error
	var all sync.WaitGroup
	begin := time.Now()
	for i, launch := range launches {
		all.Go(func() { servers[i], errs[i] = launch(ctx) })
	}
	all.Wait()
	took := time.Since(begin)
	for i, s := range servers {
		if s != nil {
			all.Go(func() { errs[i] = s.stop(ctx) })
		}
	}
	all.Wait()
	return took, errors.Join(errs[:]...)
}

// workers start and stop servers for a while, and returns how many starts a
// second they made.
func (w *way) workers(ctx context.Context, span time.Duration) (float64, error) {
	var starts atomic.Int64
	var errs [together]error
	var all sync.WaitGroup
	begin := time.Now()
	for i := range together {
		all.Go(func() {
			for errs[i] == nil && time.Since(begin) < span {
				if _, _, errs[i] = w.once(ctx); errs[i] == nil {
					starts.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(starts.Load()) / time.Since(begin).Seconds(), errors.Join(errs[:]...)
}
