package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// servers makes the servers of both spellings.
func (l *loader) servers(f *file, cfg *Config) {
	driver, ok := l.driver(node(f.Runtime))
	s := &serverLoader{loader: l, cfg: cfg, section: node(f.Runtime), driver: driver, driverOK: ok, prefixes: make(map[string]string), lines: make(map[string]int)}
	for i := range f.Servers {
		e := &f.Servers[i]
		s.add(e.Key, e.At, &e.Value)
	}
	for i := range f.Clients {
		e := &f.Clients[i]
		s.add(e.Key, e.At, l.client(e.At, &e.Value))
	}
	if f.Bare == "" {
		return
	}
	at := l.root.Get("unprefixed")
	var known []string
	for i, srv := range cfg.Servers {
		switch {
		case srv.Name != f.Bare:
			known = append(known, srv.Name)
		case srv.Disabled:
			l.dec.Fault(at, "the server %q is disabled", f.Bare)
			return
		default:
			cfg.Servers[i].Prefix = ""
			return
		}
	}
	l.dec.Fault(at, "there is no server %q%s", f.Bare, strictyaml.Hint(f.Bare, known))
}

// driver returns the kind that runs images.
func (l *loader) driver(section node) (kind string, ok bool) {
	kind = l.kinds.Driver
	if !section.Present() {
		return kind, true
	}
	var keys runtimeKeys
	for _, k := range []struct {
		key string
		to  any
	}{{"confine", &keys.Confine}, {"ceiling", &keys.Ceiling}} {
		if v := section.Get(k.key); v.Present() {
			l.dec.Decode(v, k.to)
		}
	}
	if keys.Confine != "" && keys.Confine != "all" && !l.dec.Faulty(section.Get("confine")) {
		l.dec.Fault(section.Get("confine"), "write all, or leave it out")
	}
	l.confineAll = keys.Confine == "all"
	if section.Get("ceiling").Present() {
		c := keys.Ceiling.of()
		l.ceiling = &c
	}
	n := section.Get("driver")
	if n.Present() {
		l.dec.Decode(n, &kind)
	} else {
		n = section
	}
	if !l.known(n, "runtime", kind, names(l.kinds.Runtimes)) {
		return "", false
	}
	_, ok = l.runtime(kind, kind, section)
	return kind, ok
}

// client makes a server of an entry that another program wrote.
func (l *loader) client(n node, c *clientServer) *server {
	for _, o := range []struct {
		key, value string
		to         *string
	}{
		{"serverUrl", c.ServerURL, &c.URL}, {"httpUrl", c.HTTPURL, &c.URL},
		{"transport", c.Transport, &c.Type}, {"transportType", c.TransportType, &c.Type},
	} {
		switch {
		case o.value == "":
		case *o.to != "" && *o.to != o.value:
			l.dec.Fault(n.Get(o.key), "another value than this stands in the entry under another name: keep one of them")
		default:
			*o.to = o.value
		}
	}
	for _, on := range []*bool{c.Enabled, c.Active} {
		c.Disabled = c.Disabled || on != nil && !*on
	}
	if c.Tools != nil && !slices.Equal(c.Tools, []string{"*"}) {
		l.dec.Fault(n.Get("tools"), "tools cannot be hidden here: ignoring this key would show all of them")
	}
	return &c.server
}

// serverLoader gathers the servers.
type serverLoader struct {
	*loader
	cfg      *Config
	section  node
	driver   string
	driverOK bool
	prefixes map[string]string
	lines    map[string]int
}

func (s *serverLoader) add(name string, n node, f *server) {
	if line, twice := s.lines[name]; twice {
		s.dec.Fault(n, "servers and mcpServers both have this name: first on line %d", line)
		return
	}
	s.lines[name] = n.Line()
	if name == "" || len(name) > 128 {
		s.dec.Fault(n, "a server's name has 1 to 128 characters")
		return
	}
	if f.Instance == "" {
		f.Instance = string(gateway.PerSession)
	}
	used := uses(f)
	d := Server{Name: name, Prefix: gateway.Prefix(name), Instance: gateway.Scope(f.Instance), Disabled: f.Disabled, Line: n.Line(), Env: f.Env, Refs: refs(used), Uses: used}
	failed := s.dec.Failed()
	launcher := s.launcher(n, f, &d)
	if !f.Disabled {
		if other, taken := s.prefixes[d.Prefix]; taken {
			s.dec.Fault(n, "its tools would have the same prefix %q as those of %q: rename one", d.Prefix, other)
		}
		s.prefixes[d.Prefix] = name
	}
	s.cfg.Servers = append(s.cfg.Servers, d)
	if f.Disabled || launcher == nil || s.dec.Failed() > failed {
		return
	}
	s.cfg.Options.Servers = append(s.cfg.Options.Servers, gateway.Server{
		Name: name, Launcher: launcher, Instance: d.Instance, Interactive: f.Interactive,
		IdleTimeout: f.IdleTimeout, StartTimeout: f.StartTimeout, Secrets: d.Refs,
		Warm: f.Warm, Probe: f.Probe, MaxInstances: f.MaxInstances,
	})
}

// launcher makes the launcher of an entry; nil after a fault.
func (s *serverLoader) launcher(n node, f *server, d *Server) runtime.Launcher {
	has := make(map[string]bool)
	for _, k := range n.Keys() {
		has[k] = true
	}
	isURL := f.URL != ""
	switch {
	case isURL && f.Image != "":
		s.dec.Fault(n, "url and image exclude each other")
		return nil
	case isURL && len(f.Command) > 0:
		s.dec.Fault(n, "url and command exclude each other")
		return nil
	case isURL:
		return s.remote(n, f, d, has)
	case f.Image == "" && len(f.Command) == 0:
		given := false
		for _, k := range []string{"command", "url", "image", "serverUrl", "httpUrl"} {
			if at := n.Get(k); at.Present() {
				if given = true; !s.dec.Faulty(at) {
					s.dec.Fault(at, "must not be empty")
				}
			}
		}
		if !given && (n.Keys() != nil || !s.dec.Faulty(n)) {
			s.dec.Fault(n, "one of command, url and image is needed")
		}
		return nil
	}
	s.exclude(n, has, "is for url servers", "headers", "query")
	if f.Type != "" && !local(f.Type) {
		s.dec.Fault(first(n, typeKeys), "%q needs a url", f.Type)
	}
	if len(f.Command) > 0 && f.Command[0] == "" {
		s.dec.Fault(n.Get("command"), "the program's name is empty")
	}
	for key, args := range map[string][]string{"command": f.Command, "args": f.Args} {
		if slices.ContainsFunc(args, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
			s.dec.Fault(n.Get(key), "a NUL character cannot be passed to a program")
		}
	}
	spec := runtime.Spec{
		Name: d.Name, Image: f.Image, Command: f.Command, Args: f.Args, Env: f.Env, Dir: f.Dir, MaxLine: f.MaxLine,
		Secrets: secretUses(f.Secrets),
	}
	for name := range f.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			s.dec.Fault(n.Get("env"), "%q cannot be the name of an environment variable", name)
		}
	}
	if f.Image != "" {
		s.exclude(n, has, "is for commands: an image is always confined", "confine")
		s.confine(n, &f.confinement, &spec)
		return s.image(n, f, d, spec)
	}
	d.Kind, d.Target, d.Confined = Command, f.Command[0], "no"
	if s.confines(n, f) {
		d.Confined = s.kinds.Confine
		s.confine(n, &f.confinement, &spec)
		return s.confined(n, d, spec)
	}
	s.plainSecrets(n.Get("secrets"), f.Secrets)
	if s.kinds.Plain == "" || s.kinds.Runtimes[s.kinds.Plain] == nil {
		s.dec.Fault(n.Get("command"), "this program starts no commands")
		return nil
	}
	rt, ok := s.runtime(s.kinds.Plain, s.driver, s.section)
	if !ok {
		return nil
	}
	d.Dir = s.site.Path(spec.Dir)
	spec.Dir, spec.Unconfined = d.Dir, true
	return runtime.Of(rt, spec)
}

// typeKeys are the names of type, in the order in which they count.
var typeKeys = []string{"type", "transport", "transportType"}

// local reports whether a type is that of a command.
func local(typ string) bool { return typ == "stdio" || typ == "local" }

// first returns the value of the first key that is there.
func first(n node, keys []string) node {
	for _, k := range keys {
		if v := n.Get(k); v.Present() {
			return v
		}
	}
	return node{}
}

// exclude reports keys that do not belong to this kind of server.
func (s *serverLoader) exclude(n node, has map[string]bool, why string, keys ...string) {
	for _, k := range keys {
		if has[k] {
			s.dec.Fault(n.Get(k), "%s", why)
		}
	}
}

func (s *serverLoader) remote(n node, f *server, d *Server, has map[string]bool) runtime.Launcher {
	d.Kind = URL
	s.exclude(n, has, "is for command and image servers", append([]string{"args", "env", "secrets", "cwd", "maxLine", "confine", "warm"}, confinedKeys...)...)
	at := first(n, []string{"url", "serverUrl", "httpUrl"})
	if local(f.Type) {
		s.dec.Fault(first(n, typeKeys), "%q needs a command, but a url stands here", f.Type)
	}
	if strings.Contains(f.URL, "${") {
		s.dec.Fault(at, "a URL is shown in logs: put references into headers or query")
		return nil
	}
	if msg := checkURL(f.URL); msg != "" {
		s.dec.Fault(at, "%s", msg)
		return nil
	}
	if u, err := url.Parse(f.URL); err == nil {
		u.RawQuery = ""
		d.Target = u.String()
	}
	if s.kinds.Remote == nil {
		s.dec.Fault(at, "this program reaches no remote servers")
		return nil
	}
	l, err := s.drivers.get("server "+d.Name+" "+n.Digest(), func() (any, error) {
		return s.kinds.Remote(Remote{URL: f.URL, Headers: f.Headers, Query: f.Query})
	})
	if err != nil {
		s.dec.Fault(n, "%v", err)
		return nil
	}
	return l.(runtime.Launcher)
}

func (s *serverLoader) image(n node, f *server, d *Server, spec runtime.Spec) runtime.Launcher {
	d.Kind, d.Target, d.Confined = Image, f.Image, s.driver
	at := n.Get("image")
	switch {
	case !s.driverOK: // the section runtime has the fault
		return nil
	case s.driver == "":
		s.dec.Fault(at, "this program has no runtime for container images; it has %s", list(names(s.kinds.Runtimes)))
		return nil
	case s.driver == s.kinds.Plain && s.driver != s.kinds.Driver:
		s.dec.Fault(at, "the runtime %q starts commands, not container images", s.driver)
		return nil
	}
	rt, ok := s.runtime(s.driver, s.driver, s.section)
	if !ok {
		return nil
	}
	return s.started(n, d, rt, s.driver, spec)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

// uses are the values of an entry that hold references, by key.
func uses(f *server) []Use {
	var out []Use
	add := func(in, name string, v secrets.Value, optional bool) {
		if len(v.Refs()) > 0 {
			out = append(out, Use{in + "." + name, name, v, optional})
		}
	}
	for in, m := range map[string]map[string]secrets.Value{"env": f.Env, "headers": f.Headers, "query": f.Query} {
		for name, v := range m {
			add(in, name, v, false)
		}
	}
	for name, u := range f.Secrets {
		add("secrets", name, u.From, u.Optional)
	}
	slices.SortFunc(out, func(a, b Use) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// refs are the secrets that an entry names, each once, in a stable order;
// never nil, since nil would mean all.
func refs(used []Use) []secrets.Ref {
	out := []secrets.Ref{}
	for _, u := range used {
		out = append(out, u.Value.Refs()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
