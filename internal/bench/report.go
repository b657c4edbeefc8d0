package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"text/tabwriter"
)

// machine says where and how the figures came about.
type machine struct {
	Kind   string `json:"kind"` // "run"
	Go     string `json:"go"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Rounds int    `json:"rounds"`
	Cell   string `json:"cell"`
	Quick  bool   `json:"quick"`
}

func (b *bench) machine() machine {
	return machine{"run", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.o.rounds, b.o.d.String(), b.o.quick}
}

// writeJSON prints one JSON value a line.
func (b *bench) writeJSON(w io.Writer, rows []row) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	values := []any{b.machine()}
	for _, r := range rows {
		values = append(values, b.summarize(r))
	}
	for _, m := range b.memory {
		values = append(values, m)
	}
	for _, c := range b.chain {
		values = append(values, c)
	}
	for _, x := range b.budgets() {
		values = append(values, x)
	}
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// writeTable prints tables for people.
func (b *bench) writeTable(w io.Writer, rows []row) error {
	m := b.machine()
	fmt.Fprintf(w, "%s, %s/%s, %d CPUs; %d rounds of %s a row, medians.\n", m.Go, m.OS, m.Arch, m.CPUs, m.Rounds, m.Cell)
	fmt.Fprint(w, "Read the ratios: clients, gateway and server share this machine, so that calls a second say little by\n"+
		"themselves. CPU is that of the middle process alone and is the steadiest figure.\n")
	if m.Quick {
		fmt.Fprint(w, "This run was -quick: it shows that all rows work; its figures mean nothing.\n")
	}
	if b.o.cpuprofile != "" {
		fmt.Fprint(w, "The gateway was profiled in the first round, which makes it slower there.\n")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "row\tcalls/s\tp50 µs\tp99 µs\tCPU ms/1000\tallocs\tKB\tcalls x direct\tx hop\tCPU x hop\tp50-hop µs\tspread\terrors\t")
	last := row{}
	for _, r := range rows {
		if last != (row{}) && r.with("") != last.with("") {
			fmt.Fprintln(t, "\t\t\t\t\t\t\t\t\t\t\t\t\t")
		}
		last = r
		s := b.summarize(r)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", s.Name,
			show(s.CallsPerSecond, 0), show(s.P50, 0), show(s.P99, 0), show(s.CPU, 1), show(s.Allocs, 0), show(s.Bytes/1024, 1),
			show(s.ToDirect, 2), show(s.ToHop, 2), show(s.CPUToHop, 2), show(s.P50OverHop, 0), percent(s.Spread), s.Errors)
	}
	if len(b.memory) > 0 {
		fmt.Fprintln(t, "\t\t\t\t\t\t\t\t\t\t\t\t\t")
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(w, "Idle legacy sessions, %d of them, each after one call; Pss after a garbage collection.\n\n", b.memory[0].Sessions)
		fmt.Fprintln(t, "server over\tpath\tKB with its TCP connection\tKB without\tMB of the process before\t")
		for _, m := range b.memory {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", m.Link, m.Path, show(m.With/1024, 1), show(m.Without/1024, 1), show(m.Base/(1<<20), 1))
		}
	}
	if len(b.chain) > 0 {
		fmt.Fprintln(t, "\t\t\t\t\t")
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprint(w, "Interceptors alone, in memory, one tools/call of 1 KB with a result of 1 KB.\n\n")
		fmt.Fprintln(t, "interceptor\tns/call\tB/call\tallocs/call\t")
		for _, c := range b.chain {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t\n", c.Name, show(c.Nanos, 0), c.Bytes, c.Allocs)
		}
	}
	if budgets := b.budgets(); len(budgets) > 0 {
		fmt.Fprintln(t, "\t\t\t\t\t")
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprint(w, "Budgets of the design.\n\n")
		fmt.Fprintln(t, "what\tmeasured\tbound\t\t\t")
		for _, x := range budgets {
			verdict := "ok"
			if !x.OK {
				verdict = "over"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", x.What, show(x.Value, 2), show(x.Bound, 1), x.Unit, verdict)
		}
	}
	return t.Flush()
}

func show(f figure, decimals int) string {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, float64(f))
}

func percent(f figure) string {
	if math.IsNaN(float64(f)) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(f))
}
