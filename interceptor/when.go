package interceptor

import (
	"context"
	"slices"
)

// Selector says which calls are meant: those that every field matches. The
// strings are patterns in which * stands for any text and ? for one
// character; a field matches when one of its patterns does. An empty field
// matches everything.
type Selector struct {
	Methods    []string    // such as "tools/call" or "notifications/*"
	Servers    []string    // a call that is for no single server has the name ""
	Names      []string    // of tools and prompts, URIs of resources: the client's spelling or the server's
	Directions []Direction // who sent the message
	Profiles   []string
	Principals []string // their subjects, or "subject@issuer"; "anonymous" for none
	Groups     []string // one of the principal's

	// Match, when it is set, must agree too.
	Match func(*Call) bool
}

// Matches reports whether c is meant.
func (s *Selector) Matches(c *Call) bool {
	return matches(s.Methods, c.Method) &&
		matches(s.Servers, c.Server) &&
		(len(s.Names) == 0 || matches(s.Names, c.Name) || matches(s.Names, c.Original)) &&
		s.caller(c) &&
		(len(s.Directions) == 0 || slices.Contains(s.Directions, c.Direction)) &&
		(s.Match == nil || s.Match(c))
}

// caller checks the fields that do not depend on the message.
func (s *Selector) caller(c *Call) bool {
	if !matches(s.Profiles, c.Profile) {
		return false
	}
	if len(s.Principals) > 0 && !matches(s.Principals, c.Principal.String()) &&
		(c.Principal.Anonymous() || !matches(s.Principals, c.Principal.Subject)) {
		return false
	}
	return len(s.Groups) == 0 || slices.ContainsFunc(c.Principal.Groups, func(g string) bool { return matches(s.Groups, g) })
}

func matches(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return glob(p, s) })
}

// glob matches s against a pattern with * and ?, in time linear in the
// product of their lengths.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// When runs interceptors for the calls that sel matches; others pass by.
func When(sel Selector, is ...Interceptor) Interceptor {
	return &when{sel, slices.Clone(is)}
}

type when struct {
	sel Selector
	is  []Interceptor
}

var (
	_ Interceptor = (*when)(nil)
	_ Wrapper     = (*when)(nil)
)

// Unwrap implements [Wrapper].
func (w *when) Unwrap() []Interceptor { return slices.Clone(w.is) }

// Intercept implements [Interceptor].
func (w *when) Intercept(ctx context.Context, c *Call, next Handler) (*Result, error) {
	if len(w.is) == 0 || !w.sel.Matches(c) {
		return next(ctx, c)
	}
	for n := len(w.is) - 1; n > 0; n-- {
		next = layer(w.is[n], next)
	}
	return run(ctx, w.is[0], c, next)
}

// whenFilter is a filter inside When.
type whenFilter struct {
	sel *Selector
	f   ItemFilter
}

// View implements [ItemFilter]. A selector with a function of the host's may
// look at anything, so its view is the principal's.
func (w *whenFilter) View(c *Call) string {
	if !w.sel.caller(c) {
		return "-"
	}
	v := w.f.View(c)
	if v == "" || w.sel.Match != nil {
		return ""
	}
	return "+" + v
}

// Generation implements [Generations].
func (w *whenFilter) Generation() uint64 { return generation(w.f) }

// ListOnly implements [ListOnly].
func (w *whenFilter) ListOnly() bool { return !Hides(w.f) }

// Item implements [ItemFilter]. The selector looks at the item as at a call
// that lists it or uses it.
func (w *whenFilter) Item(ctx context.Context, c *Call, i *Item) error {
	of := *c
	of.Server, of.Name, of.Original = i.Server, i.Name, i.Original
	list, use := i.Kind.methods()
	for _, method := range [...]string{list, use} {
		if of.Method = method; w.sel.Matches(&of) {
			return w.f.Item(ctx, c, i)
		}
	}
	return nil
}
