package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// drops is a filter that takes one tool off the lists.
type drops struct {
	interceptor.Func
	tool string
	list bool // lists alone
}

func (d drops) View(*interceptor.Call) string { return "all" }
func (d drops) ListOnly() bool                { return d.list }
func (d drops) Item(_ context.Context, _ *interceptor.Call, i *interceptor.Item) error {
	if i.Original == d.tool {
		i.Drop()
	}
	return nil
}

// TestFiltersOfListsAlone: what such a filter drops can still be called, what
// others drop cannot.
func TestFiltersOfListsAlone(t *testing.T) {
	t.Parallel()
	pass := interceptor.Func(func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		return next(ctx, c)
	})
	for _, inside := range []bool{false, true} {
		for _, list := range []bool{false, true} {
			var f interceptor.Interceptor = drops{pass, "n", list}
			if inside {
				f = interceptor.When(interceptor.Selector{Servers: []string{"a"}}, f)
			}
			a := testserver.New("a", transport.Legacy).Tool("n", number).Tool("m", number)
			gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "a", Launcher: a}}, Interceptors: []interceptor.Interceptor{f}})
			p := legacyClient(t, gw, "{}", nil)
			if got := strings.Join(names2(p), " "); got != "a__m" {
				t.Errorf("tools %q", got)
			}
			if list {
				p.must("tools/call", `{"name":"a__n"}`)
			} else if e := p.fails("tools/call", `{"name":"a__n"}`); e.Message != `unknown tool "a__n"` {
				t.Error(e)
			}
		}
	}
}
