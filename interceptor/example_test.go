package interceptor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
)

// server stands for the rest of the chain in the examples.
func server(_ context.Context, c *interceptor.Call) (*interceptor.Result, error) {
	fmt.Println("server:", string(c.Params))
	return &interceptor.Result{Raw: json.RawMessage(`{"content":[{"type":"text","text":"the password is hunter2"}]}`)}, nil
}

// send sends a tool call through a chain.
func send(h interceptor.Handler, params string) {
	res, err := h(context.Background(), &interceptor.Call{Method: "tools/call", Server: "sql", Name: "sql__query", Original: "query", Params: json.RawMessage(params)})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println("client:", string(res.Raw))
}

// The first listed is the outermost: it sees a request first and its result
// last.
func ExampleWrap() {
	step := func(name string) interceptor.Interceptor {
		return interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			fmt.Println(name, "sees the request")
			defer fmt.Println(name, "sees the result")
			return next(ctx, c)
		})
	}
	send(interceptor.Wrap(server, step("outer"), step("inner")), `{"name":"query"}`)
	// Output:
	// outer sees the request
	// inner sees the request
	// server: {"name":"query"}
	// inner sees the result
	// outer sees the result
	// client: {"content":[{"type":"text","text":"the password is hunter2"}]}
}

func ExampleBefore() {
	dropTable := regexp.MustCompile(`(?i)\bdrop\s+table\b`)
	noDrop := interceptor.Before(interceptor.ToolsCall,
		func(ctx context.Context, c *interceptor.Call, p *mcp.CallToolParams) error {
			if c.Server == "sql" && dropTable.MatchString(c.Arg("query").String()) {
				return interceptor.Denyf("DROP TABLE is not allowed here")
			}
			return nil
		})
	send(interceptor.Wrap(server, noDrop), `{"name":"query","arguments":{"query":"Drop Table users"}}`)
	// Output: error: DROP TABLE is not allowed here
}

func ExampleAfter() {
	password := regexp.MustCompile(`hunter\d`)
	redact := interceptor.After(interceptor.ToolsCall,
		func(ctx context.Context, c *interceptor.Call, r *mcp.CallToolResult) error {
			for i, item := range r.Content {
				if t, ok := item.(mcp.TextContent); ok {
					t.Text = password.ReplaceAllString(t.Text, "[redacted]")
					r.Content[i] = t
				}
			}
			return nil
		})
	send(interceptor.Wrap(server, redact), `{"name":"query"}`)
	// Output:
	// server: {"name":"query"}
	// client: {"content":[{"type":"text","text":"the password is [redacted]"}]}
}

func ExampleAround() {
	cached := interceptor.Around(interceptor.ToolsCall,
		func(ctx context.Context, c *interceptor.Call, p *mcp.CallToolParams, next func(context.Context, *mcp.CallToolParams) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
			if c.Arg("query").String() == "SELECT 1" {
				return mcp.NewToolResultText("1"), nil
			}
			return next(ctx, p)
		})
	send(interceptor.Wrap(server, cached), `{"name":"query","arguments":{"query":"SELECT 1"}}`)
	// Output: client: {"content":[{"type":"text","text":"1"}]}
}

func ExampleCall_SetArg() {
	limit := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		if n, ok := c.Arg("limit").Int64(); ok && n > 100 {
			if err := c.SetArg(100, "limit"); err != nil {
				return nil, err
			}
		}
		return next(ctx, c)
	})
	send(interceptor.Wrap(server, limit), `{"name":"query","arguments":{"limit":5000,"id":9007199254740993}}`)
	// Output:
	// server: {"name":"query","arguments":{"limit":100,"id":9007199254740993}}
	// client: {"content":[{"type":"text","text":"the password is hunter2"}]}
}

func ExampleWhen() {
	deny := interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		return nil, interceptor.Denyf("no writing")
	})
	h := interceptor.Wrap(server, interceptor.When(interceptor.Selector{Methods: []string{"tools/call"}, Names: []string{"write*"}}, deny))
	send(h, `{"name":"query"}`)
	// Output:
	// server: {"name":"query"}
	// client: {"content":[{"type":"text","text":"the password is hunter2"}]}
}

// Monitor shows what an interceptor would do before it does it.
func ExampleMonitor() {
	deny := interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		return nil, interceptor.Denyf("too secret")
	})
	reports := make(chan interceptor.Decision, 1)
	m := interceptor.Monitor(deny, func(_ context.Context, d interceptor.Decision) { reports <- d })
	send(interceptor.Wrap(server, m), `{"name":"query"}`)
	d := <-reports
	fmt.Printf("would have %s %s: %v\n", d.Outcome, d.Call.Name, d.Err)
	// Output:
	// server: {"name":"query"}
	// client: {"content":[{"type":"text","text":"the password is hunter2"}]}
	// would have denied sql__query: too secret
}

// A statistic that fails must not stop the work.
func ExampleContain() {
	broken := interceptor.Func(func(context.Context, *interceptor.Call, interceptor.Handler) (*interceptor.Result, error) {
		panic("the counter is broken")
	})
	open := interceptor.Contain(broken, interceptor.Bounds{
		Timeout: time.Second, FailOpen: true,
		Report: func(_ context.Context, c *interceptor.Call, err error) { fmt.Println("report:", err) },
	})
	send(interceptor.Wrap(server, open), `{"name":"query"}`)
	// Output:
	// report: interceptor.Func panicked: the counter is broken
	// server: {"name":"query"}
	// client: {"content":[{"type":"text","text":"the password is hunter2"}]}
}

// A vendor's own method is one more Method value.
func ExampleMethodOf() {
	type params struct {
		Level int `json:"level"`
	}
	vendor := interceptor.MethodOf[params, map[string]any]("vendor/boost", interceptor.FromClient)
	h := interceptor.Wrap(server, interceptor.Before(vendor, func(_ context.Context, _ *interceptor.Call, p *params) error {
		p.Level = min(p.Level, 3)
		return nil
	}))
	_, _ = h(context.Background(), &interceptor.Call{Method: "vendor/boost", Params: json.RawMessage(`{"level":11,"unknown":[1.0]}`)})
	// Output: server: {"level":3,"unknown":[1.0]}
}
