//go:build e2e && linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// way is one way to start the server.
type way struct {
	name string
	// prepare makes what need not be timed. launch starts one server and
	// returns when it has answered initialize; it is called once.
	prepare func() (launch func(context.Context) (server, error), err error)

	rt   runtime.Runtime // nil: the bare client
	spec runtime.Spec
}

// server is one that runs.
type server interface {
	ping(ctx context.Context) error
	stop(ctx context.Context) error // returns when nothing is left
}

// The names of the ways.
const (
	asProcess  = "process"
	asSandbox  = "sandbox"
	asUnpacked = "sandbox image"
	asBare     = "bare containerd"
	inRunc     = "container"
	inGvisor   = "gvisor"
)

// patience bounds a start and a stop.
const patience = time.Minute

const handshake = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}`

// of is the way of a driver.
func of(name string, rt runtime.Runtime, spec runtime.Spec) *way {
	spec.Name = "cell"
	launch := func(ctx context.Context) (server, error) {
		i, err := rt.Start(ctx, spec)
		if err != nil {
			return nil, err
		}
		s := driven{i}
		if err := s.call(ctx, "initialize", handshake); err != nil {
			_ = i.Stop(ctx)
			return nil, err
		}
		return s, nil
	}
	return &way{name: name, rt: rt, spec: spec, prepare: func() (func(context.Context) (server, error), error) { return launch, nil }}
}

// driven is a server of a driver.
type driven struct{ runtime.Instance }

func (d driven) call(ctx context.Context, method, params string) error {
	m := &transport.Message{ID: json.RawMessage("1"), Method: method}
	if params != "" {
		m.Params = json.RawMessage(params)
	}
	reply, err := d.Conn().Call(ctx, m, nil)
	if err == nil && reply.Error != nil {
		err = fmt.Errorf("%s: %s", method, reply.Error)
	}
	return err
}

func (d driven) ping(ctx context.Context) error { return d.call(ctx, "ping", "") }
func (d driven) stop(ctx context.Context) error { return d.Stop(ctx) }

// once starts a server and stops it.
func (w *way) once(ctx context.Context) (start, stop time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	launch, err := w.prepare()
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", w.name, err)
	}
	begin := time.Now()
	s, err := launch(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", w.name, err)
	}
	start = time.Since(begin)
	begin = time.Now()
	if err := s.stop(ctx); err != nil {
		return 0, 0, fmt.Errorf("%s: stopping: %w", w.name, err)
	}
	return start, time.Since(begin), nil
}

// up starts a server that stays.
func (w *way) up(ctx context.Context) (server, error) {
	launch, err := w.prepare()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := launch(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	return s, nil
}
