package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
)

// TestBigRepliesKeepTheirBytes: the memory of a reply is used again once it
// was written, and never before. With the race detector it is overwritten in
// between, so that a reader who comes too late is seen.
func TestBigRepliesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		id, _ := rawjson.Get(b, "id")
		result := `{}`
		switch method, _ := rawjson.Get(b, "method"); string(method) {
		case `"initialize"`:
			result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"big","version":"1"}}`
		case `"tools/list"`:
			result = `{"tools":[{"name":"big","inputSchema":{"type":"object"}}]}`
		case `"tools/call"`:
			text, _ := rawjson.Get(b, "params", "arguments", "text")
			// With all that the modern era asks for, so that it is passed on as it is.
			result = `{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}},"content":[{"type":"text","text":"` + strings.Repeat(strings.Trim(string(text), `"`), 6000) + `"}]}`
		}
		if id == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		body := `{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + result + `}`
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = io.WriteString(w, body)
	}))
	defer upstream.Close()

	var mu sync.Mutex
	kept := make(map[string]json.RawMessage) // by an interceptor, which may
	keep := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		res, err := next(ctx, c)
		if err == nil && c.Method == "tools/call" {
			mu.Lock()
			kept[c.Arg("text").String()] = res.Raw
			mu.Unlock()
		}
		return res, err
	})
	for name, chain := range map[string][]interceptor.Interceptor{"empty chain": nil, "keeping interceptor": {keep}} {
		gw := open(t, &gateway.Options{
			Servers:      []gateway.Server{{Name: "big", Launcher: remote.New(upstream.URL, nil), Instance: gateway.Shared}},
			Interceptors: chain,
		})
		front := httptest.NewServer(gw)
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				for n := range 30 {
					word := fmt.Sprintf("%d-%d;", c, n)
					got, err := modernCall(front.URL, word)
					if want := strings.Repeat(word, 6000); err != nil || !strings.Contains(got, `"text":"`+want+`"`) {
						t.Errorf("%s: %s: a reply of %d bytes, %v: %.60q…", name, word, len(got), err, got)
						return
					}
				}
			})
		}
		wg.Wait()
		front.Close()
	}
	for word, raw := range kept {
		if !strings.Contains(string(raw), strings.Repeat(word, 6000)) {
			t.Errorf("the interceptor's result for %s changed afterwards: %.80q…", word, raw)
		}
	}
	if len(kept) != 240 {
		t.Errorf("%d results were kept", len(kept))
	}
}

// modernCall calls the tool big__big over HTTP and returns the body.
func modernCall(url, word string) (string, error) {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big__big","arguments":{"text":"` + word + `"},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}`
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "big__big",
	} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
