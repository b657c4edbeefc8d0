package testvault

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is a token that may do everything and never ends.
const Root = "root-of-the-test"

// Vault is a server. Its fields are set before it starts.
type Vault struct {
	RoleID, SecretID string        // of AppRole; a login needs both
	TokenTTL         time.Duration // of the tokens of AppRole [1 hour]
	TokenMax         time.Duration // how long renewals may stretch it [none]
	LeaseTTL         time.Duration // of dynamic credentials [1 hour]
	LeaseMax         time.Duration // [none]
	Namespace        string        // in which everything is; empty: the root

	mu       sync.Mutex
	health   int // what sys/health answers; 0: 200
	redirect string
	logins   int
	tokens   map[string]*life
	leases   map[string]*life
	denied   []string // paths that no token but Root may use
	kv2      map[string][]secretVersion
	kv1      map[string]map[string]any
	requests []string
	made     int
}

type life struct {
	began, ends time.Time // ends zero: never
	ttl, max    time.Duration
	renewable   bool
	token       string // that a lease dies with
}

func (l *life) lives() bool { return l != nil && (l.ends.IsZero() || time.Now().Before(l.ends)) }

// left is how long it lives, in seconds.
func (l *life) left() int64 {
	if l.ends.IsZero() {
		return 0
	}
	return int64(time.Until(l.ends).Round(time.Second) / time.Second)
}

// renew puts the end off.
func (l *life) renew(ttl time.Duration) {
	if l.ends = time.Now().Add(ttl); l.max > 0 && l.ends.After(l.began.Add(l.max)) {
		l.ends = l.began.Add(l.max)
	}
}

type secretVersion struct {
	data      map[string]any
	deletedAt string
}

// New makes a server that has nothing but the token Root.
func New() *Vault {
	return &Vault{
		tokens: map[string]*life{Root: {}}, leases: map[string]*life{},
		kv2: map[string][]secretVersion{}, kv1: map[string]map[string]any{},
	}
}

// Start serves over TLS until the end of the test, and returns the address and
// the file of the authority to trust.
func (v *Vault) Start(t testing.TB) (address, caFile string) {
	t.Helper()
	s := httptest.NewUnstartedServer(v)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are part of tests
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, authority(t, s)
}

// StartIn serves over TLS in memory: connections are made by dial. stop ends
// it, once the clients are closed.
func (v *Vault) StartIn(t testing.TB) (address, caFile string, dial func(context.Context, string, string) (net.Conn, error), stop func()) {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: v}}
	s.StartTLS()
	return "https://127.0.0.1:8200", authority(t, s), l.dial, s.Close
}

func authority(t testing.TB, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8200} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Put writes a new version of a secret of the second KV engine, MOUNT/PATH.
func (v *Vault) Put(path string, data map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kv2[path] = append(v.kv2[path], secretVersion{data: data})
}

// DeleteAt says when the last version of a secret is, or was, deleted.
func (v *Vault) DeleteAt(path string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.kv2[path]
	all[len(all)-1].deletedAt = at.UTC().Format(time.RFC3339Nano)
}

// PutV1 writes a secret of the first KV engine.
func (v *Vault) PutV1(path string, data map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kv1[path] = data
}

// Fields returns the fields of the last version of a secret.
func (v *Vault) Fields(path string) map[string]any {
	v.mu.Lock()
	defer v.mu.Unlock()
	if all := v.kv2[path]; len(all) > 0 {
		return all[len(all)-1].data
	}
	return v.kv1[path]
}

// NewToken makes a token.
func (v *Vault) NewToken(ttl, longest time.Duration, renewable bool) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.newToken(ttl, longest, renewable)
}

func (v *Vault) newToken(ttl, longest time.Duration, renewable bool) string {
	v.made++
	id := fmt.Sprintf("token-of-the-test-%d", v.made)
	now := time.Now()
	v.tokens[id] = &life{began: now, ends: now.Add(ttl), ttl: ttl, max: longest, renewable: renewable}
	return id
}

// RevokeTokens ends all tokens but Root.
func (v *Vault) RevokeTokens() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.tokens {
		if id != Root {
			v.revoke(id)
		}
	}
}

// revoke ends a token and its leases.
func (v *Vault) revoke(token string) {
	delete(v.tokens, token)
	for id, l := range v.leases {
		if l.token == token {
			delete(v.leases, id)
		}
	}
}

// RevokeLeases ends all leases.
func (v *Vault) RevokeLeases() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.leases)
}

// Deny keeps all tokens but Root from paths that begin so.
func (v *Vault) Deny(prefixes ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.denied = prefixes
}

// Health sets what sys/health answers: 429, 472, 473, 501 or 503 as it is
// documented; other requests get what a server in that state answers. 200 is
// a server that serves.
func (v *Vault) Health(code int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.health = code
}

// Redirect makes a standby of it that sends everybody elsewhere.
func (v *Vault) Redirect(address string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.redirect = address
}

// Requests returns what was asked for since the last call, METHOD PATH each.
func (v *Vault) Requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.requests
	v.requests = nil
	return r
}

// Logins returns how many logins succeeded.
func (v *Vault) Logins() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.logins
}

// Living returns how many tokens, beside Root, and leases live.
func (v *Vault) Living() (tokens, leases int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, l := range v.tokens {
		if id != Root && l.lives() {
			tokens++
		}
	}
	for _, l := range v.leases {
		if v.leaseLives(l) {
			leases++
		}
	}
	return tokens, leases
}

func (v *Vault) leaseLives(l *life) bool { return l.lives() && v.tokens[l.token].lives() }

// reply is the JSON of an answer.
type reply struct {
	RequestID     string         `json:"request_id"`
	LeaseID       string         `json:"lease_id"`
	Renewable     bool           `json:"renewable"`
	LeaseDuration int64          `json:"lease_duration"`
	Data          map[string]any `json:"data"`
	Auth          map[string]any `json:"auth"`
	Warnings      []string       `json:"warnings"`
}

// ServeHTTP implements [http.Handler].
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, r.Method+" "+path)
	if path == "sys/health" {
		w.WriteHeader(max(v.health, http.StatusOK))
		return
	}
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	code, a := v.serve(r, path, body)
	if code == http.StatusTemporaryRedirect {
		w.Header().Set("Location", v.redirect+r.URL.RequestURI())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(a)
	}
}

func fault(code int, says ...string) (int, any) {
	return code, map[string]any{"errors": append([]string{}, says...)}
}

func (v *Vault) serve(r *http.Request, path string, body map[string]any) (int, any) {
	switch v.health {
	case 0, http.StatusOK:
	case http.StatusServiceUnavailable:
		return fault(http.StatusServiceUnavailable, "Vault is sealed")
	case http.StatusNotImplemented:
		return fault(http.StatusBadRequest, "server is not yet initialized")
	case 472:
		return fault(http.StatusBadRequest, "path disabled in replication DR secondary mode")
	default:
		return fault(http.StatusInternalServerError, "local node not active but active cluster node not found")
	}
	if v.redirect != "" {
		return http.StatusTemporaryRedirect, nil
	}
	if r.Header.Get("X-Vault-Request") != "true" {
		return fault(http.StatusPreconditionFailed, "missing required request header")
	}
	if r.Header.Get("X-Vault-Namespace") != v.Namespace {
		return fault(http.StatusNotFound, "no handler for route")
	}
	if path == "auth/approle/login" {
		return v.login(body)
	}
	token := r.Header.Get("X-Vault-Token")
	t := v.tokens[token]
	if !t.lives() {
		return fault(http.StatusForbidden, "permission denied", "invalid token")
	}
	if token != Root && slices.ContainsFunc(v.denied, func(p string) bool { return strings.HasPrefix(path, p) }) {
		return fault(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	}
	switch path {
	case "auth/token/lookup-self":
		return http.StatusOK, reply{Data: map[string]any{"ttl": t.left(), "renewable": t.renewable}}
	case "auth/token/renew-self":
		if !t.renewable {
			return fault(http.StatusBadRequest, "lease is not renewable")
		}
		t.renew(t.ttl)
		return http.StatusOK, reply{Auth: map[string]any{"client_token": token, "lease_duration": t.left(), "renewable": true}}
	case "auth/token/revoke-self":
		v.revoke(token)
		return http.StatusNoContent, nil
	case "sys/leases/renew":
		return v.renewLease(body)
	case "sys/leases/revoke":
		id, _ := body["lease_id"].(string)
		delete(v.leases, id)
		return http.StatusNoContent, nil
	}
	switch mount, rest, _ := strings.Cut(path, "/"); {
	case mount == "database" && strings.HasPrefix(rest, "creds/"):
		return v.lend(token)
	case mount == "kv1":
		return v.serveKV1(r, path, body)
	}
	return v.serveKV2(r, path, body)
}

func (v *Vault) login(body map[string]any) (int, any) {
	if v.RoleID == "" || body["role_id"] != v.RoleID || body["secret_id"] != v.SecretID {
		return fault(http.StatusBadRequest, fmt.Sprint("invalid role or secret ID: ", body["secret_id"]))
	}
	v.logins++
	ttl := v.TokenTTL
	if ttl == 0 {
		ttl = time.Hour
	}
	id := v.newToken(ttl, v.TokenMax, true)
	return http.StatusOK, reply{Auth: map[string]any{"client_token": id, "lease_duration": v.tokens[id].left(), "renewable": true}}
}

// lend makes credentials.
func (v *Vault) lend(token string) (int, any) {
	v.made++
	ttl := v.LeaseTTL
	if ttl == 0 {
		ttl = time.Hour
	}
	now := time.Now()
	l := &life{began: now, ends: now.Add(ttl), max: v.LeaseMax, renewable: true, token: token}
	id := fmt.Sprintf("database/creds/app/%d", v.made)
	v.leases[id] = l
	return http.StatusOK, reply{
		LeaseID: id, LeaseDuration: l.left(), Renewable: true,
		Data: map[string]any{"username": fmt.Sprintf("user-%d", v.made), "password": fmt.Sprintf("password-%d", v.made)},
	}
}

func (v *Vault) renewLease(body map[string]any) (int, any) {
	id, _ := body["lease_id"].(string)
	l := v.leases[id]
	if l == nil || !v.leaseLives(l) {
		return fault(http.StatusBadRequest, "lease not found")
	}
	seconds, _ := body["increment"].(float64)
	l.renew(time.Duration(seconds) * time.Second)
	return http.StatusOK, reply{LeaseID: id, LeaseDuration: l.left(), Renewable: true}
}
