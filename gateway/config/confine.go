package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// limits is the key limits of a server.
type limits struct {
	CPUs   float64 `config:"cpus" doc:"Cores. Default: 1."`
	Memory int64   `config:"memory,bytes" doc:"Memory, without swap, such as 512MiB. Default: 2GiB."`
	PIDs   int64   `config:"pids" doc:"Processes and threads. Default: 256."`
	Tmp    int64   `config:"tmp,bytes" doc:"What fits below /tmp. Default: 64MiB."`
	Files  int64   `doc:"Open files of a process. Default: 1024."`
}

// mount is one entry of the key mounts of a server.
type mount struct {
	Source   string `doc:"Folder or file of this machine. A relative path starts at the file's folder."`
	Volume   string `doc:"Name of a volume that is kept for the server, instead of source."`
	Size     int64  `config:"size,bytes" doc:"What the volume holds at most, such as 1GiB; 16MiB or more. It can be raised while no server uses the volume, but not lowered. Default: as much as the disk."`
	Target   string `required:"true" doc:"Where the server finds it."`
	Writable bool   `doc:"Let the server write to it; a volume it always may."`
	Force    bool   `doc:"Allow a source that is a sensitive place, such as /etc or a folder with keys."`
}

// confinement holds the keys of a server that a driver confines.
type confinement struct {
	Limits  limits         `doc:"What the server may use."`
	Network networkSection `doc:"What the server may reach beside its own loopback: none, or {allow: [HOST:PORT, …]}. Default: none."`
	Mounts  []mount        `doc:"What of this machine the server sees. Default: nothing."`
	User    string         `doc:"Who the server runs as: UID or UID:GID. Default: the image's user if it is not root, else 65532."`
	Class   string         `doc:"Runtime class, such as gvisor. Default: the driver's."`
	Port    int            `doc:"Port on which the server speaks Streamable HTTP inside. Default: standard input and output."`
	Path    string         `doc:"Path of the endpoint on port. Default: /mcp."`

	WritableRoot bool `doc:"Let the server write to its own root file system."`
}

// confinedKeys are the keys that need something that confines.
var confinedKeys = []string{"limits", "network", "mounts", "user", "class", "port", "path", "writableRoot"}

// confine lays the keys over a Spec.
func (s *serverLoader) confine(n node, c *confinement, spec *runtime.Spec) {
	spec.Limits = runtime.Limits{CPUs: c.Limits.CPUs, Memory: c.Limits.Memory, PIDs: c.Limits.PIDs, Tmp: c.Limits.Tmp, Files: c.Limits.Files}
	for _, k := range n.Get("limits").Keys() {
		at := n.Get("limits").Get(k)
		zero := map[string]bool{
			"cpus": c.Limits.CPUs <= 0, "memory": c.Limits.Memory <= 0, "pids": c.Limits.PIDs <= 0,
			"tmp": c.Limits.Tmp <= 0, "files": c.Limits.Files <= 0,
		}[k]
		if zero && !s.dec.Faulty(at) {
			s.dec.Fault(at, "must be more than 0: leave it out for the default")
		}
	}
	spec.Network.Allow = s.network(node(c.Network))
	var places []node
	if len(c.Mounts) > 0 {
		places = s.items(n.Get("mounts"))
	}
	for i, m := range c.Mounts {
		at := places[i]
		switch {
		case s.dec.Faulty(at): // that was told
		case (m.Source == "") == (m.Volume == ""):
			s.dec.Fault(at, "one of source and volume is needed")
		case m.Volume != "" && m.Force:
			s.dec.Fault(at, "force is for a source")
		case m.Volume == "" && at.Get("size").Present():
			s.dec.Fault(at.Get("size"), "a size is for a volume")
		case m.Size <= 0 && at.Get("size").Present():
			s.dec.Fault(at.Get("size"), "must be more than 0: leave it out for as much as the disk")
		}
		spec.Mounts = append(spec.Mounts, runtime.Mount{
			Source: s.site.Path(m.Source), Volume: m.Volume, Size: m.Size, Target: m.Target, Writable: m.Writable, Force: m.Force,
		})
	}
	spec.User, spec.Class, spec.Port, spec.Path, spec.WritableRoot = c.User, c.Class, c.Port, c.Path, c.WritableRoot
	switch {
	case c.Port < 0 || c.Port > 65535:
		s.dec.Fault(n.Get("port"), "a port is a number from 1 to 65535")
	case c.Path != "" && c.Port == 0:
		s.dec.Fault(n.Get("path"), "path needs port")
	case c.Path != "" && !strings.HasPrefix(c.Path, "/"):
		s.dec.Fault(n.Get("path"), "a path begins with /")
	}
}

// network reads none or {allow: […]}.
func (s *serverLoader) network(n node) []string {
	if !n.Present() {
		return nil
	}
	if text, ok := n.Text(); ok {
		if text != "none" {
			s.dec.Fault(n, "write none, or {allow: [HOST:PORT, …]}")
		}
		return nil
	}
	var to struct {
		Allow []string `required:"true"`
	}
	s.dec.Decode(n, &to)
	return to.Allow
}

// started makes the launcher of a Spec on a driver of a kind, and lets the
// driver say beforehand what it would refuse. What this machine cannot hold is
// no fault of the file: that server does not start, and the others do.
func (s *serverLoader) started(n node, d *Server, rt runtime.Runtime, kind string, spec runtime.Spec) runtime.Launcher {
	d.Confined = kind
	if c, ok := rt.(runtime.Chooser); ok && c.Chosen() != "" {
		d.Confined = c.Chosen()
	}
	if c, ok := rt.(runtime.Checker); ok && !s.dec.Faulty(n) {
		switch err := c.Check(unresolved(spec)); {
		case errors.Is(err, runtime.ErrCannotEnforce):
			d.Problem = strings.ReplaceAll(err.Error(), "\n", "; ")
		case err != nil:
			s.dec.Fault(n, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
			return nil
		}
	}
	return runtime.Of(rt, spec)
}

// unresolved is a Spec as a driver will see it, but for the values of its
// environment that have to be resolved first.
func unresolved(spec runtime.Spec) runtime.Spec {
	spec.Env = maps.Clone(spec.Env)
	for name, v := range spec.Env {
		if len(v.Refs()) > 0 {
			spec.Env[name] = secrets.Plain("")
		}
	}
	return spec
}

// confined makes the launcher of a command that is to be confined.
func (s *serverLoader) confined(n node, d *Server, spec runtime.Spec) runtime.Launcher {
	kind := s.kinds.Confine
	if kind == "" || s.kinds.Runtimes[kind] == nil {
		s.dec.Fault(n.Get("command"), "this program has nothing that confines commands")
		return nil
	}
	rt, ok := s.runtime(kind, s.driver, s.section)
	if !ok {
		return nil
	}
	d.Dir = s.site.Path(spec.Dir)
	spec.Dir = d.Dir
	return s.started(n, d, rt, kind, spec)
}

// confines reports whether a command is to be confined, and refuses the keys
// that need it when it is not.
func (s *serverLoader) confines(n node, f *server) bool {
	if f.Confine != nil {
		if !*f.Confine && s.confineAll {
			s.dec.Fault(n.Get("confine"), "runtime.confine says that all commands are confined")
		}
		if *f.Confine {
			return true
		}
	} else if s.confineAll {
		return true
	}
	for _, k := range n.Keys() {
		if slices.Contains(confinedKeys, k) {
			s.dec.Fault(n.Get(k), "nothing confines a plain command: add confine: true")
		}
	}
	return false
}

// runtimeKeys are the keys of the section runtime beside those of the driver.
type runtimeKeys struct {
	Driver  string  `doc:"What runs the servers that are container images."`
	Confine string  `enum:"all" doc:"all: confine every command too, as confine: true does for one."`
	Ceiling ceiling `doc:"The most that a server may ask for."`
}

// ceiling is runtime.ceiling.
type ceiling struct {
	Limits   limits   `doc:"The most of each limit. Default: no bound."`
	Mounts   []string `doc:"Folders below which the sources of mounts may lie. Default: anywhere that is not sensitive."`
	Volume   int64    `config:"volume,bytes" doc:"The most that a volume may hold; one without a size is refused then. Default: no bound."`
	ReadOnly bool     `doc:"Refuse writable mounts and a writable root."`
	Network  []string `doc:"What network.allow may name; *.suffix stands for all names below it. Default: anything."`
	NoRoot   bool     `doc:"Refuse the user 0."`
	NoForce  bool     `doc:"Refuse what a mount can force."`
	Classes  []string `doc:"Runtime classes that a server may name; \"\" is the driver's default. Default: any."`
}

func (c *ceiling) of() runtime.Ceiling {
	l := c.Limits
	return runtime.Ceiling{
		Limits: runtime.Limits{CPUs: l.CPUs, Memory: l.Memory, PIDs: l.PIDs, Tmp: l.Tmp, Files: l.Files},
		Mounts: c.Mounts, Volume: c.Volume, ReadOnly: c.ReadOnly, Network: c.Network, NoRoot: c.NoRoot, NoForce: c.NoForce, Classes: c.Classes,
	}
}
