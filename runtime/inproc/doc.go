// Package inproc runs servers that are written in Go with mcp-go inside this
// process, without a pipe or a port between.
//
//	clock := server.NewMCPServer("clock", "1.0")
//	clock.AddTool(mcp.NewTool("now"), now)
//	l := inproc.New(clock, nil)
//
// The instances of [New] are sessions of one and the same MCPServer. Where
// each principal or session is to have a server of its own, [NewFunc] makes
// one from the key.
//
// Both eras are served, each as far as MCPServer.HandleMessage serves it; the
// fronts of mcp-go are not used. Every call has its own view of the session:
// progress, log messages, elicitation, sampling and roots requests that a
// handler makes with its context reach the call they belong to, in order and
// before the reply. None is lost: a handler that notifies faster than the
// caller takes it waits. What the server tells every session, such as that its
// tools changed, goes to the receiver of Listen; the server waits for a session
// whose receiver does not keep up.
//
// A handler that panics costs its call an error, and nothing else.
package inproc
