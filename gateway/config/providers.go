package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// providerHead is what every provider of secrets may say beside its own
// options.
type providerHead struct {
	Kind string        `doc:"The kind of provider; without it, the name is the kind."`
	TTL  time.Duration `doc:"How long an answer is kept at most [1m]. A secret that ends sooner is asked for again then."`
}

// chainOptions are those of the kind that asks several others.
type chainOptions struct {
	Of []string `doc:"The names of other providers of this section: the first that has a secret gives it."`
}

const (
	envProvider     = "env"     // of ${NAME}, where there is no other
	defaultProvider = "default" // of ${NAME}, where the file has it
	dockerProvider  = "se"      // of se://PATH, where the file has it
	chainKind       = "chain"
)

// providers are the providers of one file.
type providers struct {
	byName map[string]secrets.Provider
	plain  map[string]secrets.Provider // without caches, and without chains
	named  map[secrets.Ref]bool
}

var _ secrets.Provider = (*providers)(nil)

// Resolve implements [secrets.Provider]: a provider gets the part of the
// reference that stands behind its name.
func (p *providers) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if !p.named[ref] {
		return secrets.Secret{}, fmt.Errorf("%s is not named in the configuration: %w", ref, secrets.ErrNotFound)
	}
	name, rest := p.split(ref)
	prov := p.byName[name]
	if prov == nil {
		return secrets.Secret{}, errors.Join(fmt.Errorf("there is no provider %q", name), secrets.ErrNotFound)
	}
	return prov.Resolve(ctx, rest)
}

// split parts a reference into the provider's name and what that one gets. A
// reference of Docker's catalogs whose provider the file does not have is one
// to the last part of its path, as in ${NAME}.
func (p *providers) split(ref secrets.Ref) (provider string, rest secrets.Ref) {
	name, path, found := strings.Cut(string(ref), "/")
	if _, has := p.byName[name]; found && (has || name != dockerProvider) {
		return name, secrets.Ref(path)
	}
	if found {
		ref = secrets.Ref(path[strings.LastIndexByte(path, '/')+1:])
	}
	if _, has := p.byName[defaultProvider]; has {
		return defaultProvider, ref
	}
	return envProvider, ref
}

// Provider tells which provider of the file a reference leads to, and what that
// one gets of it.
func (c *Config) Provider(ref secrets.Ref) (name string, rest secrets.Ref) {
	return c.providers.split(ref)
}

// secrets makes the providers and joins them to one that resolves what the
// file names, and nothing else.
func (l *loader) secrets(n node) *providers {
	p := &providers{byName: make(map[string]secrets.Provider), plain: make(map[string]secrets.Provider), named: make(map[secrets.Ref]bool)}
	type chained struct {
		name string
		at   node
		of   []string
	}
	var chains []chained
	if n.Present() {
		l.dec.Pairs(n, func(name string, at, v node) {
			p.byName[name] = nil // it is declared, if it can be made or not
			head := providerHead{Kind: name}
			if k := v.Get("kind"); k.Present() {
				at = k
				l.dec.Decode(k, &head.Kind)
			}
			if t := v.Get("ttl"); t.Present() {
				l.dec.Decode(t, &head.TTL)
			}
			if head.Kind == chainKind {
				var o chainOptions
				l.dec.DecodeBeside(v, &o, "kind")
				if len(o.Of) == 0 {
					l.dec.Fault(at, "a chain needs `of`: the names of the providers that it asks, in order")
				}
				chains = append(chains, chained{name, v.Get("of"), o.Of})
				return
			}
			if !l.known(at, "secrets", head.Kind, l.secretKinds()) {
				return
			}
			if prov, ok := make1(l, "secrets", head.Kind, v, l.kinds.Secrets[head.Kind], "kind", "ttl"); ok {
				p.plain[name] = prov
				p.byName[name] = secrets.NewCache(prov, &secrets.CacheOptions{TTL: head.TTL})
			}
		})
	}
	if _, declared := p.byName[envProvider]; !declared {
		if f := l.kinds.Secrets[envProvider]; f != nil {
			if prov, ok := make1(l, "secrets", envProvider, node{}, f); ok {
				p.plain[envProvider], p.byName[envProvider] = prov, prov
			}
		}
	}
	declared := slices.Sorted(maps.Keys(p.byName))
	isChain := func(name string) bool {
		return slices.ContainsFunc(chains, func(c chained) bool { return c.name == name })
	}
	for _, c := range chains {
		var of []secrets.Provider
		for _, name := range c.of {
			prov, has := p.byName[name]
			switch {
			case !has:
				l.dec.Fault(c.at, "the section secrets has no %q%s", name, strictyaml.Hint(name, declared))
			case isChain(name):
				l.dec.Fault(c.at, "%q is a chain itself: list what it asks", name)
			case prov != nil: // else its fault is told
				of = append(of, prov)
			}
		}
		p.byName[c.name] = secrets.Chain(of...)
	}
	for _, v := range l.values {
		for _, ref := range v.val.Refs() {
			name, _ := p.split(ref)
			_, has := p.byName[name]
			switch {
			case has:
				p.named[ref] = true
			case name == envProvider:
				l.dec.Fault(v.at, "this program resolves no ${%s}: it has no kind %q of secrets", ref, envProvider)
			default:
				l.dec.Fault(v.at, "secret://%s: the section secrets has no %q%s", ref, name, strictyaml.Hint(name, declared))
			}
		}
	}
	return p
}

// secretKinds lists the kinds of providers; none when the program has none.
func (l *loader) secretKinds() []string {
	kinds := names(l.kinds.Secrets)
	if len(kinds) == 0 {
		return nil
	}
	kinds = append(kinds, chainKind)
	slices.Sort(kinds)
	return kinds
}
