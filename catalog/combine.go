package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Resolver finds a server by name. It is safe for concurrent use; the Server
// is shared and must not be changed. A name that is not there is an error
// that [ErrNotFound] matches.
type Resolver interface {
	Resolve(ctx context.Context, name string) (*Server, error)
}

// Lister lists all servers, each name once, in an order that stays the same
// while nothing changes. It is safe for concurrent use; the Servers are shared
// and must not be changed, the slice is the caller's.
type Lister interface {
	List(ctx context.Context) ([]*Server, error)
}

// Catalog is both.
type Catalog interface {
	Resolver
	Lister
}

// ErrNotFound is matched by the error for a name that no entry has.
var ErrNotFound = errors.New("no such server in the catalog")

// NotFoundError names what was looked for, and what comes near.
type NotFoundError struct {
	Name string
	Near []string // at most 3
}

// Error implements error.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("%q: %v", e.Name, ErrNotFound)
	if len(e.Near) > 0 {
		text += "; did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	return text
}

// Unwrap makes [ErrNotFound] match.
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

// Clone returns a copy that shares nothing that can be changed with s.
func (s *Server) Clone() *Server {
	b, err := json.Marshal(s)
	c := new(Server)
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err != nil { // only a hand-made RawMessage that is no JSON
		panic(fmt.Sprintf("catalog: entry %q: %v", s.Name, err))
	}
	return c
}

func (o Origin) place() string {
	if o.Line > 0 {
		return o.Place + ":" + strconv.Itoa(o.Line)
	}
	return o.Place
}

// list is a Catalog of fixed servers.
type list struct {
	servers []*Server
	byName  map[string]*Server
}

// Of makes a Catalog of servers. The first of several of one name counts and
// has the others in its Hides.
func Of(servers ...*Server) Catalog {
	l := &list{byName: make(map[string]*Server, len(servers))}
	l.servers, l.byName = merge(servers)
	return l
}

// merge keeps the first server of each name.
func merge(servers []*Server) ([]*Server, map[string]*Server) {
	at := make(map[string]int, len(servers))
	out := make([]*Server, 0, len(servers))
	copied := make(map[int]bool)
	for _, s := range servers {
		i, twice := at[s.Name]
		if !twice {
			at[s.Name] = len(out)
			out = append(out, s)
			continue
		}
		if !copied[i] {
			first := *out[i]
			first.Hides = slices.Clone(first.Hides)
			out[i], copied[i] = &first, true
		}
		out[i].Hides = append(append(out[i].Hides, s.Origin), s.Hides...)
	}
	byName := make(map[string]*Server, len(out))
	for _, s := range out {
		byName[s.Name] = s
	}
	return out, byName
}

func (l *list) Resolve(_ context.Context, name string) (*Server, error) {
	if s, ok := l.byName[name]; ok {
		return s, nil
	}
	return nil, notFound(name, l.servers)
}

func (l *list) List(context.Context) ([]*Server, error) { return slices.Clone(l.servers), nil }

// notFound finds names that contain the name, or are contained in it, or
// differ from it in letters alone.
func notFound(name string, servers []*Server) error {
	e := &NotFoundError{Name: name}
	plain := strings.ToLower(name)
	for _, s := range servers {
		p := strings.ToLower(s.Name)
		if plain != "" && (strings.Contains(p, plain) || len(p) > 2 && strings.Contains(plain, p)) {
			e.Near = append(e.Near, s.Name)
		}
	}
	slices.SortStableFunc(e.Near, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	e.Near = e.Near[:min(len(e.Near), 3)]
	return e
}

// Union makes one Catalog of several: an entry of an earlier one stands in
// front of one of the same name in a later one, whose origin is in its Hides.
// An error of one is the error of the whole: a name must not come from a later
// catalog because an earlier one is away.
func Union(catalogs ...Catalog) Catalog {
	if len(catalogs) == 1 {
		return catalogs[0]
	}
	return union(slices.Clone(catalogs))
}

type union []Catalog

func (u union) Resolve(ctx context.Context, name string) (*Server, error) {
	var found []*Server
	near := &NotFoundError{Name: name}
	for _, c := range u {
		s, err := c.Resolve(ctx, name)
		if e := (*NotFoundError)(nil); errors.As(err, &e) {
			near.Near = append(near.Near, e.Near...)
		}
		switch {
		case err == nil:
			found = append(found, s)
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	if len(found) == 0 {
		slices.Sort(near.Near)
		near.Near = slices.Compact(near.Near)
		near.Near = near.Near[:min(len(near.Near), 3)]
		return nil, near
	}
	found, _ = merge(found)
	return found[0], nil
}

func (u union) List(ctx context.Context) ([]*Server, error) {
	var all []*Server
	for _, c := range u {
		part, err := c.List(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	out, _ := merge(all)
	return out, nil
}

// Filter leaves in a Catalog what keep says. keep must not change the Server
// and is called from several goroutines. A server that is left out is not
// found either.
func Filter(c Catalog, keep func(*Server) bool) Catalog { return filter{c, keep} }

type filter struct {
	Catalog
	keep func(*Server) bool
}

func (f filter) Resolve(ctx context.Context, name string) (*Server, error) {
	s, err := f.Catalog.Resolve(ctx, name)
	if err == nil && !f.keep(s) {
		return nil, &NotFoundError{Name: name}
	}
	return s, err
}

func (f filter) List(ctx context.Context) ([]*Server, error) {
	all, err := f.Catalog.List(ctx)
	return slices.DeleteFunc(all, func(s *Server) bool { return !f.keep(s) }), err
}

// Overlay changes entries: the function of a server's name is called with a
// copy of it. It must give the same each time, leaves the name as it is, and
// is called from several goroutines. Overlaid is set on what it changed.
func Overlay(c Catalog, changes map[string]func(*Server)) Catalog { return overlay{c, changes} }

type overlay struct {
	Catalog
	changes map[string]func(*Server)
}

func (o overlay) apply(s *Server) *Server {
	change, ok := o.changes[s.Name]
	if !ok {
		return s
	}
	c := s.Clone()
	change(c)
	c.Name, c.Overlaid = s.Name, true
	return c
}

func (o overlay) Resolve(ctx context.Context, name string) (*Server, error) {
	s, err := o.Catalog.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	return o.apply(s), nil
}

func (o overlay) List(ctx context.Context) ([]*Server, error) {
	all, err := o.Catalog.List(ctx)
	for i, s := range all {
		all[i] = o.apply(s)
	}
	return all, err
}
