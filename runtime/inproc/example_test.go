package inproc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func ExampleNew() {
	clock := server.NewMCPServer("clock", "1.0.0")
	clock.AddTool(mcp.NewTool("now"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("12:00"), nil
	})
	call(inproc.New(clock, nil), runtime.Key{}, "now")
	// Output: {"content":[{"type":"text","text":"12:00"}]}
}

// Each principal gets a server of its own.
func ExampleNewFunc() {
	l := inproc.NewFunc(func(k runtime.Key) (*server.MCPServer, error) {
		s := server.NewMCPServer("notes", "1.0.0")
		s.AddTool(mcp.NewTool("whose"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText("notes of " + k.Principal.String()), nil
		})
		return s, nil
	}, nil)
	call(l, runtime.Key{Principal: transport.Principal{Subject: "ada"}}, "whose")
	// Output: {"content":[{"type":"text","text":"notes of ada"}]}
}

// call does what the gateway does with a launcher.
func call(l runtime.Launcher, k runtime.Key, tool string) {
	ctx := context.Background()
	i, err := l.Launch(ctx, k)
	if err != nil {
		log.Fatal(err)
	}
	defer i.Stop(ctx)
	i.Conn().Listen(nil)
	if _, err := transport.Handshake(ctx, i.Conn(), transport.HandshakeOptions{Prefer: transport.Legacy, Only: true}); err != nil {
		log.Fatal(err)
	}
	reply, err := i.Conn().Call(ctx, &transport.Message{Method: "tools/call", Params: json.RawMessage(`{"name":"` + tool + `"}`)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply.Result))
}
