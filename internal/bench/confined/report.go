//go:build e2e && linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
)

// machine says where and how the figures came about.
type machine struct {
	Kind   string `json:"kind"` // "run"
	Go     string `json:"go"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	Rounds int    `json:"rounds"`
	Quick  bool   `json:"quick"`
	Busy   figure `json:"busy"` // part of the CPUs that others used, median
	Peak   figure `json:"busyAtMost"`
}

func (b *bench) machine() machine {
	return machine{"run", runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel(), runtime.NumCPU(), b.o.rounds, b.o.quick,
		b.busy.median(), figure(slices.Max(b.busy))}
}

// startRow is the starts of one way.
type startRow struct {
	Kind      string `json:"kind"` // "start"
	Way       string `json:"way"`
	Start     figure `json:"startMillis"`
	StartBest figure `json:"startBestMillis"`
	ToBare    figure `json:"toBare"`
	BestTo    figure `json:"bestToBare"`
	Stop      figure `json:"stopMillis"`
	StopBest  figure `json:"stopBestMillis"`
	Starts    int    `json:"starts"`
}

// manyRow is many starts of one way at once.
type manyRow struct {
	Kind     string `json:"kind"` // "many"
	Way      string `json:"way"`
	Wall     figure `json:"eightAtOnceMillis"`
	WallBest figure `json:"eightAtOnceBestMillis"`
	ToBare   figure `json:"toBare"`
	One      figure `json:"startsPerSecond"`
	Eight    figure `json:"startsPerSecondEightWorkers"`
}

// callRow is the first calls of sessions.
type callRow struct {
	Kind     string `json:"kind"` // "first call"
	Way      string `json:"way"`
	Warm     figure `json:"warmMillis"`
	WarmBest figure `json:"warmBestMillis"`
	Cold     figure `json:"coldMillis"`
	ColdBest figure `json:"coldBestMillis"`
}

// tripRow is the round trips of one way.
type tripRow struct {
	Kind        string `json:"kind"` // "round trip"
	Way         string `json:"way"`
	P50         figure `json:"p50Micros"`
	Best        figure `json:"bestP50Micros"`
	OverProcess figure `json:"overProcessMicros"`
}

// memoryRow is the memory of one instance.
type memoryRow struct {
	Kind     string `json:"kind"` // "memory"
	Way      string `json:"way"`
	Instance figure `json:"instanceBytes"`
	Shim     figure `json:"shimBytes"`
	Gateway  figure `json:"gatewayBytes"`
}

// rows are the figures of all tables.
type rows struct {
	starts []startRow
	many   []manyRow
	calls  []callRow
	trips  []tripRow
	memory []memoryRow
}

func (b *bench) rows() (r rows) {
	bare := b.cold[asBare].start
	for _, w := range b.ways {
		c := b.cold[w.name]
		r.starts = append(r.starts, startRow{
			Kind: "start", Way: w.name, Start: c.start.median(), StartBest: c.start.least(),
			ToBare: c.start.with(bare, ratio).median(), BestTo: c.start.least() / bare.least(),
			Stop: c.stop.median(), StopBest: c.stop.least(), Starts: len(c.start.known()),
		})
		if m := b.many[w.name]; m != nil {
			each := c.start.with(c.stop, func(start, stop float64) float64 { return start + stop })
			r.many = append(r.many, manyRow{
				Kind: "many", Way: w.name, Wall: m.wall.median(), WallBest: m.wall.least(),
				ToBare: m.wall.with(b.many[asBare].wall, ratio).median(),
				One:    1000 / each.median(), Eight: m.eight.median(),
			})
		}
		if c := b.calls[w.name]; c != nil {
			r.calls = append(r.calls, callRow{"first call", w.name, c.warm.median(), c.warm.least(), c.cold.median(), c.cold.least()})
		}
		if t := b.trips[w.name]; t != nil {
			r.trips = append(r.trips, tripRow{"round trip", w.name, t.median(), t.least(), t.with(b.trips[asProcess], difference).median()})
		}
		if m := b.memory[w.name]; m != nil {
			r.memory = append(r.memory, memoryRow{"memory", w.name, m.instance.median(), figure(m.shim), figure(m.gateway)})
		}
	}
	return r
}

// writeJSON prints one JSON value a line.
func (b *bench) writeJSON(w io.Writer) error {
	r := b.rows()
	values := []any{b.machine()}
	values = appendAll(values, r.starts)
	values = appendAll(values, r.many)
	values = appendAll(values, r.calls)
	values = appendAll(values, r.trips)
	values = appendAll(values, r.memory)
	values = appendAll(values, b.budgets())
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

func appendAll[T any](values []any, rows []T) []any {
	for _, r := range rows {
		values = append(values, r)
	}
	return values
}

// writeTable prints tables for people.
func (b *bench) writeTable(w io.Writer) error {
	m := b.machine()
	fmt.Fprintf(w, "%s, %s/%s, Linux %s, %d CPUs; a static server started in different ways, %d rounds; medians, and the best.\n", m.Go, m.OS, m.Arch, m.Kernel, m.CPUs, m.Rounds)
	fmt.Fprintf(w, "Between the rounds others kept %.0f%% of the CPUs busy, at most %.0f%%", 100*float64(m.Busy), 100*float64(m.Peak))
	if b.loaded() {
		fmt.Fprint(w, ": the machine was loaded; trust the best ones and the ratios")
	}
	fmt.Fprintln(w, ".")
	if m.Quick {
		fmt.Fprint(w, "This run was -quick: it shows that everything works; its figures mean nothing.\n")
	}
	r := b.rows()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// table begins one more table.
	table := func(about, columns string) error {
		if err := t.Flush(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "\n%s\n\n", about)
		fmt.Fprintln(t, columns)
		return err
	}
	if err := table("Cold: from the start to the reply to initialize; the stop until nothing is left.",
		"way\tstart ms\tbest\tx bare\tbest x\tstop ms\tbest\tstarts\t"); err != nil {
		return err
	}
	for _, x := range r.starts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", x.Way, show(x.Start, 1), show(x.StartBest, 1), show(x.ToBare, 2), show(x.BestTo, 2), show(x.Stop, 1), show(x.StopBest, 1), x.Starts)
	}
	if err := table("Eight at once, until all have answered; starts a second, with the stops, by one worker and by eight.",
		"way\teight ms\tbest\tx bare\tstarts/s\tby eight\t"); err != nil {
		return err
	}
	for _, x := range r.many {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", x.Way, show(x.Wall, 1), show(x.WallBest, 1), show(x.ToBare, 2), show(x.One, 1), show(x.Eight, 1))
	}
	if err := table("The first call of a session through a gateway: with an instance kept warm, and without.",
		"way\twarm ms\tbest\tcold ms\tbest\t"); err != nil {
		return err
	}
	for _, x := range r.calls {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", x.Way, show(x.Warm, 2), show(x.WarmBest, 2), show(x.Cold, 1), show(x.ColdBest, 1))
	}
	if err := table("A ping on standard input and output: the median of a round.",
		"way\tp50 µs\tbest\tover process µs\t"); err != nil {
		return err
	}
	for _, x := range r.trips {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", x.Way, show(x.P50, 1), show(x.Best, 1), show(x.OverProcess, 1))
	}
	if err := table("Memory of one instance: its own, its shim's, and what the gateway's process holds for it.",
		"way\tinstance MB\tshim MB\tgateway KB\t"); err != nil {
		return err
	}
	for _, x := range r.memory {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", x.Way, show(x.Instance/(1<<20), 1), show(x.Shim/(1<<20), 1), show(x.Gateway/1024, 0))
	}
	if err := table("Budgets of the design, for the medians.", "what\tmeasured\tbest\tbound\t\t\t"); err != nil {
		return err
	}
	for _, x := range b.budgets() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", x.What, show(x.Value, 2), show(x.Best, 2), show(x.Bound, 2), x.Unit, x.verdict())
	}
	return t.Flush()
}

func show(f figure, decimals int) string {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, float64(f))
}
