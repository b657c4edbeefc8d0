package config_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

var update = flag.Bool("update", false, "write the golden files and schema.json anew")

// recorder is a runtime that keeps what it was asked to start.
type recorder struct {
	name    string
	started []runtime.Spec
	closed  atomic.Int64
}

var (
	_ runtime.Runtime = (*recorder)(nil)
	_ io.Closer       = (*recorder)(nil)
	_ runtime.Checker = (*recorder)(nil)
)

// Check refuses what Start would: references that nobody has resolved.
func (r *recorder) Check(spec runtime.Spec) error {
	for name, v := range spec.Env {
		if len(v.Refs()) > 0 {
			return fmt.Errorf("environment variable %s is not resolved", name)
		}
	}
	return nil
}

func (r *recorder) Start(_ context.Context, spec runtime.Spec) (runtime.Instance, error) {
	r.started = append(r.started, spec)
	return nil, errors.New("nothing is started here")
}

func (r *recorder) Close() error {
	r.closed.Add(1)
	return nil
}

// world is what a test brings for its files to name, and what was made of it.
type world struct {
	runtimes  []*recorder
	providers []*vault
	remotes   []config.Remote
	env       map[string]string
	sites     []config.Site
}

type boxOptions struct {
	Namespace string `doc:"Where the containers are."`
	Memory    int64  `config:"memory,bytes"`
}

type vaultOptions struct {
	Address string `required:"true"`
}

type vault struct {
	address string
	asked   []secrets.Ref
	closed  atomic.Int64
}

func (v *vault) Resolve(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	v.asked = append(v.asked, ref)
	return secrets.NewSecret("from " + v.address + ": " + string(ref)), nil
}

func (v *vault) Close() error {
	v.closed.Add(1)
	return nil
}

type limitOptions struct {
	PerMinute int `required:"true"`
}

type keyOptions struct{ File string }

// limit is an interceptor that does nothing.
type limit struct{ perMinute int }

func (limit) Intercept(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
	return next(ctx, c)
}

func (w *world) kinds() *config.Kinds {
	return &config.Kinds{
		Runtimes: map[string]config.Factory[runtime.Runtime]{
			"process": config.FactoryOf(func(_ context.Context, _ *struct{}) (runtime.Runtime, error) {
				w.runtimes = append(w.runtimes, &recorder{name: "process"})
				return w.runtimes[len(w.runtimes)-1], nil
			}),
			"cage": config.FactoryAt(func(_ context.Context, site config.Site, _ *struct{}) (runtime.Runtime, error) {
				w.sites = append(w.sites, site)
				w.runtimes = append(w.runtimes, &recorder{name: "cage"})
				return w.runtimes[len(w.runtimes)-1], nil
			}),
			"box": config.FactoryOf(func(_ context.Context, o *boxOptions) (runtime.Runtime, error) {
				if o.Namespace == "taken" {
					return nil, errors.New("the namespace is taken")
				}
				w.runtimes = append(w.runtimes, &recorder{name: "box " + o.Namespace})
				return w.runtimes[len(w.runtimes)-1], nil
			}),
		},
		Interceptors: map[string]config.Factory[interceptor.Interceptor]{
			"limit": config.FactoryOf(func(_ context.Context, o *limitOptions) (interceptor.Interceptor, error) {
				return limit{o.PerMinute}, nil
			}),
			"log": config.FactoryOf(func(context.Context, *struct{}) (interceptor.Interceptor, error) {
				return limit{}, nil
			}),
		},
		Secrets: map[string]config.Factory[secrets.Provider]{
			"env": config.FactoryOf(func(context.Context, *struct{}) (secrets.Provider, error) {
				return secrets.ProviderFunc(func(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
					v, ok := w.env[string(ref)]
					if !ok {
						return secrets.Secret{}, fmt.Errorf("%s is not set: %w", ref, secrets.ErrNotFound)
					}
					return secrets.NewSecret(v), nil
				}), nil
			}),
			"vault": config.FactoryOf(func(_ context.Context, o *vaultOptions) (secrets.Provider, error) {
				w.providers = append(w.providers, &vault{address: o.Address})
				return w.providers[len(w.providers)-1], nil
			}),
		},
		Auth: map[string]config.Factory[transport.Authenticator]{
			"keys": config.FactoryOf(func(context.Context, *keyOptions) (transport.Authenticator, error) {
				return transport.AuthenticatorFunc(nil), nil
			}),
		},
		Plain:   "process",
		Driver:  "box",
		Confine: "cage",
		Remote: func(r config.Remote) (runtime.Launcher, error) {
			w.remotes = append(w.remotes, r)
			return runtime.LauncherFunc(func(context.Context, runtime.Key) (runtime.Instance, error) {
				return nil, errors.New("nothing is connected here")
			}), nil
		},
	}
}

// write makes a file in a folder of its own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, w *world, text string) *config.Config {
	t.Helper()
	cfg, err := config.Load(t.Context(), write(t, "gatehouse.yaml", text), w.kinds())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cfg.Close(); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

// golden compares, or writes anew, the file want of an archive.
func golden(t *testing.T, path string, got func(name string, data []byte) string) {
	t.Helper()
	ar, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(ar.Files) == 1 && *update {
		ar.Files = append(ar.Files, txtar.File{Name: "want"})
	}
	if len(ar.Files) != 2 || ar.Files[1].Name != "want" {
		t.Fatalf("%s: want a configuration and a file named want", path)
	}
	text := got(ar.Files[0].Name, ar.Files[0].Data)
	if *update {
		ar.Files[1].Data = []byte(text)
		if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := string(ar.Files[1].Data); text != want {
		t.Errorf("%s\n got:\n%s\nwant:\n%s", path, text, want)
	}
}

// archives calls f for each archive of a folder of testdata.
func archives(t *testing.T, folder string, f func(t *testing.T, path string)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			f(t, path)
		})
	}
}

// TestFaults holds the faults of bad files, all of each, against golden
// output.
func TestFaults(t *testing.T) {
	t.Parallel()
	archives(t, "faults", func(t *testing.T, path string) {
		golden(t, path, func(name string, data []byte) string {
			file := write(t, name, string(data))
			w := new(world)
			cfg, err := config.Load(t.Context(), file, w.kinds())
			if err == nil {
				_ = cfg.Close()
				t.Fatal("the file is accepted")
			}
			for _, r := range w.runtimes {
				if r.closed.Load() != 1 {
					t.Errorf("the runtime %s of a file that was refused is not closed", r.name)
				}
			}
			return strings.ReplaceAll(err.Error(), filepath.Dir(file)+string(filepath.Separator), "") + "\n"
		})
	})
}

// TestClients loads configuration files of MCP clients as they are.
func TestClients(t *testing.T) {
	t.Parallel()
	archives(t, "clients", func(t *testing.T, path string) {
		golden(t, path, func(name string, data []byte) string {
			w := new(world)
			file := write(t, name, string(data))
			cfg, err := config.Load(t.Context(), file, w.kinds())
			if err != nil {
				t.Fatal(err)
			}
			defer cfg.Close()
			return strings.ReplaceAll(summary(t, w, cfg), filepath.Dir(file), "FOLDER")
		})
	})
}

// summary is what a configuration says, one server a line, and what its
// launchers would start.
func summary(t *testing.T, w *world, cfg *config.Config) string {
	t.Helper()
	var b strings.Builder
	for _, s := range cfg.Servers {
		fmt.Fprintf(&b, "line %d: %s: %s %s, %s, confined %q, tools %s__*, refs %v", s.Line, s.Name, s.Kind, s.Target, s.Instance, s.Confined, s.Prefix, s.Refs)
		if s.Disabled {
			b.WriteString(", disabled")
		}
		b.WriteString("\n")
	}
	for _, s := range cfg.Options.Servers {
		before := len(w.remotes)
		_, err := s.Launcher.Launch(t.Context(), runtime.Key{Server: s.Name, Secrets: secrets.ProviderFunc(func(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
			return secrets.NewSecret("resolved " + string(ref)), nil
		})})
		if err == nil || len(w.remotes) != before {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	for _, r := range w.runtimes {
		for _, spec := range r.started {
			fmt.Fprintf(&b, "%s starts %q %q in %q", r.name, spec.Image, append(spec.Command, spec.Args...), spec.Dir)
			for _, name := range sortedKeys(spec.Env) {
				fmt.Fprintf(&b, " %s=%q", name, spec.Env[name].Reveal())
			}
			for _, u := range spec.Secrets {
				fmt.Fprintf(&b, " secret %s from %v in env %q, file %q, hosts %+v, like %q, optional %t", u.Name, u.Value, u.Env, u.File, u.Hosts, u.Placeholder, u.Optional)
			}
			b.WriteString("\n")
		}
	}
	for _, r := range w.remotes {
		fmt.Fprintf(&b, "remote %s", r.URL)
		for _, name := range sortedKeys(r.Headers) {
			fmt.Fprintf(&b, " %s: %v", name, r.Headers[name])
		}
		for _, name := range sortedKeys(r.Query) {
			fmt.Fprintf(&b, " ?%s=%v", name, r.Query[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func sortedKeys(m map[string]secrets.Value) []string { return slices.Sorted(maps.Keys(m)) }
