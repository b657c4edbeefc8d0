package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// The rules of these tests find canaries and budgies.
const rules = `
[[rules]]
id = "canary"
description = "a canary"
keywords = ["canary-"]
regex = '''canary-[0-9]{8}'''

[[rules]]
id = "budgie"
description = "a budgie"
keywords = ["budgie-"]
regex = '''budgie-[0-9]{8}'''
severity = "low"
`

const (
	canary = "canary-12345678"
	budgie = "budgie-12345678"
)

// fixture is a guard with what it reported.
type fixture struct {
	*guard.Guard
	reports []string
}

func open(t *testing.T, o guard.Options) *fixture {
	t.Helper()
	rs, err := scan.ReadRules(strings.NewReader(rules))
	if err != nil {
		t.Fatal(err)
	}
	if o.Scanner == nil {
		if o.Scanner, err = scan.New(&scan.Options{Rules: rs}); err != nil {
			t.Fatal(err)
		}
	}
	f := new(fixture)
	o.Report = func(_ context.Context, r guard.Report) {
		f.reports = append(f.reports, fmt.Sprint(r.Direction, " ", r.Server, " ", r.Finding.Rule, " ", r.Finding.Path, " ", r.Action))
	}
	if f.Guard, err = guard.New(&o); err != nil {
		t.Fatal(err)
	}
	return f
}

// run passes a call through the guard; the server sees what seen gets, and
// answers.
func (f *fixture) run(t *testing.T, c *interceptor.Call, answer string, fails error) (result, seen string, err error) {
	t.Helper()
	seen = "nothing"
	res, err := interceptor.Wrap(func(_ context.Context, c *interceptor.Call) (*interceptor.Result, error) {
		seen = string(c.Params)
		if fails != nil {
			return nil, fails
		}
		return &interceptor.Result{Raw: json.RawMessage(answer)}, nil
	}, f)(t.Context(), c)
	if res != nil {
		result = string(res.Raw)
	}
	return result, seen, err
}

func call(params string) *interceptor.Call {
	return &interceptor.Call{Method: "tools/call", Server: "s", Name: "s__t", Original: "t", Params: json.RawMessage(params)}
}

func TestCallsAreBlocked(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{})
	_, seen, err := f.run(t, call(`{"name":"s__t","arguments":{"a":{"b":["x","`+canary+`"]}}}`), `{}`, nil)
	const want = "the message holds a secret and was not sent to the server: canary at $.arguments.a.b[1]."
	var d *interceptor.Denial
	if !errors.As(err, &d) || !strings.HasPrefix(d.Reason, want) || strings.Contains(d.Reason, canary) {
		t.Errorf("the client gets %v", err)
	}
	if seen != "nothing" {
		t.Errorf("the server sees %s", seen)
	}
	if got := strings.Join(f.reports, "; "); got != "calls s canary $.arguments.a.b[1] block" {
		t.Error(got)
	}
}

func TestResultsAreRedacted(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{})
	got, seen, err := f.run(t, call(`{"name":"s__t","arguments":{}}`),
		`{"content":[{"type":"text","text":"it is `+canary+`!"}],"structuredContent":{"n":12345678901234567890,"k":"`+canary+`"},"vendor":1.50}`, nil)
	if err != nil || seen != `{"name":"s__t","arguments":{}}` {
		t.Errorf("%v; the server sees %s", err, seen)
	}
	want := `{"content":[{"type":"text","text":"it is [redacted:canary]!"}],"structuredContent":{"n":12345678901234567890,"k":"[redacted:canary]"},"vendor":1.50}`
	if got != want {
		t.Errorf("the client sees %s", got)
	}
	if got := strings.Join(f.reports, "; "); got != "results s canary $.content[0].text redact; results s canary $.structuredContent.k redact" {
		t.Error(got)
	}
}

// TestEveryMessage: what carries data towards a server is blocked, what
// carries it towards a client is redacted, whatever the method.
func TestEveryMessage(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"tools/call", "prompts/get", "resources/read", "completion/complete", "initialize", "vendor/x", "tasks/result"} {
		f := open(t, guard.Options{})
		c := &interceptor.Call{Method: method, Params: json.RawMessage(`{"x":"` + canary + `"}`)}
		if _, seen, err := f.run(t, c, `{}`, nil); err == nil || seen != "nothing" {
			t.Errorf("%s with a secret: %v", method, err)
		}
		c.Params = json.RawMessage(`{}`)
		if got, _, err := f.run(t, c, `{"x":"`+canary+`"}`, nil); err != nil || got != `{"x":"[redacted:canary]"}` {
			t.Errorf("result of %s: %s, %v", method, got, err)
		}
	}
	for _, method := range []string{"elicitation/create", "sampling/createMessage", "notifications/message", "notifications/progress"} {
		f := open(t, guard.Options{})
		c := &interceptor.Call{Method: method, Direction: interceptor.FromServer, Params: json.RawMessage(`{"x":"` + canary + `"}`)}
		if _, seen, err := f.run(t, c, `{}`, nil); err != nil || seen != `{"x":"[redacted:canary]"}` {
			t.Errorf("%s: the client sees %s, %v", method, seen, err)
		}
		if got, _, err := f.run(t, c, `{"content":{"x":"`+canary+`"}}`, nil); err == nil || got != "" {
			t.Errorf("answer to %s: %s, %v", method, got, err)
		}
	}
}

func TestErrorsAreRedacted(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{Results: scan.Block})
	_, _, err := f.run(t, call(`{}`), "", &transport.RPCError{Code: 7, Message: "bad " + canary + " \"x\"", Data: json.RawMessage(`{"d":["` + canary + `"],"n":1.0}`)})
	var e *transport.RPCError
	if !errors.As(err, &e) || e.Code != 7 || e.Message != `bad [redacted:canary] "x"` || string(e.Data) != `{"d":["[redacted:canary]"],"n":1.0}` {
		t.Errorf("%+v", err)
	}
	_, _, err = f.run(t, call(`{}`), "", interceptor.Denyf("no %s", canary))
	if err == nil || err.Error() != "no [redacted:canary]" {
		t.Error(err)
	}
	plain := errors.New("an error of the gateway's own")
	if _, _, err = f.run(t, call(`{}`), "", plain); err != plain { //nolint:errorlint // it is passed on as it is
		t.Error(err)
	}
}

func TestChoices(t *testing.T) {
	t.Parallel()
	const params, result = `{"a":"` + canary + ` ` + budgie + `"}`, `{"r":"` + canary + ` ` + budgie + `"}`
	for _, c := range []struct {
		name             string
		o                guard.Options
		seen, got, fault string
	}{
		{"a rule passes in calls", guard.Options{Choices: []guard.Choice{{Direction: guard.ToServer, Rules: []string{"can*"}, Action: scan.Off}}},
			"nothing", "", "budgie at $.a."},
		{"redacted in calls too", guard.Options{Calls: scan.Redact},
			`{"a":"[redacted:canary] [redacted:budgie]"}`, `{"r":"[redacted:canary] [redacted:budgie]"}`, ""},
		{"another server", guard.Options{Choices: []guard.Choice{{Calls: interceptor.Selector{Servers: []string{"z"}}, Action: scan.Off}}},
			"nothing", "", "canary at $.a, budgie at $.a."},
		{"this tool", guard.Options{Choices: []guard.Choice{{Calls: interceptor.Selector{Servers: []string{"s"}, Names: []string{"t"}}, Action: scan.Report}}},
			params, result, ""},
		{"the first that matches", guard.Options{Choices: []guard.Choice{{Rules: []string{"budgie"}, Action: scan.Off}, {Action: scan.Redact}}},
			`{"a":"[redacted:canary] ` + budgie + `"}`, `{"r":"[redacted:canary] ` + budgie + `"}`, ""},
		{"results are withheld", guard.Options{Calls: scan.Report, Results: scan.Block},
			params, "", "the server's message holds a secret and was withheld: canary at $.r, budgie at $.r."},
	} {
		f := open(t, c.o)
		got, seen, err := f.run(t, call(params), result, nil)
		if got != c.got || seen != c.seen || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: the server sees %s, the client %s, %v", c.name, seen, got, err)
		}
	}
}

func TestRulesHaveTheirOwnAction(t *testing.T) {
	t.Parallel()
	rs, err := scan.ReadRules(strings.NewReader(rules))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scan.New(&scan.Options{Rules: rs, Settings: map[string]scan.Action{"budgie": scan.Report}})
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, guard.Options{Scanner: s})
	if _, seen, err := f.run(t, call(`{"a":"`+budgie+`"}`), `{}`, nil); err != nil || seen == "nothing" {
		t.Error(err)
	}
	if got := strings.Join(f.reports, "; "); got != "calls s budgie $.a report" {
		t.Error(got)
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{})
	item := func(raw string) (string, bool) {
		i := &interceptor.Item{Server: "s", Name: "s__t", Original: "t", Raw: json.RawMessage(raw)}
		if err := f.Item(t.Context(), &interceptor.Call{Method: "tools/list"}, i); err != nil {
			t.Fatal(err)
		}
		return string(i.Raw), i.Dropped()
	}
	if got, dropped := item(`{"name":"s__t","description":"use ` + canary + `"}`); dropped || got != `{"name":"s__t","description":"use [redacted:canary]"}` {
		t.Errorf("%s, %v", got, dropped)
	}
	if _, dropped := item(`{"uri":"db://` + canary + `@x","name":"n"}`); !dropped {
		t.Error("a URI with a secret is shown")
	}
	// The list itself is not scanned again with each request.
	got, _, err := f.run(t, &interceptor.Call{Method: "tools/list"}, `{"tools":[{"name":"`+canary+`"}]}`, nil)
	if err != nil || !strings.Contains(got, canary) {
		t.Errorf("%s, %v", got, err)
	}
	if f.View(&interceptor.Call{}) == "" || !f.ListOnly() {
		t.Error("a guard without choices shows the same to everyone and forbids nothing")
	}
	if g := open(t, guard.Options{Choices: []guard.Choice{{Action: scan.Off}}}); g.View(&interceptor.Call{}) != "" {
		t.Error("choices may look at the principal")
	}
}

func TestLearns(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{})
	const own = "Zq8-unlikely-w0rds-9xK"
	f.Learn(secrets.NewSecret(own), "API_KEY")
	got, _, err := f.run(t, call(`{}`), `{"content":[{"type":"text","text":"the key is `+own+`"}]}`, nil)
	if err != nil || got != `{"content":[{"type":"text","text":"the key is [redacted:known-secret]"}]}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	f := open(t, guard.Options{})
	decisions := make(chan interceptor.Decision, 1)
	m := interceptor.Monitor(f, func(_ context.Context, d interceptor.Decision) { decisions <- d })
	params := `{"a":"` + canary + `"}`
	var seen string
	_, err := interceptor.Wrap(func(_ context.Context, c *interceptor.Call) (*interceptor.Result, error) {
		seen = string(c.Params)
		return &interceptor.Result{Raw: json.RawMessage(`{}`)}, nil
	}, m)(t.Context(), call(params))
	if err != nil || seen != params {
		t.Errorf("the server sees %s, %v", seen, err)
	}
	if d := <-decisions; d.Outcome != interceptor.Denied {
		t.Errorf("%+v", d)
	}
}

func TestNewChecksItsOptions(t *testing.T) {
	t.Parallel()
	_, err := guard.New(&guard.Options{Choices: []guard.Choice{{}, {Direction: "sideways", Rules: []string{"["}, Action: scan.Off}}})
	for _, want := range []string{"Choices[0] names no Action", `Choices[1].Direction is "sideways"`, `Choices[1].Rules: "[" is no pattern`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}
