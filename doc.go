// Package gatehouse is the map of a library for building MCP gateways: many
// servers of the Model Context Protocol behind one endpoint, with every
// message, in both directions, passing one chain of interceptors.
//
// The package itself holds no code. A gateway is made with package gateway:
//
//	clock := server.NewMCPServer("clock", "1.0.0")
//	clock.AddTool(mcp.NewTool("now"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
//		return mcp.NewToolResultText("12:00"), nil
//	})
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
// # The packages
//
//   - gateway: the Gateway: routing, aggregation, sessions, the bridge between
//     the protocol's eras, the pool of instances. It is an [net/http.Handler].
//   - gateway/config: reads a configuration file into gateway.Options.
//   - gateway/admin: looks into a running gateway.
//   - interceptor: Call, Result and Interceptor, the one extension point, with
//     typed forms for every method of the protocol.
//   - runtime: Launcher, Runtime, Instance and Spec: what makes the running
//     copies of a server. Below it, one package for each way: inproc (a server
//     in this process), process (a command), remote (a URL), containerd and
//     sandbox (which confine), auto (whichever of the two is there), egress
//     (what confined servers may reach).
//   - transport: moves JSON-RPC messages and knows nothing of policy: Message,
//     Conn, the HTTP and pipe fronts, the connectors to servers, Principal and
//     Authenticator.
//   - profile: named sets of servers and tools.
//   - secrets: references to secrets and values that never print themselves.
//
// Packages are imported in one direction: gateway imports interceptor and
// runtime, which import transport. A program that only writes an interceptor
// or a launcher imports no gateway.
//
// # Extending it
//
// A host brings values of small interfaces: a Launcher for a new kind of
// server, a Runtime, an Interceptor, an Authenticator, a secrets.Provider. For
// a front of its own it hands connections to Gateway.Serve. Nothing registers
// itself and nothing is global: several gateways live in one process.
package gatehouse
