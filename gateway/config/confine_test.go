package config_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// TestConfinement reads what a server may have into its Spec.
func TestConfinement(t *testing.T) {
	t.Parallel()
	w := new(world)
	cfg := load(t, w, `
state: state
runtime: {driver: box, namespace: one, confine: all}
servers:
  a:
    image: x
    args: [--flag]
    limits: {cpus: 0.5, memory: 512MiB, pids: 64, tmp: 16MiB, files: 100}
    network: {allow: ["api.example.com:443"]}
    mounts:
      - {source: docs, target: /docs}
      - {volume: data, size: 1GiB, target: /data, writable: true}
      - {source: /etc/hosts, target: /h, force: true}
    user: "1000:1000"
    class: gvisor
    port: 8080
    path: /x
    writableRoot: true
    maxInstances: 5
  b: {command: [prog, arg], limits: {memory: 1GiB}, cwd: /srv, warm: 2}
  c: {image: y, network: none}
`)
	for i, want := range []runtime.Spec{
		{
			Name: "a", Image: "x", Args: []string{"--flag"}, User: "1000:1000", Class: "gvisor", Port: 8080, Path: "/x", WritableRoot: true,
			Limits:  runtime.Limits{CPUs: 0.5, Memory: 512 << 20, PIDs: 64, Tmp: 16 << 20, Files: 100},
			Network: runtime.Network{Allow: []string{"api.example.com:443"}},
			Mounts: []runtime.Mount{
				{Source: filepath.Join(filepath.Dir(cfg.Path), "docs"), Target: "/docs"},
				{Volume: "data", Size: 1 << 30, Target: "/data", Writable: true}, {Source: "/etc/hosts", Target: "/h", Force: true},
			},
		},
		{Name: "b", Command: []string{"prog", "arg"}, Dir: "/srv", Limits: runtime.Limits{Memory: 1 << 30}},
		{Name: "c", Image: "y"},
	} {
		if _, err := cfg.Options.Servers[i].Launcher.Launch(t.Context(), runtime.Key{}); err == nil {
			t.Fatal("the recorder starts nothing")
		}
		var got runtime.Spec
		for _, r := range w.runtimes {
			for _, s := range r.started {
				if s.Name == want.Name {
					got = s
				}
			}
		}
		got.Env = nil
		if got.Definition() != want.Definition() {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if s := cfg.Servers; s[0].Confined != "box" || s[1].Confined != "cage" || s[2].Confined != "box" {
		t.Errorf("confined: %+v", s)
	}
	if o := cfg.Options.Servers; o[0].MaxInstances != 5 || o[1].Warm != 2 {
		t.Errorf("servers: %+v", o)
	}
	if len(w.sites) != 1 || w.sites[0].State != cfg.State || cfg.State == "" {
		t.Errorf("the driver was made for %+v, the state is %q", w.sites, cfg.State)
	}
}

// TestProblemOfTheMachine: what a runtime cannot hold is told, and keeps no
// other server from starting; what makes no sense is a fault of the file.
func TestProblemOfTheMachine(t *testing.T) {
	t.Parallel()
	w := new(world)
	kinds := w.kinds()
	kinds.Runtimes["weak"] = config.FactoryOf(func(context.Context, *struct{}) (runtime.Runtime, error) {
		return &weak{recorder{name: "weak"}}, nil
	})
	cfg, err := config.Load(t.Context(), write(t, "f.yaml", "runtime: {driver: weak}\nservers:\n  a: {image: x, class: gvisor}\n  b: {image: y}\n"), kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Close()
	if s := cfg.Servers; s[0].Problem != "class cannot be enforced by this runtime: use another" || s[1].Problem != "" || len(cfg.Options.Servers) != 2 {
		t.Errorf("servers: %+v", s)
	}
	_, err = config.Load(t.Context(), write(t, "f.yaml", "runtime: {driver: weak}\nservers:\n  a: {image: x, user: me}\n"), kinds)
	if err == nil || !strings.HasSuffix(err.Error(), "f.yaml:3:6: servers.a: user is no number") {
		t.Errorf("got %v", err)
	}
}

// weak is a runtime that cannot do everything.
type weak struct{ recorder }

func (*weak) Check(spec runtime.Spec) error {
	switch {
	case spec.Class != "":
		return fmt.Errorf("class %w: use another", runtime.ErrCannotEnforce)
	case spec.User == "me":
		return errors.New("user is no number")
	}
	return nil
}
