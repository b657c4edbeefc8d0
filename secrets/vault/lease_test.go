package vault_test

import (
	"bytes"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/testvault"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/vault"
)

func certificate(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

var role = vault.AppRole{RoleID: "role", SecretID: secrets.NewSecret("secret")}

// bubble runs a test in which time is in the test's hands, over TLS in memory.
func bubble(t *testing.T, v *testvault.Vault, auth vault.Auth, o vault.Options, f func(t *testing.T, c *vault.Client)) {
	t.Helper()
	v.RoleID, v.SecretID = "role", "secret"
	synctest.Test(t, func(t *testing.T) {
		address, ca, dial, stop := v.StartIn(t)
		defer stop()
		o.CAFile, o.Dial = ca, dial
		c, err := vault.New(address, auth, &o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f(t, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func resolve(t *testing.T, c *vault.Client, ref secrets.Ref) secrets.Secret {
	t.Helper()
	s, err := c.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func living(t *testing.T, v *testvault.Vault, tokens, leases int) {
	t.Helper()
	if a, b := v.Living(); a != tokens || b != leases {
		t.Errorf("%d tokens and %d leases live, not %d and %d", a, b, tokens, leases)
	}
}

// Credentials are the same for all fields of a path, are renewed for as long
// as they may live, and replaced then.
func TestLease(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.TokenTTL, v.LeaseTTL, v.LeaseMax = 24*time.Hour, time.Hour, 5*time.Hour
	bubble(t, v, role, vault.Options{Engine: "dynamic"}, func(t *testing.T, c *vault.Client) {
		const user, password = "database/creds/app#username", "database/creds/app#password"
		first := resolve(t, c, user)
		if d := time.Until(first.Expires()); d != time.Hour {
			t.Errorf("it ends in %v", d)
		}
		pair := func() string {
			a, b := resolve(t, c, user).Reveal(), resolve(t, c, password).Reveal()
			if strings.TrimPrefix(a, "user-") != strings.TrimPrefix(b, "password-") {
				t.Errorf("%s and %s do not fit", a, b)
			}
			return a
		}
		for range 9 { // past its first end, by renewals
			time.Sleep(30 * time.Minute)
			if got := pair(); got != first.Reveal() {
				t.Errorf("after %v it is %s", time.Since(first.Expires()), got)
			}
		}
		living(t, v, 1, 1)
		time.Sleep(25 * time.Minute) // nearly all that it may live is over
		if pair() == first.Reveal() {
			t.Error("it is handed out shortly before its end")
		}
		living(t, v, 1, 2) // who has the first one can still use it
		time.Sleep(10 * time.Minute)
		living(t, v, 1, 1)
	})
	living(t, v, 0, 0) // Close revokes what is left
}

// A cache asks again when a lease was renewed, and gets the same.
func TestLeaseInCache(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	bubble(t, v, role, vault.Options{Engine: "dynamic"}, func(t *testing.T, c *vault.Client) {
		cache := secrets.NewCache(c, &secrets.CacheOptions{TTL: 100 * time.Hour})
		var last time.Time
		for n := range 4 {
			s, err := cache.Resolve(t.Context(), "database/creds/app#username")
			if err != nil || s.Reveal() != "user-2" || !s.Expires().After(last) { // the token was made first
				t.Errorf("%d: %q until %v, %v", n, s.Reveal(), s.Expires(), err)
			}
			last = s.Expires()
			time.Sleep(time.Until(last))
		}
	})
}

// Leases that were revoked behind our back are noticed at the next renewal.
func TestRevokedLease(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	var log bytes.Buffer
	o := vault.Options{Engine: "dynamic", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	bubble(t, v, role, o, func(t *testing.T, c *vault.Client) {
		first := resolve(t, c, "database/creds/app#password").Reveal()
		v.RevokeLeases()
		time.Sleep(41 * time.Minute)
		if second := resolve(t, c, "database/creds/app#password").Reveal(); second == first {
			t.Error("a revoked credential is handed out")
		}
	})
	if text := log.String(); !strings.Contains(text, "the lease of database/creds/app of Vault: it was revoked") || strings.Contains(text, "password-") {
		t.Errorf("logged: %s", text)
	}
}

// Tokens are renewed; at the end of what one may live there is a new login.
func TestTokenRenewal(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.TokenTTL, v.TokenMax = time.Hour, 3*time.Hour
	v.Put("secret/app", map[string]any{"token": "value"})
	bubble(t, v, role, vault.Options{}, func(t *testing.T, c *vault.Client) {
		for range 5 {
			want(t, c, "app#token", "value", "", false)
			time.Sleep(34 * time.Minute)
		}
		if v.Logins() != 1 {
			t.Errorf("%d logins", v.Logins())
		}
		time.Sleep(9 * time.Minute)
		want(t, c, "app#token", "value", "", false)
		if v.Logins() != 2 {
			t.Errorf("%d logins", v.Logins())
		}
		// It lives on without being asked.
		time.Sleep(10 * time.Hour)
		want(t, c, "app#token", "value", "", false)
	})
	living(t, v, 0, 0)
}

// A token that was revoked is replaced once; a policy that forbids a path is
// no reason for one login after the other.
func TestRelogin(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.Put("secret/app", map[string]any{"token": "value"})
	v.Put("secret/closed", map[string]any{"token": "value"})
	v.Deny("secret/data/closed")
	bubble(t, v, role, vault.Options{}, func(t *testing.T, c *vault.Client) {
		want(t, c, "app#token", "value", "", false)
		time.Sleep(time.Minute)
		v.RevokeTokens()
		want(t, c, "app#token", "value", "", false)
		if v.Logins() != 2 {
			t.Errorf("%d logins", v.Logins())
		}
		living(t, v, 1, 0)
		time.Sleep(time.Minute)
		for range 5 {
			want(t, c, "closed#token", "", "refuses secret/data/closed (403", false)
		}
		if v.Logins() != 3 {
			t.Errorf("%d logins", v.Logins())
		}
		living(t, v, 1, 0) // the token before it was revoked
	})
	living(t, v, 0, 0)
}

// Tokens that we were given are renewed, not revoked; their leases are.
func TestGivenToken(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	synctest.Test(t, func(t *testing.T) {
		address, ca, dial, stop := v.StartIn(t)
		defer stop()
		token := v.NewToken(time.Hour, 4*time.Hour, true)
		c, err := vault.New(address, vault.Token(secrets.NewSecret(token)), &vault.Options{Engine: "dynamic", CAFile: ca, Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		resolve(t, c, "database/creds/app#password")
		time.Sleep(3 * time.Hour)
		resolve(t, c, "database/creds/app#password")
		living(t, v, 1, 1)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		living(t, v, 1, 0)

		d, err := vault.New(address, vault.Token(secrets.NewSecret(token)), &vault.Options{Engine: "dynamic", CAFile: ca, Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		s := resolve(t, d, "database/creds/app#password")
		if left := time.Until(s.Expires()); left > time.Hour {
			t.Errorf("it ends in %v, after its token", left)
		}
		time.Sleep(2 * time.Hour)
		want(t, d, "database/creds/app#password", "", "does not accept the token: it has ended or was revoked", false)
	})
}

// While a server is sealed, what was handed out stays as it is; renewals go on
// when it is back.
func TestSealedForAWhile(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.TokenTTL = 100 * time.Hour
	bubble(t, v, role, vault.Options{Engine: "dynamic"}, func(t *testing.T, c *vault.Client) {
		first := resolve(t, c, "database/creds/app#password").Reveal()
		v.Health(503)
		time.Sleep(50 * time.Minute)
		if got := resolve(t, c, "database/creds/app#password").Reveal(); got != first {
			t.Errorf("it is %s", got)
		}
		want(t, c, "database/creds/other#password", "", "it is sealed (503)", false)
		v.Health(200)
		time.Sleep(50 * time.Minute)
		if got := resolve(t, c, "database/creds/app#password").Reveal(); got != first {
			t.Error("it was not renewed after all")
		}
		v.Health(503)
		time.Sleep(2 * time.Hour)
		want(t, c, "database/creds/app#password", "", "it is sealed (503)", false)
		v.Health(200)
	})
}
