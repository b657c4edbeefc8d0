//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/testbed"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// options are the flags.
type options struct {
	rounds int
	quick  bool
	json   bool
	check  bool
}

// most bounds a run: one that takes so long hangs.
const most = 20 * time.Minute

func main() {
	sandbox.Init()
	if process.Init() {
		return
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: 0 fine or nothing to do, 1 an error (or, with -check, a
// budget overrun), 2 bad usage.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "confined:", err)
		return 2
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "confined: nothing was measured: starting servers confined is measured as root only")
		return 0
	}
	bed, err := testbed.Enter(os.Getenv("GATEHOUSE_CACHE"))
	if errors.Is(err, fs.ErrNotExist) {
		why, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintln(stderr, "confined: nothing was measured:", why)
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "confined:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the run took longer than %v", most))
	defer cancel()
	b := &bench{o: *o, bed: bed, log: stderr}
	err = b.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err := errors.Join(err, bed.Leave()); err != nil {
		fmt.Fprintln(stderr, "confined:", err)
		return 1
	}
	write := b.writeTable
	if o.json {
		write = b.writeJSON
	}
	if err := write(stdout); err != nil {
		fmt.Fprintln(stderr, "confined: writing the results:", err)
		return 1
	}
	code := 0
	for _, x := range b.budgets() {
		if o.check && !x.OK {
			fmt.Fprintf(stderr, "confined: over budget: %s: %s, not %s %s\n", x.What, show(x.Value, 2), show(x.Bound, 2), x.Unit)
			code = 1
		}
	}
	return code
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("confined", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.rounds, "rounds", 21, "`times` that every way is measured, interleaved with the others")
	fs.BoolVar(&o.quick, "quick", false, "a few seconds in all: shows that everything works, the figures mean nothing")
	fs.BoolVar(&o.json, "json", false, "one JSON value a line instead of tables")
	fs.BoolVar(&o.check, "check", false, "exit with 1 when a budget is overrun")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.rounds = 2
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.rounds < 1 || o.rounds > 1000:
		return nil, fmt.Errorf("-rounds %d is not between 1 and 1000", o.rounds)
	case o.quick && o.check:
		return nil, errors.New("-quick and -check exclude each other: figures of a quick run mean nothing")
	}
	return o, nil
}
