package transport

import (
	"net/http"
)

// Principal is who is calling, as an [Authenticator] found out. The zero
// value is anonymous.
//
// Two principals are the same when [Principal.Key] is: subject and issuer
// together, since a subject is unique only within its issuer (RFC 9068,
// section 5). All that outlives a request is bound to that key.
type Principal struct {
	Subject string // who; unique within Issuer
	Issuer  string // who says so
	Client  string // the OAuth client or the key that was used
	Groups  []string
	Scopes  []string
	// Claims is what else is known, decoded from JSON. It must not be
	// changed once the principal is in use.
	Claims map[string]any
}

// Anonymous reports whether nobody is known to be calling.
func (p Principal) Anonymous() bool { return p.Subject == "" && p.Issuer == "" }

// Key identifies the principal: equal for two requests of the same caller,
// different for any two callers. It is empty for the anonymous principal.
func (p Principal) Key() string {
	if p.Anonymous() {
		return ""
	}
	return p.Issuer + "\x00" + p.Subject
}

// ownerKey is [Principal.Key] for use in a map, without making a string.
type ownerKey struct{ issuer, subject string }

func (p *Principal) owner() ownerKey { return ownerKey{p.Issuer, p.Subject} }

// String names the principal for logs: the subject, or "anonymous".
func (p Principal) String() string {
	switch {
	case p.Anonymous():
		return "anonymous"
	case p.Issuer == "":
		return p.Subject
	}
	return p.Subject + "@" + p.Issuer
}

// Authenticator finds out who sent an HTTP request. It is asked for every
// request, also inside a session, and must not read the body. To refuse it
// returns an [*Error] with status 401 or 403 and the challenge in its header;
// any other error is answered with 401.
//
// Implementations are safe for concurrent use.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// AuthenticatorFunc makes an [Authenticator] of a function.
type AuthenticatorFunc func(r *http.Request) (Principal, error)

// Authenticate implements [Authenticator].
func (f AuthenticatorFunc) Authenticate(r *http.Request) (Principal, error) { return f(r) }
