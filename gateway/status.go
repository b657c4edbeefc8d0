package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// State says how a server or an instance is.
type State string

// The states.
const (
	Idle     State = "idle" // not needed at the moment
	Starting State = "starting"
	Running  State = "running"
	Failed   State = "failed" // the last start or instance failed; the next call tries again
	Stopped  State = "stopped"
)

// Status is what a gateway is doing: a copy that nobody changes.
type Status struct {
	ID, Name, Version string
	Started           time.Time
	Calls             int64 // since the start
	InFlight          int64
	Servers           []ServerStatus
	Sessions          []SessionStatus
	Findings          []Finding // of the baseline's guard, the newest 100, oldest first
	Found             int64     // all findings since the start
}

// ServerStatus is one server.
type ServerStatus struct {
	Name      string
	Prefix    string // of its tools' names; empty for the unprefixed one
	Scope     Scope
	State     State
	Error     string // of the last start or instance that failed
	Era       string // "legacy" or "modern"; empty before the first start
	Protocol  string
	Kind      string // how it is reached or confined, as its launcher says
	Calls     int64
	Warm      int // instances that wait to be used, beside Instances
	Instances []InstanceStatus
}

// InstanceStatus is one running copy of a server.
type InstanceStatus struct {
	ID        string
	Server    string
	State     State
	Principal string
	Session   string
	Started   time.Time
	Calls     int64
	Refused   []runtime.Refusal // connections that it was refused, the newest last
}

// SessionStatus is one session.
type SessionStatus struct {
	ID        string // not the credential that the client holds
	Principal string
	Client    interceptor.Client
	Era       string
	Opened    time.Time
	LastUsed  time.Time
	Calls     int64
}

// Status returns a snapshot of what the gateway is doing.
func (g *Gateway) Status() Status {
	snap := g.snap.Load()
	st := Status{ID: g.id, Name: snap.opts.Name, Version: snap.opts.Version, Started: g.started, Calls: g.calls.Load(), InFlight: g.inflight.Load()}
	st.Findings, st.Found = g.baseline.found.list()
	byServer := make(map[*server][]InstanceStatus)
	starting := make(map[*server]bool)
	g.pool.each(func(s *slot) {
		s.mu.Lock()
		inst := s.inst
		starting[s.key.srv] = starting[s.key.srv] || s.start != nil
		s.mu.Unlock()
		if inst == nil {
			return
		}
		is := InstanceStatus{ID: inst.id, Server: inst.srv.Name, State: Running, Started: inst.started, Calls: inst.calls.Load()}
		if inst.ended() {
			is.State = Stopped
		}
		if r, ok := inner(inst.run).(runtime.Refuser); ok {
			is.Refused = r.Refusals()
		}
		if s.sess != nil {
			is.Principal = s.sess.principal.String()
			is.Session = s.sess.label()
		}
		byServer[s.key.srv] = append(byServer[s.key.srv], is)
	})
	for _, srv := range snap.servers {
		ss := ServerStatus{Name: srv.Name, Prefix: srv.prefix, Scope: srv.Instance, Kind: describe(srv), Calls: srv.calls.Load(), Warm: g.pool.warmCount(srv), Instances: byServer[srv]}
		if srv.bare {
			ss.Prefix = ""
		}
		srv.mu.Lock()
		ss.Error = srv.lastErr
		if p := srv.peer; p != nil {
			ss.Era, ss.Protocol = p.Era.String(), p.Version
		}
		srv.mu.Unlock()
		switch {
		case len(ss.Instances) > 0:
			ss.State = Running
		case starting[srv]:
			ss.State = Starting
		case ss.Error != "":
			ss.State = Failed
		default:
			ss.State = Idle
		}
		slices.SortFunc(ss.Instances, func(a, b InstanceStatus) int { return a.Started.Compare(b.Started) })
		st.Servers = append(st.Servers, ss)
	}
	g.mu.Lock()
	sessions := make([]*session, 0, len(g.sessions)+len(g.modern))
	for s := range g.sessions {
		sessions = append(sessions, s)
	}
	for _, s := range g.modern {
		sessions = append(sessions, s)
	}
	g.mu.Unlock()
	for _, s := range sessions {
		c := s.clientNow()
		ss := SessionStatus{
			ID: s.label(), Principal: s.principal.String(), Client: c.Client, Era: c.era.String(),
			Opened: s.opened, LastUsed: time.Unix(0, s.lastUsed.Load()), Calls: s.calls.Load(),
		}
		st.Sessions = append(st.Sessions, ss)
	}
	slices.SortFunc(st.Sessions, func(a, b SessionStatus) int {
		return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	return st
}

// Usage asks the drivers what the running instances use, by the instances'
// ids; those whose driver does not know are missing. ctx bounds it.
func (g *Gateway) Usage(ctx context.Context) map[string]runtime.Usage {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := make(map[string]runtime.Usage)
	g.pool.each(func(s *slot) {
		s.mu.Lock()
		inst := s.inst
		s.mu.Unlock()
		if inst == nil {
			return
		}
		if m, ok := inner(inst.run).(runtime.Meter); ok {
			wg.Go(func() {
				if u, err := m.Usage(ctx); err == nil {
					mu.Lock()
					all[inst.id] = u
					mu.Unlock()
				}
			})
		}
	})
	wg.Wait()
	return all
}

// label names the session in logs and status; it is no credential.
func (s *session) label() string { return shortHash(s.id) + shortHash("label"+s.id) }

// describe says how a server is reached or confined.
func describe(srv *server) string {
	if d, ok := srv.Launcher.(interface{ Description() string }); ok {
		return d.Description()
	}
	return ""
}

// Restart stops all instances of a server, so that the next call starts a new
// one. Calls in flight on them end with an error.
func (g *Gateway) Restart(ctx context.Context, name string) error {
	srv := g.snap.Load().byName[name]
	if srv == nil {
		return transport.Errorf(transport.CodeInvalidParams, "there is no server %q", name)
	}
	g.pool.each(func(s *slot) {
		if s.key.srv == srv {
			s.restart()
		}
	})
	return ctx.Err()
}

func (g *Gateway) instanceEvent(e InstanceEvent) {
	if f := g.snap.Load().opts.Events.Instance; f != nil {
		f(e)
	}
}

func (g *Gateway) sessionEvent(e SessionEvent) {
	if f := g.snap.Load().opts.Events.Session; f != nil {
		f(e)
	}
}
