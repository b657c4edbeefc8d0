package main

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// newDatabase makes a server with one tool that takes every query for the
// same.
func newDatabase() *server.MCPServer {
	s := server.NewMCPServer("sql", "1.0.0")
	s.AddTool(mcp.NewTool("query", mcp.WithDescription("Runs an SQL query."), mcp.WithString("query", mcp.Required())),
		func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText("Ada, ada@example.com\nGrace, grace@example.com"), nil
		})
	return s
}
