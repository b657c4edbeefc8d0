package inproc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func progress(ctx context.Context, s *server.MCPServer, n int) error {
	return s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": "p", "progress": n})
}

// A handler that sends faster than its caller takes waits; nothing is lost or
// overtaken, and the reply comes last.
func TestNotificationsWaitForASlowCaller(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		const n = 10_000
		var sent atomic.Int64
		s := newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			for i := range n {
				var err error
				if i%2 == 0 {
					err = progress(ctx, s, i)
				} else {
					err = s.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(mcp.LoggingLevelEmergency, "", i))
				}
				if err != nil {
					return "", err
				}
				sent.Add(1)
			}
			return "done", nil
		})
		c := open(t, s, era, newInbox(""))
		release := make(chan struct{})
		got := 0
		related := transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
			<-release
			method, key := "notifications/progress", "progress"
			if got%2 != 0 {
				method, key = "notifications/message", "data"
			}
			if v, _ := rawjson.Get(m.Params, key); m.Method != method || string(v) != fmt.Sprint(got) {
				t.Errorf("notification %d is %s %s", got, m.Method, m.Params)
			}
			got++
			return nil, nil
		})
		returned := make(chan error)
		go func() {
			m := request(era, "tools/call", `{"name":"do"}`)
			if era == transport.Modern {
				m.Params = rawjson.Set(m.Params, json.RawMessage(`"debug"`), "_meta", transport.MetaLogLevel)
			}
			reply, err := c.Call(t.Context(), m, related)
			if err == nil && !strings.Contains(string(reply.Result), "done") {
				err = fmt.Errorf("%s%s", reply.Result, reply.Error)
			}
			returned <- err
		}()
		synctest.Wait()
		if k := sent.Load(); k == 0 || k > n/10 {
			t.Errorf("the handler sent %d while nothing was taken", k)
		}
		close(release)
		if err := <-returned; err != nil {
			t.Fatal(err)
		}
		if got != n {
			t.Errorf("%d of %d came before the reply", got, n)
		}
	})
}

// Many goroutines of a handler send at once, each as soon as there is room.
func TestNotificationsOfManySenders(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		const senders, each = 1_000, 10
		s := newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			var all sync.WaitGroup
			var failed atomic.Int64
			for range senders {
				all.Go(func() {
					for i := range each {
						if progress(ctx, s, i) != nil {
							failed.Add(1)
						}
					}
				})
			}
			all.Wait()
			return fmt.Sprint(failed.Load(), " failed"), nil
		})
		c := open(t, s, era, newInbox(""))
		in := newInbox("")
		text, err := do(t.Context(), c, era, in)
		if err != nil || text != "0 failed" {
			t.Errorf("%s, %v", text, err)
		}
		if len(in.got) != senders*each {
			t.Errorf("%d of %d came", len(in.got), senders*each)
		}
	})
}

// What a server tells everybody reaches every session, however slow.
func TestBroadcastReachesEverySession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const sessions, hosts, each = 3, 50, 40
		s := newServer(nil)
		var inboxes []*inbox
		release := make(chan struct{})
		for range sessions {
			in := newInbox("")
			inboxes = append(inboxes, in)
			open(t, s, transport.Legacy, transport.ReceiverFunc(func(ctx context.Context, m *transport.Message) (*transport.Message, error) {
				<-release
				return in.Receive(ctx, m)
			}))
		}
		var all sync.WaitGroup
		for range hosts {
			all.Go(func() {
				for range each {
					s.SendNotificationToAllClients("notifications/tools/list_changed", nil)
				}
			})
		}
		synctest.Wait()
		close(release)
		all.Wait()
		synctest.Wait()
		for _, in := range inboxes {
			if len(in.got) != hosts*each {
				t.Errorf("%d of %d came", len(in.got), hosts*each)
			}
		}
	})
}

// What a handler leaves running cannot hold the reply up; what it sends
// afterwards belongs to no call.
func TestNotificationsAfterTheReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop, late := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		s := newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			all.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						<-late
						if err := s.SendNotificationToClient(ctx, "notifications/late", nil); err != nil {
							t.Error(err)
						}
						return
					default:
						if err := progress(ctx, s, i); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
			return "done", nil
		})
		everything, related := newInbox(""), newInbox("")
		c := open(t, s, transport.Legacy, everything)
		if text, err := do(t.Context(), c, transport.Legacy, related); err != nil || text != "done" {
			t.Fatal(text, err)
		}
		close(stop)
		synctest.Wait()
		before := len(related.got)
		close(late)
		all.Wait()
		synctest.Wait()
		if len(related.got) != before || !strings.HasSuffix(everything.methods(), "late") {
			t.Errorf("after the reply, the call got %d, and the last for the session was not the late one", len(related.got)-before)
		}
	})
}

// Each of many calls at once gets its own, and only that.
func TestNotificationsOfCallsAreNotMixed(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		s := newServer(nil)
		s.AddTool(mcp.NewTool("count"), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			for range 100 {
				if err := s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": r.Params.Meta.ProgressToken}); err != nil {
					return nil, err
				}
			}
			return mcp.NewToolResultText("ok"), nil
		})
		c := open(t, s, era, newInbox(""))
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				in := newInbox("")
				reply, err := c.Call(t.Context(), request(era, "tools/call", fmt.Sprintf(`{"name":"count","_meta":{"progressToken":%d}}`, i)), in)
				if err != nil || reply.Error != nil || len(in.got) != 100 {
					t.Errorf("%v %v, %d notifications", reply, err, len(in.got))
				}
				for _, m := range in.got {
					if string(m.Params) != fmt.Sprintf(`{"progressToken":%d}`, i) {
						t.Errorf("call %d got %s", i, m.Params)
					}
				}
			})
		}
		all.Wait()
	})
}

func TestListChangesReachTheListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(func(_ context.Context, s *server.MCPServer) (string, error) {
			s.AddTool(mcp.NewTool("grown"), nil)
			return "ok", nil
		})
		in, related := newInbox(""), newInbox("")
		c := open(t, s, transport.Legacy, in)
		if _, err := do(t.Context(), c, transport.Legacy, related); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if in.methods() != "tools/list_changed" || related.methods() != "" {
			t.Errorf("the listener got %q, the call %q", in.methods(), related.methods())
		}
	})
}

// The tools of a session are those of that one alone, and so is the news.
func TestSessionTools(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			return "ok", s.AddSessionTool(server.ClientSessionFromContext(ctx).SessionID(), mcp.NewTool("mine"),
				func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
					return mcp.NewToolResultText("mine alone"), nil
				})
		})
		news, otherNews := newInbox(""), newInbox("")
		one, other := open(t, s, transport.Legacy, news), open(t, s, transport.Legacy, otherNews)
		if _, err := do(t.Context(), one, transport.Legacy, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if news.methods() != "tools/list_changed" || otherNews.methods() != "" {
			t.Errorf("the session got %q, the other one %q", news.methods(), otherNews.methods())
		}
		for _, c := range []struct {
			conn transport.Conn
			want bool
		}{{one, true}, {other, false}} {
			list, err := c.conn.Call(t.Context(), request(transport.Legacy, "tools/list", `{}`), nil)
			if err != nil || strings.Contains(string(list.Result), `"mine"`) != c.want {
				t.Errorf("list: %s, %v; want the tool: %t", list.Result, err, c.want)
			}
			reply, err := c.conn.Call(t.Context(), request(transport.Legacy, "tools/call", `{"name":"mine"}`), nil)
			if err != nil || strings.Contains(string(reply.Result), "mine alone") != c.want {
				t.Errorf("call: %s %s, %v; want the tool: %t", reply.Result, reply.Error, err, c.want)
			}
		}
	})
}

// The handler of a notification may ask the client, whose answer may come
// through the goroutine that notifies.
func TestNotify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil)
		var order []string
		s.AddNotificationHandler("notifications/plain", func(_ context.Context, n mcp.JSONRPCNotification) {
			order = append(order, fmt.Sprint(n.Params.AdditionalFields["n"])) // without a lock: one after the other
		})
		roots := make(chan int, 1)
		s.AddNotificationHandler("notifications/roots/list_changed", func(ctx context.Context, _ mcp.JSONRPCNotification) {
			r, err := s.RequestRoots(ctx, mcp.ListRootsRequest{})
			if err != nil {
				t.Error(err)
			} else {
				roots <- len(r.Roots)
			}
		})
		s.AddNotificationHandler("notifications/panic", func(context.Context, mcp.JSONRPCNotification) { panic("no") })
		notified := make(chan struct{})
		c := open(t, s, transport.Legacy, transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
			<-notified
			return m.Reply(json.RawMessage(`{"roots":[{"uri":"file:///a"}]}`)), nil
		}))
		for i := range 3 {
			if err := c.Notify(t.Context(), &transport.Message{Method: "notifications/plain", Params: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(order) != "[0 1 2]" {
			t.Errorf("notifications were handled in the order %v", order)
		}
		for _, method := range []string{"notifications/panic", "notifications/unknown", "notifications/roots/list_changed"} {
			if err := c.Notify(t.Context(), &transport.Message{Method: method}); err != nil {
				t.Fatal(err)
			}
		}
		close(notified)
		if n := <-roots; n != 1 {
			t.Errorf("%d roots", n)
		}
	})
}

// An id in a cancellation is the caller's, and must not hit another call.
func TestNotifiedCancellationHitsNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := open(t, newServer(func(ctx context.Context, _ *server.MCPServer) (string, error) {
			<-release
			return "done", ctx.Err()
		}), transport.Legacy, newInbox(""))
		returned := make(chan error)
		go func() {
			_, err := do(t.Context(), c, transport.Legacy, nil)
			returned <- err
		}()
		synctest.Wait()
		for i := range 10 {
			if err := c.Notify(t.Context(), &transport.Message{Method: "notifications/cancelled", Params: json.RawMessage(fmt.Sprintf(`{"requestId":%d}`, i))}); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		if err := <-returned; err != nil {
			t.Error(err)
		}
	})
}
