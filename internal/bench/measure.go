package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run: the roles that are up, and what was measured so far.
type bench struct {
	o       options
	log     io.Writer
	roles   map[string]*process
	samples map[row][]sample // one a round
	memory  []idle
	chain   []cost
}

// sample is what one cell gave: one row in one round.
type sample struct {
	calls    int
	perSec   float64       // calls a second
	p50, p99 float64       // µs
	cpu      float64       // ms of the middle process per 1,000 calls; NaN without one
	allocs   float64       // of the middle process per call; NaN without one
	bytes    float64       // allocated per call
	errors   int           // in the warm-up too
	first    error         // the first of them
	took     time.Duration // of the measured part
}

// role returns the process of a role, started at its first use.
func (b *bench) role(ctx context.Context, name string, args ...string) (*process, error) {
	key := strings.Join(append([]string{name}, args...), " ")
	if p := b.roles[key]; p != nil {
		return p, nil
	}
	p, err := startRole(ctx, b.log, name, args...)
	if err != nil {
		return nil, err
	}
	b.roles[key] = p
	return p, nil
}

// drop ends the gateway of a row that failed: the next cell gets a new one.
func (b *bench) drop(r row) {
	for key, p := range b.roles {
		if p.name == "gateway" && r.Path != direct && r.Path != hop {
			p.stop()
			delete(b.roles, key)
		}
	}
}

// stop ends every role.
func (b *bench) stop() {
	for _, p := range b.roles {
		p.stop()
	}
	clear(b.roles)
}

// middle starts what a row measures. It is nil where nothing stands between;
// over HTTP, address and path say where the clients connect.
func (b *bench) middle(ctx context.Context, r row) (p *process, address, at string, err error) {
	at = pathFew
	if r.Op == opList {
		at = pathMany
	}
	server, err := b.role(ctx, "server")
	if err != nil {
		return nil, "", "", err
	}
	origin := "http://" + server.address
	switch r.Path {
	case direct:
		return nil, server.address, at, nil
	case hop:
		p, err = b.role(ctx, "hop", origin)
	default:
		p, err = b.role(ctx, "gateway", gatewayArgs(r, origin+at)...)
		at = pathFew
	}
	if err != nil {
		return nil, "", "", err
	}
	return p, p.address, at, nil
}

// gatewayArgs are the arguments of the role gateway for a row.
func gatewayArgs(r row, url string) []string {
	if r.Link == overStdio {
		url = "stdio"
		if r.Path == session {
			url, r.Path = "stdio-session", empty
		}
	}
	return []string{url, string(r.Path)}
}

// cell measures one row once.
func (b *bench) cell(ctx context.Context, r row) (s sample, err error) {
	p, address, at, err := b.middle(ctx, r)
	if err != nil {
		return sample{}, err
	}
	var l *load
	if r.Link == overStdio && r.Path == direct {
		l, err = openPipe(ctx, r.Clients, r.Op, r.Era == modern)
	} else {
		l, err = openHTTP(ctx, address, at, r.Clients, r.Op, r.Era == modern)
	}
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	warm := l.run(ctx, b.o.warm)
	if p == nil {
		t := l.run(ctx, b.o.d)
		return makeSample(warm, t, nil), ctx.Err()
	}
	if err := b.profile(p, r, true); err != nil {
		return sample{}, err
	}
	var u usage
	if err := u.begin(p); err != nil {
		return sample{}, err
	}
	t := l.run(ctx, b.o.d)
	if err := u.end(p); err != nil {
		return sample{}, err
	}
	if err := b.profile(p, r, false); err != nil {
		return sample{}, err
	}
	return makeSample(warm, t, &u), ctx.Err()
}

// usage is what the middle process used between begin and end.
type usage struct {
	cpu            time.Duration
	mallocs, bytes uint64
}

func (u *usage) begin(p *process) error {
	s, err := p.ask("stats")
	if err != nil {
		return err
	}
	u.mallocs, u.bytes = s.Mallocs, s.Bytes
	u.cpu, err = cpuTime(p.cmd.Process.Pid)
	return unlessUnsupported(err)
}

// end reads the CPU first, so that what reading the memory costs is not in it.
func (u *usage) end(p *process) error {
	cpu, err := cpuTime(p.cmd.Process.Pid)
	if unlessUnsupported(err) != nil {
		return err
	}
	s, err := p.ask("stats")
	if err != nil {
		return err
	}
	u.cpu, u.mallocs, u.bytes = cpu-u.cpu, s.Mallocs-u.mallocs, s.Bytes-u.bytes
	return nil
}

// unlessUnsupported passes over the error of a system without /proc.
func unlessUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func makeSample(warm, t tally, u *usage) sample {
	s := sample{calls: len(t.latencies), errors: warm.errors + t.errors, first: errors.Join(warm.first, t.first), took: t.took, cpu: nan, allocs: nan, bytes: nan}
	s.perSec = float64(s.calls) / t.took.Seconds()
	slices.Sort(t.latencies)
	s.p50, s.p99 = quantile(t.latencies, 0.5), quantile(t.latencies, 0.99)
	if s.calls == 0 {
		s.errors++
		s.first = errors.Join(s.first, errors.New("not one call went well"))
		return s
	}
	if u != nil {
		n := float64(s.calls)
		if u.cpu > 0 {
			s.cpu = float64(u.cpu) / float64(time.Microsecond) / n // µs a call are ms per 1,000
		}
		s.allocs, s.bytes = float64(u.mallocs)/n, float64(u.bytes)/n
	}
	return s
}

// profile begins or ends a CPU profile of a gateway, if one was asked for.
func (b *bench) profile(p *process, r row, begin bool) error {
	if b.o.cpuprofile == "" || p == nil || p.name != "gateway" || len(b.samples[r]) > 0 {
		return nil
	}
	if !begin {
		_, err := p.ask("endprofile")
		return err
	}
	file, err := filepath.Abs(filepath.Join(b.o.cpuprofile, strings.ReplaceAll(r.String(), "/", "-")+".pprof"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	_, err = p.ask("profile " + file)
	return err
}

// run measures all there is to measure.
func (b *bench) run(ctx context.Context, rows []row) error {
	defer b.stop()
	for round := range b.o.rounds {
		for i := range rows {
			r := rows[(i+round)%len(rows)] // so that not always the same one comes first
			s, err := b.cell(ctx, r)
			if ctx.Err() != nil {
				return err
			}
			if err != nil { // the other rows still tell something
				s = sample{perSec: nan, p50: nan, p99: nan, cpu: nan, allocs: nan, bytes: nan, errors: 1, first: err}
				b.drop(r)
			}
			if s.errors > 0 {
				fmt.Fprintf(b.log, "%s: %d errors, the first: %v\n", r, s.errors, s.first)
			}
			b.samples[r] = append(b.samples[r], s)
			fmt.Fprintf(b.log, "\rround %d of %d, row %d of %d ", round+1, b.o.rounds, i+1, len(rows))
		}
	}
	fmt.Fprintln(b.log)
	b.stop()
	if b.o.rows != nil {
		return nil // parts of the table were asked for
	}
	if err := b.measureIdle(ctx); err != nil {
		return fmt.Errorf("memory of idle sessions: %w", err)
	}
	b.chain = measureChain(b.o.quick)
	return nil
}
