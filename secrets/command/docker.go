package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// DockerOptions changes how [NewDocker] runs a program.
type DockerOptions struct {
	// Env is the environment of the program, as in [Options].
	Env map[string]secrets.Value

	// Timeout bounds one run [10 seconds].
	Timeout time.Duration
}

// Docker is a provider that speaks the protocol of docker-credential-*
// programs (https://github.com/docker/docker-credential-helpers). A reference
// is the URL or name that Docker calls a server, with #Username for the name
// of the user instead of the secret. It is safe for concurrent use.
type Docker struct{ p *program }

var (
	_ secrets.Provider = (*Docker)(nil)
	_ secrets.Lister   = (*Docker)(nil)
	_ secrets.Store    = (*Docker)(nil)
)

// What helpers print, on standard output, when they do not have a credential.
// It is part of the protocol.
const noCredentials = "credentials not found in native keychain"

// newUser is the user of a credential that Set makes; the protocol wants one.
const newUser = "gatehouse"

// NewDocker makes a provider of a helper, such as pass for
// docker-credential-pass, or the path of one.
func NewDocker(name string, o *DockerOptions) (*Docker, error) {
	if o == nil {
		o = new(DockerOptions)
	}
	if name != "" && base(name) == name && !strings.HasPrefix(name, "docker-credential-") {
		name = "docker-credential-" + name
	}
	p, err := newProgram(name, "", o.Env, o.Timeout)
	if err != nil {
		return nil, err
	}
	return &Docker{p}, nil
}

// credential is what the protocol says of one.
type credential struct{ ServerURL, Username, Secret string }

// get asks for a credential.
func (d *Docker) get(ctx context.Context, server string) (credential, error) {
	var c credential
	if err := checkPart(server, "", ""); err != nil || server == "" {
		return c, d.p.fault(fmt.Errorf("%q is no name of a server", server))
	}
	out, err := d.p.run(ctx, server, "get")
	var e *ended
	if errors.As(err, &e) && strings.Contains(string(e.output), noCredentials) {
		return c, d.p.fault(fmt.Errorf("it has no credentials for %s: store them with docker login, or by its command store: %w", server, secrets.ErrNotFound))
	}
	if err != nil {
		return c, err
	}
	if json.Unmarshal(out, &c) != nil { // its error may show what stands there
		return c, d.p.fault(errors.New("its answer is no JSON object with ServerURL, Username and Secret"))
	}
	return c, nil
}

// Resolve implements [secrets.Provider].
func (d *Docker) Resolve(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	server, field := ref.Cut()
	c, err := d.get(ctx, server)
	if err != nil {
		return secrets.Secret{}, err
	}
	switch strings.ToLower(field) {
	case "", "secret":
		return secrets.NewSecret(c.Secret), nil
	case "username":
		return secrets.NewSecret(c.Username), nil
	}
	return secrets.Secret{}, d.p.fault(fmt.Errorf("a credential has no field %s: use Username or Secret", field))
}

// List implements [secrets.Lister].
func (d *Docker) List(ctx context.Context) ([]secrets.Ref, error) {
	out, err := d.p.run(ctx, "", "list")
	if err != nil {
		return nil, err
	}
	var users map[string]string
	if json.Unmarshal(out, &users) != nil {
		return nil, d.p.fault(errors.New("its list is no JSON object of servers and users"))
	}
	refs := make([]secrets.Ref, 0, len(users))
	for server := range users {
		refs = append(refs, secrets.Ref(server))
	}
	slices.Sort(refs)
	return refs, nil
}

// Set implements [secrets.Store]. The user of a credential that is there is
// kept; a new one is of the user gatehouse.
func (d *Docker) Set(ctx context.Context, ref secrets.Ref, s secrets.Secret) error {
	server, err := whole(ref)
	if err != nil {
		return d.p.fault(err)
	}
	c, err := d.get(ctx, server)
	if err != nil && !errors.Is(err, secrets.ErrNotFound) {
		return err
	}
	if c.ServerURL = server; c.Username == "" {
		c.Username = newUser
	}
	c.Secret = s.Reveal()
	in, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = d.p.run(ctx, string(in), "store")
	return err
}

// Remove implements [secrets.Store].
func (d *Docker) Remove(ctx context.Context, ref secrets.Ref) error {
	server, err := whole(ref)
	if err != nil {
		return d.p.fault(err)
	}
	if _, err := d.get(ctx, server); err != nil {
		return err
	}
	_, err = d.p.run(ctx, server, "erase")
	return err
}

// whole refuses a reference to a part of a credential.
func whole(ref secrets.Ref) (string, error) {
	server, field := ref.Cut()
	if field != "" && !strings.EqualFold(field, "secret") {
		return "", fmt.Errorf("%s is not changed by itself: leave out the # and what follows", ref)
	}
	return server, nil
}
