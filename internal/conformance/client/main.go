// Command client is the client under test of the official MCP conformance
// suite: it drives the gateway's upstream connector against the suite's
// servers.
//
//	npx @modelcontextprotocol/conformance client --command ./client --scenario tools_call
//
// The suite gives the server's URL as the last argument and describes the
// scenario in the environment (MCP_CONFORMANCE_SCENARIO,
// MCP_CONFORMANCE_CONTEXT, MCP_CONFORMANCE_PROTOCOL_VERSION). Whatever the
// scenario, the client does what a curious agent does: it lists everything,
// calls every tool, reads every resource, gets every prompt, and answers what
// it is asked. A scenario's context may name the calls to make instead.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: client URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	s := scenario{
		version: os.Getenv("MCP_CONFORMANCE_PROTOCOL_VERSION"),
		context: json.RawMessage(os.Getenv("MCP_CONFORMANCE_CONTEXT")),
	}
	if err := s.run(ctx, os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// scenario is one run against one server.
type scenario struct {
	version string          // the revision that the suite wants spoken
	context json.RawMessage // what the scenario tells beside the URL

	conn *transport.HTTPClient
	peer *transport.Peer
}

var (
	clientInfo   = json.RawMessage(`{"name":"gatehouse-conformance","version":"1.0.0"}`)
	capabilities = json.RawMessage(`{"roots":{},"sampling":{},"elicitation":{"form":{"applyDefaults":true}}}`)
)

func (s *scenario) run(ctx context.Context, url string) error {
	var err error
	if s.conn, err = transport.NewHTTPClient(url, nil); err != nil {
		return err
	}
	defer func() { _ = s.conn.Close() }() // it has nothing to report
	s.conn.Listen(transport.ReceiverFunc(answer))
	prefer := transport.EraOf(s.version)
	if prefer == 0 {
		prefer = transport.Legacy
	}
	s.peer, err = transport.Handshake(ctx, s.conn, transport.HandshakeOptions{
		ClientInfo: clientInfo, Capabilities: capabilities, Prefer: prefer,
	})
	if err != nil {
		return err
	}
	return s.explore(ctx)
}
