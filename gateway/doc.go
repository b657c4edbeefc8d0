// Package gateway puts many MCP servers behind one endpoint.
//
// [New] makes a [Gateway] of [Options]: servers, interceptors, limits. The
// Gateway is an [http.Handler] for the MCP endpoint and serves both eras of
// the protocol on it; [Gateway.ServeStdio] serves a pipe, [Gateway.Serve] any
// [transport.Conn], [Gateway.Connect] is a client in memory.
//
//	gw, err := gateway.New(&gateway.Options{
//		Servers: []gateway.Server{
//			{Name: "clock", Launcher: inproc.New(clock, nil)},
//			{Name: "docs", Launcher: remote.New("https://mcp.example.com/mcp", nil)},
//		},
//	})
//	if err != nil {
//		return err
//	}
//	defer gw.Close()
//	http.Handle("/mcp", gw)
//
// # Names
//
// A tool or prompt of server S appears as PREFIX__NAME, where PREFIX is made
// from the server's name alone ([Prefix]), so that it does not change when
// other servers come and go. Names longer than 64 characters and names with
// characters outside [A-Za-z0-9_-] are shortened or folded and get a hash of
// the original. The server named by [Options.Unprefixed] keeps its bare
// names. A resource keeps its URI; of two servers that offer the same URI,
// the first that did keeps it, and the other's appears as
// gatehouse://PREFIX/URI. That form may always be used to say which server is
// meant.
//
// # Life of a message
//
// A front (HTTP, a pipe) parses a message and hands it to the session. The
// session finds the method's handler and the server that the message is for,
// runs the chain of interceptors, and forwards the message to an instance of
// that server, which is started if need be. Only what must differ is changed
// in the raw JSON. What the server sends meanwhile passes the same chain, as
// a call of its own, and leaves on the stream of the request it belongs to.
//
// # Eras
//
// Client and server may each speak the legacy protocol (initialize, sessions;
// 2024-11-05 to 2025-11-25) or the modern one (2026-07-28: every request
// self-contained). A server that speaks both is addressed in the client's
// era. Where the eras differ the gateway bridges: a legacy server's request
// during a modern client's call parks the call and is answered by the
// client's retry; a modern server's input_required is turned into real
// requests to a legacy client.
package gateway
