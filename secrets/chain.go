package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Chain makes one provider of several: the first that has a secret gives it.
// One that fails otherwise than by [ErrNotFound] ends the search with its
// error, so that a locked or broken provider never lets a later one answer in
// its place. Its List joins those of the providers that have one.
func Chain(ps ...Provider) Provider {
	if len(ps) == 1 {
		return ps[0]
	}
	return chain(slices.Clone(ps))
}

type chain []Provider

var (
	_ Provider = chain(nil)
	_ Lister   = chain(nil)
)

// Resolve implements [Provider].
func (c chain) Resolve(ctx context.Context, ref Ref) (Secret, error) {
	missing := make([]error, 0, len(c))
	for _, p := range c {
		s, err := p.Resolve(ctx, ref)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return s, err
		}
		missing = append(missing, err)
	}
	if len(missing) == 0 {
		return Secret{}, fmt.Errorf("no provider is in the chain: %w", ErrNotFound)
	}
	return Secret{}, errors.Join(missing...)
}

// List implements [Lister].
func (c chain) List(ctx context.Context) ([]Ref, error) {
	var all []Ref
	for _, p := range c {
		l, ok := p.(Lister)
		if !ok {
			continue
		}
		refs, err := l.List(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, refs...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
