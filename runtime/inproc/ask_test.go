package inproc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

func elicitation() mcp.ElicitationRequest {
	return mcp.ElicitationRequest{Params: mcp.ElicitationParams{Message: "name?", RequestedSchema: map[string]any{"type": "object"}}}
}

// questions are what a handler may ask, with an answer and what comes of it.
var questions = []struct {
	method, answer, want string
	ask                  handler
}{
	{"elicitation/create", `{"action":"accept","content":{"name":"Ada"}}`, "accept map[name:Ada]",
		func(ctx context.Context, s *server.MCPServer) (string, error) {
			r, err := s.RequestElicitation(ctx, elicitation())
			if err != nil {
				return "", err
			}
			return fmt.Sprint(r.Action, " ", r.Content), nil
		}},
	{"sampling/createMessage", `{"role":"assistant","model":"m","content":{"type":"text","text":"hello"}}`, "hello of m",
		func(ctx context.Context, s *server.MCPServer) (string, error) {
			//lint:ignore SA1019 servers for legacy clients use it
			r, err := s.RequestSampling(ctx, mcp.CreateMessageRequest{CreateMessageParams: mcp.CreateMessageParams{MaxTokens: 1}})
			if err != nil {
				return "", err
			}
			return r.Content.(mcp.TextContent).Text + " of " + r.Model, nil
		}},
	{"roots/list", `{"roots":[{"uri":"file:///a","name":"A"}]}`, "[{file:///a A}]",
		func(ctx context.Context, s *server.MCPServer) (string, error) {
			r, err := s.RequestRoots(ctx, mcp.ListRootsRequest{})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("[{%s %s}]", r.Roots[0].URI, r.Roots[0].Name), nil
		}},
}

// What a handler asks goes to its call, after what it sent before.
func TestHandlersAskTheirCall(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				everything, in := newInbox(""), newInbox(q.answer)
				c := open(t, newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
					if err := progress(ctx, s, 1); err != nil {
						return "", err
					}
					return q.ask(ctx, s)
				}), transport.Legacy, everything)
				text, err := do(t.Context(), c, transport.Legacy, in)
				if err != nil || text != q.want {
					t.Errorf("got %q, %v, want %q", text, err, q.want)
				}
				if in.methods() != "progress "+q.method || everything.methods() != "" {
					t.Errorf("the call got %q, the listener %q", in.methods(), everything.methods())
				}
			})
		})
	}
}

// Without a receiver of the call, the listener is asked.
func TestHandlersAskTheListener(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in := newInbox(q.answer)
				c := open(t, newServer(q.ask), transport.Legacy, in)
				text, err := do(t.Context(), c, transport.Legacy, nil)
				if err != nil || text != q.want || in.methods() != q.method {
					t.Errorf("got %q, %v, want %q; the listener got %q", text, err, q.want, in.methods())
				}
			})
		})
	}
}

// A refusal reaches the handler, without the text of an inner error.
func TestRefusedQuestion(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := open(t, newServer(q.ask), transport.Legacy, newInbox(""))
				_, err := do(t.Context(), c, transport.Legacy, newInbox(""))
				if err == nil || !strings.Contains(err.Error(), "internal error") || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// What a handler left running asks nobody but the listener.
func TestQuestionAfterTheReply(t *testing.T) {
	t.Parallel()
	for _, q := range questions {
		t.Run(q.method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				replied, asked := make(chan struct{}), make(chan string)
				everything, in := newInbox(q.answer), newInbox(q.answer)
				c := open(t, newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
					go func() {
						<-replied
						text, err := q.ask(context.WithoutCancel(ctx), s)
						asked <- fmt.Sprint(text, err)
					}()
					return "done", nil
				}), transport.Legacy, everything)
				if _, err := do(t.Context(), c, transport.Legacy, in); err != nil {
					t.Fatal(err)
				}
				close(replied)
				if got := <-asked; got != q.want+"<nil>" || everything.methods() != q.method || in.methods() != "" {
					t.Errorf("got %s; the listener got %q, the call %q", got, everything.methods(), in.methods())
				}
			})
		})
	}
}

// Whoever gave up is not asked any more.
func TestQuestionOfACallThatWasGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan error, 1)
		everything, in := newInbox("{}"), newInbox("{}")
		c := open(t, newServer(func(ctx context.Context, s *server.MCPServer) (string, error) {
			<-ctx.Done()
			_, err := s.RequestElicitation(context.WithoutCancel(ctx), elicitation())
			_ = progress(ctx, s, 1) // for nobody
			asked <- err
			return "", err
		}), transport.Legacy, everything)
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error)
		go func() {
			_, err := do(ctx, c, transport.Legacy, in)
			returned <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-returned; !errors.Is(err, context.Canceled) {
			t.Errorf("the call returned %v", err)
		}
		if err := <-asked; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler got %v", err)
		}
		synctest.Wait()
		if everything.methods() != "" || in.methods() != "" {
			t.Errorf("the listener got %q, the call %q", everything.methods(), in.methods())
		}
	})
}

// A call that is cancelled takes its question with it.
func TestCancelledQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newServer(questions[0].ask), transport.Legacy, newInbox(""))
		asked, withdrawn := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		_, err := do(ctx, c, transport.Legacy, transport.ReceiverFunc(func(ctx context.Context, _ *transport.Message) (*transport.Message, error) {
			close(asked)
			<-ctx.Done()
			close(withdrawn)
			return nil, ctx.Err()
		}))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		<-withdrawn
	})
}

// A handler that returns what it needs is asked for again: mcp-go asks a
// legacy client itself, a modern one gets the result and calls again.
func TestInputRequired(t *testing.T) {
	bubble(t, func(t *testing.T, era transport.Era) {
		s := newServer(nil)
		s.AddTool(mcp.NewTool("greet"), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if a := server.ElicitationResponse(r.Params.InputResponses, "who"); a != nil {
				return mcp.NewToolResultText(fmt.Sprint("hello ", a.Content)), nil
			}
			return server.NewInputRequestBuilder("").Elicit("who", elicitation().Params).ToolResult(), nil
		})
		const answer = `{"action":"accept","content":{"name":"Ada"}}`
		c, in := open(t, s, era, newInbox("")), newInbox(answer)
		reply, err := c.Call(t.Context(), request(era, "tools/call", `{"name":"greet"}`), in)
		if err != nil {
			t.Fatal(err)
		}
		if era == transport.Modern {
			if in.methods() != "" || !strings.Contains(string(reply.Result), `"input_required"`) {
				t.Fatalf("the call got %q and the result %s", in.methods(), reply.Result)
			}
			reply, err = c.Call(t.Context(), request(era, "tools/call", `{"name":"greet","inputResponses":{"who":`+answer+`}}`), in)
			if err != nil {
				t.Fatal(err)
			}
		}
		var r mcp.CallToolResult
		if err := json.Unmarshal(reply.Result, &r); err != nil || r.Content[0].(mcp.TextContent).Text != "hello map[name:Ada]" {
			t.Errorf("%s %s, %v", reply.Result, reply.Error, err)
		}
	})
}
