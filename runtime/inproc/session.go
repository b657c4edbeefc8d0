package inproc

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// session is what the MCPServer knows of the connection: it is registered
// there, and gets what belongs to no call.
type session struct {
	c   *conn
	id  string
	out outbox

	initialized atomic.Bool // by the legacy handshake
	level       atomic.Value
	identity    identity

	mu        sync.Mutex
	tools     map[string]server.ServerTool
	resources map[string]server.ServerResource
	templates map[string]server.ServerResourceTemplate
	subs      map[string]bool
	listens   map[*call]mcp.SubscriptionFilter // modern streams of notifications
}

var (
	_ server.ClientSession                    = (*session)(nil)
	_ server.SessionWithLogging               = (*session)(nil)
	_ server.SessionWithTools                 = (*session)(nil)
	_ server.SessionWithResources             = (*session)(nil)
	_ server.SessionWithResourceTemplates     = (*session)(nil)
	_ server.SessionWithResourceSubscriptions = (*session)(nil)
	_ server.SessionWithClientInfo            = (*session)(nil)
	_ server.SessionWithProtocolVersion       = (*session)(nil)
	_ server.SessionWithSubscriptionFilter    = (*session)(nil)
	_ server.SessionWithSampling              = (*session)(nil)
	_ server.SessionWithElicitation           = (*session)(nil)
	_ server.SessionWithRoots                 = (*session)(nil)
)

func newSession(c *conn) *session {
	s := &session{
		c: c, id: newSessionID(),
		out:     newOutbox(),
		subs:    make(map[string]bool),
		listens: make(map[*call]mcp.SubscriptionFilter),
	}
	return s
}

// stream makes a call a stream of notifications. That waits for the
// acknowledgement, which comes first on a stream.
func (s *session) stream(k *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !k.filter.IsEmpty() {
		s.listens[k] = k.filter
	}
}

// finish is called when a call has its reply or was given up.
func (s *session) finish(k *call) {
	k.end(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listens, k)
}

// identity is what a client said of itself.
type identity struct {
	mu      sync.Mutex
	info    mcp.Implementation
	caps    mcp.ClientCapabilities
	version string
}

func (i *identity) GetClientInfo() mcp.Implementation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.info
}

func (i *identity) SetClientInfo(info mcp.Implementation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.info = info
}

func (i *identity) GetClientCapabilities() mcp.ClientCapabilities {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.caps
}

func (i *identity) SetClientCapabilities(caps mcp.ClientCapabilities) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.caps = caps
}

func (i *identity) ProtocolVersion() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.version
}

func (i *identity) SetProtocolVersion(version string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.version = version
}

// SessionID implements [server.ClientSession].
func (s *session) SessionID() string { return s.id }

// Initialize implements [server.ClientSession].
func (s *session) Initialize() { s.initialized.Store(true) }

// Initialized implements [server.ClientSession]. A modern client is reached
// by what the server tells everybody as long as it listens.
func (s *session) Initialized() bool {
	if s.initialized.Load() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listens) > 0
}

// NotificationChannel implements [server.ClientSession]; see outbox. Nobody
// waits before Listen, since nothing is taken out until then.
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification {
	if !closed(s.c.listening) {
		s.out.tryReserve()
		return s.out.notes
	}
	if !s.out.reserve(s.c.done, nil) {
		return nowhere()
	}
	return s.out.notes
}

// nowhere is a channel for what nobody wants any more.
func nowhere() chan<- mcp.JSONRPCNotification { return make(chan mcp.JSONRPCNotification, 1) }

// SetLogLevel implements [server.SessionWithLogging].
func (s *session) SetLogLevel(level mcp.LoggingLevel) { s.level.Store(level) }

// GetLogLevel implements [server.SessionWithLogging]. Until a client has set
// it, it is that of mcp-go's own sessions.
func (s *session) GetLogLevel() mcp.LoggingLevel {
	if level, ok := s.level.Load().(mcp.LoggingLevel); ok {
		return level
	}
	return mcp.LoggingLevelError
}

// GetClientInfo implements [server.SessionWithClientInfo].
func (s *session) GetClientInfo() mcp.Implementation { return s.identity.GetClientInfo() }

// SetClientInfo implements [server.SessionWithClientInfo].
func (s *session) SetClientInfo(info mcp.Implementation) { s.identity.SetClientInfo(info) }

// GetClientCapabilities implements [server.SessionWithClientInfo].
func (s *session) GetClientCapabilities() mcp.ClientCapabilities {
	return s.identity.GetClientCapabilities()
}

// SetClientCapabilities implements [server.SessionWithClientInfo].
func (s *session) SetClientCapabilities(caps mcp.ClientCapabilities) {
	s.identity.SetClientCapabilities(caps)
}

// ProtocolVersion implements [server.SessionWithProtocolVersion].
func (s *session) ProtocolVersion() string { return s.identity.ProtocolVersion() }

// SetProtocolVersion is what the server calls after the handshake.
func (s *session) SetProtocolVersion(version string) { s.identity.SetProtocolVersion(version) }

// GetSessionTools implements [server.SessionWithTools].
func (s *session) GetSessionTools() map[string]server.ServerTool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.tools)
}

// SetSessionTools implements [server.SessionWithTools].
func (s *session) SetSessionTools(tools map[string]server.ServerTool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools = maps.Clone(tools)
}

// GetSessionResources implements [server.SessionWithResources].
func (s *session) GetSessionResources() map[string]server.ServerResource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.resources)
}

// SetSessionResources implements [server.SessionWithResources].
func (s *session) SetSessionResources(resources map[string]server.ServerResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources = maps.Clone(resources)
}

// GetSessionResourceTemplates implements [server.SessionWithResourceTemplates].
func (s *session) GetSessionResourceTemplates() map[string]server.ServerResourceTemplate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.templates)
}

// SetSessionResourceTemplates implements [server.SessionWithResourceTemplates].
func (s *session) SetSessionResourceTemplates(templates map[string]server.ServerResourceTemplate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.templates = maps.Clone(templates)
}

// SubscribeToResource implements [server.SessionWithResourceSubscriptions].
func (s *session) SubscribeToResource(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[uri] = true
}

// UnsubscribeFromResource implements [server.SessionWithResourceSubscriptions].
func (s *session) UnsubscribeFromResource(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subs, uri)
}

// SubscribedResources implements [server.SessionWithResourceSubscriptions].
func (s *session) SubscribedResources() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.subs))
	for _, f := range s.listens {
		all = append(all, f.ResourceSubscriptions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// IsSubscribedToResource implements [server.SessionWithResourceSubscriptions].
func (s *session) IsSubscribedToResource(uri string) bool {
	return slices.Contains(s.SubscribedResources(), uri)
}

// SetSubscriptionFilter implements [server.SessionWithSubscriptionFilter]. Each
// stream has its own; see view.
func (s *session) SetSubscriptionFilter(mcp.SubscriptionFilter) {}

// SubscriptionFilter implements [server.SessionWithSubscriptionFilter]: what
// any of the streams wants. A legacy client gets everything.
func (s *session) SubscriptionFilter() (all mcp.SubscriptionFilter, active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.listens {
		all.ToolsListChanged = all.ToolsListChanged || f.ToolsListChanged
		all.PromptsListChanged = all.PromptsListChanged || f.PromptsListChanged
		all.ResourcesListChanged = all.ResourcesListChanged || f.ResourcesListChanged
		all.ResourceSubscriptions = append(all.ResourceSubscriptions, f.ResourceSubscriptions...)
	}
	return all, len(s.listens) > 0 && !s.initialized.Load()
}

// publish gives a notification to the streams that want it. It reports false
// when there is no stream at all, so that the session itself gets it.
func (s *session) publish(m *transport.Message) bool {
	uri := ""
	if v, ok := rawjson.Get(m.Params, "uri"); ok {
		uri, _ = rawjson.String(v)
	}
	s.mu.Lock()
	var to []*call
	streams := len(s.listens)
	for k, f := range s.listens {
		if wants(f, m.Method, uri) {
			to = append(to, k)
		}
	}
	s.mu.Unlock()
	for _, k := range to {
		n := mcp.JSONRPCNotification{}
		n.Method = m.Method
		n.Params = tagged(m.Params, k.id)
		if !k.out.reserve(k.over, s.c.done) {
			continue
		}
		select {
		case k.out.notes <- n:
		case <-k.over:
		}
	}
	return streams > 0 && !s.initialized.Load()
}

// wants reports whether a filter lets a notification pass.
func wants(f mcp.SubscriptionFilter, method, uri string) bool {
	switch method {
	case mcp.MethodNotificationToolsListChanged:
		return f.ToolsListChanged
	case mcp.MethodNotificationPromptsListChanged:
		return f.PromptsListChanged
	case mcp.MethodNotificationResourcesListChanged:
		return f.ResourcesListChanged
	case mcp.MethodNotificationResourceUpdated:
		return slices.Contains(f.ResourceSubscriptions, uri)
	}
	return false
}

// tagged makes params of a notification with a subscription id.
func tagged(params, id json.RawMessage) (p mcp.NotificationParams) {
	p.Meta = map[string]any{}
	p.AdditionalFields = map[string]any{}
	rawjson.Each(params, func(key, value []byte) bool {
		if name, ok := rawjson.String(key); ok && name != "_meta" {
			p.AdditionalFields[name] = json.RawMessage(value)
		}
		return true
	})
	if meta, ok := rawjson.Get(params, "_meta"); ok {
		rawjson.Each(meta, func(key, value []byte) bool {
			if name, ok := rawjson.String(key); ok {
				p.Meta[name] = json.RawMessage(value)
			}
			return true
		})
	}
	p.Meta[transport.MetaSubscription] = id
	return p
}

// RequestSampling implements [server.SessionWithSampling].
func (s *session) RequestSampling(ctx context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	return s.c.sample(ctx, nil, r)
}

// RequestElicitation implements [server.SessionWithElicitation].
func (s *session) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return s.c.elicit(ctx, nil, r)
}

// ListRoots implements [server.SessionWithRoots].
func (s *session) ListRoots(ctx context.Context, r mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	return s.c.roots(ctx, nil, r)
}

func (c *conn) sample(ctx context.Context, k *call, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	var result mcp.CreateMessageResult
	if err := c.request(ctx, k, mcp.MethodSamplingCreateMessage, r.CreateMessageParams, &result); err != nil {
		return nil, err
	}
	content, err := mcp.ParseSamplingContent(result.Content) // as mcp-go's own sessions do
	if err != nil {
		return nil, err
	}
	result.Content = content
	return &result, nil
}

func (c *conn) elicit(ctx context.Context, k *call, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	var result mcp.ElicitationResult
	if err := c.request(ctx, k, mcp.MethodElicitationCreate, r.Params, &result); err != nil {
		return nil, err
	}
	return &result, nil
}

func (c *conn) roots(ctx context.Context, k *call, _ mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	var result mcp.ListRootsResult
	if err := c.request(ctx, k, mcp.MethodListRoots, nil, &result); err != nil {
		return nil, err
	}
	return &result, nil
}
