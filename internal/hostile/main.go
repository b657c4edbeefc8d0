// Command hostile is an MCP server that attacks whoever runs it: each of its
// tools tries one thing that a confined server must not be able to do, and
// says in words what came of it. A result is an error when the attempt has
// failed. The tests of the package isolation run it in every driver that
// confines, and, where that does no harm, without confinement, to see that an
// attempt would have succeeded.
//
//	hostile                      a server on standard input and output
//	hostile http PORT            one on a port of loopback
//	hostile as UID [ARG]...      the same as another user
//	hostile attempt TOOL JSON    one attempt, for a copy of the server
//
// It does nothing by itself, and each attempt alone, in a process of its own
// wherever that makes a difference. It runs on Linux; elsewhere it has no
// tools.
package main

import (
	"fmt"
	"os"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		serve(os.Stdin, os.Stdout)
		return
	}
	if err := act(args[0], args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}
