package main

import (
	"context"
	"time"
	_ "time/tzdata" // so that every zone is known on every machine

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// newClock makes a server that knows the time.
func newClock(now func() time.Time) *server.MCPServer {
	s := server.NewMCPServer("clock", "1.0.0", server.WithToolCapabilities(false))
	zone := mcp.WithString("zone", mcp.Description("IANA name of a time zone, such as Europe/Vienna"), mcp.DefaultString("UTC"))
	s.AddTool(mcp.NewTool("now", mcp.WithDescription("Tells the time in a time zone."), zone, mcp.WithReadOnlyHintAnnotation(true)),
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			l, err := time.LoadLocation(r.GetString("zone", "UTC"))
			if err != nil {
				return mcp.NewToolResultError("This time zone is not known; give an IANA name such as Europe/Vienna."), nil
			}
			return mcp.NewToolResultText(now().In(l).Format(time.RFC3339)), nil
		})
	s.AddTool(mcp.NewTool("until", mcp.WithDescription("Tells how long it is until a point in time."),
		mcp.WithString("time", mcp.Required(), mcp.Description("RFC 3339, such as 2027-01-01T00:00:00Z")), mcp.WithReadOnlyHintAnnotation(true)),
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			t, err := time.Parse(time.RFC3339, r.GetString("time", ""))
			if err != nil {
				return mcp.NewToolResultError("The time is not RFC 3339, such as 2027-01-01T00:00:00Z."), nil
			}
			return mcp.NewToolResultText(t.Sub(now()).Round(time.Second).String()), nil
		})
	return s
}
