package catalog

import (
	"encoding/json"
	"time"
)

// Server is one entry of a catalog. Values from a [Catalog] are shared and
// must not be changed; [Server.Clone] makes one's own.
type Server struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version,omitempty"` // of the entry, as the catalog counts
	Status      string `json:"status,omitempty"`  // "" or "active", "deprecated", "deleted"
	Icon        string `json:"icon,omitempty"`    // URL
	Readme      string `json:"readme,omitempty"`  // URL
	Website     string `json:"website,omitempty"` // URL

	// Exactly one of these says how the server runs; when several do, the
	// first that is set counts: see [Server.Kind].
	Image    string    `json:"image,omitempty"` // reference of an OCI image, as written
	Packages []Package `json:"packages,omitempty"`
	Remotes  []Remote  `json:"remotes,omitempty"`

	// Args are given to the image's program, Env is its environment; both
	// are templates over the settings (see package template) in which
	// $NAME is a secret's variable.
	Args []string `json:"args,omitempty"`
	Env  []Env    `json:"env,omitempty"`

	// Port, when it is not 0, is where the image speaks Streamable HTTP, or
	// what Transport says; else it speaks on its standard input and output.
	Port      int    `json:"port,omitempty"`
	Transport string `json:"transport,omitempty"` // "" or "stdio", "streamable-http", "sse"

	LongLived bool   `json:"longLived,omitempty"` // its state outlives a call
	Prefix    string `json:"prefix,omitempty"`    // of its tools' names, as the entry wishes

	Tools        []Tool   `json:"tools,omitempty"`
	DynamicTools bool     `json:"dynamicTools,omitempty"` // tools are known only when it runs
	Prompts      []Prompt `json:"prompts,omitempty"`

	Settings []Settings `json:"settings,omitempty"`
	Secrets  []Secret   `json:"secrets,omitempty"`
	OAuth    *OAuth     `json:"oauth,omitempty"`

	// Asks is what the entry wants beyond running. Nothing of it is granted.
	Asks Asks `json:"asks,omitzero"`

	Publisher  string     `json:"publisher,omitempty"`
	License    string     `json:"license,omitempty"`
	Source     Source     `json:"source,omitzero"`
	Categories []string   `json:"categories,omitempty"`
	Tags       []string   `json:"tags,omitempty"`
	Popularity Popularity `json:"popularity,omitzero"`
	Added      time.Time  `json:"added,omitzero"`
	Updated    time.Time  `json:"updated,omitzero"`

	// Requires says what a host must have, in the catalog's words.
	Requires []string `json:"requires,omitempty"`

	// Claims is what the entry says of the signature of its image. It is a
	// hint for a trust policy, never a proof.
	Claims *Claims `json:"claims,omitempty"`

	// Extra is what the entry holds and this type has no place for, by path.
	Extra []Extra `json:"extra,omitempty"`

	// Origin is where the entry was read; Hides are the origins of entries
	// of the same name that this one stands in front of, nearest first;
	// Overlaid tells that an operator's [Overlay] changed the entry.
	Origin   Origin   `json:"origin,omitzero"`
	Hides    []Origin `json:"hides,omitempty"`
	Overlaid bool     `json:"overlaid,omitempty"`
}

// Kind says how a server runs.
type Kind string

// The kinds of servers.
const (
	KindImage   Kind = "image"   // a container image
	KindPackage Kind = "package" // a package of a language's registry
	KindRemote  Kind = "remote"  // at a URL
	KindTools   Kind = "tools"   // each tool a container that runs for one call
	KindNone    Kind = ""        // the entry does not say
)

// Kind returns how the server runs.
func (s *Server) Kind() Kind {
	switch {
	case s.Image != "":
		return KindImage
	case len(s.Packages) > 0:
		return KindPackage
	case len(s.Remotes) > 0:
		return KindRemote
	}
	for _, t := range s.Tools {
		if t.Container != nil {
			return KindTools
		}
	}
	return KindNone
}

// Env is a variable of the server's environment.
type Env struct {
	Name        string `json:"name"`
	Value       string `json:"value,omitempty"` // a template; an empty result leaves the variable out
	Description string `json:"description,omitempty"`
	Example     string `json:"example,omitempty"`
}

// Package is a package of a language's registry, in the terms of the MCP
// Registry.
type Package struct {
	Registry    string     `json:"registry"`              // "npm", "pypi", "mcpb", "nuget", "cargo", "oci"
	RegistryURL string     `json:"registryURL,omitempty"` // empty for the registry's own
	Identifier  string     `json:"identifier"`
	Version     string     `json:"version,omitempty"`
	SHA256      string     `json:"sha256,omitempty"` // of the file, in hex
	Runner      string     `json:"runner,omitempty"` // "npx", "uvx", …: a hint
	Transport   string     `json:"transport,omitempty"`
	URL         string     `json:"url,omitempty"` // of a transport over HTTP
	RunnerArgs  []Argument `json:"runnerArgs,omitempty"`
	Args        []Argument `json:"args,omitempty"`
	Env         []Input    `json:"env,omitempty"`
	Headers     []Input    `json:"headers,omitempty"`
	Variables   []Input    `json:"variables,omitempty"` // of URL
}

// Argument is one argument of a package.
type Argument struct {
	Input
	Type     string `json:"type,omitempty"` // "positional" or "named"
	Hint     string `json:"hint,omitempty"` // names a positional argument
	Repeated bool   `json:"repeated,omitempty"`
}

// Input is a value that a user or the entry gives. {NAME} in Value is one of
// Variables.
type Input struct {
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"`
	Value       string   `json:"value,omitempty"` // fixed: the user is not asked
	Default     string   `json:"default,omitempty"`
	Placeholder string   `json:"placeholder,omitempty"`
	Format      string   `json:"format,omitempty"` // "" or "string", "number", "boolean", "filepath"
	Choices     []string `json:"choices,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Secret      bool     `json:"secret,omitempty"`
	Variables   []Input  `json:"variables,omitempty"`
}

// Remote is a server at a URL.
type Remote struct {
	URL       string  `json:"url"`
	Transport string  `json:"transport,omitempty"` // "streamable-http", "sse"; as written
	Headers   []Input `json:"headers,omitempty"`   // ${NAME} in a value is a secret's variable
	Variables []Input `json:"variables,omitempty"` // of {NAME} in URL
}

// Tool is what an entry says of a tool. The server itself has the last word.
type Tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`       // JSON Schema of the arguments
	Annotations json.RawMessage `json:"annotations,omitempty"` // of the protocol

	// Container, when it is not nil, is run for each call of the tool.
	Container *Container `json:"container,omitempty"`
}

// Container is what runs for one call of a tool: its standard output is the
// result. The texts are templates over the arguments of the call. Mounts and
// User are asked for, not granted.
type Container struct {
	Image       string   `json:"image"`
	Args        []string `json:"args,omitempty"`
	AskedMounts []string `json:"askedMounts,omitempty"`
	AskedUser   string   `json:"askedUser,omitempty"`
}

// Prompt is what an entry says of a prompt.
type Prompt struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Settings is a group of settings. A template names one as Name.PROPERTY.
type Settings struct {
	Name        string          `json:"name"` // usually the server's
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"` // JSON Schema of an object
}

// Secret is a secret that a server uses.
type Secret struct {
	Name        string `json:"name"`          // in the catalog, such as grafana.api_key
	Env         string `json:"env,omitempty"` // the variable that holds it
	Description string `json:"description,omitempty"`
	Example     string `json:"example,omitempty"`
	Optional    bool   `json:"optional,omitempty"` // the server starts without it

	// AskedHosts are the hosts that the entry says the secret is for. They
	// bind nothing until an operator grants them.
	AskedHosts []string `json:"askedHosts,omitempty"`
}

// OAuth says that a server signs users in.
type OAuth struct {
	Providers []OAuthProvider `json:"providers,omitempty"`
	Scopes    []string        `json:"scopes,omitempty"`
	Issuer    string          `json:"issuer,omitempty"`
	ClientID  string          `json:"clientID,omitempty"`
}

// OAuthProvider is one way to sign in; the token takes the place of a secret.
type OAuthProvider struct {
	Provider string `json:"provider"`
	Secret   string `json:"secret,omitempty"`
	Env      string `json:"env,omitempty"`
}

// Asks is what an entry wants a server to be given. Each is a request: it
// takes effect when an operator grants it, and not before.
type Asks struct {
	// Mounts are templates of SOURCE:TARGET[:MODE], where SOURCE is a path
	// of the host or the name of a volume. One may give several mounts.
	Mounts []string `json:"mounts,omitempty"`

	// Hosts are HOST:PORT[/PROTOCOL] as written. NoNetwork says that the
	// server needs none, AnyHost that it wants all.
	Hosts     []string `json:"hosts,omitempty"`
	Ports     []int    `json:"ports,omitempty"`
	NoNetwork bool     `json:"noNetwork,omitempty"`
	AnyHost   bool     `json:"anyHost,omitempty"`

	// HostAliases are NAME:ADDRESS lines for /etc/hosts.
	HostAliases []string `json:"hostAliases,omitempty"`

	User  string `json:"user,omitempty"` // a template
	Class string `json:"class,omitempty"`

	CPUs   float64 `json:"cpus,omitempty"`
	Memory int64   `json:"memory,omitempty"` // bytes
	PIDs   int64   `json:"pids,omitempty"`
}

// Source is where a server's code is.
type Source struct {
	URL       string `json:"url,omitempty"`      // of the repository
	Upstream  string `json:"upstream,omitempty"` // of the one that it was made from
	Host      string `json:"host,omitempty"`     // "github", "gitlab", …
	ID        string `json:"id,omitempty"`       // of the repository there
	Branch    string `json:"branch,omitempty"`
	Commit    string `json:"commit,omitempty"`
	Directory string `json:"directory,omitempty"`
	Build     string `json:"build,omitempty"` // the Dockerfile, and the target in it
}

// Popularity is what a catalog counts.
type Popularity struct {
	Pulls       int64 `json:"pulls,omitempty"`
	Stars       int64 `json:"stars,omitempty"`
	GitHubStars int64 `json:"githubStars,omitempty"`
}

// Claims is what an entry says of who signed its image.
type Claims struct {
	Issuer     string `json:"issuer,omitempty"`
	Identity   string `json:"identity,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Runner     string `json:"runner,omitempty"`
	Sigstore   string `json:"sigstore,omitempty"` // host of the trusted root
	Predicate  string `json:"predicate,omitempty"`
}

// Extra is a value of an entry that [Server] has no place for.
type Extra struct {
	Path  string          `json:"path"` // such as run.ports
	Value json.RawMessage `json:"value"`
}

// Origin is where an entry was read.
type Origin struct {
	Catalog string `json:"catalog,omitempty"` // the catalog's name for itself, or the operator's
	Place   string `json:"place,omitempty"`   // file, URL or reference
	Digest  string `json:"digest,omitempty"`  // of the catalog, where it was read by digest
	Format  string `json:"format,omitempty"`  // "docker", "mcp-registry", "toolhive", "gatehouse", …
	Line    int    `json:"line,omitempty"`    // in the file, from 1
}

// String is CATALOG (PLACE:LINE), as far as they are known.
func (o Origin) String() string {
	switch {
	case o.Catalog == "" && o.Place == "":
		return "unknown origin"
	case o.Place == "":
		return o.Catalog
	case o.Catalog == "":
		return o.place()
	}
	return o.Catalog + " (" + o.place() + ")"
}
