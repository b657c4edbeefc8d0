package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// BenchmarkCall is a tool call through the gateway with both connections in
// memory: what the gateway itself costs, without any wire.
func BenchmarkCall(b *testing.B) {
	srv := testserver.New("s", transport.Legacy).Tool("echo", echo)
	gw, err := gateway.New(&gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	if err != nil {
		b.Fatal(err)
	}
	defer gw.Close()
	conn, err := gw.Connect(transport.Principal{})
	if err != nil {
		b.Fatal(err)
	}
	init := &transport.Message{ID: json.RawMessage("1"), Method: "initialize", Params: json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"b","version":"1"}}`)}
	if _, err := conn.Call(b.Context(), init, nil); err != nil {
		b.Fatal(err)
	}
	m := &transport.Message{ID: json.RawMessage("2"), Method: "tools/call", Params: json.RawMessage(`{"name":"s__echo","arguments":{"text":"hello","limit":10}}`)}
	b.ReportAllocs()
	for b.Loop() {
		reply, err := conn.Call(b.Context(), m, nil)
		if err != nil || reply.Error != nil {
			b.Fatal(err, reply)
		}
	}
}

// BenchmarkList is tools/list of 1,000 tools from prepared pages.
func BenchmarkList(b *testing.B) {
	srv := testserver.New("s", transport.Legacy)
	for i := range 1000 {
		srv.Tool(fmt.Sprintf("tool_%d", i), echo)
	}
	gw, err := gateway.New(&gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: srv}}})
	if err != nil {
		b.Fatal(err)
	}
	defer gw.Close()
	conn, err := gw.Connect(transport.Principal{})
	if err != nil {
		b.Fatal(err)
	}
	init := &transport.Message{ID: json.RawMessage("1"), Method: "initialize", Params: json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"b","version":"1"}}`)}
	if _, err := conn.Call(b.Context(), init, nil); err != nil {
		b.Fatal(err)
	}
	m := &transport.Message{ID: json.RawMessage("2"), Method: "tools/list"}
	b.ReportAllocs()
	for b.Loop() {
		if reply, err := conn.Call(b.Context(), m, nil); err != nil || reply.Error != nil {
			b.Fatal(err, reply)
		}
	}
}
