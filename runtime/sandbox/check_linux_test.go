package sandbox

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	r := &Runtime{root: true}
	ok := runtime.Spec{Command: []string{"server"}}
	if err := r.check(ok); err != nil {
		t.Errorf("the plain Spec: %v", err)
	}
	for _, test := range []struct {
		name   string
		change func(*runtime.Spec)
		want   string
		refuse bool // with ErrCannotEnforce
	}{
		{"unconfined", func(s *runtime.Spec) { s.Unconfined = true }, "unconfined", true},
		{"class", func(s *runtime.Spec) { s.Class = "gvisor" }, "class gvisor", true},
		{"writable root", func(s *runtime.Spec) { s.WritableRoot = true }, "writableRoot", true},
		{"no command", func(s *runtime.Spec) { s.Command = nil }, "command is empty", false},
		{"empty command", func(s *runtime.Spec) { s.Command = []string{""} }, "command is empty", false},
		{"zero byte", func(s *runtime.Spec) { s.Args = []string{"a\x00"} }, "zero byte", false},
		{"port", func(s *runtime.Spec) { s.Port = 70000 }, "port 70000", false},
		{"path", func(s *runtime.Spec) { s.Path = "mcp" }, "slash", false},
		{"dir", func(s *runtime.Spec) { s.Dir = "here" }, "not absolute", false},
		{"line", func(s *runtime.Spec) { s.MaxLine = -1 }, "maxLine", false},
		{"user", func(s *runtime.Spec) { s.User = "root" }, `user "root"`, false},
		{"mount", func(s *runtime.Spec) { s.Mounts = []runtime.Mount{{Source: "/a", Target: "/proc"}} }, "/proc", false},
		{"network", func(s *runtime.Spec) { s.Network.Allow = []string{"x"} }, "network.allow", false},
		{"name", func(s *runtime.Spec) { s.Env = map[string]secrets.Value{"A=B": secrets.Plain("")} }, `"A=B"`, false},
		{"value", func(s *runtime.Spec) { s.Env = map[string]secrets.Value{"A": secrets.Plain("\x00")} }, "zero byte", false},
		{"reference", func(s *runtime.Spec) { s.Env = map[string]secrets.Value{"A": secrets.Template("${T}")} }, "not resolved", false},
		{"cpus", func(s *runtime.Spec) { s.Limits.CPUs = -1 }, "limits.cpus", false},
		{"memory", func(s *runtime.Spec) { s.Limits.Memory = 1000 }, "limits.memory", false},
		{"pids", func(s *runtime.Spec) { s.Limits.PIDs = -5 }, "limits.pids", false},
		{"tmp", func(s *runtime.Spec) { s.Limits.Tmp = 1 }, "limits.tmp", false},
		{"files", func(s *runtime.Spec) { s.Limits.Files = 1 << 40 }, "limits.files", false},
	} {
		spec := ok
		test.change(&spec)
		err := r.check(spec)
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, runtime.ErrCannotEnforce) != test.refuse {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	all := runtime.Spec{Class: "x", WritableRoot: true, User: "?", Limits: runtime.Limits{PIDs: 1}}
	if err := r.check(all); strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("not every fault is told: %v", err)
	}
	rootless := &Runtime{}
	for _, change := range []func(*runtime.Spec){
		func(s *runtime.Spec) { s.User = "1000" },
		func(s *runtime.Spec) { s.Port = 8080 },
		func(s *runtime.Spec) { s.Network.Allow = []string{"example.com:443"} },
	} {
		spec := ok
		change(&spec)
		if err := rootless.check(spec); !errors.Is(err, runtime.ErrCannotEnforce) || !strings.Contains(err.Error(), "without root") {
			t.Errorf("without root: %v", err)
		}
	}
}

func TestInitIsNeeded(t *testing.T) {
	t.Parallel()
	if initialised.Load() {
		t.Skip("the end-to-end tests call Init")
	}
	_, err := (&Runtime{}).Start(t.Context(), runtime.Spec{Command: []string{"server"}})
	if !errors.Is(err, errForgotten) {
		t.Errorf("Start without Init: %v", err)
	}
	for _, want := range []string{"sandbox.Init", "first"} {
		if !strings.Contains(errForgotten.Error(), want) {
			t.Errorf("the sentence does not say %q: %v", want, errForgotten)
		}
	}
}
