package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

const (
	maxAnswer = 4 << 20
	maxShown  = 300 // of what a server says, in an error

	// patience is how young a token may be for its refusal to be believed
	// without a new login.
	patience = time.Second
)

// answer is what the API answers with.
type answer struct {
	LeaseID       string          `json:"lease_id"`
	LeaseDuration int64           `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
	Data          json.RawMessage `json:"data"`
	Auth          *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"`
		Renewable     bool   `json:"renewable"`
	} `json:"auth"`
	Errors []string `json:"errors"`
}

func seconds(n int64) time.Duration { return time.Duration(max(n, 0)) * time.Second }

// refusal is an answer that is none.
type refusal struct {
	host   string
	path   string
	status int
	says   string // by the server, without what it must not show
	data   json.RawMessage
	state  string // of the server, where that is why
}

func (r *refusal) Error() string {
	if r.state != "" {
		return fmt.Sprintf("vault at %s does not serve: %s", r.host, r.state)
	}
	says := ""
	if r.says != "" {
		says = ": " + r.says
	}
	switch r.status {
	case http.StatusForbidden:
		return fmt.Sprintf("vault at %s refuses %s (403%s): give the token a policy that allows it, or check the token", r.host, r.path, says)
	case http.StatusNotFound:
		return fmt.Sprintf("vault at %s has nothing at %s (404%s): is the engine mounted there, and the namespace right?", r.host, r.path, says)
	case http.StatusTooManyRequests:
		return fmt.Sprintf("vault at %s limits the rate of requests (429%s): ask less often, or raise its quota", r.host, says)
	}
	return fmt.Sprintf("vault at %s answers to %s with %d%s", r.host, r.path, r.status, says)
}

// absent reports whether an error says that there is nothing at a path of an
// engine, as opposed to no engine.
func absent(err error) (*refusal, bool) {
	var r *refusal
	ok := errors.As(err, &r) && r.status == http.StatusNotFound && r.says == ""
	return r, ok
}

// status returns the status of a refusal; 0 for every other error.
func status(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// do sends a request with a token. When that is refused, it logs in once more.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body any) (*answer, error) {
	a, _, err := c.doAs(ctx, method, path, query, body)
	return a, err
}

// doAs is do, and returns the token that did it.
func (c *Client) doAs(ctx context.Context, method, path string, query url.Values, body any) (*answer, *token, error) {
	t, err := c.login(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	a, err := c.send(ctx, t, method, path, query, body)
	if status(err) != http.StatusForbidden || time.Since(t.since) < patience {
		return a, t, err
	}
	again, lerr := c.login(ctx, t)
	switch {
	case lerr != nil:
		return nil, nil, fmt.Errorf("%w; a new login failed: %w", err, lerr)
	case again.value == t.value: // it is good, but not for this
		return nil, nil, err
	}
	a, err = c.send(ctx, again, method, path, query, body)
	return a, again, err
}

// send sends one request; t is nil for what needs no token.
func (c *Client) send(ctx context.Context, t *token, method, path string, query url.Values, body any) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, fmt.Errorf("it did not answer within %v", c.o.Timeout))
	defer cancel()
	code, a, err := c.exchange(ctx, t, method, path, query, body)
	if err != nil {
		return nil, err
	}
	if code/100 == 2 {
		return a, nil
	}
	r := &refusal{host: c.base.Host, path: path, status: code, says: c.hide(t, body, a.Errors), data: a.Data}
	if unwell(code) {
		r.state = c.state(ctx, code, r.says)
	}
	return nil, r
}

func (c *Client) exchange(ctx context.Context, t *token, method, path string, query url.Values, body any) (int, *answer, error) {
	fail := func(err error) (int, *answer, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		var untrusted *tls.CertificateVerificationError
		if errors.As(err, &untrusted) && c.o.CAFile == "" {
			err = fmt.Errorf("%w: name the file of its authority (CAFile)", err)
		}
		return 0, nil, fmt.Errorf("asking Vault at %s for %s: %w", c.base.Host, path, err)
	}
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fail(err)
		}
		in = bytes.NewReader(b)
	}
	u := *c.base
	u.RawPath = u.EscapedPath() + "/v1/" + path // path is escaped
	plain, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return fail(err)
	}
	u.Path, u.RawQuery = plain, query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), in)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("X-Vault-Request", "true") // an agent of Vault may ask for it
	if t != nil {
		req.Header.Set("X-Vault-Token", t.value)
	}
	if c.o.Namespace != "" && path != healthPath { // the state is that of the server
		req.Header.Set("X-Vault-Namespace", c.o.Namespace)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fail(err)
	}
	a := &answer{}
	if len(b) > maxAnswer || len(bytes.TrimSpace(b)) > 0 && json.Unmarshal(b, a) != nil { // the error may show what stands there
		if a = (&answer{}); resp.StatusCode/100 == 2 {
			return fail(errors.New("its answer is not the JSON of Vault's API: is the address right?"))
		}
	}
	return resp.StatusCode, a, nil
}

// hide makes one short line of what a server says, without what was sent.
func (c *Client) hide(t *token, body any, says []string) string {
	text := strings.Join(strings.Fields(strings.Join(says, "; ")), " ")
	if t != nil && t.value != "" {
		text = strings.ReplaceAll(text, t.value, secrets.Redacted)
	}
	if m, ok := body.(map[string]any); ok {
		for _, v := range m {
			if s, ok := v.(string); ok && len(s) >= 8 {
				text = strings.ReplaceAll(text, s, secrets.Redacted)
			}
		}
	}
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// unwell tells the answers that may have to do with the state of the server.
func unwell(code int) bool {
	return code == http.StatusTooManyRequests || code == drSecondary || code == performanceStandby || code >= 500
}

const healthPath = "sys/health"

// What sys/health answers with, beside what HTTP has names for.
const (
	drSecondary        = 472
	performanceStandby = 473
)

// states are the answers of sys/health
// (https://developer.hashicorp.com/vault/api-docs/system/health).
var states = map[int]string{
	http.StatusTooManyRequests:    "it is a standby that forwards nothing (429): use the address of the active node, or of the whole cluster",
	drSecondary:                   "it is the secondary of a cluster for disaster recovery, which serves nothing until it is promoted (472): use the address of the primary",
	performanceStandby:            "it is a performance standby that does not reach the active node (473): use the address of the active node, or of the whole cluster",
	http.StatusNotImplemented:     "it is not initialised (501): run its command operator init",
	http.StatusServiceUnavailable: "it is sealed (503): run its command operator unseal",
}

// state asks why a server answered with a code; empty when that is not for its
// state.
func (c *Client) state(ctx context.Context, code int, says string) string {
	health, _, err := c.exchange(ctx, nil, http.MethodGet, healthPath, nil, nil)
	if err == nil && health != http.StatusOK && states[health] != "" {
		return states[health]
	}
	switch {
	case err == nil && health == http.StatusOK && code != drSecondary && code != performanceStandby:
		return ""
	case code == http.StatusServiceUnavailable && !strings.Contains(says, "sealed"), code == http.StatusTooManyRequests:
		return ""
	}
	return states[code]
}
