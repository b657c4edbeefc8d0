package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// leak is something that every scanner knows, put together so that this file
// does not hold it.
var leak = "postgres://app:" + "Xk29sv7Qm3pL@db.internal:5432/app"

// leaky is a server that tells the secret it was given, and repeats what it
// is told.
func leaky(era transport.Era, own string) *testserver.Server {
	s := testserver.New("s", era).
		Tool("own", func(context.Context, *testserver.Call) (string, error) { return testserver.Text("it is " + own), nil }).
		Tool("leak", func(context.Context, *testserver.Call) (string, error) {
			return testserver.Text("use " + leak + " now"), nil
		}).
		Tool("n", number)
	s.BeforeStart = func(ctx context.Context, k runtime.Key) error {
		_, err := k.Secrets.Resolve(ctx, "OWN")
		return err
	}
	return s
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	const own = "Zq8-unlikely-w0rds-9xK"
	provider := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) { return secrets.NewSecret(own), nil })
	for _, era := range []transport.Era{transport.Legacy, transport.Modern} {
		var told []gateway.Finding
		gw := open(t, &gateway.Options{
			Secrets: provider,
			Servers: []gateway.Server{{Name: "s", Launcher: leaky(era, own)}},
			Events:  gateway.Events{Finding: func(f gateway.Finding) { told = append(told, f) }},
		})
		p := legacyClient(t, gw, "{}", nil)
		if got := textOf(p.must("tools/call", `{"name":"s__own"}`)); got != "it is [redacted:known-secret]" {
			t.Errorf("%s: its own secret: %s", era, got)
		}
		if got := textOf(p.must("tools/call", `{"name":"s__leak"}`)); strings.Contains(got, leak) || !strings.HasPrefix(got, "use ") || !strings.HasSuffix(got, " now") {
			t.Errorf("%s: another's: %s", era, got)
		}
		got := string(p.must("tools/call", `{"name":"s__n","arguments":{"deep":["`+leak+`"]}}`))
		if !strings.Contains(got, `"isError":true`) || !strings.Contains(got, "at $.arguments.deep[0]") || strings.Contains(got, leak) {
			t.Errorf("%s: a call with a secret: %s", era, got)
		}
		st := gw.Status()
		if len(told) != 3 || len(st.Findings) != 3 || st.Found != 3 {
			t.Fatalf("%s: told %+v, status %+v", era, told, st.Findings)
		}
		f := st.Findings[0]
		if f.Server != "s" || f.Method != "tools/call" || f.Name != "own" || f.Direction != "results" || f.Rule != "known-secret" || f.Path != "$.content[0].text" || f.Action != "redact" || f.Session == "" {
			t.Errorf("%s: %+v", era, f)
		}
		if st.Findings[2].Action != "block" || st.Findings[2].Direction != "calls" {
			t.Errorf("%s: %+v", era, st.Findings[2])
		}
	}
}

// TestBaselineIsReplaced by a guard of the host's, wherever it stands, and left
// out when the host says so.
func TestBaselineIsReplaced(t *testing.T) {
	t.Parallel()
	lax, err := guard.New(&guard.Options{Calls: scan.Report, Results: scan.Report})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]gateway.Options{
		"listed":  {Interceptors: []interceptor.Interceptor{lax}},
		"inside":  {Interceptors: []interceptor.Interceptor{interceptor.When(interceptor.Selector{Servers: []string{"none"}}, lax)}},
		"watched": {Interceptors: []interceptor.Interceptor{interceptor.Monitor(lax, nil)}},
		"without": {WithoutBaseline: true},
	} {
		o.Servers = []gateway.Server{{Name: "s", Launcher: testserver.New("s", transport.Legacy).
			Tool("leak", func(context.Context, *testserver.Call) (string, error) { return testserver.Text(leak), nil })}}
		gw := open(t, &o)
		p := legacyClient(t, gw, "{}", nil)
		if got := textOf(p.must("tools/call", `{"name":"s__leak","arguments":{"x":"`+leak+`"}}`)); got != leak {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestBaselineKeepsAnswers: answers that a client gives unasked reach a server
// of its own era, as they do without a guard, unless they hold a secret.
func TestBaselineKeepsAnswers(t *testing.T) {
	t.Parallel()
	s := testserver.New("s", transport.Modern).Tool("see", func(_ context.Context, c *testserver.Call) (string, error) {
		return testserver.Text(fmt.Sprint(strings.Contains(string(c.Params), "Alice"))), nil
	})
	gw := open(t, &gateway.Options{Servers: []gateway.Server{{Name: "s", Launcher: s}}})
	p := modernClient(t, gw, "{}")
	const params = `{"name":"s__see","inputResponses":{"user":{"action":"accept","content":{"name":"%s"}}}}`
	if got := textOf(p.must("tools/call", fmt.Sprintf(params, "Alice"))); got != "true" {
		t.Errorf("the server has seen the answer: %s", got)
	}
	if got := string(p.must("tools/call", fmt.Sprintf(params, "Alice of "+leak))); !strings.Contains(got, `"isError":true`) {
		t.Errorf("an answer with a secret: %s", got)
	}
}
