package inproc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func TestLauncher(t *testing.T) {
	runtimetest.Launcher(t, runtimetest.LauncherConfig{Launcher: inproc.New(talkative(), nil)})
}

// talkative is a server whose tools use all that a handler may.
func talkative() *server.MCPServer {
	s := server.NewMCPServer("talkative", "1.0.0",
		server.WithToolCapabilities(true), server.WithLogging(), server.WithElicitation(), server.WithRoots())
	s.EnableSampling()
	s.AddTool(mcp.NewTool("flood", mcp.WithNumber("n")), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		n := r.GetInt("n", 0)
		for i := range n {
			err := server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": r.Params.Meta.ProgressToken, "progress": i,
			})
			if err != nil {
				return nil, err
			}
		}
		return mcp.NewToolResultText("done"), nil
	})
	s.AddTool(mcp.NewTool("ask"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r, err := server.ServerFromContext(ctx).RequestElicitation(ctx, mcp.ElicitationRequest{
			Params: mcp.ElicitationParams{Message: "name?", RequestedSchema: map[string]any{"type": "object"}},
		})
		if err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(fmt.Sprint(r.Action, " ", r.Content)), nil
	})
	s.AddTool(mcp.NewTool("hang"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s.AddTool(mcp.NewTool("panic"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		panic("out of cheese")
	})
	s.AddTool(mcp.NewTool("grow"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.AddTool(mcp.NewTool("grown"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText("grown"), nil
		})
		return mcp.NewToolResultText("ok"), nil
	})
	return s
}

// inbox keeps what a server sends.
type inbox struct {
	answer string // to requests

	mu   sync.Mutex
	got  []*transport.Message
	news chan *transport.Message
}

func newInbox() *inbox { return &inbox{news: make(chan *transport.Message, 100_000)} }

func (in *inbox) Receive(_ context.Context, m *transport.Message) (*transport.Message, error) {
	in.mu.Lock()
	in.got = append(in.got, m)
	in.mu.Unlock()
	in.news <- m
	if m.IsRequest() {
		return m.Reply(json.RawMessage(in.answer)), nil
	}
	return nil, nil
}

// open launches an instance and does the handshake in an era.
func open(t *testing.T, l runtime.Launcher, era transport.Era, in *inbox) transport.Conn {
	t.Helper()
	i, err := l.Launch(t.Context(), runtime.Key{Server: "talkative", Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := i.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	c := i.Conn()
	c.Listen(in)
	_, err = transport.Handshake(t.Context(), c, transport.HandshakeOptions{
		ClientInfo:   json.RawMessage(`{"name":"test","version":"1"}`),
		Capabilities: json.RawMessage(`{"elicitation":{},"sampling":{},"roots":{}}`),
		Prefer:       era, Only: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(era transport.Era, method, params string) *transport.Message {
	p := json.RawMessage(params)
	if era == transport.Modern {
		p = transport.ModernMeta(p, transport.VersionModern, json.RawMessage(`{"name":"test","version":"1"}`), json.RawMessage(`{"elicitation":{}}`))
	}
	return &transport.Message{ID: json.RawMessage(`"a"`), Method: method, Params: p}
}

func TestProgressComesInOrderBeforeTheReply(t *testing.T) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		t.Run(era.String(), func(t *testing.T) {
			t.Parallel()
			const n = 5_000
			c := open(t, inproc.New(talkative(), nil), era, newInbox())
			got := 0
			related := transport.ReceiverFunc(func(_ context.Context, m *transport.Message) (*transport.Message, error) {
				v, _ := rawjson.Get(m.Params, "progress")
				if string(v) != fmt.Sprint(got) {
					t.Errorf("notification %d has progress %s", got, v)
				}
				got++
				return nil, nil
			})
			reply, err := c.Call(t.Context(), request(era, "tools/call", fmt.Sprintf(`{"name":"flood","arguments":{"n":%d},"_meta":{"progressToken":"p"}}`, n)), related)
			if err != nil {
				t.Fatal(err)
			}
			if got != n {
				t.Errorf("%d of %d notifications before the reply %s", got, n, reply.Result)
			}
			if !strings.Contains(string(reply.Result), "done") || string(reply.ID) != `"a"` {
				t.Errorf("reply %s: %s", reply.ID, reply.Result)
			}
		})
	}
}

func TestHandlersAskTheClientOfTheirCall(t *testing.T) {
	t.Parallel()
	c := open(t, inproc.New(talkative(), nil), transport.Legacy, newInbox())
	in := newInbox()
	in.answer = `{"action":"accept","content":{"name":"Ada"}}`
	reply, err := c.Call(t.Context(), request(transport.Legacy, "tools/call", `{"name":"ask"}`), in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(reply.Result), "accept map[name:Ada]") {
		t.Errorf("%s", reply.Result)
	}
	if len(in.got) != 1 || in.got[0].Method != "elicitation/create" {
		t.Errorf("related got %v", in.got)
	}
}

func TestCancelledCallReturnsAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, inproc.New(talkative(), nil), transport.Legacy, newInbox())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := c.Call(ctx, request(transport.Legacy, "tools/call", `{"name":"hang"}`), nil); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestPanicCostsItsCallAlone(t *testing.T) {
	t.Parallel()
	c := open(t, inproc.New(talkative(), nil), transport.Legacy, newInbox())
	reply, err := c.Call(t.Context(), request(transport.Legacy, "tools/call", `{"name":"panic"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Error == nil || strings.Contains(string(reply.Error), "cheese") {
		t.Errorf("%s %s", reply.Error, reply.Result)
	}
	if reply, err = c.Call(t.Context(), request(transport.Legacy, "ping", `{}`), nil); err != nil || reply.Error != nil {
		t.Errorf("ping: %v %v", reply, err)
	}
}

func TestListChangesReachTheListener(t *testing.T) {
	t.Parallel()
	in := newInbox()
	c := open(t, inproc.New(talkative(), nil), transport.Legacy, in)
	if _, err := c.Call(t.Context(), request(transport.Legacy, "tools/call", `{"name":"grow"}`), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-in.news:
		if m.Method != "notifications/tools/list_changed" {
			t.Errorf("got %s", m.Method)
		}
	case <-time.After(10 * time.Second):
		t.Error("no list_changed")
	}
}

func TestModernStreamOfNotifications(t *testing.T) {
	t.Parallel()
	c := open(t, inproc.New(talkative(), nil), transport.Modern, newInbox())
	in := newInbox()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, request(transport.Modern, "subscriptions/listen", `{"notifications":{"toolsListChanged":true}}`), in)
		ended <- err
	}()
	want := func(method string) {
		t.Helper()
		select {
		case m := <-in.news:
			id, _ := rawjson.Get(m.Params, "_meta", transport.MetaSubscription)
			if m.Method != method || string(id) != `"a"` {
				t.Errorf("got %s with %s, want %s of the subscription", m.Method, m.Params, method)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s", method)
		}
	}
	want("notifications/subscriptions/acknowledged")
	if _, err := c.Call(t.Context(), request(transport.Modern, "tools/call", `{"name":"grow"}`), nil); err != nil {
		t.Fatal(err)
	}
	want("notifications/tools/list_changed")
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}
