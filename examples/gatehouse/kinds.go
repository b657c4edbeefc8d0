package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// plainKind is the kind of runtime that confines nothing.
const plainKind = "process"

// kinds is what a configuration of this program may name.
func (a *app) kinds() *config.Kinds {
	return &config.Kinds{
		Runtimes: map[string]config.Factory[runtime.Runtime]{
			plainKind:    config.FactoryOf(a.process),
			"sandbox":    config.FactoryAt(a.sandbox),
			"containerd": config.FactoryAt(a.containerd),
			"auto":       config.FactoryAt(a.auto),
		},
		Secrets:   a.providers(),
		Plain:     plainKind,
		Confine:   "sandbox",
		Driver:    "auto",
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
	o := &remote.Options{Headers: r.Headers, Query: r.Query}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if v, _ := a.lookup(name); v != "" {
			o.Proxy = http.ProxyFromEnvironment
		}
	}
	l := remote.New(r.URL, o)
	return l, l.Check()
}

type sandboxOptions struct {
	Cgroup string `doc:"Control group below which those of the servers are made, relative to the root of the hierarchies. Default: the gateway's own."`
}

// sandbox makes the driver that confines commands without a daemon.
func (a *app) sandbox(_ context.Context, site config.Site, o *sandboxOptions) (runtime.Runtime, error) {
	if site.State == "" {
		return nil, errNoState
	}
	return sandbox.New(site.State, &sandbox.Options{Cgroup: o.Cgroup, Logger: a.log, Events: a.runtimeEvents()})
}

var errNoState = errors.New("what confines servers needs a state folder: set state in the configuration, XDG_STATE_HOME or HOME")

// runtimeEvents logs what the drivers do.
func (a *app) runtimeEvents() runtime.Events {
	log := a.log
	if log == nil {
		return runtime.Events{}
	}
	return runtime.Events{
		Pull: func(p runtime.Pull) {
			switch {
			case p.Err != nil:
				log.Warn("an image could not be fetched", "image", p.Image, "error", p.Err)
			case p.Ended:
				log.Info("an image was fetched", "image", p.Image, "bytes", p.Done)
			default:
				log.Debug("fetching an image", "image", p.Image, "done", p.Done, "total", p.Total)
			}
		},
		Connection: func(c runtime.Connection) {
			switch {
			case !c.Allowed:
				log.Warn("a connection was refused", "server", c.Server, "target", c.Target, "protocol", c.Protocol, "reason", c.Reason)
			case c.Ended:
				log.Debug("a connection ended", "server", c.Server, "target", c.Target, "protocol", c.Protocol, "sent", c.Sent, "received", c.Received)
			default:
				log.Info("a connection was allowed", "server", c.Server, "target", c.Target, "protocol", c.Protocol)
			}
		},
		Removed: func(what string) { log.Info("removed what a dead gateway had left", "what", what) },
	}
}
