package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/mark3labs/mcp-go/mcp"
)

// The interceptors of the path ten. None changes anything, but some read what
// real ones would.

// pass is the least there can be.
func pass() interceptor.Interceptor {
	return interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		return next(ctx, c)
	})
}

// count counts the calls of tools.
func count() interceptor.Interceptor {
	var calls atomic.Int64
	return interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		if c.Method == "tools/call" && c.Server != "" {
			calls.Add(1)
		}
		return next(ctx, c)
	})
}

// argument reads one argument, as a rule on arguments does.
func argument() interceptor.Interceptor {
	return interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		if c.Method == "tools/call" && strings.HasPrefix(c.Arg("text").String(), "forbidden") {
			return nil, interceptor.Denyf("this text is forbidden")
		}
		return next(ctx, c)
	})
}

func typedBefore() interceptor.Interceptor {
	return interceptor.Before(interceptor.ToolsCall, func(_ context.Context, _ *interceptor.Call, p *mcp.CallToolParams) error {
		if p.Name == "" {
			return interceptor.Denyf("a call without a name")
		}
		return nil
	})
}

func typedAfter() interceptor.Interceptor {
	return interceptor.After(interceptor.ToolsCall, func(_ context.Context, _ *interceptor.Call, r *mcp.CallToolResult) error {
		if r.Content == nil && r.StructuredContent == nil {
			return interceptor.Denyf("a result without content")
		}
		return nil
	})
}

func typedAround() interceptor.Interceptor {
	return interceptor.Around(interceptor.ToolsCall,
		func(ctx context.Context, _ *interceptor.Call, p *mcp.CallToolParams, next func(context.Context, *mcp.CallToolParams) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
			return next(ctx, p)
		})
}

// other looks at another method than the one that is called.
func other() interceptor.Interceptor {
	return interceptor.Before(interceptor.PromptsGet, func(context.Context, *interceptor.Call, *mcp.GetPromptParams) error { return nil })
}

// tenInterceptors is the chain of the path ten.
func tenInterceptors() []interceptor.Interceptor {
	return []interceptor.Interceptor{
		pass(), count(), pass(), argument(), typedBefore(), pass(), other(), typedAfter(), typedAround(), pass(),
	}
}

// cost is what an interceptor alone costs.
type cost struct {
	Kind   string `json:"kind"` // "interceptor"
	Name   string `json:"name"`
	Nanos  figure `json:"nanosPerCall"`
	Bytes  int64  `json:"bytesPerCall"`
	Allocs int64  `json:"allocsPerCall"`
}

// measureChain measures interceptors around a handler that does nothing.
func measureChain(quick bool) []cost {
	text := string(rawjson.Quote(strings.Repeat("0123456789abcde ", 60)))
	params := json.RawMessage(`{"name":"bench__echo","arguments":{"text":` + text + `}}`)
	result := &interceptor.Result{Raw: json.RawMessage(`{"content":[{"type":"text","text":` + text + `}]}`)}
	handler := func(context.Context, *interceptor.Call) (*interceptor.Result, error) { return result, nil }
	var out []cost
	for _, x := range []struct {
		name  string
		chain []interceptor.Interceptor
	}{
		{"none", nil},
		{"untyped, passes on", []interceptor.Interceptor{pass()}},
		{"untyped, reads an argument", []interceptor.Interceptor{argument()}},
		{"typed, another method", []interceptor.Interceptor{other()}},
		{"typed Before", []interceptor.Interceptor{typedBefore()}},
		{"typed After", []interceptor.Interceptor{typedAfter()}},
		{"typed Around", []interceptor.Interceptor{typedAround()}},
		{"all ten", tenInterceptors()},
	} {
		h := interceptor.Wrap(handler, x.chain...)
		span := 200 * time.Millisecond
		if quick {
			span = 5 * time.Millisecond
		}
		c := timed(span, func() error {
			_, err := h(context.Background(), &interceptor.Call{Method: "tools/call", Server: "bench", Name: "bench__echo", Original: "echo", Params: params})
			return err
		})
		c.Name = x.name
		out = append(out, c)
	}
	return out
}
