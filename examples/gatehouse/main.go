// Command gatehouse is the full gateway: it reads a configuration file, puts
// the servers that the file names behind one MCP endpoint, and shows what
// they are doing.
//
//	gatehouse serve --config gatehouse.yaml
//	gatehouse check --config gatehouse.yaml
//	gatehouse ps
//
// It is an example too: everything it does is done with the public packages
// of the library. This is the only part of them that reads the environment
// and writes to standard output.
//
// Exit codes: 0 fine, 1 a check failed or something was found, 2 bad usage or
// a bad configuration.
package main

import (
	"os"

	"github.com/gatehouse-mcp/gatehouse/runtime/process"
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

func main() {
	sandbox.Init()      // this process may be the inside of a sandbox
	if process.Init() { // this process watches over a server's children
		return
	}
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv}
	os.Exit(a.run(os.Args[1:]))
}
