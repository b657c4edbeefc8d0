package gateway

import (
	"log/slog"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Options configures a [Gateway]. The zero value is useful and safe: a
// gateway that serves nothing, on loopback only, but answers the protocol.
// New copies it.
type Options struct {
	// Servers are the MCP servers behind the gateway. A server that does not
	// start does not stop the others.
	Servers []Server

	// Unprefixed names the one server whose tools and prompts keep their
	// bare names. All others appear as SERVER__NAME.
	Unprefixed string

	// Profile names the profile that is served: every call carries it. What
	// the profile has is what Servers and Interceptors say.
	Profile string

	// Interceptors is the chain, the outermost first. Every message of every
	// client and server passes it.
	Interceptors []interceptor.Interceptor

	// WithoutBaseline leaves out what stands inside Interceptors by default:
	// a [guard.Guard] that blocks calls which carry a secret and redacts
	// secrets in results. A guard among Interceptors replaces that one.
	WithoutBaseline bool

	// Guard sets up the guard of the baseline; nil: as [guard.New] has it.
	// What it finds is told to Guard.Report, to Events.Finding and in Status.
	Guard *guard.Options

	// Authenticator finds out who is calling over HTTP. Without one the
	// gateway serves loopback only, unless AllowAnonymous is set; all
	// callers are then one and the same anonymous principal.
	Authenticator  transport.Authenticator
	AllowAnonymous bool

	// PublicURL is the URL under which clients reach the gateway. It is
	// required with an Authenticator, and never derived from a request.
	PublicURL string

	// AllowedHosts are the values of the Host header beside the loopback
	// names and PublicURL's that are accepted; AllowedOrigins those of the
	// Origin header, such as "https://app.example.com". Without
	// an entry a browser's page of another origin is refused.
	AllowedHosts   []string
	AllowedOrigins []string

	// SessionKey names the HTTP header, or else the key of _meta, by which
	// modern clients of one principal are told apart; empty: a principal is
	// one session.
	SessionKey string

	// Name, Title and Version are the gateway's own in serverInfo
	// ["gatehouse", "", the module's version]. Instructions stand before
	// those of the servers.
	Name, Title, Version string
	Instructions         string

	// LegacySSE also serves the two endpoints of HTTP+SSE (2024-11-05).
	LegacySSE bool

	// Secrets resolves the references in servers' settings.
	Secrets secrets.Provider

	// SealingKeys seal session ids, request states, cursors and task ids:
	// each at least 32 bytes; the first seals, all open. Without one a
	// random key is made, and handles end with the process.
	SealingKeys []secrets.Secret

	// Limits bounds what clients and servers may use.
	Limits Limits

	// Timeouts bounds how long things may take.
	Timeouts Timeouts

	// Events is told what happens. It must not block.
	Events Events

	// Logger gets the gateway's log; nothing is logged without it.
	Logger *slog.Logger
}

// Server is one MCP server behind the gateway.
type Server struct {
	// Name is how the operator calls it: 1 to 128 characters, unique. The
	// prefix of its tools' names is made from it (see [Prefix]).
	Name string

	// Launcher makes its instances.
	Launcher runtime.Launcher

	// Instance says who shares an instance [PerSession].
	Instance Scope

	// Interactive tells that the server asks its clients during calls
	// without saying for which; on a pipe it gets one call at a time.
	Interactive bool

	// Secrets lists the references that this server may resolve; nil: those
	// that its launcher's definition names.
	Secrets []secrets.Ref

	// IdleTimeout stops an instance that nobody used for so long
	// [Timeouts.Idle]; negative: never.
	IdleTimeout time.Duration

	// StartTimeout bounds a start, handshake included [Timeouts.Start].
	StartTimeout time.Duration

	// Probe is how often an instance that nobody uses is asked whether it
	// still answers [never]. One that does not within ten seconds is stopped,
	// and the next call starts another.
	Probe time.Duration

	// MaxInstances bounds its instances at once [no bound beside
	// Limits.Instances]. Who comes when all are in use waits for one, in
	// fair order, within StartTimeout.
	MaxInstances int

	// Warm is how many instances are kept started for whoever comes next
	// [0]: they have booted, and wait for the client's initialize. It needs a
	// launcher that makes the same for everyone (see [runtime.Uniform]), and
	// an Instance that is not Shared. They count as instances; where room is
	// short they go first.
	Warm int

	// Eager starts the server with the gateway instead of at its first use;
	// only for Shared.
	Eager bool
}

// Scope says who shares an instance of a server.
type Scope string

// The scopes.
const (
	PerSession   Scope = "session"   // one for each client session; the default
	PerPrincipal Scope = "principal" // one for each principal
	PerCall      Scope = "call"      // one for each call
	Shared       Scope = "shared"    // one for all
)

// Limits bounds a gateway. Zero means the default, in brackets; -1 means no
// bound where that is marked.
type Limits struct {
	Body            int64 // bytes of one request body from a client [16 MiB]
	Depth           int   // nesting of a message [200]
	Line            int   // bytes of one line on a client's or server's pipe [64 MiB]
	Reply           int64 // bytes of one reply from a server over HTTP [64 MiB]
	Sessions        int   // legacy sessions at once [10,000]
	PerPrincipal    int   // of them by one principal [10,000]
	Streams         int   // open streams of one session [16]
	Calls           int   // calls in flight, all clients together [10,000]
	CallsPerSession int   // of them in one session [1,000]
	Parked          int   // calls that wait for a modern client's answer [1,000]
	ParkedPerClient int   // of them by one principal [100]
	Resume          int   // bytes kept for resumption by one session [1 MiB]
	ResumeTotal     int64 // of all sessions together [256 MiB]
	Queue           int   // bytes that wait for a slow reader on one stream [4 MiB]
	Starts          int   // servers that start at the same time [8]
	Instances       int   // instances at once [1,000]
	Page            int   // items on one page of a list [1,000]
	Rounds          int   // input_required rounds of one call [32]
}

// Timeouts of a gateway. Zero means the default, in brackets.
type Timeouts struct {
	Start       time.Duration // a server's start and handshake [30 s]
	List        time.Duration // how long a list waits for slow servers [5 s]
	Grace       time.Duration // how long lists keep the last known tools of a server that is down [10 min]
	Fresh       time.Duration // how long lists are taken from memory when nothing else says when they change [5 min]
	Idle        time.Duration // an unused instance is stopped [5 min]
	SessionIdle time.Duration // an unused legacy session ends [30 min]
	CallIdle    time.Duration // a call without reply or progress ends [5 min]; -1: never
	Parked      time.Duration // how long a call waits for the client's answer [10 min]
	Ask         time.Duration // how long a legacy client has to answer a server's request [10 min]
	KeepAlive   time.Duration // between comments on a quiet stream [15 s]
	Header      time.Duration // a client has to send its header and body [30 s]
	Drain       time.Duration // Shutdown waits so long for calls [context's]
}

// Events is told what happens. Each func may be nil, is called without locks
// held, from any goroutine, and must not block.
type Events struct {
	// Instance is called when an instance starts, stops or fails.
	Instance func(InstanceEvent)
	// Session is called when a session opens or ends.
	Session func(SessionEvent)
	// Lists is called when a server's lists changed.
	Lists func(server string)
	// Dropped is called when progress or log messages for a slow client
	// were dropped.
	Dropped func(session string, n int)
	// Finding is called when the baseline's guard found a secret.
	Finding func(Finding)
}

// InstanceEvent says what happened to an instance.
type InstanceEvent struct {
	Server  string
	ID      string
	State   State
	Attempt int
	Took    time.Duration // for a start
	Err     string        // why it failed or ended, in one line
}

// SessionEvent says what happened to a session.
type SessionEvent struct {
	ID        string // as in the status; not the credential that the client holds
	Principal transport.Principal
	Client    interceptor.Client
	Open      bool
}
