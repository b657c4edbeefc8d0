package config

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
)

// guardKind is the interceptor that every gateway has: a file that names it
// sets it up. It is no kind of the program's.
const guardKind = "guard"

// guardOptions are its options.
type guardOptions struct {
	Calls   string            `enum:"block,redact,report,off" doc:"What happens to calls, and answers of clients, that carry a secret. Default: block."`
	Results string            `enum:"block,redact,report,off" doc:"What happens to secrets in what servers send. Default: redact."`
	Choices []guardChoice     `doc:"Exceptions; of those that match a finding the first counts."`
	Rules   map[string]string `doc:"What a rule of the scanner asks for, by its id: on, off, report, redact or block."`
	Files   []string          `doc:"Files of more rules, in TOML, as gitleaks has them. A relative path starts at the file's folder."`
	Allow   []guardAllow      `doc:"Findings that are none."`
}

type guardChoice struct {
	Servers    []string `doc:"Names of servers; * stands for any text."`
	Names      []string `doc:"Names of tools and prompts, URIs of resources; * stands for any text."`
	Methods    []string `doc:"Methods such as tools/call."`
	Principals []string `doc:"Subjects of callers."`
	Groups     []string `doc:"Groups of callers."`
	Profiles   []string `doc:"Profiles."`
	Direction  string   `enum:"calls,results" doc:"Which way the message goes. Default: both."`
	Rules      []string `doc:"Ids of rules; * stands for any text. Default: all."`
	Action     string   `required:"true" enum:"block,redact,report,off" doc:"What happens."`
}

type guardAllow struct {
	Rule   string `doc:"Id of a rule; * stands for any text."`
	Path   string `doc:"Place in the message, such as $.arguments.id; * stands for any text."`
	Tool   string `doc:"Name of a tool as its server knows it; * stands for any text."`
	SHA256 string `config:"sha256" doc:"SHA-256 of the value, 64 hex digits."`
}

// guard reads the options of the guard.
func (l *loader) guard(opts node) *guard.Options {
	var o guardOptions
	failed := l.dec.Failed()
	l.dec.Decode(opts, &o)
	for id := range o.Rules {
		if at := opts.Get("rules").Get(id); !l.dec.Faulty(at) {
			if _, err := action(o.Rules[id]); err != nil {
				l.dec.Fault(at, "%v", err)
			}
		}
	}
	for i := range o.Choices {
		for _, p := range o.Choices[i].Rules {
			if _, err := path.Match(p, ""); err != nil {
				l.dec.Fault(opts.Get("choices"), "%q is no pattern: %v", p, err)
			}
		}
	}
	if l.dec.Failed() > failed {
		return nil
	}
	v, err := l.drivers.get("interceptors guard "+opts.Digest(), func() (any, error) { return o.make(l.site) })
	if err != nil {
		l.dec.Fault(opts, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil
	}
	return v.(*guard.Options)
}

func (o *guardOptions) make(site Site) (*guard.Options, error) {
	s := &scan.Options{Settings: make(map[string]scan.Action)}
	for id, text := range o.Rules {
		s.Settings[id], _ = action(text)
	}
	for _, a := range o.Allow {
		s.Allow = append(s.Allow, scan.Allow(a))
	}
	var errs []error
	for _, name := range o.Files {
		rules, err := ruleFile(site.Path(name))
		if err != nil {
			errs = append(errs, err)
		}
		if s.Rules == nil {
			s.Rules = scan.Default()
		}
		s.Rules = append(s.Rules, rules...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	scanner, err := scan.New(s)
	if err != nil {
		return nil, err
	}
	g := &guard.Options{Scanner: scanner}
	g.Calls, _ = action(o.Calls)
	g.Results, _ = action(o.Results)
	for _, c := range o.Choices {
		a, _ := action(c.Action)
		g.Choices = append(g.Choices, guard.Choice{
			Calls: interceptor.Selector{
				Methods: c.Methods, Servers: c.Servers, Names: c.Names, Principals: c.Principals, Groups: c.Groups, Profiles: c.Profiles,
			},
			Direction: guard.Direction(c.Direction), Rules: c.Rules, Action: a,
		})
	}
	return g, nil
}

func action(text string) (a scan.Action, err error) {
	if text == "" {
		return scan.ActionDefault, nil
	}
	return a, a.UnmarshalText([]byte(text))
}

func ruleFile(name string) ([]scan.Rule, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rules, err := scan.ReadRules(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rules, nil
}
