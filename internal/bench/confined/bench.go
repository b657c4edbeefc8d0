//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/internal/testimage"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// bench is one run: what is compared, and what was measured so far.
type bench struct {
	o    options
	bed  *testbed.Bed
	log  io.Writer
	ways []*way

	busy   series // of the CPUs, by others
	cold   map[string]*cold
	many   map[string]*many
	calls  map[string]*firstCall
	trips  map[string]series // µs
	memory map[string]*memory
}

// run measures all there is to measure.
func (b *bench) run(ctx context.Context) error {
	h := &host{log: b.log}
	return h.with(func() error {
		d, err := b.open(ctx, h)
		if err != nil {
			return err
		}
		for _, step := range []func(context.Context) error{b.measureCold, b.measureMany, b.measureFirstCalls, b.measureTrips} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return b.measureMemory(ctx, d)
	})
}

// open makes everything that is compared, and sees that it works.
func (b *bench) open(ctx context.Context, h *host) (*testbed.Daemon, error) {
	cell := filepath.Join(h.TempDir(), "cell")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", cell, "github.com/gatehouse-mcp/gatehouse/internal/e2e/cell")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the server: %w\n%s", err, out)
	}
	images, err := testimage.New()
	if err != nil {
		return nil, err
	}
	h.Cleanup(func() { _ = images.Close() })
	image := "oci:" + testimage.Layout(h, images.Static(h, "internal/e2e/cell"), "v1") + ":v1"
	d := b.bed.Containerd(h)

	const namespace = "bench"
	boxes, err := containerd.New(h.TempDir(), &containerd.Options{
		Address: d.Address, Namespace: namespace, SocketDir: d.Sockets, RuncRoot: d.Runc,
		RuncBinary: b.bed.Program("runc"), RunscBinary: b.bed.Program("runsc"),
	})
	if err != nil {
		return nil, err
	}
	h.Cleanup(func() { closing(h, boxes) })
	cages, err := sandbox.New(h.TempDir(), nil)
	if err != nil {
		return nil, err
	}
	h.Cleanup(func() { closing(h, cages) })

	local := []string{cell}
	inBox := of(inRunc, boxes, runtime.Spec{Image: image})
	first, err := inBox.up(ctx) // brings the image
	if err != nil {
		return nil, err
	}
	yardstick, err := openBare(ctx, d.Address, namespace, h.TempDir(), &runcoptions.Options{BinaryName: b.bed.Program("runc"), Root: filepath.Join(d.Runc, "bare")})
	if err == nil {
		h.Cleanup(func() { closing(h, yardstick.client) })
	}
	if err := errors.Join(err, first.stop(ctx)); err != nil {
		return nil, err
	}
	b.ways = []*way{
		of(asProcess, process.New(nil), runtime.Spec{Command: local, Unconfined: true}),
		of(asSandbox, cages, runtime.Spec{Command: local}),
		of(asUnpacked, cages, runtime.Spec{Image: image}),
		yardstick.way(),
		inBox,
		of(inGvisor, boxes, runtime.Spec{Image: image, Class: "gvisor"}),
	}
	for _, w := range b.ways { // what is needed only once is not a start's
		if _, _, err := w.once(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func closing(h *host, c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		h.Errorf("closing: %w", err)
	}
}

// only returns the ways of these names, in the order of the tables.
func (b *bench) only(names ...string) []*way {
	return slices.DeleteFunc(slices.Clone(b.ways), func(w *way) bool { return !slices.Contains(names, w.name) })
}

// rotated is ways with another one first in each round.
func rotated(ways []*way, round int) []*way {
	n := round % len(ways)
	return slices.Concat(ways[n:], ways[:n])
}

func (b *bench) progress(what string, round, rounds int) {
	fmt.Fprintf(b.log, "\r%s, round %d of %d          ", what, round+1, rounds)
	if round+1 == rounds {
		fmt.Fprintln(b.log)
	}
}
