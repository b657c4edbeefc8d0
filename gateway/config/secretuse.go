package config

import (
	"maps"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// serverSecret is one entry of the key secrets of a server.
type serverSecret struct {
	From        secrets.Value `doc:"What it is: ${NAME} or secret://PROVIDER/PATH#FIELD. Default: ${NAME} of the entry's own name."`
	Env         string        `doc:"Environment variable that holds the placeholder, the path of the file, or the value itself. Default: the entry's name, where there is no file."`
	File        string        `doc:"Path of a file inside, in memory and readable by the server alone."`
	Hosts       []secretHost  `doc:"Where the value may go. With this the server gets a placeholder, and the proxy of its network puts the value into requests to these hosts."`
	Placeholder string        `doc:"What the placeholder looks like: a beginning, and how many random characters follow, as in ghp_{36}."`
	Optional    bool          `doc:"Start the server without it when it is missing."`
}

// secretHost is one entry of hosts.
type secretHost struct {
	Host    string   `required:"true" doc:"A name, or *.suffix, with :PORT where that is not 443. It must be among network.allow too."`
	Header  string   `doc:"Header that holds it. Default: Authorization."`
	Basic   bool     `doc:"It is the user name or the password of Authorization: Basic."`
	Query   string   `doc:"Parameter of the URL that holds it."`
	Form    string   `doc:"Field of a form that holds it."`
	Methods []string `doc:"HTTP methods of the requests that may have it. Default: all."`
	Paths   []string `doc:"Paths of the requests that may have it, whole or ending with *. Default: all."`
}

// settleSecrets gives the entries of secrets their defaults, which may be
// references.
func (l *loader) settleSecrets(f *file) {
	settle := func(n node, m map[string]serverSecret) {
		for _, name := range n.Keys() {
			u, ok := m[name]
			if !ok {
				continue // it has a fault
			}
			if u.From.IsZero() {
				u.From = secrets.Template("${" + name + "}")
				l.values = append(l.values, placed{n.Get(name), u.From})
			}
			if u.Env == "" && u.File == "" {
				u.Env = name
			}
			m[name] = u
		}
	}
	for i := range f.Servers {
		settle(f.Servers[i].At.Get("secrets"), f.Servers[i].Value.Secrets)
	}
	for i := range f.Clients {
		settle(f.Clients[i].At.Get("secrets"), f.Clients[i].Value.Secrets)
	}
}

// plainSecrets refuses for a plain process what needs walls around it.
func (l *loader) plainSecrets(n node, m map[string]serverSecret) {
	for _, name := range n.Keys() {
		for key, has := range map[string]bool{"hosts": len(m[name].Hosts) > 0, "file": m[name].File != ""} {
			if has {
				l.dec.Fault(n.Get(name).Get(key), "nothing confines this command, so it can only have the secret in its environment: add confine: true to the server, or leave %s out", key)
			}
		}
	}
}

// secretUses are the entries of secrets as a Spec has them, in the order of
// their names.
func secretUses(m map[string]serverSecret) []runtime.SecretUse {
	var out []runtime.SecretUse
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e := m[name]
		u := runtime.SecretUse{Name: name, Value: e.From, Env: e.Env, File: e.File, Placeholder: e.Placeholder, Optional: e.Optional}
		for _, h := range e.Hosts {
			u.Hosts = append(u.Hosts, runtime.SecretHost(h))
		}
		out = append(out, u)
	}
	return out
}
