//go:build e2e && linux

package main

import "context"

// cold is the starts of one way, one after the other.
type cold struct {
	start, stop series // ms
}

// rare is the round in which slow ways take part: one in so many.
const rare = 4

// measureCold starts a server in each way, in turns.
func (b *bench) measureCold(ctx context.Context) error {
	b.cold = map[string]*cold{}
	for _, w := range b.ways {
		b.cold[w.name] = &cold{}
	}
	for round := range b.o.rounds {
		b.progress("starts", round, b.o.rounds)
		other, err := busy(ctx)
		if err != nil {
			return err
		}
		b.busy = append(b.busy, other)
		for _, w := range rotated(b.ways, round) {
			c := b.cold[w.name]
			if w.name == inGvisor && round%rare != 0 {
				c.start, c.stop = append(c.start, nan), append(c.stop, nan)
				continue
			}
			start, stop, err := w.once(ctx)
			if err != nil {
				return err
			}
			c.start, c.stop = append(c.start, millis(start)), append(c.stop, millis(stop))
		}
	}
	return nil
}
