package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
)

// noDrop denies calls by what they ask for. The model reads the reason and can
// act on it.
func noDrop() interceptor.Interceptor {
	dropTable := regexp.MustCompile(`(?i)\bdrop\s+table\b`)
	return interceptor.Before(interceptor.ToolsCall,
		func(_ context.Context, c *interceptor.Call, _ *mcp.CallToolParams) error {
			if dropTable.MatchString(c.Arg("query").String()) {
				return interceptor.Denyf("DROP TABLE is not allowed here")
			}
			return nil
		})
}

// hideEmail changes results. What it does not change stays as the server sent
// it, byte for byte.
func hideEmail() interceptor.Interceptor {
	email := regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`)
	return interceptor.After(interceptor.ToolsCall,
		func(_ context.Context, _ *interceptor.Call, r *mcp.CallToolResult) error {
			for i, content := range r.Content {
				if text, ok := content.(mcp.TextContent); ok {
					text.Text = email.ReplaceAllString(text.Text, "[email]")
					r.Content[i] = text
				}
			}
			return nil
		})
}

// audit writes a line for every request of a tool: a Func sees all methods in
// both directions, and passes on what it does not care about.
func audit(w io.Writer) interceptor.Interceptor {
	var mu sync.Mutex
	return interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		if c.Method != interceptor.ToolsCall.Name() {
			return next(ctx, c)
		}
		result, err := next(ctx, c)
		outcome := "done"
		if denial := new(interceptor.Denial); errors.As(err, &denial) {
			outcome = "denied: " + denial.Reason
		} else if err != nil {
			outcome = "failed"
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "audit: %s called %s of %s: %s\n", c.Principal, c.Original, c.Server, outcome)
		return result, err
	})
}

// noStar is a rule that is not in force yet: Monitor reports what it would
// deny.
func noStar() interceptor.Interceptor {
	star := regexp.MustCompile(`(?i)\bselect\s+\*`)
	return interceptor.Before(interceptor.ToolsCall,
		func(_ context.Context, c *interceptor.Call, _ *mcp.CallToolParams) error {
			if star.MatchString(c.Arg("query").String()) {
				return interceptor.Denyf("name the columns instead of *")
			}
			return nil
		})
}

// trial gathers what Monitor reports.
type trial struct {
	mu       sync.Mutex
	reported []string
}

// report is called from goroutines of Monitor.
func (t *trial) report(_ context.Context, d interceptor.Decision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reported = append(t.reported, fmt.Sprintf("monitor: %s would be %s: %v", d.Call.Name, d.Outcome, d.Err))
}

func (t *trial) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.reported)
}
