// Package config reads the configuration file of a gateway into
// [gateway.Options].
//
//	kinds := &config.Kinds{
//		Runtimes: map[string]config.Factory[runtime.Runtime]{
//			"process": config.FactoryOf(func(_ context.Context, o *process.Options) (runtime.Runtime, error) {
//				return process.New(o), nil
//			}),
//		},
//		Plain: "process",
//	}
//	cfg, err := config.Load(ctx, "gatehouse.yaml", kinds)
//	if err != nil {
//		return err // every fault, with FILE:LINE:COLUMN and key
//	}
//	defer cfg.Close()
//	gw, err := gateway.New(cfg.Options)
//
// The package imports no driver: what a file may name is what the program
// puts into [Kinds], its own interceptors and runtimes included.
//
// # The file
//
// The file is YAML 1.2 or JSON:
//
//	version: 1                      # of this format; may be left out
//	listen: 127.0.0.1:8811
//	publicURL: https://mcp.example.com/mcp
//	servers:
//	  files:
//	    command: [mcp-server-files, /srv/docs]   # or command: mcp-server-files, args: [/srv/docs]
//	    env: {LOG: warn, TOKEN: "${FILES_TOKEN}"}
//	    cwd: /srv
//	  docs:
//	    url: https://docs.example.com/mcp
//	    headers: {Authorization: "Bearer ${DOCS_TOKEN}"}
//	    instance: shared            # session (the default), principal, call or shared
//	    idleTimeout: 10m            # or never
//	    startTimeout: 30s
//	  tidy:
//	    command: [mcp-server-tidy]
//	    confine: true               # in the sandbox; all that follows works for it too
//	  query:
//	    image: docker.io/mcp/query@sha256:…   # or oci:PATH@DIGEST, docker-archive:PATH, containerd:REF
//	    limits: {cpus: 0.5, memory: 512MiB, pids: 64, tmp: 16MiB, files: 512}
//	    network: {allow: ["api.example.com:443", "*.example.org:443"]}   # none is the default
//	    mounts:
//	      - {source: /srv/docs, target: /docs}
//	      - {volume: index, size: 1GiB, target: /var/index}
//	    user: "1000:1000"
//	    class: gvisor
//	    warm: 2                     # kept started for whoever comes next
//	    maxInstances: 20
//	    interactive: true
//	    maxLine: 16MiB
//	unprefixed: files               # its tools keep their bare names
//	secrets:                        # providers by name; without a kind, the name is the kind
//	  local: {kind: file, path: .env}
//	  vault: {address: "https://vault.example.com:8200", tokenFile: token, ttl: 5m}
//	  default: {kind: chain, of: [local, vault]}   # of ${NAME}, in place of the environment
//	runtime: {driver: containerd, namespace: mcp, confine: all, ceiling: {limits: {memory: 4GiB}, volume: 10GiB}}
//	profiles:                       # serve one of them instead of all servers
//	  review:
//	    servers:
//	      files: {tools: {allow: [read_*, list_*], deny: ["*secret*"]}}
//	      docs: {}
//	interceptors: [log, {ratelimit: {perMinute: 60}}]
//	auth: {apikeys: {file: keys.txt}}
//	admin: {disabled: false}
//	state: /var/lib/gatehouse
//
// Files of MCP clients are read as they are: mcpServers is another name for
// servers, whose entries may also hold the keys of other programs. Those that
// do not matter to a gateway are accepted and ignored: autoApprove,
// alwaysAllow, trust, timeout, initTimeout, description, name, title, icon,
// iconPath, gallery, version, tags, metadata, dev. Those that would be missed
// are refused with the reason, unless they are empty: tools, includeTools,
// excludeTools, disabledTools, envFile, auth, oauth, headersHelper. transport
// and transportType are other names for type; httpUrl and serverUrl for url;
// enabled and isActive for the opposite of disabled.
//
// Both forms know disabled, which leaves the server out, and type (stdio,
// http, sse and their other spellings), which must fit the other keys.
//
// Other top-level keys are catalogs, trust, mapping, telemetry and cluster. A section that this program has no kind for is a fault, not
// silence. Limits and timeouts of the gateway as a whole are set in Go
// ([gateway.Limits], [gateway.Timeouts]).
//
// # References
//
// In the values of env, headers and query and in secrets.NAME.from, ${NAME}
// stands for what the provider of the name "default", or else that of the
// kind "env", has under NAME; ${NAME:-TEXT} is TEXT where it has none;
// ${secret://PROVIDER/PATH#FIELD}, and the same without the braces as a whole
// value, for what the provider of that name in the section secrets has under
// PATH#FIELD. ${env:NAME} is read as ${NAME}; se://PATH, of Docker's catalogs,
// as secret://se/PATH, or ${NAME} of its last part; $${ is a plain ${. A server
// can resolve the references of its own entry and no others. Everywhere else,
// in args too, text stands for itself.
//
// # Secrets of a server
//
// Its key secrets says in which form a server gets them, best first:
//
//	secrets:
//	  GITHUB_TOKEN: {hosts: [{host: api.github.com}]}          # a placeholder in $GITHUB_TOKEN
//	  db: {from: "secret://vault/db#password", file: /run/db}  # a file in memory
//	  LICENSE: {optional: true}                                # the environment
//
// With hosts the server never has the value: the proxy of its network puts it
// into requests to these hosts, in the place that each names (header, basic,
// query or form), and takes it out of their responses. Both this and file need
// something that confines the server. A secret that is missing keeps its
// server from starting, unless it is optional.
//
// # The guard
//
// Every gateway looks for secrets in the messages that pass it. Without a word
// it blocks calls and redacts results. Under interceptors, guard sets it up;
// it stands innermost, wherever in the list it is named:
//
//	interceptors:
//	  - guard:
//	      calls: report                      # look at what it would do, first
//	      choices: [{servers: [ci], direction: results, rules: [jwt], action: report}]
//	      rules: {password: off}
//	      allow: [{rule: token, path: "$.arguments.page"}]
//	      files: [rules.toml]
//
// # Faults
//
// Load reports all faults at once, joined; each is a [*Fault].
//
// # Reload
//
// [Config.Reload] reads the file again. Drivers of unchanged sections and
// launchers of unchanged URLs are taken over; other launchers are made anew,
// and a gateway tells by their definition which servers stayed the same. Close
// each Config once nothing uses it any more: a driver that two of them share
// is closed with the last.
//
// # Editors
//
// The file schema.json of this package is the JSON Schema of the files of any
// program, what [Schema] gives for nil; that of one program knows its kinds
// too. An editor finds it by a comment in the file, or in JSON by $schema:
//
//	# yaml-language-server: $schema=schema.json
package config
