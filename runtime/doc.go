// Package runtime says what it means to run an MCP server: [Launcher] makes
// instances of one server, [Runtime] starts what a [Spec] describes and
// confines it, [Instance] is one running copy.
//
// The drivers are packages below it: inproc (Go servers in this process),
// remote (a URL), process (a plain local command). [Of] makes a Launcher of a
// Runtime and a Spec:
//
//	l := runtime.Of(process.New(nil), runtime.Spec{
//		Command:    []string{"mcp-server-files", "/srv/docs"},
//		Unconfined: true,
//	})
//
// Whoever writes a driver runs the suites of runtimetest on it.
package runtime
