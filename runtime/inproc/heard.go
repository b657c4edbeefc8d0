package inproc

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// heard is the session as the handler of a notification sees it. It tells
// Notify when the handler asks the client something.
type heard struct {
	*session
	asks chan struct{}
}

var (
	_ server.SessionWithSampling    = (*heard)(nil)
	_ server.SessionWithElicitation = (*heard)(nil)
	_ server.SessionWithRoots       = (*heard)(nil)
)

func (h *heard) asking() {
	select {
	case h.asks <- struct{}{}:
	default: // it was told
	}
}

// RequestSampling implements [server.SessionWithSampling].
func (h *heard) RequestSampling(ctx context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	h.asking()
	return h.session.RequestSampling(ctx, r)
}

// RequestElicitation implements [server.SessionWithElicitation].
func (h *heard) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	h.asking()
	return h.session.RequestElicitation(ctx, r)
}

// ListRoots implements [server.SessionWithRoots].
func (h *heard) ListRoots(ctx context.Context, r mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	h.asking()
	return h.session.ListRoots(ctx, r)
}
