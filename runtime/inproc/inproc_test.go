package inproc_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func TestLauncher(t *testing.T) {
	runtimetest.Launcher(t, runtimetest.LauncherConfig{
		Launcher: inproc.New(newServer(nil), nil),
		Crash:    func(_ *testing.T, i runtime.Instance) { _ = i.Conn().Close() },
	})
}

func TestLauncherOfFunc(t *testing.T) {
	l := inproc.NewFunc(func(runtime.Key) (*server.MCPServer, error) { return newServer(nil), nil }, nil)
	runtimetest.Launcher(t, runtimetest.LauncherConfig{Launcher: l})
}

// handler is what the tool "do" of a test does; its text is the result.
type handler func(ctx context.Context, s *server.MCPServer) (string, error)

// newServer makes a server with all capabilities and two tools: "do", and
// "session", which tells the id of the session.
func newServer(do handler) *server.MCPServer {
	s := server.NewMCPServer("test", "1.0.0", server.WithToolCapabilities(true), server.WithResourceCapabilities(true, true),
		server.WithLogging(), server.WithElicitation(), server.WithRoots())
	s.EnableSampling()
	s.AddTool(mcp.NewTool("do"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		text, err := do(ctx, s)
		if err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(text), nil
	})
	s.AddTool(mcp.NewTool("session"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(server.ClientSessionFromContext(ctx).SessionID()), nil
	})
	return s
}

// inbox keeps what a server sends.
type inbox struct {
	answer string // to requests; empty: they are refused

	mu   sync.Mutex
	got  []*transport.Message
	wake chan struct{} // closed and made anew when something comes
}

func newInbox(answer string) *inbox { return &inbox{answer: answer, wake: make(chan struct{})} }

func (in *inbox) Receive(_ context.Context, m *transport.Message) (*transport.Message, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.got = append(in.got, m)
	close(in.wake)
	in.wake = make(chan struct{})
	switch {
	case !m.IsRequest():
		return nil, nil
	case in.answer == "":
		return nil, errors.New("the receiver's secret")
	}
	return m.Reply(json.RawMessage(in.answer)), nil
}

// methods lists what came so far.
func (in *inbox) methods() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all []string
	for _, m := range in.got {
		all = append(all, strings.TrimPrefix(m.Method, "notifications/"))
	}
	return strings.Join(all, " ")
}

// next waits for the message after the first n.
func (in *inbox) next(t *testing.T, n int) *transport.Message {
	t.Helper()
	for {
		in.mu.Lock()
		got, wake := in.got, in.wake
		in.mu.Unlock()
		if len(got) > n {
			return got[n]
		}
		select {
		case <-wake:
		case <-t.Context().Done():
			t.Fatalf("waited in vain for message %d", n)
		}
	}
}

// launch starts an instance that is stopped at the end of the test.
func launch(t *testing.T, l runtime.Launcher) runtime.Instance {
	t.Helper()
	i, err := l.Launch(t.Context(), runtime.Key{Server: "test", Attempt: 1})
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
	return i
}

// open launches an instance of s and does the handshake in an era.
func open(t *testing.T, s *server.MCPServer, era transport.Era, in transport.Receiver) transport.Conn {
	t.Helper()
	return greet(t, launch(t, inproc.New(s, nil)), era, in)
}

func greet(t *testing.T, i runtime.Instance, era transport.Era, in transport.Receiver) transport.Conn {
	t.Helper()
	c := i.Conn()
	c.Listen(in)
	_, err := transport.Handshake(t.Context(), c, transport.HandshakeOptions{
		ClientInfo:   json.RawMessage(`{"name":"test","version":"1"}`),
		Capabilities: json.RawMessage(`{"elicitation":{},"sampling":{},"roots":{}}`),
		Prefer:       era, Only: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request makes a request of an era, with the id "a".
func request(era transport.Era, method, params string) *transport.Message {
	p := json.RawMessage(params)
	if era == transport.Modern {
		p = transport.ModernMeta(p, transport.VersionModern, json.RawMessage(`{"name":"test","version":"1"}`), json.RawMessage(`{"elicitation":{}}`))
	}
	return &transport.Message{ID: json.RawMessage(`"a"`), Method: method, Params: p}
}

// do calls the tool "do" and returns its text, or its error.
func do(ctx context.Context, c transport.Conn, era transport.Era, related transport.Receiver) (string, error) {
	reply, err := c.Call(ctx, request(era, "tools/call", `{"name":"do"}`), related)
	if err != nil {
		return "", err
	}
	if reply.Error != nil {
		return "", transport.ParseRPCError(reply.Error)
	}
	var r struct{ Content []struct{ Text string } }
	if err := json.Unmarshal(reply.Result, &r); err != nil {
		return "", err
	}
	if string(reply.ID) != `"a"` || len(r.Content) != 1 {
		return "", errors.New("an odd reply: " + string(reply.ID) + " " + string(reply.Result))
	}
	return r.Content[0].Text, nil
}

// bubble runs f in a bubble of synctest for each era. It fails when f leaves a
// goroutine behind.
func bubble(t *testing.T, f func(t *testing.T, era transport.Era)) {
	t.Parallel()
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		t.Run(era.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, era) })
		})
	}
}
