package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds     int
	d, warm    time.Duration
	quick      bool
	json       bool
	check      bool
	rows       *regexp.Regexp
	cpuprofile string
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == roleArg {
		if err := playRole(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintf(os.Stderr, "bench: role %s: %v\n", os.Args[2], err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: 0 fine, 1 an error (or, with -check, a budget
// overrun), 2 bad usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	rows := plan(o.rows)
	if len(rows) == 0 {
		fmt.Fprintf(stderr, "bench: -rows %q matches no row; they are:\n", o.rows)
		for _, r := range plan(nil) {
			fmt.Fprintln(stderr, " ", r)
		}
		return 2
	}
	// A run that takes three times as long as it should hangs.
	cells := time.Duration(o.rounds * len(rows))
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute+3*cells*(o.d+o.warm), errors.New("the run took far longer than its cells should"))
	defer cancel()
	b := &bench{o: *o, log: stderr, roles: make(map[string]*process), samples: make(map[row][]sample)}
	if err := b.run(ctx, rows); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	write := b.writeTable
	if o.json {
		write = b.writeJSON
	}
	if err := write(stdout, rows); err != nil {
		fmt.Fprintln(stderr, "bench: writing the results:", err)
		return 1
	}
	return b.verdict(rows, stderr)
}

// verdict is the exit code.
func (b *bench) verdict(rows []row, stderr io.Writer) int {
	code := 0
	for _, r := range rows {
		if s := b.summarize(r); s.Errors > 0 {
			fmt.Fprintf(stderr, "bench: %s: %d errors, the first: %s\n", s.Name, s.Errors, s.FirstError)
			code = 1
		}
	}
	if b.o.check {
		for _, x := range b.budgets() {
			if !x.OK {
				fmt.Fprintf(stderr, "bench: over budget: %s: %s, not %s %s\n", x.What, show(x.Value, 2), show(x.Bound, 1), x.Unit)
				code = 1
			}
		}
	}
	return code
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{warm: 300 * time.Millisecond}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.rounds, "rounds", 5, "`times` that every row is measured, interleaved with the others")
	fs.DurationVar(&o.d, "d", time.Second, "measured `time` of a row in one round")
	fs.BoolVar(&o.quick, "quick", false, "a few seconds in all: shows that every row works, the figures mean nothing")
	fs.BoolVar(&o.json, "json", false, "one JSON value a line instead of tables")
	fs.BoolVar(&o.check, "check", false, "exit with 1 when a budget is overrun")
	fs.StringVar(&o.cpuprofile, "cpuprofile", "", "write a CPU profile of the gateway for each row of the first round into this `folder`")
	fs.Func("rows", "measure only the rows whose name matches this `regexp`, such as 'http/legacy/32/echo' (no memory, no interceptors)", func(s string) error {
		re, err := regexp.Compile(s)
		o.rows = re
		return err
	})
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.rounds, o.d, o.warm = 1, 50*time.Millisecond, 20*time.Millisecond
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.rounds < 1 || o.rounds > 1000:
		return nil, fmt.Errorf("-rounds %d is not between 1 and 1000", o.rounds)
	case o.d < 10*time.Millisecond || o.d > time.Minute:
		return nil, fmt.Errorf("-d %s is not between 10ms and 1m", o.d)
	case o.quick && o.check:
		return nil, errors.New("-quick and -check exclude each other: figures of a quick run mean nothing")
	}
	return o, nil
}
