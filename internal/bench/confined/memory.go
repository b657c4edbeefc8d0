//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// memory is that of one instance, in bytes.
type memory struct {
	instance series // as it reports itself
	shim     float64
	gateway  float64 // by how much this process grows
}

// resident is how many servers are up at once when memory is measured.
const resident = 24

// measureMemory has some servers of each way up at once.
func (b *bench) measureMemory(ctx context.Context, d *testbed.Daemon) error {
	b.memory = map[string]*memory{}
	for i, w := range b.ways {
		b.progress("memory", i, len(b.ways))
		if w.rt == nil {
			continue
		}
		m, err := w.memory(ctx, d)
		if err != nil {
			return fmt.Errorf("memory of %s: %w", w.name, err)
		}
		b.memory[w.name] = m
	}
	return nil
}

func (w *way) memory(ctx context.Context, d *testbed.Daemon) (m *memory, err error) {
	before, err := anonymous()
	if err != nil {
		return nil, err
	}
	var servers []server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop(ctx))
		}
	}()
	for range resident {
		s, err := w.up(ctx)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	after, err := anonymous()
	if err != nil {
		return nil, err
	}
	shims, err := proportional(d.Shims())
	if err != nil {
		return nil, err
	}
	m = &memory{shim: nan, gateway: float64(after-before) / resident}
	if shims > 0 {
		m.shim = float64(shims) / resident
	}
	for _, s := range servers {
		meter, ok := s.(driven).Instance.(runtime.Meter)
		if !ok {
			continue
		}
		u, err := meter.Usage(ctx)
		if err != nil {
			return nil, err
		}
		m.instance = append(m.instance, float64(u.Memory))
	}
	return m, nil
}
