package runtime_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

func TestCeiling(t *testing.T) {
	t.Parallel()
	c := &runtime.Ceiling{
		Limits:  runtime.Limits{CPUs: 2, Memory: 4 << 30, PIDs: 300, Tmp: 1 << 30, Files: 2048},
		Mounts:  []string{"/srv", "/data/"},
		Network: []string{"api.example.com:443", "*.internal.example:8443"},
		Volume:  16,
		NoRoot:  true, NoForce: true, ReadOnly: true, Confined: true,
		Classes: []string{"", "gvisor"},
	}
	fine := runtime.Spec{
		Limits: runtime.Limits{CPUs: 2, Memory: 1}, Class: "gvisor", User: "1000:1000",
		Mounts:  []runtime.Mount{{Source: "/srv/a", Target: "/a"}, {Source: "/data", Target: "/b"}, {Volume: "v", Target: "/v", Writable: true, Size: 16}},
		Network: runtime.Network{Allow: []string{"API.example.com:443", "x.internal.example:8443"}},
	}
	if err := c.Check(fine); err != nil {
		t.Errorf("within the ceiling: %v", err)
	}
	for want, spec := range map[string]runtime.Spec{
		"limits.cpus 3 is more than 2":              {Limits: runtime.Limits{CPUs: 3}},
		"limits.memory 5368709120 is more than":     {Limits: runtime.Limits{Memory: 5 << 30}},
		"limits.pids 301 is more than 300":          {Limits: runtime.Limits{PIDs: 301}},
		"limits.files 4096 is more than 2048":       {Limits: runtime.Limits{Files: 4096}},
		"mount of /srvx: only what lies below /srv": {Mounts: []runtime.Mount{{Source: "/srvx", Target: "/a"}}},
		"mount of /srv/../etc: only what lies":      {Mounts: []runtime.Mount{{Source: "/srv/../etc", Target: "/a"}}},
		"mount of /srv/a: writable":                 {Mounts: []runtime.Mount{{Source: "/srv/a", Target: "/a", Writable: true}}},
		"mount of /srv/b: force":                    {Mounts: []runtime.Mount{{Source: "/srv/b", Target: "/a", Force: true}}},
		"network.allow internal.example:8443: only": {Network: runtime.Network{Allow: []string{"internal.example:8443"}}},
		"network.allow *.example:8443: only":        {Network: runtime.Network{Allow: []string{"*.example:8443"}}},
		"network.allow api.example.com:80: only":    {Network: runtime.Network{Allow: []string{"api.example.com:80"}}},
		"user 0":                                    {User: "0"}, "user 1:0": {User: "1:0"},
		"mount of volume v: the size 17 is more than 16":   {Mounts: []runtime.Mount{{Volume: "v", Target: "/v", Size: 17}}},
		"mount of volume w: without a size, of at most 16": {Mounts: []runtime.Mount{{Volume: "w", Target: "/v"}}},
		`class "kata": only`:                               {Class: "kata"}, "unconfined": {Unconfined: true}, "writableRoot": {WritableRoot: true},
	} {
		err := c.Check(spec)
		if !errors.Is(err, runtime.ErrCeiling) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, l := range []runtime.Limits{{CPUs: math.NaN()}, {CPUs: -1}, {Memory: -1}, {PIDs: -1}} {
		if err := c.Check(runtime.Spec{Limits: l}); !errors.Is(err, runtime.ErrCeiling) {
			t.Errorf("limits %+v: %v", l, err)
		}
	}
	if err := (*runtime.Ceiling)(nil).Check(runtime.Spec{Unconfined: true}); err != nil {
		t.Errorf("no ceiling: %v", err)
	}
	// A ceiling below a default refuses the default too: nothing is clamped.
	if err := (&runtime.Ceiling{Limits: runtime.Limits{Memory: 1 << 20}}).Check(runtime.Spec{}); !errors.Is(err, runtime.ErrCeiling) {
		t.Errorf("the default memory over the ceiling: %v", err)
	}
}

// TestCeilingTravels: a list that allows nothing is not one that allows all.
func TestCeilingTravels(t *testing.T) {
	t.Parallel()
	none := runtime.Ceiling{Mounts: []string{}, Network: []string{}, Classes: []string{}}
	b, err := json.Marshal(none)
	if err != nil {
		t.Fatal(err)
	}
	var back runtime.Ceiling
	if err := json.Unmarshal(b, &back); err != nil || back.Mounts == nil || back.Network == nil || back.Classes == nil {
		t.Errorf("%s became %+v, %v", b, back, err)
	}
	definition := func(c runtime.Ceiling) string {
		return runtime.Within(nil, c).(interface{ Definition() string }).Definition()
	}
	if definition(none) == definition(runtime.Ceiling{}) {
		t.Error("nothing and anything have the same definition")
	}
}

func TestSensitive(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"/", "/etc", "/etc/passwd", "/var", "/var/run/docker.sock", "/run/user/1000", "/proc/1", "/usr", "/srv/home/me/.ssh", "/home/me/.config/gcloud/x", "/home/me/.aws/credentials", "/x/docker.sock", "/root/x"} {
		if runtime.Sensitive(p) == "" {
			t.Errorf("%s is not sensitive", p)
		}
	}
	for _, p := range []string{"/srv", "/srv/docs", "/home/me/docs", "/etcetera", "/tmp/x", "/home/me/x.ssh", "/opt"} {
		if why := runtime.Sensitive(p); why != "" {
			t.Errorf("%s: %s", p, why)
		}
	}
}
