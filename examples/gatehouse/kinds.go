package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// kinds is what a configuration of this program may name.
func (a *app) kinds() *config.Kinds {
	return &config.Kinds{
		Runtimes: map[string]config.Factory[runtime.Runtime]{
			"process": config.FactoryOf(a.process),
		},
		Secrets: map[string]config.Factory[secrets.Provider]{
			"env": config.FactoryOf(a.environment),
		},
		Plain:     "process",
		Remote:    a.remote,
		StateHome: a.xdg("XDG_STATE_HOME", ".local/state"),
	}
}

type processOptions struct{}

// process makes the driver of plain commands. Of this program's environment
// they get PATH and HOME alone.
func (a *app) process(context.Context, *processOptions) (runtime.Runtime, error) {
	return process.New(&process.Options{Env: a.minimum()}), nil
}

func (a *app) minimum() map[string]string {
	env := make(map[string]string)
	for _, name := range []string{"PATH", "HOME"} {
		if v, ok := a.lookup(name); ok {
			env[name] = v
		}
	}
	return env
}

// remote makes the launcher of a URL. A proxy is taken from the environment.
func (a *app) remote(r config.Remote) (runtime.Launcher, error) {
	o := &remote.Options{Headers: r.Headers}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if v, _ := a.lookup(name); v != "" {
			o.Proxy = http.ProxyFromEnvironment
		}
	}
	l := remote.New(r.URL, o)
	return l, l.Check()
}

type environmentOptions struct{}

// environment makes the provider of ${NAME}: the variables of this program.
// The configuration sees to it that only those which it names are asked for.
func (a *app) environment(context.Context, *environmentOptions) (secrets.Provider, error) {
	return secrets.ProviderFunc(func(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
		v, ok := a.lookup(string(ref))
		if !ok {
			return secrets.Secret{}, fmt.Errorf("the environment variable %s is not set: %w", ref, secrets.ErrNotFound)
		}
		return secrets.NewSecret(v), nil
	}), nil
}
