package gateway_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// A script that pipes its requests in and closes the pipe gets its answers.
func TestServeStdioAnswersWhatWasAskedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	a := testserver.New("a", transport.Legacy).Tool("echo", echo)
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}})
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a__echo","arguments":{"text":"piped"}}}
`)
	var out bytes.Buffer
	if err := gw.ServeStdio(t.Context(), in, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"id":1,"result"`) || !strings.Contains(got, `{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"piped"}]}}`) {
		t.Errorf("got %s", got)
	}
}
