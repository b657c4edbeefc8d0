package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// rambler is a server on a pipe that answers a call of a tool with a line that
// is too long to be read, and then ends as if all was well.
type rambler struct {
	conn *transport.Stream
	exit chan runtime.Exit
}

func ramble(context.Context, runtime.Key) (runtime.Instance, error) {
	const limit = 64 << 10
	in, write := io.Pipe()
	read, out := io.Pipe()
	r := &rambler{transport.NewStream(read, write, &transport.StreamOptions{Limits: transport.Limits{Body: limit}}), make(chan runtime.Exit, 1)}
	go func() {
		defer close(r.exit)
		defer out.Close()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			var m struct {
				ID     json.RawMessage
				Method string
			}
			_ = json.Unmarshal(lines.Bytes(), &m)
			switch m.Method {
			case "initialize":
				_, _ = fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"r","version":"1"}}}`+"\n", m.ID)
			case "tools/list":
				_, _ = fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`+"\n", m.ID)
			case "tools/call":
				_, _ = fmt.Fprintln(out, strings.Repeat("x", 2*limit))
				r.exit <- runtime.Exit{Reason: runtime.Exited}
				return
			}
		}
	}()
	return r, nil
}

func (r *rambler) Conn() transport.Conn       { return r.conn }
func (r *rambler) Wait() <-chan runtime.Exit  { return r.exit }
func (r *rambler) Stop(context.Context) error { return r.conn.Close() }

// The caller is told what was wrong, not how the server ended after that.
func TestUnreadableServerIsNamed(t *testing.T) {
	t.Parallel()
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "r", Launcher: runtime.LauncherFunc(ramble)}}})
	p := legacyClient(t, gw, "{}", nil)
	reply, err := p.call(t.Context(), "tools/call", `{"name":"r__t"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(reply.Error) + string(reply.Result); !strings.Contains(got, "longer than the limit of 65536 bytes") {
		t.Errorf("the caller is told %s", got)
	}
}
