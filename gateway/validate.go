package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// prepare copies the options, fills in the defaults and reports every fault.
func (o *Options) prepare() (*Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	c.Servers = slices.Clone(c.Servers)
	c.Interceptors = slices.Clone(c.Interceptors)
	c.AllowedHosts = slices.Clone(c.AllowedHosts)
	c.AllowedOrigins = slices.Clone(c.AllowedOrigins)
	c.SealingKeys = slices.Clone(c.SealingKeys)
	if c.Name == "" {
		c.Name = "gatehouse"
	}
	if c.Version == "" {
		c.Version = version()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	names, prefixes := make(map[string]bool), make(map[string]string)
	for i := range c.Servers {
		s := &c.Servers[i]
		switch {
		case s.Name == "" || len(s.Name) > 128:
			fault("Servers[%d].Name %q: a server's name has 1 to 128 characters", i, s.Name)
			continue
		case names[s.Name]:
			fault("Servers[%d].Name %q stands twice: each server has a name of its own", i, s.Name)
			continue
		}
		names[s.Name] = true
		p := Prefix(s.Name)
		if other, taken := prefixes[p]; taken {
			fault("Servers[%d].Name %q has the same prefix %q as %q: rename one of them", i, s.Name, p, other)
		}
		prefixes[p] = s.Name
		if s.Launcher == nil {
			fault("Servers[%d] (%s) has no Launcher", i, s.Name)
		}
		switch s.Instance {
		case "":
			s.Instance = PerSession
		case PerSession, PerPrincipal, PerCall, Shared:
		default:
			fault("Servers[%d].Instance %q (%s) is none of session, principal, call, shared", i, s.Instance, s.Name)
		}
		if s.Eager && s.Instance != Shared {
			fault("Servers[%d].Eager (%s) needs Instance: shared, since no session exists at the start", i, s.Name)
		}
		if u, ok := s.Launcher.(runtime.Uniform); s.Warm != 0 && (!ok || !u.Uniform()) {
			fault("Servers[%d].Warm (%s) needs a launcher whose instances are the same for everyone, without volumes", i, s.Name)
		}
		switch {
		case s.Warm < 0:
			fault("Servers[%d].Warm (%s) is negative", i, s.Name)
		case s.Warm > 0 && s.Instance == Shared:
			fault("Servers[%d].Warm (%s) is for instances that come and go; for a shared one use Eager", i, s.Name)
		case s.Warm > 0 && s.MaxInstances > 0 && s.Warm > s.MaxInstances:
			fault("Servers[%d].Warm (%s) is more than MaxInstances", i, s.Name)
		}
		if s.Probe < 0 {
			fault("Servers[%d].Probe (%s) is negative", i, s.Name)
		}
		if s.MaxInstances < 0 {
			fault("Servers[%d].MaxInstances (%s) is negative", i, s.Name)
		}
		if s.StartTimeout < 0 {
			fault("Servers[%d].StartTimeout (%s) is negative", i, s.Name)
		}
	}
	if c.Unprefixed != "" && !names[c.Unprefixed] {
		fault("Unprefixed names %q, which is not among Servers", c.Unprefixed)
	}
	for i, ic := range c.Interceptors {
		if ic == nil {
			fault("Interceptors[%d] is nil", i)
		}
	}
	if c.Authenticator != nil && c.PublicURL == "" {
		fault("PublicURL is required with an Authenticator: it is the audience of tokens and never taken from a request")
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			fault("PublicURL %q is not an http or https URL with a host", c.PublicURL)
		}
	}
	for i, k := range c.SealingKeys {
		if n := len(k.Reveal()); n < 32 {
			fault("SealingKeys[%d] has %d bytes: at least 32 are needed", i, n)
		}
	}
	c.Limits.defaults(fault)
	c.Timeouts.defaults(fault)
	return &c, errors.Join(errs...)
}

func (l *Limits) defaults(fault func(string, ...any)) {
	d := Limits{
		Body: 16 << 20, Depth: 200, Line: 64 << 20, Reply: 64 << 20,
		Sessions: 10_000, PerPrincipal: 10_000, Streams: 16, Calls: 10_000, CallsPerSession: 1_000,
		Parked: 1_000, ParkedPerClient: 100, Resume: 1 << 20, ResumeTotal: 256 << 20, Queue: 4 << 20,
		Starts: 8, Instances: 1_000, Page: 1_000, Rounds: 32,
	}
	fill(reflect.ValueOf(l).Elem(), reflect.ValueOf(d), "Limits", false, fault)
}

func (t *Timeouts) defaults(fault func(string, ...any)) {
	d := Timeouts{
		Start: 30 * time.Second, List: 5 * time.Second, Grace: 10 * time.Minute, Fresh: 5 * time.Minute,
		Idle: 5 * time.Minute, SessionIdle: 30 * time.Minute, CallIdle: 5 * time.Minute,
		Parked: 10 * time.Minute, Ask: 10 * time.Minute, KeepAlive: 15 * time.Second, Header: 30 * time.Second,
	}
	fill(reflect.ValueOf(t).Elem(), reflect.ValueOf(d), "Timeouts", true, fault)
}

// fill puts the default in the place of zero. Only durations that say so may
// be negative.
func fill(v, d reflect.Value, name string, durations bool, fault func(string, ...any)) {
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		switch n := v.Field(i).Int(); {
		case n == 0:
			v.Field(i).SetInt(d.Field(i).Int())
		case n < 0 && !(durations && (field == "CallIdle" || field == "Idle")):
			fault("%s.%s is negative", name, field)
		}
	}
}

// changeable reports the fields that a reload cannot change.
func (o *Options) changeable(old *Options) error {
	var errs []error
	for _, f := range []struct {
		name string
		same bool
	}{
		{"Authenticator", sameValue(o.Authenticator, old.Authenticator)},
		{"AllowAnonymous", o.AllowAnonymous == old.AllowAnonymous},
		{"PublicURL", o.PublicURL == old.PublicURL},
		{"AllowedHosts", slices.Equal(o.AllowedHosts, old.AllowedHosts)},
		{"AllowedOrigins", slices.Equal(o.AllowedOrigins, old.AllowedOrigins)},
		{"Name", o.Name == old.Name}, {"Title", o.Title == old.Title}, {"Version", o.Version == old.Version},
		{"LegacySSE", o.LegacySSE == old.LegacySSE},
		{"SealingKeys", slices.EqualFunc(o.SealingKeys, old.SealingKeys, func(a, b secrets.Secret) bool { return a.Reveal() == b.Reveal() })},
	} {
		if !f.same {
			errs = append(errs, fmt.Errorf("%s cannot be changed while the gateway runs: start a new one", f.name))
		}
	}
	return errors.Join(errs...)
}

// sameValue compares interface values that may not be comparable: functions
// are the same when they are the same code.
func sameValue(a, b transport.Authenticator) bool {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if !va.IsValid() || !vb.IsValid() {
		return va.IsValid() == vb.IsValid()
	}
	if va.Type() != vb.Type() {
		return false
	}
	if va.Comparable() {
		return va.Equal(vb)
	}
	return va.Kind() == reflect.Func && va.Pointer() == vb.Pointer()
}

// http are the options of the HTTP front.
func (o *Options) http() *transport.HTTPOptions {
	return &transport.HTTPOptions{
		Authenticator: o.Authenticator, AllowAnonymous: o.AllowAnonymous, PublicURL: o.PublicURL,
		AllowedHosts: o.AllowedHosts, AllowedOrigins: o.AllowedOrigins,
		Limits:      transport.Limits{Body: o.Limits.Body, Depth: o.Limits.Depth},
		MaxSessions: o.Limits.Sessions, MaxSessionsPerPrincipal: o.Limits.PerPrincipal, MaxStreams: o.Limits.Streams,
		Resume: o.Limits.Resume, ResumeTotal: o.Limits.ResumeTotal, Queue: o.Limits.Queue,
		SessionIdle: o.Timeouts.SessionIdle, KeepAlive: o.Timeouts.KeepAlive,
		LegacySSE: o.LegacySSE, Logger: o.Logger,
	}
}

// version is the module's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		const module = "github.com/gatehouse-mcp/gatehouse"
		if info.Main.Path == module && info.Main.Version != "" {
			return info.Main.Version
		}
		for _, d := range info.Deps {
			if d.Path == module {
				return d.Version
			}
		}
	}
	return "devel"
}
