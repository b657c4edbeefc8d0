package admin

import (
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Status is [gateway.Status] as it travels.
type Status struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	PID      int       `json:"pid,omitempty"`
	URL      string    `json:"url,omitempty"` // of the MCP endpoint; empty on stdio
	Config   string    `json:"config,omitempty"`
	Started  time.Time `json:"started"`
	Calls    int64     `json:"calls"`
	InFlight int64     `json:"inFlight"`
	Servers  []Server  `json:"servers"`
	Sessions []Session `json:"sessions"`
	Findings []Finding `json:"findings"` // secrets in messages, the newest, oldest first
	Found    int64     `json:"found"`    // all since the start
}

// Finding is a secret that was found in a message.
type Finding struct {
	Time      time.Time `json:"time"`
	Server    string    `json:"server,omitempty"`
	Method    string    `json:"method"`
	Name      string    `json:"name,omitempty"` // of the tool, prompt or resource
	Session   string    `json:"session,omitempty"`
	Principal string    `json:"principal,omitempty"`
	Direction string    `json:"direction"` // "calls" or "results"
	Rule      string    `json:"rule"`
	Path      string    `json:"path"`
	Severity  string    `json:"severity"`
	Action    string    `json:"action"` // "report", "redact" or "block"
}

// Server is one server.
type Server struct {
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix,omitempty"`
	Scope     string     `json:"instance"`
	State     string     `json:"state"`
	Error     string     `json:"error,omitempty"`
	Era       string     `json:"era,omitempty"`
	Protocol  string     `json:"protocol,omitempty"`
	Kind      string     `json:"kind,omitempty"`
	Confined  string     `json:"confined,omitempty"`
	By        string     `json:"by,omitempty"` // how it is reached, or what confines it and why
	Calls     int64      `json:"calls"`
	Warm      int        `json:"warm,omitempty"` // started for whoever comes next
	Instances []Instance `json:"instances"`
}

// Instance is one running copy of a server.
type Instance struct {
	ID        string    `json:"id"`
	Server    string    `json:"server"`
	State     string    `json:"state"`
	Principal string    `json:"principal,omitempty"`
	Session   string    `json:"session,omitempty"`
	Started   time.Time `json:"started"`
	Calls     int64     `json:"calls"`
	Usage     *Usage    `json:"usage,omitempty"`   // where its runtime knows
	Refused   []string  `json:"refused,omitempty"` // connections, with the line that would allow each
}

// Usage is what an instance uses.
type Usage struct {
	CPU    float64 `json:"cpuSeconds"` // since its start
	Memory int64   `json:"memory"`     // bytes
	PIDs   int64   `json:"pids"`
}

// Session is one session of a client.
type Session struct {
	ID        string    `json:"id"`
	Principal string    `json:"principal"`
	Client    string    `json:"client,omitempty"` // as the client says
	Protocol  string    `json:"protocol,omitempty"`
	Era       string    `json:"era"`
	Opened    time.Time `json:"opened"`
	LastUsed  time.Time `json:"lastUsed"`
	Calls     int64     `json:"calls"`
}

// statusOf translates a status, with what its instances use.
func statusOf(g gateway.Status, used map[string]runtime.Usage) Status {
	st := Status{
		ID: g.ID, Name: g.Name, Version: g.Version, Started: g.Started, Calls: g.Calls, InFlight: g.InFlight,
		Servers: make([]Server, 0, len(g.Servers)), Sessions: make([]Session, 0, len(g.Sessions)),
		Findings: make([]Finding, 0, len(g.Findings)), Found: g.Found,
	}
	for _, f := range g.Findings {
		st.Findings = append(st.Findings, Finding{
			f.Time, f.Server, f.Method, f.Name, f.Session, f.Subject, f.Direction, f.Rule, f.Path, f.Severity, f.Action,
		})
	}
	for _, s := range g.Servers {
		srv := Server{
			Name: s.Name, Prefix: s.Prefix, Scope: string(s.Scope), State: string(s.State), Error: s.Error,
			Era: s.Era, Protocol: s.Protocol, Kind: s.Kind, By: s.Kind, Calls: s.Calls, Warm: s.Warm, Instances: make([]Instance, 0, len(s.Instances)),
		}
		for _, i := range s.Instances {
			inst := Instance{
				ID: i.ID, Server: i.Server, State: string(i.State), Principal: i.Principal, Session: i.Session,
				Started: i.Started, Calls: i.Calls,
			}
			if u, ok := used[i.ID]; ok {
				inst.Usage = &Usage{CPU: u.CPU.Seconds(), Memory: u.Memory, PIDs: u.PIDs}
			}
			for _, r := range i.Refused {
				inst.Refused = append(inst.Refused, r.String())
			}
			srv.Instances = append(srv.Instances, inst)
		}
		st.Servers = append(st.Servers, srv)
	}
	for _, s := range g.Sessions {
		client := s.Client.Name
		if s.Client.Version != "" {
			client += " " + s.Client.Version
		}
		st.Sessions = append(st.Sessions, Session{
			ID: s.ID, Principal: s.Principal, Client: client, Protocol: s.Client.ProtocolVersion, Era: s.Era,
			Opened: s.Opened, LastUsed: s.LastUsed, Calls: s.Calls,
		})
	}
	return st
}
