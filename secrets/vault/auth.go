package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/safefile"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// Auth is a way to log in: [Token], [TokenFile] or [AppRole].
type Auth interface {
	check() error
	login(ctx context.Context, c *Client) (*token, error)
}

var (
	_ Auth = givenToken{}
	_ Auth = tokenFile("")
	_ Auth = AppRole{}
)

// token is what a login gave.
type token struct {
	span
	value string
	own   bool // made by our login, so that it is ours to revoke
}

// Token uses a token as it is.
func Token(s secrets.Secret) Auth { return givenToken{s} }

type givenToken struct{ s secrets.Secret }

func (g givenToken) check() error { return checkToken(g.s.Reveal()) }

func (g givenToken) login(ctx context.Context, c *Client) (*token, error) {
	return c.lookUp(ctx, g.s.Reveal())
}

func checkToken(value string) error {
	if value == "" {
		return errors.New("the token is empty")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the token holds a space or another character that no token has")
	}
	return nil
}

// TokenFile uses the token in a file, such as the sink of an agent, which is
// read at each login. Nobody beside its user and group may read it.
func TokenFile(path string) Auth { return tokenFile(path) }

type tokenFile string

func (f tokenFile) check() error {
	if f == "" {
		return errors.New("the path of the token's file is empty")
	}
	return nil
}

func (f tokenFile) login(ctx context.Context, c *Client) (*token, error) {
	value, err := readLine(string(f))
	if err == nil {
		err = checkToken(value)
	}
	if err != nil {
		return nil, fmt.Errorf("the token of Vault in %s: %w", string(f), err)
	}
	return c.lookUp(ctx, value)
}

func readLine(path string) (string, error) {
	b, err := safefile.Read(path, safefile.UserOrGroup)
	return strings.TrimSpace(string(b)), err
}

// lookUp asks how long a token lives.
func (c *Client) lookUp(ctx context.Context, value string) (*token, error) {
	t := &token{value: value}
	a, err := c.send(ctx, t, http.MethodGet, "auth/token/lookup-self", nil, nil)
	if status(err) == http.StatusForbidden {
		return nil, fmt.Errorf("vault at %s does not accept the token: it has ended or was revoked, or its policies lack auth/token/lookup-self", c.base.Host)
	}
	if err != nil {
		return nil, err
	}
	var d struct {
		TTL       int64 `json:"ttl"`
		Renewable bool  `json:"renewable"`
	}
	if json.Unmarshal(a.Data, &d) != nil {
		return nil, fmt.Errorf("what Vault at %s says of the token is not understood", c.base.Host)
	}
	t.begin(seconds(d.TTL), d.Renewable)
	return t, nil
}

// AppRole logs in as a machine does: with the id of a role and a secret id.
type AppRole struct {
	RoleID string

	// One of the two holds the secret id, unless the role needs none. The
	// file is read at each login.
	SecretID     secrets.Secret
	SecretIDFile string

	// Mount is where the method is mounted [approle].
	Mount string
}

func (r AppRole) check() error {
	switch {
	case r.RoleID == "":
		return errors.New("AppRole has no RoleID")
	case r.SecretID.Reveal() != "" && r.SecretIDFile != "":
		return errors.New("AppRole has a SecretID and a SecretIDFile: leave one out")
	}
	if _, err := escape(r.mount()); err != nil {
		return fmt.Errorf("AppRole: Mount: %w", err)
	}
	return nil
}

func (r AppRole) mount() string { return strings.Trim(cmp.Or(r.Mount, "approle"), "/") }

func (r AppRole) login(ctx context.Context, c *Client) (*token, error) {
	id := r.SecretID.Reveal()
	if r.SecretIDFile != "" {
		var err error
		if id, err = readLine(r.SecretIDFile); err != nil {
			return nil, fmt.Errorf("the secret id of AppRole: %w", err)
		}
	}
	body := map[string]any{"role_id": r.RoleID}
	if id != "" {
		body["secret_id"] = id
	}
	mount, err := escape(r.mount())
	if err != nil {
		return nil, err
	}
	a, err := c.send(ctx, nil, http.MethodPost, "auth/"+mount+"/login", nil, body)
	if s := status(err); s == http.StatusBadRequest || s == http.StatusForbidden {
		return nil, fmt.Errorf("vault at %s does not accept the login by AppRole: the role id or the secret id is wrong, has ended or was used up (%w)", c.base.Host, err)
	}
	if err != nil {
		return nil, err
	}
	if a.Auth == nil || checkToken(a.Auth.ClientToken) != nil {
		return nil, fmt.Errorf("the login by AppRole gave no token: is %s the address of Vault?", c.base.Host)
	}
	t := &token{value: a.Auth.ClientToken, own: true}
	t.begin(seconds(a.Auth.LeaseDuration), a.Auth.Renewable)
	return t, nil
}

// login returns the token, of which old is none; it logs in when there is no
// other. One caller does so for all.
func (c *Client) login(ctx context.Context, old *token) (*token, error) {
	select {
	case c.logins <- struct{}{}:
		defer func() { <-c.logins }()
	case <-ctx.Done():
		return nil, fmt.Errorf("logging in to Vault at %s: %w", c.base.Host, context.Cause(ctx))
	}
	c.mu.Lock()
	t, closed := c.token, c.closed
	c.mu.Unlock()
	if closed {
		return nil, c.isClosed()
	}
	if t != nil && t != old && (t.fresh() || !t.own && !t.over()) {
		return t, nil
	}
	before := t
	t, err := c.auth.login(ctx, c)
	if err != nil {
		return nil, err
	}
	if before != nil && before.value == t.value && !before.over() {
		return before, nil
	}
	c.mu.Lock()
	if closed = c.closed; !closed {
		c.token = t
	}
	c.mu.Unlock()
	if closed {
		c.retire(ctx, t)
		return nil, c.isClosed()
	}
	if before != nil {
		c.retire(ctx, before)
	}
	c.keep(&t.span, "the token", func(ctx context.Context) (time.Duration, error) {
		a, err := c.send(ctx, t, http.MethodPost, "auth/token/renew-self", nil, map[string]any{})
		if err != nil {
			return 0, err
		}
		if a.Auth == nil {
			return 0, errors.New("the answer is not understood")
		}
		return seconds(a.Auth.LeaseDuration), nil
	})
	return t, nil
}

func (c *Client) isClosed() error {
	return fmt.Errorf("the client of Vault at %s is closed", c.base.Host)
}

// retire revokes a token of ours that was replaced, unless leases live by it.
func (c *Client) retire(ctx context.Context, t *token) {
	c.mu.Lock()
	needed := false
	for _, l := range c.held {
		needed = needed || l.token == t && !l.over()
	}
	c.mu.Unlock()
	if !t.own || needed || t.over() {
		return
	}
	t.extend(0)
	_, _ = c.send(ctx, t, http.MethodPost, "auth/token/revoke-self", nil, nil) // it may be what was refused
}
