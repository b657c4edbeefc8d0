// Package env takes secrets from environment variables.
//
//	p := env.New(os.LookupEnv, nil)
//	s, err := p.Resolve(ctx, "GITHUB_TOKEN")
//
// A reference is the name of a variable: ${GITHUB_TOKEN}, or
// secret://env/GITHUB_TOKEN. A variable that is set and empty is a secret that
// is empty. It is asked for each time; that a process cannot be given another
// environment while it runs is why values that are rotated live elsewhere.
//
// The package reads no environment itself: the caller says where variables
// come from. It tells no list of them, since nothing shows which are secrets.
package env

import (
	"context"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Options changes how [New] takes variables.
type Options struct {
	// Prefix stands before every name: with GATEHOUSE_, the reference TOKEN
	// is the variable GATEHOUSE_TOKEN, and nothing else can be asked for.
	Prefix string
}

// Environment is a provider of environment variables. It is safe for
// concurrent use if its lookup is.
type Environment struct {
	lookup func(name string) (value string, ok bool)
	o      Options
}

var _ secrets.Provider = (*Environment)(nil)

// New makes a provider of the variables that lookup finds, such as
// [os.LookupEnv].
func New(lookup func(name string) (value string, ok bool), o *Options) *Environment {
	e := &Environment{lookup: lookup}
	if o != nil {
		e.o = *o
	}
	return e
}

// Resolve implements [secrets.Provider].
func (e *Environment) Resolve(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	name := e.o.Prefix + string(ref)
	v, ok := e.lookup(name)
	if !ok {
		return secrets.Secret{}, fmt.Errorf("the environment variable %s is not set: %w", name, secrets.ErrNotFound)
	}
	return secrets.NewSecret(v), nil
}
