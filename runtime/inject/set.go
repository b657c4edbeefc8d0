package inject

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-mcp/gatehouse/internal/secretfile"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Bounds of values.
const (
	shortest = 8       // bytes of what is bound to a host; less cannot be told from other text
	longest  = 4 << 10 // and of what is bound to a host
	largest  = secretfile.Largest
	history  = 8 // values of one secret that are looked for in responses
)

// Set is what one instance is given. It is safe for concurrent use.
type Set struct {
	server string
	tell   *teller
	bound  []*bound
	env    map[string]string
	files  []File
	forms  chan struct{} // slots for bodies that are read

	mu      sync.Mutex // held while the matcher is made anew
	matcher atomic.Pointer[matcher]
}

// File is a file that the server reads.
type File struct {
	Path    string
	Content secrets.Value
	Secret  bool // the content is a secret, not a placeholder

	use runtime.SecretUse
}

// bound is a secret that is bound to hosts.
type bound struct {
	use         runtime.SecretUse
	placeholder string
	places      []place
	known       []string // what is looked for, the newest last
}

// New resolves what the Secrets of a Spec say for one instance, and makes its
// placeholders. tell is told what becomes of them, must not block, and may be
// nil. The Spec has passed [Check].
func New(ctx context.Context, spec runtime.Spec, tell func(runtime.Injection)) (*Set, error) {
	s := &Set{
		server: spec.Name, tell: newTeller(tell), env: map[string]string{},
		forms: make(chan struct{}, 8),
	}
	for _, u := range spec.Secrets {
		if len(u.Hosts) == 0 {
			v, found, err := u.Resolve(ctx)
			if err != nil {
				return nil, err
			}
			if !found {
				continue
			}
			if len(v.Reveal()) > largest {
				return nil, fmt.Errorf("secret %s has more than %d bytes", u.Name, largest)
			}
			s.give(u, u.File, v, true)
			continue
		}
		b := &bound{use: u}
		for _, h := range u.Hosts {
			p, err := parsePlace(h)
			if err != nil {
				return nil, fmt.Errorf("secret %s: host %s: %w", u.Name, h.Host, err)
			}
			b.places = append(b.places, p)
		}
		var err error
		if b.placeholder, err = placeholder(u.Placeholder); err != nil {
			return nil, fmt.Errorf("secret %s: %w", u.Name, err)
		}
		s.bound = append(s.bound, b)
		_, found, err := s.resolve(ctx, b)
		if err != nil {
			return nil, err
		}
		if !found {
			s.bound = s.bound[:len(s.bound)-1]
			continue
		}
		s.give(u, b.placeholder, secrets.Plain(b.placeholder), false)
	}
	return s, nil
}

// give has the server find a secret. A secret in a file has its path in the
// environment, a placeholder itself.
func (s *Set) give(u runtime.SecretUse, env string, content secrets.Value, secret bool) {
	if u.File != "" {
		s.files = append(s.files, File{u.File, content, secret, u})
	} else if secret {
		env = content.Reveal() // such a Spec did not come by way of runtime.Of
	}
	if u.Env != "" {
		s.env[u.Env] = env
	}
}

// placeholder makes one of a shape.
func placeholder(s string) (string, error) {
	head, n, err := shape(s)
	if err != nil {
		return "", err
	}
	b := []byte(head)
	random := make([]byte, 1)
	for len(b) < len(head)+n {
		_, _ = rand.Read(random) // it never fails
		if c := random[0] & 63; int(c) < len(letters) {
			b = append(b, letters[c])
		}
	}
	return string(b), nil
}

// Env returns the environment variables of the secrets: placeholders, paths of
// files, and values where nothing else was asked for.
func (s *Set) Env() map[string]string { return s.env }

// Files returns the files to make.
func (s *Set) Files() []File { return s.files }

// Hidden returns the values that the server has, by the names of files and
// variables, to be redacted in what it prints.
func (s *Set) Hidden() map[string]secrets.Value {
	out := map[string]secrets.Value{}
	if s == nil {
		return out
	}
	for _, f := range s.files {
		if f.Secret {
			out[f.Path] = f.Content
		}
	}
	return out
}

// Attach has a gate use the placeholders. Without any it changes nothing.
func (s *Set) Attach(a *egress.Attachment) {
	if len(s.bound) == 0 {
		return
	}
	for _, b := range s.bound {
		for _, p := range b.places {
			if entry := p.rule.String(); !slices.Contains(a.Terminate, entry) {
				a.Terminate = append(a.Terminate, entry)
			}
		}
	}
	a.Hooks = egress.Hooks{Request: s.request, Response: s.response}
}

// resolve returns the value of a bound secret now, and has it looked for in
// responses from now on. found is as that of [runtime.SecretUse.Resolve].
func (s *Set) resolve(ctx context.Context, b *bound) (value string, found bool, err error) {
	rec, u := &recorder{p: b.use.Source}, b.use
	u.Source = rec
	v, found, err := u.Resolve(ctx)
	if err != nil || !found {
		return "", false, err
	}
	value = v.Reveal()
	all := rec.got // without the text between them, which is no secret
	if len(all) == 0 {
		all = []string{value}
	}
	for _, one := range all {
		switch {
		case len(one) < shortest:
			return "", false, fmt.Errorf("secret %s cannot be bound to hosts: it, or a part of it, has fewer than %d bytes, and could not be found in what the hosts answer", b.use.Name, shortest)
		case len(one) > longest:
			return "", false, fmt.Errorf("secret %s cannot be bound to hosts: it has more than %d bytes", b.use.Name, longest)
		}
	}
	for _, p := range b.places {
		if p.header != "" && !fitsHeader(value) {
			return "", false, fmt.Errorf("secret %s cannot stand in the header %s: it has a character that is not allowed there, such as the end of a line", b.use.Name, p.header)
		}
	}
	s.remember(b, all)
	return value, true, nil
}

// recorder keeps what was resolved.
type recorder struct {
	p   secrets.Provider
	got []string
}

// Resolve implements [secrets.Provider].
func (r *recorder) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if r.p == nil {
		return secrets.Secret{}, fmt.Errorf("no secrets provider is configured: %w", secrets.ErrNotFound)
	}
	v, err := r.p.Resolve(ctx, ref)
	if err == nil {
		r.got = append(r.got, v.Reveal())
	}
	return v, err
}

// remember has values of a secret looked for.
func (s *Set) remember(b *bound, values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := false
	for _, v := range values {
		if !slices.Contains(b.known, v) {
			b.known = append(b.known, v)
			news = true
		}
	}
	if !news {
		return
	}
	var all [][]string
	var put []string
	for _, b := range s.bound {
		b.known = b.known[max(0, len(b.known)-history*(1+len(b.use.Value.Refs()))):]
		all, put = append(all, b.known), append(put, b.placeholder)
	}
	s.matcher.Store(newMatcher(all, put))
}

// target is where a request goes to.
func target(r *http.Request) (host string, port uint16) {
	host, p, err := net.SplitHostPort(r.URL.Host)
	if err != nil {
		return r.URL.Hostname(), 0
	}
	n, _ := strconv.ParseUint(p, 10, 16) // 0 matches nothing
	return host, uint16(n)
}

// at reports whether a secret is bound to a host, with whichever port.
func (b *bound) at(host string) bool {
	return slices.ContainsFunc(b.places, func(p place) bool { return p.rule.Name(host, p.port) })
}
