package main

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/gatehouse-mcp/gatehouse/gateway/config"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/auto"
	"github.com/gatehouse-mcp/gatehouse/runtime/containerd"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// containerOptions are the options of the section runtime.
type containerOptions struct {
	Address      string   `doc:"Socket of containerd. Default: /run/containerd/containerd.sock."`
	Namespace    string   `doc:"Namespace of containerd in which everything is made. Default: gatehouse."`
	Snapshotter  string   `doc:"Snapshotter of containerd. Default: its own."`
	RequireClass string   `doc:"Runtime class that every server gets, such as gvisor."`
	ShareShims   bool     `doc:"Have the containers of one server and owner share one shim: less memory, but one process on which all of them depend."`
	Insecure     []string `doc:"Registries, HOST or HOST:PORT, that are spoken to without TLS."`
	Runc         string   `doc:"The program runc: a path, or a name on the PATH of containerd. Default: runc."`
	Runsc        string   `doc:"The program runsc of the class gvisor: a path, or a name on the PATH of containerd. Default: runsc."`
	RuncRoot     string   `doc:"Folder for the state of runc and runsc, on a memory file system. Default: /run/gatehouse."`
	SocketDir    string   `doc:"Where containerd puts the sockets of its shims. Default: /run/containerd/s."`
}

func (a *app) containerdOptions(o *containerOptions) *containerd.Options {
	return &containerd.Options{
		Address: o.Address, Namespace: o.Namespace, Snapshotter: o.Snapshotter, RequireClass: o.RequireClass, ShareShims: o.ShareShims,
		Insecure: o.Insecure, RuncBinary: o.Runc, RunscBinary: o.Runsc, RuncRoot: o.RuncRoot, SocketDir: o.SocketDir,
		Keychain: authn.DefaultKeychain, Logger: a.log, Events: a.runtimeEvents(),
	}
}

// containerd makes the driver of containers.
func (a *app) containerd(_ context.Context, site config.Site, o *containerOptions) (runtime.Runtime, error) {
	if site.State == "" {
		return nil, errNoState
	}
	return containerd.New(site.State, a.containerdOptions(o))
}

// autoOptions are those of containerd, and what must not be another.
type autoOptions struct {
	containerOptions

	Require string `enum:"containerd,sandbox" doc:"Fail when this one cannot be had. Default: containerd when it answers, else the sandbox."`
}

// auto makes the driver of containers where containerd answers, else the
// sandbox.
func (a *app) auto(ctx context.Context, site config.Site, o *autoOptions) (runtime.Runtime, error) {
	if site.State == "" {
		return nil, errNoState
	}
	return auto.New(ctx, site.State, &auto.Options{
		Containerd: a.containerdOptions(&o.containerOptions),
		Sandbox:    &sandbox.Options{Logger: a.log, Events: a.runtimeEvents()},
		Require:    o.Require, Logger: a.log,
	})
}
