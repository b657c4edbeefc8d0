package process

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	gruntime "github.com/gatehouse-mcp/gatehouse/runtime"
)

// DefaultPath is the PATH of a server where none is given.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a server gets.
func (r *Runtime) environment(spec gruntime.Spec) map[string]string {
	env := systemEnvironment()
	if _, ok := r.o.Env["HOME"]; !ok {
		if h := home(); h != "" {
			env["HOME"] = h
		}
	}
	for name, v := range r.o.Env {
		if env[name] = v; v == "" {
			delete(env, name)
		}
	}
	for name, v := range spec.Env {
		env[name] = v.Reveal()
	}
	return env
}

// home asks the user database.
func home() string {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// list makes the form in which the system wants it, in a fixed order.
func list(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, v := range env {
		out = append(out, name+"="+v)
	}
	slices.Sort(out)
	return out
}

func validName(name string) bool { return name != "" && !strings.ContainsAny(name, "=\x00") }
