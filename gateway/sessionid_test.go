package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
)

// TestSessionIDsAreNoCredentials: what interceptors and events see of a
// session's id does not open it.
func TestSessionIDsAreNoCredentials(t *testing.T) {
	t.Parallel()
	var seen, event string
	gw := open(t, &gateway.Options{
		Interceptors: []interceptor.Interceptor{interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
			seen = c.Session().ID()
			return next(ctx, c)
		})},
		Events: gateway.Events{Session: func(e gateway.SessionEvent) { event = e.ID }},
	})
	ts := httptest.NewServer(gw)
	defer ts.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.URL, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	id := res.Header.Get("Mcp-Session-Id")
	if id == "" || seen == "" || event == "" {
		t.Fatalf("ids %q, %q, %q: %s", id, seen, event, res.Status)
	}
	if strings.Contains(seen, id) || strings.Contains(id, seen) || event != seen || gw.Status().Sessions[0].ID != seen {
		t.Errorf("the client holds %s, an interceptor sees %s, an event %s, the status %s", id, seen, event, gw.Status().Sessions[0].ID)
	}
}
