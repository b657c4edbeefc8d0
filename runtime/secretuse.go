package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// SecretUse says how a server is given one secret. From the strongest form to
// the weakest:
//
//   - With Hosts it never has it: Env and File hold a placeholder, and the
//     proxy of its network puts the value into its requests to those hosts.
//   - With File it reads the value in a file of memory, which it alone can
//     read, and which is rewritten within a minute when the value has changed;
//     Env, if named, holds the path of that file, as *_FILE variables do.
//   - With Env alone the value is in its environment, as if it stood in
//     [Spec.Env], and in the records of what starts it.
type SecretUse struct {
	// Name names the secret in errors and events; Value is what it is.
	Name  string        `json:"name"`
	Value secrets.Value `json:"value"`

	// Env is an environment variable, File an absolute path inside. At least
	// one of them is set.
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`

	// Hosts are where the value may go, and in which part of a request.
	// Each must be on the network allow-list too.
	Hosts []SecretHost `json:"hosts,omitempty"`

	// Placeholder is what the placeholder begins with, for servers that look
	// at their credentials, and "{N}" at its end how many random letters and
	// digits follow, 22 to 128, as in "ghp_{36}" ["ghplaceholder_{32}"].
	Placeholder string `json:"placeholder,omitempty"`

	// Optional has a server start without a secret that is missing; Env and
	// File are not there then.
	Optional bool `json:"optional,omitempty"`

	// Source resolves the references of Value, for Hosts anew with each
	// request. [Of] sets it to that of the key where it is nil.
	Source secrets.Provider `json:"-"`
}

// SecretHost is a host that a secret may be sent to, over verified TLS only,
// and the place where: in exactly one of Header, Basic, Query and Form.
type SecretHost struct {
	// Host is a name, or "*.suffix" for every name below suffix, with
	// ":PORT" where that is not 443.
	Host string `json:"host"`

	// Header is a header, in which the placeholder may have text around it
	// such as "Bearer " ["Authorization"].
	Header string `json:"header,omitempty"`

	// Basic is the Authorization of the scheme Basic; the placeholder is the
	// user name or the password, or a part of them.
	Basic bool `json:"basic,omitempty"`

	// Query is a parameter of the URL, Form a field of a body that is
	// application/x-www-form-urlencoded and has at most 1 MiB.
	Query string `json:"query,omitempty"`
	Form  string `json:"form,omitempty"`

	// Methods and Paths narrow the requests; nil: all. A path is whole, or
	// ends with "*" for all that begin so. Paths that servers may read in
	// different ways, such as those with "..", match none.
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
}

// Resolve returns the Value with its references replaced. found is false for
// one that is Optional and missing. The error of another names the secret and
// says how to set it.
func (u SecretUse) Resolve(ctx context.Context) (v secrets.Value, found bool, err error) {
	name := u.Env
	if name == "" {
		name = u.Name
	}
	v, err = u.Value.Resolve(secrets.WithKey(ctx, name), u.Source)
	switch {
	case err == nil:
		return v, true, nil
	case errors.Is(err, secrets.ErrNotFound) && u.Optional:
		return secrets.Value{}, false, nil
	case errors.Is(err, secrets.ErrNotFound):
		return secrets.Value{}, false, fmt.Errorf("secret %s is missing: set it in one of the gateway's sources of secrets, or make it optional: %w", u.Name, err)
	}
	return secrets.Value{}, false, fmt.Errorf("secret %s: %w", u.Name, err)
}

// settle resolves what of spec can be resolved before a driver sees it: the
// environment, and the secrets that are given in no other way.
func (s Spec) settle(ctx context.Context, p secrets.Provider) (Spec, error) {
	env := make(map[string]secrets.Value, len(s.Env)+len(s.Secrets))
	for name, v := range s.Env {
		r, err := v.Resolve(secrets.WithKey(ctx, name), p)
		if err != nil {
			return Spec{}, fmt.Errorf("resolving environment variable %s: %w", name, err)
		}
		env[name] = r
	}
	var rest []SecretUse
	for _, u := range s.Secrets {
		if u.Source == nil {
			u.Source = p
		}
		if len(u.Hosts) > 0 || u.File != "" || u.Env == "" {
			rest = append(rest, u) // the driver's, who also tells what is wrong with it
			continue
		}
		if _, taken := env[u.Env]; taken {
			return Spec{}, fmt.Errorf("secret %s: the environment variable %s is set twice", u.Name, u.Env)
		}
		v, found, err := u.Resolve(ctx)
		if err != nil {
			return Spec{}, err
		}
		if found {
			env[u.Env] = v
		}
	}
	s.Env, s.Secrets = env, rest
	return s, nil
}
