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
	for _, u := range []struct{ key, value string }{{"serverUrl", c.ServerURL}, {"httpUrl", c.HTTPURL}} {
		switch {
		case u.value == "":
		case c.URL != "" && c.URL != u.value:
			l.dec.Fault(n.Get(u.key), "another URL stands in this entry: keep one")
		default:
			c.URL = u.value
		}
	}
	if c.Enabled != nil && !*c.Enabled {
		c.Disabled = true
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
	d := Server{Name: name, Prefix: gateway.Prefix(name), Instance: gateway.Scope(f.Instance), Disabled: f.Disabled, Line: n.Line(), Refs: refs(f)}
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
		if !has["url"] && !has["image"] && !has["command"] {
			s.dec.Fault(n, "one of command, url and image is needed")
		} else {
			for _, k := range []string{"command", "url", "image"} {
				if has[k] {
					s.dec.Fault(n.Get(k), "must not be empty")
				}
			}
		}
		return nil
	}
	s.exclude(n, has, "is for url servers", "headers")
	if f.Type != "" && f.Type != "stdio" {
		s.dec.Fault(n.Get("type"), "%q needs a url", f.Type)
	}
	for i, arg := range append(slices.Clone(f.Command), f.Args...) {
		if strings.ContainsRune(arg, 0) || i == 0 && arg == "" && len(f.Command) > 0 {
			s.dec.Fault(n.Get("command"), "holds an empty program or a NUL character")
			break
		}
	}
	spec := runtime.Spec{
		Name: d.Name, Image: f.Image, Command: f.Command, Args: f.Args, Env: f.Env, Dir: f.Dir, MaxLine: f.MaxLine,
	}
	for name := range f.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			s.dec.Fault(n.Get("env"), "%q cannot be the name of an environment variable", name)
		}
	}
	if f.Image != "" {
		return s.image(n, f, d, spec)
	}
	d.Kind, d.Target, d.Confined = Command, f.Command[0], "no"
	if s.kinds.Plain == "" || s.kinds.Runtimes[s.kinds.Plain] == nil {
		s.dec.Fault(n.Get("command"), "this program starts no commands")
		return nil
	}
	rt, ok := s.runtime(s.kinds.Plain, s.driver, s.section)
	if !ok {
		return nil
	}
	d.Dir = s.inFolder(spec.Dir)
	spec.Dir, spec.Unconfined = d.Dir, true
	return runtime.Of(rt, spec)
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
	s.exclude(n, has, "is for command and image servers", "args", "env", "cwd", "maxLine")
	at := n.Get("url")
	for _, k := range []string{"serverUrl", "httpUrl"} {
		if !at.Present() {
			at = n.Get(k)
		}
	}
	if f.Type == "stdio" {
		s.dec.Fault(n.Get("type"), `"stdio" needs a command, but a url stands here`)
	}
	if strings.Contains(f.URL, "${") {
		s.dec.Fault(at, "references stand in headers and env alone: a URL is shown in logs")
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
		return s.kinds.Remote(Remote{URL: f.URL, Headers: f.Headers})
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
	return runtime.Of(rt, spec)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

// refs are the secrets that an entry names, each once, in a stable order;
// never nil, since nil would mean all.
func refs(f *server) []secrets.Ref {
	out := []secrets.Ref{}
	for _, m := range []map[string]secrets.Value{f.Env, f.Headers} {
		for _, v := range m {
			out = append(out, v.Refs()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
