package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Look after the secrets that the configuration names",
		Long: `Look after the secrets that the configuration names. The configuration holds
references alone; the values lie with the providers of its section secrets. No
command prints a value.`,
		Args: commandAlone,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	ls := &cobra.Command{
		Use:   "ls",
		Short: "List secrets by provider, and the servers that name them",
		Long: `List the secrets that the providers have, where a provider can tell, and those
that the configuration names, with the servers that do.`,
		Args: cobra.NoArgs,
		RunE: a.withSecrets(func(ctx context.Context, cfg *config.Config, _ string) error { return a.listSecrets(ctx, cfg) }),
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Resolve every secret that the configuration names",
		Long: `Resolve every secret that the configuration names, and say which are missing
and how to set them, and which are too short or too plain to be recognised in
messages. Ends with 1 when a server could not start.`,
		Args: cobra.NoArgs,
		RunE: a.withSecrets(func(ctx context.Context, cfg *config.Config, _ string) error { return a.checkSecrets(ctx, cfg) }),
	}
	set := &cobra.Command{
		Use:   "set REFERENCE",
		Short: "Set a secret, read from standard input",
		Long: `Set a secret with a provider that can be written to. The value is read from
standard input, on a terminal without showing it; one newline at its end does
not count. REFERENCE is PROVIDER/PATH#FIELD, with or without secret:// before
it, or NAME as in ${NAME}.`,
		Example: "  gatehouse secret set keyring/github\n  pass show github | gatehouse secret set dotenv/GITHUB_TOKEN",
		Args:    cobra.ExactArgs(1),
		RunE:    a.withSecrets(a.setSecret),
	}
	rm := &cobra.Command{
		Use:   "rm REFERENCE",
		Short: "Remove a secret",
		Args:  cobra.ExactArgs(1),
		RunE:  a.withSecrets(a.removeSecret),
	}
	for _, c := range []*cobra.Command{ls, check, set, rm} {
		a.configFlag(c)
	}
	a.formatFlag(ls)
	a.formatFlag(check)
	cmd.AddCommand(ls, check, set, rm)
	return cmd
}

// withSecrets runs f with the configuration loaded; arg is the command's
// argument, without secret://.
func (a *app) withSecrets(f func(ctx context.Context, cfg *config.Config, arg string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		cfg, err := a.load(ctx)
		if err != nil {
			return err
		}
		defer cfg.Close()
		arg := ""
		if len(args) > 0 {
			arg = strings.TrimPrefix(args[0], "secret://")
		}
		return f(ctx, cfg, arg)
	}
}

// listed is one secret as ls shows it.
type listed struct {
	Provider  string   `json:"provider"`
	Reference string   `json:"reference"`
	Servers   []string `json:"servers"`
}

func (a *app) listSecrets(ctx context.Context, cfg *config.Config) error {
	type key struct {
		provider string
		ref      secrets.Ref
	}
	servers := make(map[key][]string)
	for _, s := range cfg.Servers {
		for _, ref := range s.Refs {
			provider, rest := cfg.Provider(ref)
			servers[key{provider, rest}] = append(servers[key{provider, rest}], s.Name)
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Secrets)) {
		l, ok := cfg.Secrets[name].(secrets.Lister)
		if !ok {
			continue
		}
		refs, err := l.List(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		for _, ref := range refs {
			if _, named := servers[key{name, ref}]; !named {
				servers[key{name, ref}] = nil
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(servers), func(a, b key) int {
		if c := strings.Compare(a.provider, b.provider); c != 0 {
			return c
		}
		return strings.Compare(string(a.ref), string(b.ref))
	})
	t := a.table("PROVIDER", "REFERENCE", "SERVERS")
	for _, k := range keys {
		s := listed{k.provider, string(k.ref), slices.Compact(servers[k])}
		if s.Servers == nil {
			s.Servers = []string{}
		}
		if a.format == "json" {
			if err := json.NewEncoder(a.out).Encode(s); err != nil {
				return &exit{exitFound, err}
			}
			continue
		}
		t.row(s.Provider, s.Reference, confined(strings.Join(s.Servers, ", ")))
	}
	if a.format != "json" {
		t.flush()
		if len(keys) == 0 {
			fmt.Fprintf(a.err, "%s names no secrets, and its providers list none\n", cfg.Path)
		}
	}
	if len(errs) > 0 {
		return &exit{exitFound, errors.Join(errs...)}
	}
	return nil
}

// setSecret reads the value and stores it.
func (a *app) setSecret(ctx context.Context, cfg *config.Config, ref string) error {
	store, name, rest, err := a.store(cfg, secrets.Ref(ref))
	if err != nil {
		return err
	}
	value, err := a.readSecret(ref)
	if err != nil {
		return &exit{exitUsage, err}
	}
	if err := store.Set(ctx, rest, secrets.NewSecret(value)); err != nil {
		return &exit{exitFound, fmt.Errorf("%s: %w", name, err)}
	}
	fmt.Fprintf(a.err, "%s was set with %s\n", rest, name)
	return nil
}

func (a *app) removeSecret(ctx context.Context, cfg *config.Config, ref string) error {
	store, name, rest, err := a.store(cfg, secrets.Ref(ref))
	if err != nil {
		return err
	}
	if err := store.Remove(ctx, rest); err != nil {
		return &exit{exitFound, fmt.Errorf("%s: %w", name, err)}
	}
	fmt.Fprintf(a.err, "%s was removed from %s\n", rest, name)
	return nil
}

// store finds the provider of a reference that can be written to.
func (a *app) store(cfg *config.Config, ref secrets.Ref) (secrets.Store, string, secrets.Ref, error) {
	name, rest := cfg.Provider(ref)
	if s, ok := cfg.Secrets[name].(secrets.Store); ok {
		return s, name, rest, nil
	}
	var able []string
	for _, n := range slices.Sorted(maps.Keys(cfg.Secrets)) {
		if _, ok := cfg.Secrets[n].(secrets.Store); ok {
			able = append(able, n)
		}
	}
	hint := "none of this configuration's can: add one to its section secrets, such as `keyring: {}`"
	if len(able) > 0 {
		hint = "those that can: " + strings.Join(able, ", ")
	}
	what := fmt.Sprintf("the provider %q cannot be written to", name)
	if _, has := cfg.Secrets[name]; !has {
		what = fmt.Sprintf("%q is no provider that can be written to", name)
	}
	return nil, "", "", &exit{exitUsage, fmt.Errorf("%s; %s", what, hint)}
}

// maxSecret bounds a value that is read, in bytes.
const maxSecret = 1 << 20

// readSecret reads a value from standard input.
func (a *app) readSecret(ref string) (string, error) {
	var b []byte
	var err error
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(a.err, "Value of %s: ", ref)
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
	} else {
		b, err = io.ReadAll(io.LimitReader(a.in, maxSecret+1))
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the value: %w", err)
	case len(b) > maxSecret:
		return "", fmt.Errorf("the value is longer than %d bytes", maxSecret)
	case value == "":
		return "", errors.New("the value is empty: give it on standard input")
	}
	return value, nil
}

// resolved is one use of a secret as check shows it.
type resolved struct {
	Server  string `json:"server"`
	Key     string `json:"key"` // of the server's entry
	Value   string `json:"value"`
	State   string `json:"state"` // "ok", "weak", "absent", "missing" or "failed"
	Problem string `json:"problem,omitempty"`
}

// weakNote says what a weak value costs.
const weakNote = "it is too short or too plain to be recognised anywhere: messages are searched for it only where it is a whole value under its own name"

// weak reports whether one of the secrets of a value is.
func weak(ctx context.Context, cfg *config.Config, u *config.Use) bool {
	return slices.ContainsFunc(u.Value.Refs(), func(ref secrets.Ref) bool {
		s, err := cfg.Options.Secrets.Resolve(secrets.WithKey(ctx, u.Name), ref)
		return err == nil && scan.Weak(s.Reveal())
	})
}

// checkSecrets resolves what the servers use.
func (a *app) checkSecrets(ctx context.Context, cfg *config.Config) error {
	t := a.table("SERVER", "KEY", "VALUE", "STATE")
	var notes []string
	bad := 0
	for _, s := range cfg.Servers {
		if s.Disabled {
			continue
		}
		for _, u := range s.Uses {
			r := resolved{Server: s.Name, Key: u.Key, Value: u.Value.String(), State: "ok"}
			_, err := u.Value.Resolve(secrets.WithKey(ctx, u.Name), cfg.Options.Secrets)
			switch missing := errors.Is(err, secrets.ErrNotFound); {
			case missing && u.Optional:
				r.State = "absent"
			case err != nil:
				r.State, r.Problem = "failed", err.Error()
				if missing {
					r.State = "missing"
				}
				bad++
			case weak(ctx, cfg, &u):
				r.State, r.Problem = "weak", weakNote
			}
			if a.format == "json" {
				if err := json.NewEncoder(a.out).Encode(r); err != nil {
					return &exit{exitFound, err}
				}
				continue
			}
			t.row(r.Server, r.Key, r.Value, r.State)
			if r.Problem != "" {
				notes = append(notes, fmt.Sprintf("%s:%d: servers.%s.%s: %s", cfg.Path, s.Line, s.Name, r.Key, r.Problem))
			}
		}
	}
	if a.format != "json" {
		t.flush()
		for _, n := range notes {
			fmt.Fprintln(a.err, n)
		}
	}
	if bad > 0 {
		return &exit{exitFound, fmt.Errorf("%s of %s could not be resolved", count(bad, "secret"), cfg.Path)}
	}
	return nil
}
