package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// peekArg is the argument that makes this program the server "peek".
const peekArg = "serve-peek"

// newPeek makes a server that tries what it should not be able to do: it
// looks into folders and opens connections, and says how far it got.
func newPeek() *server.MCPServer {
	s := server.NewMCPServer("peek", "1.0.0")
	s.AddTool(mcp.NewTool("look",
		mcp.WithDescription("Tries to list a folder of this machine from inside the confinement."),
		mcp.WithString("folder", mcp.Description("such as /root, /home or /"), mcp.Required()),
		mcp.WithReadOnlyHintAnnotation(true),
	), look)
	s.AddTool(mcp.NewTool("connect",
		mcp.WithDescription("Tries to open a TCP connection from inside the confinement."),
		mcp.WithString("address", mcp.Description("HOST:PORT, such as example.com:443"), mcp.Required()),
		mcp.WithReadOnlyHintAnnotation(true),
	), reach)
	return s
}

func look(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	folder, err := req.RequireString("folder")
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return mcp.NewToolResultError(fmt.Sprintf("As user %d: %v", os.Getuid(), err)), nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return mcp.NewToolResultText(fmt.Sprintf("As user %d, %s holds: %s", os.Getuid(), folder, strings.Join(names, " "))), nil
}

func reach(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	address, err := req.RequireString("address")
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	d := net.Dialer{Timeout: 3 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	_ = c.Close()
	return mcp.NewToolResultText("connected to " + address), nil
}

// servePeek serves it on standard input and output.
func servePeek() error { return server.ServeStdio(newPeek()) }
