package interceptor

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// Method is a method of the protocol with the Go types of its params and
// result, for [Before], [After] and [Around]. R is [None] for notifications.
type Method[P, R any] struct {
	name   string
	from   origin
	params func(json.RawMessage) (*P, error)
	result func(json.RawMessage) (*R, error)
}

// None is the result of a notification: there is none.
type None struct{}

// origin says in which directions a method is sent.
type origin uint8

const (
	byClient origin = 1 << FromClient
	byServer origin = 1 << FromServer
	byBoth          = byClient | byServer
)

// MethodOf makes a Method of any name, such as a vendor's own. P and R are
// decoded and encoded with encoding/json.
func MethodOf[P, R any](name string, d Direction) Method[P, R] {
	return method[P, R](name, 1<<d)
}

func method[P, R any](name string, from origin) Method[P, R] {
	return Method[P, R]{name: name, from: from, params: decode[P], result: decode[R]}
}

// Name is the method's name in the protocol.
func (m Method[P, R]) Name() string { return m.name }

// is reports whether c is of the method.
func (m Method[P, R]) is(c *Call) bool {
	return c.Method == m.name && m.from&(1<<c.Direction) != 0
}

// with sets decoders that know more than encoding/json.
func (m Method[P, R]) with(params func(json.RawMessage) (*P, error), result func(json.RawMessage) (*R, error)) Method[P, R] {
	if params != nil {
		m.params = params
	}
	if result != nil {
		m.result = result
	}
	return m
}

// Requests of clients. They must not be changed.
var (
	Initialize           = method[mcp.InitializeParams, mcp.InitializeResult]("initialize", byClient)
	Discover             = method[mcp.DiscoverParams, mcp.DiscoverResult]("server/discover", byClient)
	Ping                 = method[map[string]any, map[string]any]("ping", byBoth)
	ToolsList            = method[mcp.PaginatedParams, mcp.ListToolsResult]("tools/list", byClient)
	ToolsCall            = method[mcp.CallToolParams, mcp.CallToolResult]("tools/call", byClient).with(decodeToolParams, decodeToolResult)
	PromptsList          = method[mcp.PaginatedParams, mcp.ListPromptsResult]("prompts/list", byClient)
	PromptsGet           = method[mcp.GetPromptParams, mcp.GetPromptResult]("prompts/get", byClient).with(nil, decodePrompt)
	ResourcesList        = method[mcp.PaginatedParams, mcp.ListResourcesResult]("resources/list", byClient)
	ResourceTemplates    = method[mcp.PaginatedParams, mcp.ListResourceTemplatesResult]("resources/templates/list", byClient)
	ResourcesRead        = method[mcp.ReadResourceParams, mcp.ReadResourceResult]("resources/read", byClient).with(nil, decodeContents)
	ResourcesSubscribe   = method[mcp.SubscribeParams, mcp.EmptyResult]("resources/subscribe", byClient)
	ResourcesUnsubscribe = method[mcp.UnsubscribeParams, mcp.EmptyResult]("resources/unsubscribe", byClient)
	Complete             = method[mcp.CompleteParams, mcp.CompleteResult]("completion/complete", byClient).with(decodeComplete, nil)
	SetLevel             = method[mcp.SetLevelParams, mcp.EmptyResult]("logging/setLevel", byClient)
	Listen               = method[mcp.SubscriptionsListenParams, mcp.SubscriptionsListenResult]("subscriptions/listen", byClient)
	TasksGet             = method[mcp.GetTaskParams, mcp.GetTaskResult]("tasks/get", byClient)
	TasksList            = method[mcp.PaginatedParams, mcp.ListTasksResult]("tasks/list", byClient)
	TasksResult          = method[mcp.TaskResultParams, mcp.CallToolResult]("tasks/result", byClient).with(nil, decodeToolResult)
	TasksCancel          = method[mcp.CancelTaskParams, mcp.CancelTaskResult]("tasks/cancel", byClient)
	TasksUpdate          = method[map[string]any, map[string]any]("tasks/update", byClient)
)

// Requests of servers. They must not be changed.
var (
	Elicit    = method[mcp.ElicitationParams, mcp.ElicitationResult]("elicitation/create", byServer)
	Sample    = method[mcp.CreateMessageParams, mcp.CreateMessageResult]("sampling/createMessage", byServer).with(decodeSampling, decodeSample)
	RootsList = method[mcp.ListRootsParams, mcp.ListRootsResult]("roots/list", byServer)
)

// Notifications. They must not be changed.
var (
	Initialized               = method[mcp.NotificationParams, None]("notifications/initialized", byClient)
	Cancelled                 = method[mcp.CancelledNotificationParams, None]("notifications/cancelled", byBoth)
	Progress                  = method[mcp.ProgressNotificationParams, None]("notifications/progress", byBoth)
	LogMessage                = method[mcp.LoggingMessageNotificationParams, None]("notifications/message", byServer)
	ToolsChanged              = method[mcp.NotificationParams, None]("notifications/tools/list_changed", byServer)
	PromptsChanged            = method[mcp.NotificationParams, None]("notifications/prompts/list_changed", byServer)
	ResourcesChanged          = method[mcp.NotificationParams, None]("notifications/resources/list_changed", byServer)
	ResourceUpdated           = method[mcp.ResourceUpdatedNotificationParams, None]("notifications/resources/updated", byServer)
	RootsChanged              = method[mcp.NotificationParams, None]("notifications/roots/list_changed", byClient)
	ElicitationCompleted      = method[map[string]any, None]("notifications/elicitation/complete", byServer)
	TaskStatus                = method[mcp.TaskStatusNotificationParams, None]("notifications/tasks/status", byServer) // 2025-11-25
	Tasks                     = method[mcp.TaskStatusNotificationParams, None]("notifications/tasks", byServer)        // the extension of 2026-07-28
	SubscriptionsAcknowledged = method[mcp.SubscriptionsAcknowledgedParams, None]("notifications/subscriptions/acknowledged", byServer)
)
