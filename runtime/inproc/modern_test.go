package inproc_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func TestDiscover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newServer(nil), transport.Modern, newInbox(""))
		reply, err := c.Call(t.Context(), request(transport.Modern, "server/discover", `{}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		var r mcp.DiscoverResult
		if err := json.Unmarshal(reply.Result, &r); err != nil || r.Capabilities.Tools == nil || !strings.Contains(string(reply.Result), transport.VersionModern) {
			t.Errorf("%s %s, %v", reply.Result, reply.Error, err)
		}
	})
}

// Each modern call says for itself who its client is; the session of a legacy
// client on the same connection is not touched.
func TestModernCallsDoNotChangeTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newServer(func(ctx context.Context, _ *server.MCPServer) (string, error) {
			s := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
			return s.GetClientInfo().Name + " " + server.RequestProtocolVersion(ctx), nil
		}), transport.Legacy, newInbox(""))
		m := request(transport.Legacy, "tools/call", `{"name":"do"}`)
		m.Params = transport.ModernMeta(m.Params, transport.VersionModern, json.RawMessage(`{"name":"guest","version":"1"}`), nil)
		reply, err := c.Call(t.Context(), m, nil)
		if err != nil || !strings.Contains(string(reply.Result), `"guest 2026-07-28"`) {
			t.Errorf("modern: %s %s, %v", reply.Result, reply.Error, err)
		}
		if text, err := do(t.Context(), c, transport.Legacy, nil); err != nil || text != "test 2025-11-25" {
			t.Errorf("legacy: %s, %v", text, err)
		}
	})
}

// A modern call gets log messages only if it asks for them.
func TestModernLogLevel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			return "ok", s.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "x", "data"))
		}), transport.Modern, newInbox(""))
		for level, want := range map[string]string{"": "", `"error"`: "", `"debug"`: "message"} {
			in := newInbox("")
			m := request(transport.Modern, "tools/call", `{"name":"do"}`)
			if level != "" {
				m.Params = rawjson.Set(m.Params, json.RawMessage(level), "_meta", transport.MetaLogLevel)
			}
			if reply, err := c.Call(t.Context(), m, in); err != nil || reply.Error != nil {
				t.Fatal(reply, err)
			}
			if in.methods() != want {
				t.Errorf("level %s: got %q, want %q", level, in.methods(), want)
			}
		}
	})
}

// listen opens a stream of notifications whose request has the given id.
func listen(ctx context.Context, c transport.Conn, id, filter string, in transport.Receiver) <-chan error {
	ended := make(chan error, 1)
	m := request(transport.Modern, "subscriptions/listen", `{"notifications":`+filter+`}`)
	m.ID = json.RawMessage(id)
	go func() {
		_, err := c.Call(ctx, m, in)
		ended <- err
	}()
	return ended
}

// Every stream gets its acknowledgement first, then what it asked for and
// nothing else, all with its own id.
func TestStreamsOfNotifications(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil)
		everything := newInbox("")
		c := open(t, s, transport.Modern, everything)
		ctx, cancel := context.WithCancel(t.Context())
		streams := []struct {
			id, filter, want string
			in               *inbox
			ended            <-chan error
		}{
			{id: `"tools"`, filter: `{"toolsListChanged":true}`, want: "subscriptions/acknowledged tools/list_changed"},
			{id: `9007199254740993`, filter: `{"resourcesListChanged":true,"resourceSubscriptions":["test://a"]}`,
				want: "subscriptions/acknowledged resources/list_changed resources/updated"},
		}
		for i := range streams {
			streams[i].in = newInbox("")
			streams[i].ended = listen(ctx, c, streams[i].id, streams[i].filter, streams[i].in)
		}
		synctest.Wait()
		s.AddTool(mcp.NewTool("grown"), nil)
		s.AddResource(mcp.NewResource("test://a", "a"), nil)
		for _, uri := range []string{"test://a", "test://b"} {
			// As a host does it: to those that subscribed, by session.
			if err := s.SendNotificationToSpecificClient(sessionID(t, c), "notifications/resources/updated", map[string]any{"uri": uri}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, stream := range streams {
			if stream.in.methods() != stream.want {
				t.Errorf("stream %s got %q, want %q", stream.id, stream.in.methods(), stream.want)
			}
			for _, m := range stream.in.got {
				if id, _ := rawjson.Get(m.Params, "_meta", transport.MetaSubscription); string(id) != stream.id {
					t.Errorf("stream %s got the id %s", stream.id, id)
				}
			}
		}
		cancel()
		for _, stream := range streams {
			if err := <-stream.ended; !errors.Is(err, context.Canceled) {
				t.Errorf("stream %s ended with %v", stream.id, err)
			}
		}
		synctest.Wait()
		s.AddTool(mcp.NewTool("after"), nil)
		synctest.Wait()
		if got := streams[0].in.methods(); got != streams[0].want || everything.methods() != "" {
			t.Errorf("after the end the stream has got %q, the listener %q", got, everything.methods())
		}
	})
}

// A stream of nothing ends at once, with its id in the result.
func TestStreamOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, in := open(t, newServer(nil), transport.Modern, newInbox("")), newInbox("")
		reply, err := c.Call(t.Context(), request(transport.Modern, "subscriptions/listen", `{"notifications":{}}`), in)
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := rawjson.Get(reply.Result, "_meta", transport.MetaSubscription); string(id) != `"a"` || in.methods() != "subscriptions/acknowledged" {
			t.Errorf("%s %s after %q", reply.Result, reply.Error, in.methods())
		}
	})
}

// Changes while a stream opens come after its acknowledgement.
func TestAcknowledgementComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil)
		c := open(t, s, transport.Modern, newInbox(""))
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					s.SendNotificationToAllClients("notifications/tools/list_changed", nil)
				}
			}
		}()
		for range 50 {
			in := newInbox("")
			ctx, cancel := context.WithCancel(t.Context())
			ended := listen(ctx, c, `1`, `{"toolsListChanged":true}`, in)
			in.next(t, 1)
			cancel()
			<-ended
			if first := in.next(t, 0); first.Method != "notifications/subscriptions/acknowledged" {
				t.Fatalf("the first is %s", first.Method)
			}
		}
		close(stop)
		<-stopped
	})
}

// sessionID asks the server for the id of the session behind c.
func sessionID(t *testing.T, c transport.Conn) string {
	t.Helper()
	reply, err := c.Call(t.Context(), request(transport.Modern, "tools/call", `{"name":"session"}`), nil)
	if err != nil || reply.Error != nil {
		t.Fatal(reply, err)
	}
	var r mcp.CallToolResult
	if err := json.Unmarshal(reply.Result, &r); err != nil {
		t.Fatal(err)
	}
	return r.Content[0].(mcp.TextContent).Text
}
