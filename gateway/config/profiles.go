package config

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/profile"
)

// profileSection is one entry of profiles.
type profileSection struct {
	Servers strictyaml.Map[profile.Server] `required:"true" doc:"The servers it has, by name, and what it has of each."`
}

// profiles reads the section profiles. The servers are known by then.
func (l *loader) profiles(f *file, cfg *Config) {
	var known []string
	for _, s := range cfg.Servers {
		known = append(known, s.Name)
	}
	for i := range f.Profiles {
		e := &f.Profiles[i]
		p := profile.Profile{Name: e.Key, Servers: make(map[string]profile.Server, len(e.Value.Servers))}
		if err := (&profile.Profile{Name: e.Key}).Check(nil); err != nil {
			l.dec.Fault(e.At, "%v", err)
		}
		for _, s := range e.Value.Servers {
			p.Servers[s.Key] = s.Value
			if !slices.Contains(known, s.Key) {
				l.dec.Fault(s.At, "there is no server %q%s", s.Key, strictyaml.Hint(s.Key, known))
			} else if err := (&profile.Profile{Name: "p", Servers: map[string]profile.Server{s.Key: s.Value}}).Check(known); err != nil {
				l.dec.Fault(s.At, "an empty pattern matches no tool")
			}
		}
		cfg.Profiles = append(cfg.Profiles, p)
	}
}

// Profile returns a copy of Options that serves what the profile of that name
// has, and nothing else. An empty name means all servers: it returns Options.
func (c *Config) Profile(name string) (*gateway.Options, error) {
	if name == "" {
		return c.Options, nil
	}
	var known []string
	for _, p := range c.Profiles {
		if p.Name == name {
			return c.narrow(p), nil
		}
		known = append(known, p.Name)
	}
	if known == nil {
		return nil, fmt.Errorf("there is no profile %q: the file has no section profiles", name)
	}
	return nil, fmt.Errorf("there is no profile %q%s; the file has %s", name, strictyaml.Hint(name, known), strings.Join(known, ", "))
}

func (c *Config) narrow(p profile.Profile) *gateway.Options {
	o := *c.Options
	o.Profile = p.Name
	o.Servers = nil
	filtered := false
	for _, s := range c.Options.Servers {
		if has, ok := p.Servers[s.Name]; ok {
			o.Servers = append(o.Servers, s)
			filtered = filtered || !has.Tools.All()
		}
	}
	if _, ok := p.Servers[o.Unprefixed]; !ok {
		o.Unprefixed = ""
	}
	if filtered {
		o.Interceptors = append([]interceptor.Interceptor{&profileFilter{p}}, o.Interceptors...)
	}
	return &o
}

// profileFilter hides the tools that a profile does not have.
type profileFilter struct{ p profile.Profile }

var _ interceptor.ItemFilter = (*profileFilter)(nil)

// Intercept implements [interceptor.Interceptor]. What is hidden cannot be
// called, since the gateway asks the filter before.
func (f *profileFilter) Intercept(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
	return next(ctx, c)
}

// View implements [interceptor.ItemFilter]: all callers see the same.
func (f *profileFilter) View(*interceptor.Call) string { return "profile " + f.p.Name }

// Item implements [interceptor.ItemFilter].
func (f *profileFilter) Item(_ context.Context, _ *interceptor.Call, i *interceptor.Item) error {
	if i.Kind == interceptor.ItemTool && !f.p.Allows(i.Server, i.Original) {
		i.Drop()
	}
	return nil
}
