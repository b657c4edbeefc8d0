package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// reapTime bounds the removal of what dead gateways left.
const reapTime = time.Minute

func (a *app) reapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reap",
		Short: "Remove what gateways left that were killed",
		Long: `Remove what gateways of a configuration left that were killed: containers,
control groups, network namespaces, sockets. What belongs to a gateway that
runs is left alone. A gateway does the same when it starts.

It needs no running gateway, and prints what it removed.`,
		Example: "  gatehouse reap --config gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.reap(cmd.Context()) },
	}
	a.configFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// removed is one line of reap.
type removed struct {
	Runtime string `json:"runtime,omitempty"` // empty for the sockets of gateways
	What    string `json:"removed"`
}

func (a *app) reap(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	cfg, err := a.load(ctx)
	if err != nil {
		return err
	}
	defer cfg.Close()
	if cfg.State == "" {
		return &exit{exitUsage, errNoState}
	}
	ctx, cancel := context.WithTimeout(ctx, reapTime)
	defer cancel()
	count, errs := 0, []error(nil)
	show := func(r removed) {
		count++
		if a.format == "json" {
			errs = append(errs, json.NewEncoder(a.out).Encode(r))
			return
		}
		fmt.Fprintf(a.out, "removed %s\n", r.What)
	}
	stale, err := admin.Sweep(cfg.State)
	if err != nil {
		errs = append(errs, err)
	}
	for _, what := range stale {
		show(removed{What: what})
	}
	for _, kind := range slices.Sorted(maps.Keys(cfg.Runtimes)) {
		r, ok := cfg.Runtimes[kind].(runtime.Reaper)
		if !ok {
			continue
		}
		all, err := r.Reap(ctx)
		for _, what := range all {
			show(removed{kind, what})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", kind, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &exit{exitFound, err}
	}
	if count == 0 {
		fmt.Fprintf(a.err, "no dead gateway of %s has left anything\n", cfg.Path)
	}
	return nil
}

// confined tells what confines the servers, and removes in the background
// what gateways of this configuration left that were killed.
func (s *serving) confined(ctx context.Context) {
	cfg := s.configs.now()
	for _, kind := range slices.Sorted(maps.Keys(cfg.Runtimes)) {
		if kind != plainKind {
			s.log.Info("servers are confined", "runtime", kind, "by", runtime.Describe(cfg.Runtimes[kind]))
		}
	}
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(ctx, reapTime)
	go func() {
		defer close(done)
		s.sweep(ctx, cfg)
	}()
	s.closers = append(s.closers, func() { cancel(); <-done })
}

func (s *serving) sweep(ctx context.Context, cfg *config.Config) {
	for kind, rt := range cfg.Runtimes {
		r, ok := rt.(runtime.Reaper)
		if !ok {
			continue
		}
		if _, err := r.Reap(ctx); err != nil && ctx.Err() == nil { // each removal is an event
			s.log.Warn("what dead gateways left could not be removed: run 'gatehouse reap'", "runtime", kind, "error", err)
		}
	}
}
