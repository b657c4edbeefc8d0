package config

import (
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/strictyaml"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// file is the configuration file: its keys, types and descriptions.
type file struct {
	Schema strictyaml.Ignored `config:"$schema" doc:"The schema of this file, for editors."`

	Version   versionSection `doc:"Version of this format: 1."`
	Listen    string         `doc:"Address to serve on, HOST:PORT. Default: 127.0.0.1:8811."`
	PublicURL string         `doc:"URL under which clients reach the gateway. Required with auth."`
	Auth      authSection    `doc:"How callers prove who they are: the name of a kind, or one kind with its options."`
	Servers   serverMap      `doc:"The MCP servers behind the gateway, by name."`
	Clients   clientMap      `config:"mcpServers" doc:"The same as servers, as MCP clients write it; keys of other programs are accepted."`
	Bare      string         `config:"unprefixed" doc:"The one server whose tools and prompts keep their bare names."`
	Catalogs  unknownSection `doc:"Where server definitions come from."`
	Trust     unknownSection `doc:"What an image must prove before it runs."`
	Profiles  profileMap     `doc:"Named sets of servers and tools, of which a program serves one."`
	Mapping   unknownSection `doc:"Which caller gets which profile."`
	Secrets   secretsSection `doc:"Providers of secrets by name, for secret://NAME/PATH references."`
	Runtime   runtimeSection `doc:"What runs the servers that are container images."`
	Chain     chainSection   `config:"interceptors" doc:"The interceptors, the outermost first: the name of a kind, or one kind with its options."`
	Telemetry unknownSection `doc:"Traces and metrics."`
	Admin     Admin          `doc:"The admin socket."`
	State     string         `doc:"Folder for what outlives the process. A relative path starts at the file's folder."`
	Cluster   unknownSection `doc:"More than one node."`
}

// The sections whose form depends on the kinds; the types keep them apart
// when the schema is made.
type (
	serverMap      = strictyaml.Map[server]
	clientMap      = strictyaml.Map[clientServer]
	profileMap     = strictyaml.Map[profileSection]
	versionSection strictyaml.Node
	authSection    strictyaml.Node
	chainSection   strictyaml.Node
	secretsSection strictyaml.Node
	runtimeSection strictyaml.Node
	networkSection strictyaml.Node
	unknownSection strictyaml.Node
	node           = strictyaml.Node
)

// Admin is the section admin.
type Admin struct {
	Disabled bool `doc:"Serve no admin socket: ps and stats will not see this gateway."`
}

// server is one entry of servers.
type server struct {
	Type     string `enum:"stdio,local,http,streamable-http,streamableHttp,streamable_http,sse,remote" doc:"How the server is reached. It need not be given: the other keys tell."`
	Disabled bool   `doc:"Leave this server out."`

	Command []string                 `config:"command,one" doc:"The program to start, with or without its arguments."`
	Args    []string                 `doc:"Arguments after those of command."`
	Env     map[string]secrets.Value `doc:"The environment of the program; ${NAME} stands for a secret. Nothing else of the gateway's own environment is passed on but PATH and HOME."`
	Secrets map[string]serverSecret  `doc:"Secrets by name, each given to the server in the strongest form that it can use: hosts, else file, else env."`
	Dir     string                   `config:"cwd" doc:"Working directory. A relative path starts at the file's folder."`

	URL     string                   `doc:"URL of a remote server."`
	Headers map[string]secrets.Value `doc:"HTTP headers for the remote server; ${NAME} stands for a secret."`
	Query   map[string]secrets.Value `doc:"Parameters for the URL of the remote server, which nothing shows; ${NAME} stands for a secret."`

	Image string `doc:"Container image: a reference with a digest, oci:PATH[:TAG][@DIGEST], docker-archive:PATH or containerd:REF."`

	Confine *bool `doc:"Run the command in the sandbox. Default: false, unless runtime.confine says all."`
	confinement

	Probe        time.Duration `doc:"How often an unused copy is asked whether it still answers; one that does not is stopped. Default: never."`
	Warm         int           `doc:"How many copies are kept started for whoever comes next. Default: 0."`
	MaxInstances int           `doc:"Most copies at once. Default: no bound of its own."`

	Instance     string        `enum:"shared,session,principal,call" doc:"Who shares one running copy. Default: session."`
	Interactive  bool          `doc:"The server asks its client during calls without saying for which; it gets one call at a time."`
	IdleTimeout  time.Duration `config:"idleTimeout,never" doc:"Stop a copy that nobody used for so long, such as 10m; or never. Default: 5m."`
	StartTimeout time.Duration `doc:"How long a start may take, handshake included. Default: 30s."`
	MaxLine      int           `config:"maxLine,bytes" doc:"Longest message on the program's standard output. Default: 64MiB."`
}

// clientServer is one entry of mcpServers: a server with the keys that MCP
// clients put beside it.
type clientServer struct {
	server

	Transport     string `enum:"stdio,local,http,streamable-http,streamableHttp,streamable_http,sse,remote" doc:"The same as type."`
	TransportType string `enum:"stdio,local,http,streamable-http,streamableHttp,streamable_http,sse,remote" doc:"The same as type."`
	HTTPURL       string `config:"httpUrl" doc:"The same as url."`
	ServerURL     string `config:"serverUrl" doc:"The same as url."`
	Enabled       *bool  `doc:"false leaves this server out."`
	Active        *bool  `config:"isActive" doc:"false leaves this server out."`

	AutoApprove strictyaml.Ignored `doc:"Of other programs; ignored."`
	AlwaysAllow strictyaml.Ignored `doc:"Of other programs; ignored."`
	Trust       strictyaml.Ignored `doc:"Of other programs; ignored."`
	Timeout     strictyaml.Ignored `doc:"Of other programs; ignored."`
	InitTimeout strictyaml.Ignored `doc:"Of other programs; ignored."`
	Description strictyaml.Ignored `doc:"Of other programs; ignored."`
	Name        strictyaml.Ignored `doc:"Of other programs; ignored."`
	Title       strictyaml.Ignored `doc:"Of other programs; ignored."`
	Icon        strictyaml.Ignored `doc:"Of other programs; ignored."`
	IconPath    strictyaml.Ignored `doc:"Of other programs; ignored."`
	Gallery     strictyaml.Ignored `doc:"Of other programs; ignored."`
	Version     strictyaml.Ignored `doc:"Of other programs; ignored."`
	Tags        strictyaml.Ignored `doc:"Of other programs; ignored."`
	Metadata    strictyaml.Ignored `doc:"Of other programs; ignored."`
	Dev         strictyaml.Ignored `doc:"Of other programs; ignored."`

	Tools []string `doc:"Of other programs; only [\"*\"] is accepted."`

	IncludeTools  node `refuse:"tools cannot be hidden here: ignoring this key would show all of them"`
	ExcludeTools  node `refuse:"tools cannot be hidden here: ignoring this key would show all of them"`
	DisabledTools node `refuse:"tools cannot be hidden here: ignoring this key would show all of them"`
	EnvFile       node `refuse:"files of variables are not read: list the variables under env"`
	Auth          node `refuse:"there is no sign-in to servers: put a token into headers, as ${NAME}"`
	OAuth         node `config:"oauth" refuse:"there is no sign-in to servers: put a token into headers, as ${NAME}"`
	HeadersHelper node `refuse:"no program is run for headers: put a token into headers, as ${NAME}"`
}
