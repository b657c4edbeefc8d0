// Package transport moves JSON-RPC messages of the Model Context Protocol and
// knows nothing of policy.
//
// A [Message] is kept as the raw parts that came over the wire. A [Conn] is
// one end of a conversation and is request-oriented: the goroutine that calls
// does the round trip. A [Receiver] gets what the other end sends.
//
//	client, server := transport.Pipe()
//	server.Listen(transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
//		return m.Reply(json.RawMessage(`{}`)), nil
//	}))
//	reply, err := client.Call(ctx, &transport.Message{Method: "ping"}, nil)
//
// # Fronts
//
// [HTTP] serves clients over Streamable HTTP of both eras on one URL, and the
// old HTTP+SSE if asked to; a [Stream] serves one client over a pair of pipes.
// Both bring clients to a [Host]. They bound what they read before they parse
// it, check Host and Origin, and refuse messages that two readers could
// understand differently. An [Authenticator] says who is calling: a
// [Principal].
//
// # Connectors
//
// A [Stream] reaches a server over pipes, [HTTPClient] one at a URL, and
// [Pipe] is a connection in memory. [Handshake] finds out which era a server
// speaks and opens the conversation in it.
//
// Every Conn passes the suite of transporttest.
package transport
