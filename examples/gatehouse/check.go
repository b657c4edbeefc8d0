package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and show its servers",
		Long: `Check the configuration and show its servers: what each is, what confines it,
and the prefix of its tools' names. No server is started or connected to; where
servers are to be confined, what would confine them is asked whether it is there.

Ends with 1 when a server could not start as things are: a program that is
not found, a secret that is not set. Ends with 2 when the file is bad, after
printing every fault of it.`,
		Example: "  gatehouse check --config gatehouse.yaml\n  gatehouse check --format json | jq -r .name",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context()) },
	}
	a.configFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// checked is one server as check shows it.
type checked struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Target   string   `json:"target"`
	Confined string   `json:"confined,omitempty"`
	Prefix   string   `json:"prefix"`
	Instance string   `json:"instance"`
	Disabled bool     `json:"disabled,omitempty"`
	Line     int      `json:"line"`
	Problems []string `json:"problems,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func (a *app) check(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	cfg, err := a.load(ctx)
	if err == nil {
		defer cfg.Close()
		if err = gateway.Check(cfg.Options); err != nil {
			err = &exit{exitUsage, fmt.Errorf("%s: %w", cfg.Path, err)}
		}
	}
	if err != nil {
		var e *exit
		if fs := faults(errors.Unwrap(err)); a.format == "json" && errors.As(err, &e) && len(fs) > 0 {
			for _, f := range fs {
				_ = json.NewEncoder(a.out).Encode(f)
			}
			return &exit{exitUsage, fmt.Errorf("%s has %s", fs[0].File, count(len(fs), "fault"))}
		}
		return err
	}
	var servers []checked
	bad := 0
	for _, s := range cfg.Servers {
		c := checked{
			Name: s.Name, Kind: string(s.Kind), Target: s.Target, Confined: s.Confined, Prefix: s.Prefix,
			Instance: string(s.Instance), Disabled: s.Disabled, Line: s.Line,
		}
		if !s.Disabled {
			c.Problems = a.problems(ctx, cfg, &s)
			for _, u := range s.Uses {
				if weak(ctx, cfg, &u) {
					c.Warnings = append(c.Warnings, u.Key+": "+weakNote)
				}
			}
		}
		if len(c.Problems) > 0 {
			bad++
		}
		servers = append(servers, c)
	}
	if a.format == "json" {
		for _, c := range servers {
			if err := json.NewEncoder(a.out).Encode(c); err != nil {
				return &exit{exitFound, err}
			}
		}
	} else {
		a.showChecked(cfg, servers)
	}
	if bad > 0 {
		return &exit{exitFound, fmt.Errorf("%s of %s could not start", count(bad, "server"), cfg.Path)}
	}
	return nil
}

func (a *app) showChecked(cfg *config.Config, servers []checked) {
	t := a.table("SERVER", "KIND", "CONFINED", "TOOLS", "INSTANCE", "TARGET")
	for _, c := range servers {
		tools := c.Prefix + "__*"
		if c.Prefix == "" {
			tools = "*"
		}
		if c.Disabled {
			tools = "disabled"
		}
		t.row(c.Name, c.Kind, confined(c.Confined), tools, c.Instance, c.Target)
	}
	t.flush()
	for _, c := range servers {
		for _, p := range c.Problems {
			fmt.Fprintf(a.err, "%s:%d: servers.%s: %s\n", cfg.Path, c.Line, c.Name, p)
		}
		for _, p := range c.Warnings {
			fmt.Fprintf(a.err, "%s:%d: warning: servers.%s.%s\n", cfg.Path, c.Line, c.Name, p)
		}
	}
	if len(servers) == 0 {
		fmt.Fprintf(a.err, "%s is fine and names no servers\n", cfg.Path)
	}
}

func confined(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// problems says what would keep a server from starting now.
func (a *app) problems(ctx context.Context, cfg *config.Config, s *config.Server) []string {
	var out []string
	if s.Problem != "" {
		out = append(out, s.Problem)
	}
	for _, u := range s.Uses {
		if _, err := u.Value.Resolve(secrets.WithKey(ctx, u.Name), cfg.Options.Secrets); err != nil && !(u.Optional && errors.Is(err, secrets.ErrNotFound)) {
			out = append(out, fmt.Sprintf("%s: %v", u.Key, err))
		}
	}
	if s.Kind != config.Command {
		return out
	}
	if s.Dir != "" {
		if st, err := os.Stat(s.Dir); err != nil || !st.IsDir() {
			out = append(out, fmt.Sprintf("cwd: there is no folder %s", s.Dir))
			return out
		}
	}
	if msg := a.findProgram(ctx, cfg, s); msg != "" {
		out = append(out, msg)
	}
	return out
}

// findProgram looks for a program as the start of the server will; what it
// returns is empty when it is found.
func (a *app) findProgram(ctx context.Context, cfg *config.Config, s *config.Server) string {
	name := s.Target
	if filepath.Base(name) != name {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		if _, err := exec.LookPath(path); err != nil {
			return fmt.Sprintf("command: %s is no program that can be run", path)
		}
		return ""
	}
	path := a.minimum()["PATH"]
	if path == "" {
		path = process.DefaultPath
	}
	if v, ok := s.Env["PATH"]; ok {
		v, err := v.Resolve(ctx, cfg.Options.Secrets)
		if err != nil {
			return "" // the secret is the problem, and was named
		}
		path = v.Reveal()
	}
	if inPath(path, name) {
		return ""
	}
	hint := ""
	if program, _, ok := strings.Cut(name, " "); ok && inPath(path, program) {
		hint = fmt.Sprintf("; write it as a list: command: [%s, …]", program)
	}
	return fmt.Sprintf("command: %q is not in PATH%s", name, hint)
}

// inPath reports whether a folder of path holds a program.
func inPath(path, name string) bool {
	for _, folder := range filepath.SplitList(path) {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err == nil && filepath.IsAbs(folder) {
			return true
		}
	}
	return false
}
