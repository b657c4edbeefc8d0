package gatehouse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// The gateway of the package comment.
func Example() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	// Output: ready
}

func serve() error {
	clock := server.NewMCPServer("clock", "1.0.0")
	clock.AddTool(mcp.NewTool("now"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("12:00"), nil
	})
	gw, err := gateway.New(&gateway.Options{
		Servers: []gateway.Server{
			{Name: "clock", Launcher: inproc.New(clock, nil)},
			{Name: "docs", Launcher: remote.New("https://mcp.example.com/mcp", nil)},
		},
	})
	if err != nil {
		return err
	}
	defer gw.Close()
	http.Handle("/mcp", gw)
	return nil
}

// A client in memory needs no listener: tests and programs that are their own
// client use Connect.
func Example_inMemory() {
	clock := server.NewMCPServer("clock", "1.0.0")
	clock.AddTool(mcp.NewTool("now"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("12:00"), nil
	})
	gw, err := gateway.New(&gateway.Options{
		Servers: []gateway.Server{{Name: "clock", Launcher: inproc.New(clock, nil)}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()

	ctx := context.Background()
	client, err := gw.Connect(transport.Principal{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	client.Listen(transport.ReceiverFunc(func(context.Context, *transport.Message) (*transport.Message, error) {
		return nil, nil // nobody asks this client anything
	}))
	if _, err := transport.Handshake(ctx, client, transport.HandshakeOptions{Prefer: transport.Legacy, Only: true}); err != nil {
		log.Fatal(err)
	}
	reply, err := client.Call(ctx, &transport.Message{
		Method: "tools/call",
		Params: json.RawMessage(`{"name":"clock__now"}`),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply.Result))
	// Output: {"content":[{"type":"text","text":"12:00"}]}
}
