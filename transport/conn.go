package transport

import (
	"context"
	"net/http"
)

// Conn is one end of a conversation. It is request-oriented: the goroutine
// that calls does the round trip, and no other stands between.
//
// A Conn is safe for concurrent use. It outlives every context it is given:
// a context bounds one call, Close ends the Conn.
type Conn interface {
	// Call sends the request m and returns its reply: a response, which may
	// carry a JSON-RPC error, or else an error of the transport
	// ([*Error], [ErrClosed], the context's).
	//
	// The id on the wire is the Conn's own; the reply carries m.ID. What the
	// peer sends as part of this call (progress, its own requests) goes to
	// related, in order, before Call returns; with a nil related it goes to
	// the receiver of Listen. When ctx ends, Call cancels on the wire in the
	// era's way and returns at once; a late reply is dropped.
	Call(ctx context.Context, m *Message, related Receiver) (*Message, error)

	// Notify sends the notification m.
	Notify(ctx context.Context, m *Message) error

	// Listen sets who receives what belongs to no call. It is called once,
	// before the first Call; until then such messages wait.
	Listen(r Receiver)

	// Close ends the conversation. Calls in flight return [ErrClosed].
	// Close is idempotent and joins the Conn's goroutines.
	Close() error
}

// Receiver gets what the peer sends.
//
// Notifications come one at a time, in wire order; the reply is ignored and
// Receive returns fast. Requests run each in a goroutine of its own, started
// in wire order; ctx ends when the peer cancels the request or the Conn
// closes. The reply needs no ID. A returned error is sent as a JSON-RPC error
// by the rules of [AsRPCError]; over HTTP, an [*Error] sets the status as
// long as nothing was sent.
//
// A Call or Notify made on the same Conn with the ctx of a running Receive
// belongs to that request and leaves on its stream, before its reply; with
// any other ctx it belongs to no call.
type Receiver interface {
	Receive(ctx context.Context, m *Message) (*Message, error)
}

// ReceiverFunc makes a [Receiver] of a function.
type ReceiverFunc func(ctx context.Context, m *Message) (*Message, error)

// Receive implements [Receiver].
func (f ReceiverFunc) Receive(ctx context.Context, m *Message) (*Message, error) { return f(ctx, m) }

// Done is implemented by a Conn that can tell when it has ended, by whichever
// side. Every Conn of this library does.
type Done interface {
	// Done is closed when the Conn has ended; Err then says why.
	Done() <-chan struct{}
	Err() error
}

// Versioned is implemented by a Conn whose transport must know what was
// negotiated above it: HTTP sends the version in a header and needs to know
// whether the peer keeps sessions.
type Versioned interface {
	// SetProtocolVersion tells the protocol revision in use, such as
	// "2025-11-25". It is called once, after the handshake.
	SetProtocolVersion(version string)
}

// Host is what a front brings clients to: the gateway. Its methods are safe
// for concurrent use.
type Host interface {
	// Accept opens a conversation with one client: a legacy session or a
	// pipe. c is the client's end. The returned id is the session's, sealed
	// by the host and bound to p; a front that needs none ignores it. The
	// receiver gets all that the client sends, initialize included. The
	// conversation ends when c ends; the host learns it from [Done].
	Accept(ctx context.Context, c Conn, p Principal) (id string, r Receiver, err error)

	// Stateless serves one message of the modern era, which belongs to no
	// session of the protocol. c is used only with ctx, so that what is
	// sent leaves on the stream of m. req is the HTTP request; its headers
	// may name the session that the deployment chose.
	Stateless(ctx context.Context, c Conn, p Principal, req *http.Request, m *Message) (*Message, error)
}
