package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Profile is a named set of servers and tools. It is not changed once it is
// in use.
type Profile struct {
	Name string

	// Servers are the servers it has, by name, and what it has of each.
	// Others do not exist for it.
	Servers map[string]Server
}

// Server is what a profile has of one server.
type Server struct {
	// Tools are the tools, by the server's own names; the zero value has
	// all of them.
	Tools Names `doc:"Which of its tools, by the server's own names. Default: all."`
}

// Names is a set of names: those that match Allow, or all where Allow is nil,
// without those that match Deny. In a pattern * stands for any text, the empty
// one too; all else for itself.
type Names struct {
	Allow []string `doc:"Patterns of the names to show; * stands for any text. Default: all."`
	Deny  []string `doc:"Patterns of the names to hide, whatever allow says."`
}

// Has reports whether name is in the set. An Allow that is there but empty
// has nothing.
func (n Names) Has(name string) bool {
	hit := func(pattern string) bool { return match(pattern, name) }
	return (n.Allow == nil || slices.ContainsFunc(n.Allow, hit)) && !slices.ContainsFunc(n.Deny, hit)
}

// All reports whether every name is in the set.
func (n Names) All() bool { return n.Allow == nil && len(n.Deny) == 0 }

// Allows reports whether the profile has a tool, by the names of the server
// and of the tool there.
func (p *Profile) Allows(server, tool string) bool {
	s, ok := p.Servers[server]
	return ok && s.Tools.Has(tool)
}

// Check returns every fault of the profile, given the servers that there are.
func (p *Profile) Check(servers []string) error {
	var errs []error
	if p.Name == "" || len(p.Name) > 64 || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		errs = append(errs, fmt.Errorf("%q is no name of a profile: 1 to 64 of A-Z a-z 0-9 . _ -", p.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Servers)) {
		if !slices.Contains(servers, name) {
			errs = append(errs, fmt.Errorf("profile %s: there is no server %q", p.Name, name))
		}
		t := p.Servers[name].Tools
		if slices.Contains(t.Allow, "") || slices.Contains(t.Deny, "") {
			errs = append(errs, fmt.Errorf("profile %s: server %s: an empty pattern matches no tool", p.Name, name))
		}
	}
	return errors.Join(errs...)
}

// match matches a name with a pattern in which * stands for any text. It
// takes time in proportion to both lengths at most.
func match(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}
