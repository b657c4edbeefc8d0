package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Direction is where a message goes, whoever began the exchange.
type Direction string

// The directions.
const (
	ToServer Direction = "calls"   // params of clients, and their answers to servers
	ToClient Direction = "results" // results and errors, notifications and questions of servers
)

// Options configures [New]. The zero value is the safe default.
type Options struct {
	// Scanner finds the secrets; nil: one with the built-in rules.
	Scanner *scan.Scanner

	// Calls and Results say what happens to messages on their way to a
	// server [scan.Block] and to a client [scan.Redact].
	Calls, Results scan.Action

	// Choices are exceptions; of those that match a finding the first
	// counts.
	Choices []Choice

	// Report is told of every finding. It must not block.
	Report func(context.Context, Report)
}

// Choice says what happens to some findings. Every field that is set must
// match.
type Choice struct {
	Calls     interceptor.Selector // by server, tool, method, principal, profile
	Direction Direction            // empty: both
	Rules     []string             // ids, in which * stands for any text; empty: all
	Action    scan.Action          // scan.Off passes without a report
}

// Report tells of a finding. It never holds the secret.
type Report struct {
	Call      *interceptor.Call // valid until Report returns
	Direction Direction
	Server    string // of an entry of a list, where the call names none
	Name      string // of the tool, prompt or resource, as the server knows it
	Finding   scan.Finding
	Action    scan.Action // what was done
}

// Guard is the interceptor. It is safe for concurrent use.
type Guard struct {
	o Options
}

var (
	_ interceptor.Interceptor = (*Guard)(nil)
	_ interceptor.ItemFilter  = (*Guard)(nil)
	_ interceptor.ListOnly    = (*Guard)(nil)
	_ interceptor.Learner     = (*Guard)(nil)
)

// New makes a guard. An error names what is wrong with the options.
func New(o *Options) (*Guard, error) {
	g := &Guard{}
	if o != nil {
		g.o = *o
		g.o.Choices = slices.Clone(o.Choices)
	}
	var errs []error
	for i, c := range g.o.Choices {
		if c.Action == scan.ActionDefault {
			errs = append(errs, fmt.Errorf("guard.Options: Choices[%d] names no Action", i))
		}
		if c.Direction != "" && c.Direction != ToServer && c.Direction != ToClient {
			errs = append(errs, fmt.Errorf("guard.Options: Choices[%d].Direction is %q: it is %q, %q or empty", i, c.Direction, ToServer, ToClient))
		}
		for _, r := range c.Rules {
			if _, err := path.Match(r, ""); err != nil {
				errs = append(errs, fmt.Errorf("guard.Options: Choices[%d].Rules: %q is no pattern: %w", i, r, err))
			}
		}
	}
	if g.o.Calls == scan.ActionDefault {
		g.o.Calls = scan.Block
	}
	if g.o.Results == scan.ActionDefault {
		g.o.Results = scan.Redact
	}
	if g.o.Scanner == nil {
		s, err := scan.New(nil)
		if err != nil {
			errs = append(errs, err)
		}
		g.o.Scanner = s
	}
	return g, errors.Join(errs...)
}

// Scanner returns the scanner, for others who look for the same secrets.
func (g *Guard) Scanner() *scan.Scanner { return g.o.Scanner }

// Learn implements [interceptor.Learner].
func (g *Guard) Learn(s secrets.Secret, keys ...string) { g.o.Scanner.Learn(s, keys...) }

// Intercept implements [interceptor.Interceptor].
func (g *Guard) Intercept(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
	there, back := ToServer, ToClient
	if c.Direction == interceptor.FromServer {
		there, back = back, there
	}
	if len(c.Params) > 0 {
		params, err := g.pass(ctx, c, there, c.Params)
		if err != nil {
			return nil, err
		}
		c.Params = params
	}
	res, err := next(ctx, c)
	if err != nil {
		return res, g.clean(ctx, c, back, err)
	}
	if res == nil || len(res.Raw) == 0 || isList(c.Method) {
		return res, nil
	}
	raw, err := g.pass(ctx, c, back, res.Raw)
	if err != nil {
		return nil, err
	}
	if len(raw) == len(res.Raw) && &raw[0] == &res.Raw[0] {
		return res, nil
	}
	return &interceptor.Result{Raw: raw}, nil
}

// isList tells the methods whose entries come to Item.
func isList(method string) bool {
	switch method {
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		return true
	}
	return false
}

// pass returns the message as it may go on, which is raw itself when nothing
// was found, or an error when it may not.
func (g *Guard) pass(ctx context.Context, c *interceptor.Call, d Direction, raw json.RawMessage) (json.RawMessage, error) {
	found := g.o.Scanner.ScanTool(nil, raw, c.Original)
	if len(found) == 0 {
		return raw, nil
	}
	redact, block := g.decide(ctx, c, d, c.Server, c.Original, found)
	if len(block) > 0 {
		return nil, g.denial(c, d, block)
	}
	if len(redact) > 0 {
		return g.o.Scanner.Redact(raw, redact), nil
	}
	return raw, nil
}

// decide sorts findings by what is to be done, and reports them.
func (g *Guard) decide(ctx context.Context, c *interceptor.Call, d Direction, server, name string, found []scan.Finding) (redact, block []scan.Finding) {
	for _, f := range found {
		action := g.action(c, d, f)
		switch action {
		case scan.Off:
			continue
		case scan.Redact:
			redact = append(redact, f)
		case scan.Block:
			block = append(block, f)
		}
		if g.o.Report != nil {
			g.o.Report(ctx, Report{Call: c, Direction: d, Server: server, Name: name, Finding: f, Action: action})
		}
	}
	return redact, block
}

// action is what is done about a finding: what the first choice that matches
// says, else the rule, else the direction.
func (g *Guard) action(c *interceptor.Call, d Direction, f scan.Finding) scan.Action {
	for i := range g.o.Choices {
		o := &g.o.Choices[i]
		if (o.Direction == "" || o.Direction == d) && (len(o.Rules) == 0 || matches(o.Rules, f.Rule)) && o.Calls.Matches(c) {
			return o.Action
		}
	}
	if f.Action != scan.ActionDefault {
		return f.Action
	}
	if d == ToServer {
		return g.o.Calls
	}
	return g.o.Results
}

// maxNamed is how many findings an error names.
const maxNamed = 5

// denial is the error of a blocked message: which rules, where, and what to
// do.
func (g *Guard) denial(c *interceptor.Call, d Direction, found []scan.Finding) error {
	var b strings.Builder
	if d == ToServer {
		b.WriteString("the message holds a secret and was not sent to the server: ")
	} else {
		b.WriteString("the server's message holds a secret and was withheld: ")
	}
	for i, f := range found {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(found)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s at %s", f.Rule, f.Path)
	}
	if d == ToServer {
		b.WriteString(". Leave it out: credentials of servers belong into the gateway's configuration. If it is none, the operator can allow it by the rule's name")
	} else {
		b.WriteString(". The operator can have it redacted instead, or allow it by the rule's name")
	}
	return interceptor.Denyf("%s", b.String())
}

// clean takes secrets out of an error.
func (g *Guard) clean(ctx context.Context, c *interceptor.Call, d Direction, err error) error {
	if denied := (*interceptor.Denial)(nil); errors.As(err, &denied) {
		reason, data, found := g.cleanText(ctx, c, d, denied.Reason, denied.Data)
		if !found {
			return err
		}
		return &interceptor.Denial{Reason: reason, Data: data}
	}
	if rpc := (*transport.RPCError)(nil); errors.As(err, &rpc) {
		text, data, found := g.cleanText(ctx, c, d, rpc.Message, rpc.Data)
		if !found {
			return err
		}
		e := *rpc
		e.Message, e.Data = text, data
		return &e
	}
	return err
}

// cleanText redacts the parts of an error: an error cannot be blocked, so what
// would be is redacted.
func (g *Guard) cleanText(ctx context.Context, c *interceptor.Call, d Direction, text string, data json.RawMessage) (string, json.RawMessage, bool) {
	s := g.o.Scanner
	found := false
	whole := json.RawMessage(rawjson.Quote(text))
	for _, raw := range []*json.RawMessage{&whole, &data} {
		if len(*raw) == 0 {
			continue
		}
		redact, block := g.decide(ctx, c, d, c.Server, c.Original, s.ScanTool(nil, *raw, c.Original))
		if redact = append(redact, block...); len(redact) > 0 {
			*raw = s.Redact(*raw, redact)
			found = true
		}
	}
	if found {
		text, _ = rawjson.String(whole)
	}
	return text, data, found
}

// View implements [interceptor.ItemFilter]. Choices may look at anything in
// the call.
func (g *Guard) View(*interceptor.Call) string {
	if len(g.o.Choices) > 0 {
		return ""
	}
	return "guard"
}

// ListOnly implements [interceptor.ListOnly]: what is not shown because its
// name holds a secret can be used by who knows it.
func (g *Guard) ListOnly() bool { return true }

// Item implements [interceptor.ItemFilter].
func (g *Guard) Item(ctx context.Context, c *interceptor.Call, i *interceptor.Item) error {
	found := g.o.Scanner.ScanTool(nil, i.Raw, i.Original)
	if len(found) == 0 {
		return nil
	}
	of := *c
	of.Server, of.Name, of.Original = i.Server, i.Name, i.Original
	redact, block := g.decide(ctx, &of, ToClient, i.Server, i.Original, found)
	if len(block) > 0 {
		i.Drop()
		return nil
	}
	if len(redact) == 0 {
		return nil
	}
	raw := g.o.Scanner.Redact(i.Raw, redact)
	for _, key := range [...]string{"name", "uri", "uriTemplate"} {
		was, _ := rawjson.Get(i.Raw, key)
		if is, _ := rawjson.Get(raw, key); string(is) != string(was) {
			i.Drop()
			return nil
		}
	}
	i.Raw = raw
	return nil
}

// matches reports whether one of the patterns matches a rule's id.
func matches(patterns []string, rule string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, rule) // checked by New
		return ok
	})
}
