package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxFaults ends a user's part in a cell: what fails so often would only
// print more of the same.
const maxFaults = 50

// load is the clients of one cell. They make one call after the other, all at
// once, as fast as replies come.
type load struct {
	users []*user
	pipe  *pipe // nil over HTTP
}

// openHTTP opens n users at a URL of a role.
func openHTTP(ctx context.Context, address, path string, n int, op operation, modern bool) (*load, error) {
	l := &load{}
	for i := range n {
		u := &user{client: newHTTPClient(address, path, modern), index: i, modern: modern, op: op}
		l.users = append(l.users, u)
		if err := errors.Join(ctx.Err(), u.open(true)); err != nil {
			l.close()
			return nil, fmt.Errorf("opening client %d: %w", i+1, err)
		}
	}
	return l, nil
}

// openPipe opens n users on one server of their own on a pipe.
func openPipe(ctx context.Context, n int, op operation, modern bool) (*load, error) {
	p, err := startPipe(n)
	if err != nil {
		return nil, err
	}
	l := &load{pipe: p}
	for i := range n {
		u := &user{client: &pipeClient{p: p, index: i}, index: i, modern: modern, op: op}
		l.users = append(l.users, u)
		if err := errors.Join(ctx.Err(), u.open(i == 0)); err != nil {
			l.close()
			return nil, fmt.Errorf("opening client %d: %w", i+1, err)
		}
	}
	return l, nil
}

// close ends the sessions and connections.
func (l *load) close() error {
	var errs []error
	for _, u := range l.users {
		errs = append(errs, u.leave())
	}
	if l.pipe != nil {
		l.pipe.close()
	}
	return errors.Join(errs...)
}

// tally is what a span of calls gave.
type tally struct {
	took      time.Duration
	latencies []time.Duration // of the calls that went well, in no order
	errors    int
	first     error
}

// run makes calls for the time d. It returns when every call has ended, so
// that what is read before and after belongs to these calls and no others.
func (l *load) run(ctx context.Context, d time.Duration) tally {
	parts := make([]tally, len(l.users))
	for i, u := range l.users {
		u.extend(d)
		parts[i].latencies = make([]time.Duration, 0, 1<<14)
	}
	var wg sync.WaitGroup
	start := time.Now()
	for i, u := range l.users {
		wg.Go(func() { u.repeat(ctx, start.Add(d), &parts[i]) })
	}
	wg.Wait()
	sum := tally{took: time.Since(start)}
	for _, p := range parts {
		sum.latencies = append(sum.latencies, p.latencies...)
		sum.errors += p.errors
		if sum.first == nil {
			sum.first = p.first
		}
	}
	return sum
}

// repeat calls until end.
func (u *user) repeat(ctx context.Context, end time.Time, t *tally) {
	for now := time.Now(); now.Before(end) && t.errors < maxFaults && ctx.Err() == nil; {
		err := u.once()
		then := time.Now()
		if err != nil {
			t.errors++
			if t.first == nil {
				t.first = err
			}
			u.reset()
		} else {
			t.latencies = append(t.latencies, then.Sub(now))
		}
		now = then
	}
}
