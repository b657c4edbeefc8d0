package config

import (
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// sections makes the drivers that the file names.
func (l *loader) sections(f *file, cfg *Config) {
	for _, s := range []struct {
		n    unknownSection
		what string
	}{
		{f.Catalogs, "catalogs"}, {f.Trust, "trust policies"}, {f.Mapping, "mapping of callers to profiles"},
		{f.Telemetry, "telemetry"}, {f.Cluster, "clusters"},
	} {
		if n := node(s.n); n.Present() {
			l.dec.Fault(n, "this program has no %s: remove the section", s.what)
		}
	}
	if n := node(f.Auth); n.Present() {
		if kind, opts, ok := l.choice(n, "auth", names(l.kinds.Auth)); ok {
			cfg.Options.Authenticator, _ = make1(l, "auth", kind, opts, l.kinds.Auth[kind])
			if f.PublicURL == "" {
				l.dec.Fault(n, "auth needs publicURL: it is what tokens are issued for, and never taken from a request")
			}
		}
	}
	if n := node(f.Chain); n.Present() {
		for _, item := range l.items(n) {
			kind, opts, ok := l.choice(item, "interceptors", slices.Sorted(slices.Values(append(names(l.kinds.Interceptors), guardKind))))
			switch {
			case !ok:
			case kind == guardKind && cfg.Options.Guard != nil:
				l.dec.Fault(item, "the guard stands here twice")
			case kind == guardKind:
				cfg.Options.Guard = l.guard(opts)
			default:
				if ic, ok := make1(l, "interceptors", kind, opts, l.kinds.Interceptors[kind]); ok {
					cfg.Options.Interceptors = append(cfg.Options.Interceptors, ic)
				}
			}
		}
	}
	p := l.secrets(node(f.Secrets))
	cfg.Options.Secrets, cfg.Secrets, cfg.providers = p, p.plain, p
}

func (l *loader) items(n node) []node {
	var items []node
	l.dec.Decode(n, &items)
	return items
}

// choice reads KIND or {KIND: options}.
func (l *loader) choice(n node, section string, kinds []string) (kind string, opts node, ok bool) {
	at := n
	if text, isText := n.Text(); isText {
		kind, opts = text, n.Empty("")
	} else {
		failed := l.dec.Failed()
		l.dec.Pairs(n, func(k string, place, v node) {
			if kind != "" {
				l.dec.Fault(place, "one kind stands here: %q came first", kind)
				return
			}
			kind, at, opts = k, place, v
		})
		if l.dec.Failed() > failed {
			return "", node{}, false
		}
	}
	return kind, opts, l.known(at, section, kind, kinds)
}

// known checks that the program has a kind.
func (l *loader) known(at node, section, kind string, kinds []string) bool {
	switch {
	case len(kinds) == 0:
		l.dec.Fault(at, "this program has no kinds of %s: remove the section", section)
	case kind == "":
		l.dec.Fault(at, "the kind is missing; this program has %s", strings.Join(kinds, ", "))
	case !slices.Contains(kinds, kind):
		l.dec.Fault(at, "there is no kind %q of %s%s; this program has %s", kind, section, strictyaml.Hint(kind, kinds), strings.Join(kinds, ", "))
	default:
		return true
	}
	return false
}

// make1 makes one driver, or takes it over.
func make1[T any](l *loader, section, kind string, opts node, f Factory[T], others ...string) (T, bool) {
	var none T
	if !opts.Present() { // the kind is used though no section names it
		opts = l.root.Empty(section)
	}
	o := f.Options()
	failed := l.dec.Failed()
	l.dec.DecodeBeside(opts, o, others...)
	if l.dec.Failed() > failed {
		return none, false
	}
	v, err := l.drivers.get(section+" "+kind+" "+opts.Digest(), func() (any, error) { return f.Make(l.ctx, l.site, o) })
	if err != nil {
		l.dec.Fault(opts, "%v", err)
		return none, false
	}
	return v.(T), true
}

// runtime makes the driver of a kind, one for all servers; the section runtime
// has its options when it names that kind.
func (l *loader) runtime(kind, driver string, section node) (runtime.Runtime, bool) {
	if kind != driver {
		section = node{}
	}
	if rt, made := l.runtimes[kind]; made {
		return rt, rt != nil
	}
	rt, ok := make1(l, "runtime", kind, section, l.kinds.Runtimes[kind], "driver", "confine", "ceiling")
	if ok && l.ceiling != nil && kind != l.kinds.Plain {
		rt = runtime.Within(rt, *l.ceiling)
	}
	l.runtimes[kind] = rt
	return rt, ok
}
