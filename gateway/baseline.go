package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
)

// Finding is a secret that the baseline's guard found in a message. It never
// holds the secret.
type Finding struct {
	Time      time.Time
	Server    string // empty where the message is of no single server
	Method    string
	Name      string // of the tool, prompt or resource, as the server knows it
	Session   string
	Subject   string // of the principal
	Direction string // "calls" or "results"
	Rule      string
	Path      string // in the params or the result, such as $.arguments.token
	Severity  string // "low", "medium" or "high"
	Action    string // what was done: "report", "redact" or "block"
}

// maxFindings is how many findings a status shows: the newest.
const maxFindings = 100

// findings keeps the newest findings.
type findings struct {
	mu    sync.Mutex
	ring  []Finding
	next  int
	total int64
}

func (f *findings) add(x Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	if len(f.ring) < maxFindings {
		f.ring = append(f.ring, x)
		return
	}
	f.ring[f.next] = x
	f.next = (f.next + 1) % maxFindings
}

// list returns what is kept, oldest first, and how many there were.
func (f *findings) list() ([]Finding, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Concat(f.ring[f.next:], f.ring[:f.next]), f.total
}

// baseline is what stands inside the host's interceptors. What it knows
// outlives a reload.
type baseline struct {
	mu    sync.Mutex
	guard *guard.Guard
	of    *guard.Options // what it was made of
	found findings
}

// complete returns the chain of a configuration: the host's interceptors,
// and inside them what of the baseline the host does not bring itself.
func (g *Gateway) complete(o *Options) ([]interceptor.Interceptor, error) {
	chain := slices.Clone(o.Interceptors)
	if o.WithoutBaseline {
		g.log.Warn("the gateway runs without its baseline: it does not look for secrets in messages (WithoutBaseline)")
		return chain, nil
	}
	if holds[*guard.Guard](chain) {
		return chain, nil
	}
	b := &g.baseline
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.guard == nil || b.of != o.Guard {
		var opts guard.Options
		if o.Guard != nil {
			opts = *o.Guard
		}
		report := opts.Report
		opts.Report = func(ctx context.Context, r guard.Report) {
			g.found(ctx, r)
			if report != nil {
				report(ctx, r)
			}
		}
		made, err := guard.New(&opts)
		if err != nil {
			return nil, err
		}
		b.guard, b.of = made, o.Guard
	}
	return append(chain, b.guard), nil
}

// holds reports whether an interceptor of a type is in a chain, or inside one
// that is.
func holds[T interceptor.Interceptor](is []interceptor.Interceptor) bool {
	return slices.ContainsFunc(is, func(i interceptor.Interceptor) bool {
		if _, ok := i.(T); ok {
			return true
		}
		w, ok := i.(interceptor.Wrapper)
		return ok && holds[T](w.Unwrap())
	})
}

// found tells of a finding of the baseline's guard.
func (g *Gateway) found(_ context.Context, r guard.Report) {
	f := Finding{
		Time: time.Now(), Server: r.Server, Method: r.Call.Method, Name: r.Name,
		Session: r.Call.Session().ID(), Subject: r.Call.Principal.Subject, Direction: string(r.Direction),
		Rule: r.Finding.Rule, Path: r.Finding.Path, Severity: r.Finding.Severity.String(), Action: r.Action.String(),
	}
	g.baseline.found.add(f)
	g.log.Warn("a secret was found in a message", "server", f.Server, "method", f.Method, "name", f.Name, "session", f.Session,
		"direction", f.Direction, "rule", f.Rule, "path", f.Path, "severity", f.Severity, "action", f.Action)
	if tell := g.snap.Load().opts.Events.Finding; tell != nil {
		tell(f)
	}
}
