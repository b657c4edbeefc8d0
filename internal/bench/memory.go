package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// idle is what one idle session costs a middle process in bytes of its
// proportional set size, after a garbage collection.
type idle struct {
	Kind     string `json:"kind"` // "idle"
	Link     link   `json:"link"`
	Path     path   `json:"path"`
	Sessions int    `json:"sessions"`
	With     figure `json:"bytesWithConnection"`    // each client keeps its TCP connection
	Without  figure `json:"bytesWithoutConnection"` // the connections are closed, the sessions are not
	Base     figure `json:"bytesBefore"`            // of the process without sessions
}

// closeTimeout bounds the wait for a role to see that its clients left.
const closeTimeout = 10 * time.Second

// measureIdle measures memory in fresh processes, several times.
func (b *bench) measureIdle(ctx context.Context) error {
	n, repeats := 200, min(b.o.rounds, 3)
	if b.o.quick {
		n = 20
	}
	for _, r := range []row{
		{Link: overHTTP, Era: legacy, Op: opEcho, Path: hop},
		{Link: overHTTP, Era: legacy, Op: opEcho, Path: empty},
		{Link: overStdio, Era: legacy, Op: opEcho, Path: empty},
	} {
		var with, without, base []float64
		for range repeats {
			before, open, shut, err := b.idleOnce(ctx, r, n)
			b.stop()
			if errors.Is(err, errors.ErrUnsupported) {
				fmt.Fprintln(b.log, err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", r.Link, r.Path, err)
			}
			base = append(base, float64(before))
			with = append(with, float64(open-before)/float64(n))
			without = append(without, float64(shut-before)/float64(n))
		}
		b.memory = append(b.memory, idle{
			Kind: "idle", Link: r.Link, Path: r.Path, Sessions: n,
			With: figure(median(with)), Without: figure(median(without)), Base: figure(median(base)),
		})
	}
	return nil
}

// idleOnce opens n sessions, each of which makes one call, and returns the
// memory of the process before, with their connections, and without.
func (b *bench) idleOnce(ctx context.Context, r row, n int) (before, open, shut int64, err error) {
	p, address, at, err := b.middle(ctx, r)
	if err != nil {
		return 0, 0, 0, err
	}
	settled := func() (int64, error) {
		if _, err := p.ask("settle"); err != nil {
			return 0, err
		}
		return memory(p.cmd.Process.Pid)
	}
	// What the process needs only once is not a session's.
	warm, err := openHTTP(ctx, address, at, 4, r.Op, false)
	if err != nil {
		return 0, 0, 0, err
	}
	t := warm.run(ctx, b.o.warm)
	if err := errors.Join(t.first, warm.close()); err != nil {
		return 0, 0, 0, err
	}
	if before, err = settled(); err != nil {
		return 0, 0, 0, err
	}
	l, err := openHTTP(ctx, address, at, n, r.Op, false)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() {
		for _, u := range l.users {
			u.reset()
		}
	}()
	for _, u := range l.users {
		if err := errors.Join(ctx.Err(), u.once()); err != nil {
			return 0, 0, 0, err
		}
	}
	if open, err = settled(); err != nil {
		return 0, 0, 0, err
	}
	for _, u := range l.users {
		u.reset()
	}
	for end := time.Now().Add(closeTimeout); ; {
		s, err := p.ask("stats")
		if err != nil {
			return 0, 0, 0, err
		}
		if s.Conns == 0 {
			break
		}
		if time.Now().After(end) {
			return 0, 0, 0, fmt.Errorf("%d connections are still open %s after the clients closed them", s.Conns, closeTimeout)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if shut, err = settled(); err != nil {
		return 0, 0, 0, err
	}
	return before, open, shut, nil
}
