package inproc

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// view is the session as the handler of one call sees it: what it sends goes
// to that call. A modern call also says who its client is, and changes
// nothing of the session.
type view struct {
	*session
	k      *call
	modern bool
	own    identity // of a modern call
}

var (
	_ server.SessionWithLogging               = (*view)(nil)
	_ server.SessionWithTools                 = (*view)(nil)
	_ server.SessionWithResourceSubscriptions = (*view)(nil)
	_ server.SessionWithClientInfo            = (*view)(nil)
	_ server.SessionWithSubscriptionFilter    = (*view)(nil)
	_ server.SessionWithElicitation           = (*view)(nil)
)

func newView(k *call) *view {
	v := &view{session: k.c.session, k: k}
	if raw, ok := rawjson.Get(k.m.Params, "_meta", transport.MetaVersion); ok {
		version, _ := rawjson.String(raw)
		v.modern = transport.EraOf(version) == transport.Modern
		v.own.version = version
	}
	return v
}

// Initialize implements [server.ClientSession].
func (v *view) Initialize() {
	if !v.modern {
		v.session.Initialize()
	}
}

// Initialized implements [server.ClientSession].
func (v *view) Initialized() bool { return v.modern || v.session.Initialized() }

// NotificationChannel implements [server.ClientSession]. See that of session.
func (v *view) NotificationChannel() chan<- mcp.JSONRPCNotification {
	switch {
	case v.k.out.reserve(v.k.over, v.c.done):
		return v.k.out.notes
	case v.k.gaveUp():
		return nowhere()
	}
	return v.session.NotificationChannel()
}

func (v *view) identity() *identity {
	if v.modern {
		return &v.own
	}
	return &v.session.identity
}

// GetClientInfo implements [server.SessionWithClientInfo].
func (v *view) GetClientInfo() mcp.Implementation { return v.identity().GetClientInfo() }

// SetClientInfo implements [server.SessionWithClientInfo].
func (v *view) SetClientInfo(info mcp.Implementation) { v.identity().SetClientInfo(info) }

// GetClientCapabilities implements [server.SessionWithClientInfo].
func (v *view) GetClientCapabilities() mcp.ClientCapabilities {
	return v.identity().GetClientCapabilities()
}

// SetClientCapabilities implements [server.SessionWithClientInfo].
func (v *view) SetClientCapabilities(caps mcp.ClientCapabilities) {
	v.identity().SetClientCapabilities(caps)
}

// ProtocolVersion implements [server.SessionWithProtocolVersion].
func (v *view) ProtocolVersion() string { return v.identity().ProtocolVersion() }

// SetProtocolVersion is what the server calls after the handshake.
func (v *view) SetProtocolVersion(version string) { v.identity().SetProtocolVersion(version) }

// SetSubscriptionFilter implements [server.SessionWithSubscriptionFilter]. It
// takes effect with the acknowledgement.
func (v *view) SetSubscriptionFilter(f mcp.SubscriptionFilter) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.k.filter = f
	if f.IsEmpty() {
		delete(v.listens, v.k)
	}
}

// SubscribeToResource implements [server.SessionWithResourceSubscriptions]. In
// the modern era the filter holds the subscriptions.
func (v *view) SubscribeToResource(uri string) {
	if !v.modern {
		v.session.SubscribeToResource(uri)
	}
}

// UnsubscribeFromResource implements [server.SessionWithResourceSubscriptions].
func (v *view) UnsubscribeFromResource(uri string) {
	if !v.modern {
		v.session.UnsubscribeFromResource(uri)
	}
}

// RequestSampling implements [server.SessionWithSampling].
func (v *view) RequestSampling(ctx context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	return v.c.sample(ctx, v.k, r)
}

// RequestElicitation implements [server.SessionWithElicitation].
func (v *view) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return v.c.elicit(ctx, v.k, r)
}

// ListRoots implements [server.SessionWithRoots].
func (v *view) ListRoots(ctx context.Context, r mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	return v.c.roots(ctx, v.k, r)
}
