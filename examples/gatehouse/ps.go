package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
)

func (a *app) psCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "Show the servers and instances of every running gateway",
		Long: `Show the servers and instances of every running gateway of a configuration.
A server without an instance has a line of its own.

Ends with 1 when a gateway does not answer.`,
		Example: "  gatehouse ps --config gatehouse.yaml\n  gatehouse ps --format json | jq -r 'select(.error) | .server'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.ps(cmd.Context()) },
	}
	a.configFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

func (a *app) statsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show what every running gateway has done so far",
		Long: `Show what every running gateway of a configuration has done so far: calls,
sessions, instances.

Ends with 1 when a gateway does not answer.`,
		Example: "  gatehouse stats --config gatehouse.yaml\n  gatehouse stats --format json | jq .calls",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.stats(cmd.Context()) },
	}
	a.configFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// ask calls f with the status of every living gateway of the configuration.
func (a *app) ask(ctx context.Context, f func(*admin.Status) error) error {
	if ctx == nil {
		ctx = context.Background()
	}
	cfg, err := a.load(ctx)
	if err != nil {
		return err
	}
	defer cfg.Close()
	switch {
	case cfg.State == "":
		return &exit{exitUsage, errors.New("there is no state folder: set state in the configuration, XDG_STATE_HOME or HOME")}
	case cfg.Admin.Disabled:
		return &exit{exitUsage, fmt.Errorf("%s disables the admin socket", cfg.Path)}
	}
	sockets, err := admin.Sockets(cfg.State)
	if err != nil {
		return &exit{exitFound, err}
	}
	if len(sockets) == 0 {
		fmt.Fprintf(a.err, "no gateway of %s is running\n", cfg.Path)
		return nil
	}
	silent := 0
	for _, s := range sockets {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		st, err := admin.NewClient(s.Path).Status(asking)
		cancel()
		if err != nil {
			silent++
			fmt.Fprintf(a.err, "gatehouse: gateway %s does not answer: %v\n", short(s.ID), err)
			continue
		}
		if err := f(st); err != nil {
			return &exit{exitFound, err}
		}
	}
	if silent > 0 {
		return &exit{exitFound, nil}
	}
	return nil
}

// processLine is one line of ps.
type processLine struct {
	Gateway   string     `json:"gateway"`
	PID       int        `json:"pid"`
	Server    string     `json:"server"`
	Kind      string     `json:"kind"`
	Confined  string     `json:"confined,omitempty"`
	By        string     `json:"by,omitempty"` // what confines it, and why
	State     string     `json:"state"`
	Instance  string     `json:"instance,omitempty"`
	Principal string     `json:"principal,omitempty"`
	Session   string     `json:"session,omitempty"`
	Started   *time.Time `json:"started,omitempty"`
	Calls     int64      `json:"calls"`
	CPU       *float64   `json:"cpuSeconds,omitempty"`
	Memory    *int64     `json:"memory,omitempty"` // bytes
	PIDs      *int64     `json:"pids,omitempty"`
	Refused   []string   `json:"refused,omitempty"`
	Error     string     `json:"error,omitempty"`
}

func (a *app) ps(ctx context.Context) error {
	by := make(map[string]bool) // what confines servers, each in a line
	t := a.table("GATEWAY", "SERVER", "KIND", "CONFINED", "STATE", "INSTANCE", "SESSION", "UPTIME", "CPU", "MEMORY", "CALLS", "ERROR")
	err := a.ask(ctx, func(st *admin.Status) error {
		for _, s := range st.Servers {
			line := processLine{Gateway: st.ID, PID: st.PID, Server: s.Name, Kind: s.Kind, Confined: s.Confined, By: s.By, State: s.State, Calls: s.Calls, Error: s.Error}
			lines := []processLine{line}
			if len(s.Instances) > 0 {
				lines = nil
			}
			for _, i := range s.Instances {
				l := line
				l.State, l.Instance, l.Principal, l.Session, l.Started, l.Calls = i.State, i.ID, i.Principal, i.Session, &i.Started, i.Calls
				if u := i.Usage; u != nil {
					l.CPU, l.Memory, l.PIDs = &u.CPU, &u.Memory, &u.PIDs
				}
				l.Refused = i.Refused
				lines = append(lines, l)
			}
			if s.By != "" && s.Confined != "" && s.Confined != "no" {
				by[s.By] = true
			}
			for _, l := range lines {
				if a.format == "json" {
					if err := json.NewEncoder(a.out).Encode(l); err != nil {
						return err
					}
					continue
				}
				up := "-"
				if l.Started != nil {
					up = age(*l.Started)
				}
				cpu, memory := "-", "-"
				if l.CPU != nil {
					cpu, memory = fmt.Sprintf("%.1fs", *l.CPU), size(*l.Memory)
				}
				text := strings.Join(append(l.Refused, l.Error), "; ")
				t.row(short(l.Gateway), l.Server, l.Kind, confined(l.Confined), l.State, dash(short(l.Instance)), dash(short(l.Session)), up, cpu, memory, fmt.Sprint(l.Calls), strings.TrimSuffix(text, "; "))
			}
		}
		return nil
	})
	t.flush()
	if a.format != "json" {
		for _, line := range slices.Sorted(maps.Keys(by)) {
			fmt.Fprintln(a.err, line)
		}
	}
	return err
}

// statsLine is one line of stats.
type statsLine struct {
	Gateway  string         `json:"gateway"`
	PID      int            `json:"pid"`
	URL      string         `json:"url,omitempty"`
	Started  time.Time      `json:"started"`
	Sessions int            `json:"sessions"`
	Calls    int64          `json:"calls"`
	InFlight int64          `json:"inFlight"`
	Servers  []statsServer  `json:"servers"`
	States   map[string]int `json:"states"`     // servers by state
	CPU      float64        `json:"cpuSeconds"` // of the running instances whose runtime knows
	Memory   int64          `json:"memory"`     // bytes, of the same
}

type statsServer struct {
	Name      string `json:"name"`
	State     string `json:"state"`
	Instances int    `json:"instances"`
	Calls     int64  `json:"calls"`
}

func (a *app) stats(ctx context.Context) error {
	t := a.table("GATEWAY", "PID", "UPTIME", "SESSIONS", "CALLS", "IN FLIGHT", "SERVERS", "INSTANCES", "CPU", "MEMORY", "URL")
	err := a.ask(ctx, func(st *admin.Status) error {
		l := statsLine{Gateway: st.ID, PID: st.PID, URL: st.URL, Started: st.Started, Sessions: len(st.Sessions), Calls: st.Calls, InFlight: st.InFlight, Servers: []statsServer{}, States: map[string]int{}}
		instances := 0
		for _, s := range st.Servers {
			l.Servers = append(l.Servers, statsServer{s.Name, s.State, len(s.Instances), s.Calls})
			l.States[s.State]++
			instances += len(s.Instances)
			for _, i := range s.Instances {
				if i.Usage != nil {
					l.CPU += i.Usage.CPU
					l.Memory += i.Usage.Memory
				}
			}
		}
		if a.format == "json" {
			return json.NewEncoder(a.out).Encode(l)
		}
		url := l.URL
		if url == "" {
			url = "stdio"
		}
		t.row(short(l.Gateway), fmt.Sprint(l.PID), age(l.Started), fmt.Sprint(l.Sessions), fmt.Sprint(l.Calls), fmt.Sprint(l.InFlight), fmt.Sprint(len(l.Servers)), fmt.Sprint(instances), fmt.Sprintf("%.1fs", l.CPU), size(l.Memory), url)
		return nil
	})
	t.flush()
	return err
}

// short is the beginning of an id, enough to tell ids apart on a screen.
func short(id string) string { return id[:min(len(id), 8)] }

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1fGiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1fKiB", float64(n)/(1<<10))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
