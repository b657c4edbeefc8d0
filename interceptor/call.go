package interceptor

import (
	"context"
	"encoding/json"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Direction says who sent the message of a [Call].
type Direction uint8

// The two directions.
const (
	FromClient Direction = iota // client to server: most requests
	FromServer                  // server to client: elicitation, sampling, roots, progress, log messages
)

// String returns "client" or "server".
func (d Direction) String() string {
	if d == FromServer {
		return "server"
	}
	return "client"
}

// Call is one JSON-RPC request or notification on its way through the
// gateway, in either direction, with all that is known of it. A Call belongs
// to the goroutine that runs the chain: an interceptor never keeps it after
// it returned, and hands copies to goroutines of its own.
type Call struct {
	Direction Direction

	// Method is the MCP method, such as "tools/call".
	Method string

	// Notification is true when nobody waits for a result.
	Notification bool

	// Server is the name of the server that the message goes to or comes
	// from; empty for what the gateway answers itself or puts together from
	// several servers (lists, initialize).
	Server string

	// Name is the tool's or prompt's name or the resource's URI as the
	// client knows it; Original is the server's own. Both are empty for
	// methods that name nothing.
	Name, Original string

	// Principal is who is calling; for messages from a server, who the
	// message is for.
	Principal transport.Principal

	// Profile is the profile in use; empty when there is none.
	Profile string

	// Client is what the client said of itself.
	Client Client

	// Params is the raw params object as the server (or, for messages from
	// a server, the client) will get it, names and ids in the client's
	// spelling; nil when the message has none. It may be replaced by another
	// object: the bytes themselves are immutable.
	Params json.RawMessage

	host  Host
	fault *Denial // of arguments that can be read in two ways; ends the call
	clean *clean  // a typed view that is left for the next interceptor
}

// Client is what a client said of itself. Nothing of it is proven.
type Client struct {
	Name, Version   string
	ProtocolVersion string          // such as "2025-11-25"
	Capabilities    json.RawMessage // raw object; nil when none were given
}

// Host is what the gateway lends to a Call.
type Host interface {
	// Session is the session of the call.
	Session() Session
	// Ask sends a request to the client and waits for its result.
	Ask(ctx context.Context, c *Call, method string, params json.RawMessage) (json.RawMessage, error)
}

// Session holds what interceptors remember between the calls of one session.
type Session interface {
	// ID identifies the session in logs. It is no credential.
	ID() string
	// LoadOrStore returns the value stored under key, or stores value and
	// returns it. Values are strings so that they can be shared by nodes.
	LoadOrStore(ctx context.Context, key, value string) (actual string, loaded bool, err error)
	// Load returns the value stored under key.
	Load(ctx context.Context, key string) (value string, ok bool, err error)
	// Store sets the value under key.
	Store(ctx context.Context, key, value string) error
}

// Bind gives a Call its host. The gateway calls it before the chain runs;
// tests may bind their own.
func (c *Call) Bind(h Host) { c.host = h }

// Host returns what Bind was given; nil for a Call made by hand.
func (c *Call) Host() Host { return c.host }

// Session returns the session of the call. A Call without a host gets a
// session of its own that lasts as long as the Call.
func (c *Call) Session() Session {
	if c.host == nil {
		c.host = &memoryHost{}
	}
	return c.host.Session()
}

// Ask asks the client: elicitation/create, sampling/createMessage or
// roots/list with params, answered by the raw result. A legacy client gets a
// real request; a call of a modern client is parked and answered with
// input_required, and goes on when the client retries it. The error is
// [ErrCannotAsk] when the client did not declare the ability, or when there
// is no client to ask.
func (c *Call) Ask(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	if c.host == nil {
		return nil, ErrCannotAsk
	}
	return c.host.Ask(ctx, c, method, params)
}

// Result is the result of a request.
type Result struct {
	// Raw is the result object. The bytes are immutable; to change the
	// result, return another Result.
	Raw json.RawMessage
}
