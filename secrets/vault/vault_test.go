package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/testvault"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/vault"
)

// No release of Vault or OpenBao is to be had through the package sources that
// these tests may use: they run against internal/testvault, a TLS server that
// speaks the documented API.

var root = vault.Token(secrets.NewSecret(testvault.Root))

// open makes a client of a server over TLS.
func open(t *testing.T, v *testvault.Vault, auth vault.Auth, o vault.Options) *vault.Client {
	t.Helper()
	address, ca := v.Start(t)
	o.CAFile = ca
	c, err := vault.New(address, auth, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// want checks what a reference resolves to, or the text of its error.
func want(t *testing.T, p secrets.Provider, ref secrets.Ref, value, fault string, missing bool) {
	t.Helper()
	s, err := p.Resolve(t.Context(), ref)
	switch {
	case fault == "" && (err != nil || s.Reveal() != value):
		t.Errorf("%s is %q, %v", ref, s.Reveal(), err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) || errors.Is(err, secrets.ErrNotFound) != missing || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "of-the-test")):
		t.Errorf("%s: %v", ref, err)
	}
}

func TestKV2(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.Namespace = "team/a"
	v.Put("kv/app/db ü", map[string]any{"user": "u", "password": "first"})
	v.Put("kv/app/db ü", map[string]any{"user": "u", "password": "second", "port": 5432, "on": true, "more": map[string]any{"a": "b"}, "none": nil})
	v.Put("kv/single", map[string]any{"value": "v"})
	v.Put("kv/ends", map[string]any{"value": "v"})
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	v.DeleteAt("kv/ends", end)
	v.Put("kv/gone", map[string]any{"value": "hidden"})
	v.DeleteAt("kv/gone", time.Now().Add(-time.Hour))
	c := open(t, v, root, vault.Options{Mount: "kv", Namespace: "team/a"})
	want(t, c, "app/db ü#password", "second", "", false)
	want(t, c, "app/db ü?version=1#password", "first", "", false)
	want(t, c, "app/db ü#port", "5432", "", false)
	want(t, c, "app/db ü#on", "true", "", false)
	want(t, c, "app/db ü#more", `{"a":"b"}`, "", false)
	want(t, c, "single", "v", "", false)
	want(t, c, "app/db ü", "", "has the fields more, none, on, password, port, user: name one behind a #", false)
	want(t, c, "app/db ü#nothing", "", "it has no field nothing, but more, none, on, password, port, user", true)
	want(t, c, "app/db ü#none", "", "it has no field none", true)
	want(t, c, "app/nothing#x", "", "there is nothing at this path: write it, such as by kv put -mount=kv app/nothing FIELD=VALUE", true)
	want(t, c, "single?version=7", "", "there is no version 7", true)
	want(t, c, "gone", "", "version 1 was deleted: write a new one", true)
	for _, ref := range []secrets.Ref{"", "/x", "x/", "a//b", "../x", "a/./b", "a\nb"} {
		want(t, c, ref, "", "no path of a secret", false)
	}
	for _, ref := range []secrets.Ref{"x?", "x?version=0", "x?version=a", "x?list=true"} {
		want(t, c, ref, "", "version=N alone", false)
	}
	s, err := c.Resolve(t.Context(), "ends")
	if err != nil || !s.Expires().Equal(end) {
		t.Errorf("it ends at %v, not %v: %v", s.Expires(), end, err)
	}
	if s, err := c.Resolve(t.Context(), "single"); err != nil || !s.Expires().IsZero() {
		t.Errorf("it ends at %v: %v", s.Expires(), err)
	}
	// Rotated, it is seen at once.
	v.Put("kv/single", map[string]any{"value": "rotated"})
	want(t, c, "single#value", "rotated", "", false)

	wrong := open(t, v, root, vault.Options{Mount: "kv"})
	want(t, wrong, "single", "", "no handler for route", false)
}

func TestKV1(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.PutV1("kv1/app", map[string]any{"token": "value", "ttl": "30s"})
	v.PutV1("kv1/plain", map[string]any{"token": "value"})
	c := open(t, v, root, vault.Options{Engine: "kv1", Mount: "/kv1/"})
	want(t, c, "app#token", "value", "", false)
	want(t, c, "none#token", "", "there is nothing at this path", true)
	want(t, c, "app?version=1#token", "", "version=N alone, with the engine kv2", false)
	if s, err := c.Resolve(t.Context(), "app#token"); err != nil || time.Until(s.Expires()).Round(time.Minute/6) != 30*time.Second {
		t.Errorf("it ends at %v: %v", s.Expires(), err)
	}
	if s, err := c.Resolve(t.Context(), "plain"); err != nil || !s.Expires().IsZero() {
		t.Errorf("it ends at %v: %v", s.Expires(), err)
	}
	if err := errors.Join(c.Set(t.Context(), "app#token", secrets.NewSecret("new")), c.Set(t.Context(), "dir/b#x", secrets.NewSecret("y")), c.Remove(t.Context(), "plain#token")); err != nil {
		t.Fatal(err)
	}
	want(t, c, "app#token", "new", "", false)
	if refs, err := c.List(t.Context()); fmt.Sprint(refs) != "[app#token app#ttl dir/b#x]" || err != nil {
		t.Error(refs, err)
	}
	// An engine of the other version is told.
	other := open(t, v, root, vault.Options{Engine: "kv1", Mount: "kv1"})
	v.PutV1("kv1/data/app", map[string]any{"token": "hidden"})
	two := open(t, v, root, vault.Options{Mount: "kv1"})
	want(t, two, "app#token", "", "is the engine of kv1 another?", false)
	want(t, other, "data/app#token", "hidden", "", false)
}

func TestStore(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.Put("secret/app/db", map[string]any{"user": "u", "port": 5432})
	v.Put("secret/gone", map[string]any{"x": "y"})
	v.DeleteAt("secret/gone", time.Now())
	v.Put("secret/closed/z", map[string]any{"x": "y"})
	v.Put("secret/odd?", map[string]any{"x": "y"})
	token := v.NewToken(time.Hour, 0, false)
	v.Deny("secret/data/closed")
	c := open(t, v, vault.Token(secrets.NewSecret(token)), vault.Options{})
	if err := errors.Join(
		c.Set(t.Context(), "app/db#password", secrets.NewSecret("p")),
		c.Set(t.Context(), "new#a", secrets.NewSecret("1")),
		c.Set(t.Context(), "gone#a", secrets.NewSecret("2")),
	); err != nil {
		t.Fatal(err)
	}
	if f := v.Fields("secret/app/db"); f["user"] != "u" || f["password"] != "p" || fmt.Sprint(f["port"]) != "5432" {
		t.Errorf("it is %v", f)
	}
	if refs, err := c.List(t.Context()); fmt.Sprint(refs) != "[app/db#password app/db#port app/db#user closed/z gone#a new#a]" || err != nil {
		t.Error(refs, err)
	}
	if err := errors.Join(c.Remove(t.Context(), "app/db#user"), c.Remove(t.Context(), "new#a")); err != nil {
		t.Fatal(err)
	}
	want(t, c, "app/db#user", "", "no field user", true)
	want(t, c, "new#a", "", "version 1 was deleted", true)
	for _, ref := range []secrets.Ref{"app/db#user", "new#a", "none#a"} {
		if err := c.Remove(t.Context(), ref); !errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, ref := range []secrets.Ref{"app/db", "app/db?version=1#x", "closed/z#x", "../x#y"} {
		if err := c.Set(t.Context(), ref, secrets.NewSecret("hidden")); err == nil || errors.Is(err, secrets.ErrNotFound) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", ref, err)
		}
	}
	d := open(t, v, root, vault.Options{Engine: "dynamic"})
	if _, err := d.List(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := d.Set(t.Context(), "database/creds/app#password", secrets.NewSecret("x")); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}

	// Many write different fields at once: none is lost, or its writer is told.
	var all sync.WaitGroup
	var mu sync.Mutex
	written := 0
	for n := range 6 {
		all.Go(func() {
			if err := c.Set(t.Context(), secrets.Ref(fmt.Sprintf("many#%d", n)), secrets.NewSecret("x")); err == nil {
				mu.Lock()
				written++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if f := v.Fields("secret/many"); len(f) != written || written == 0 {
		t.Errorf("%d were written, there are %v", written, f)
	}
}

// A token or login that is refused, and a policy that forbids a path.
func TestRefused(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.RoleID, v.SecretID = "role", "hidden-secret-id"
	v.Put("secret/app", map[string]any{"token": "value"})
	v.Put("secret/closed", map[string]any{"token": "hidden"})
	v.Deny("secret/data/closed")
	role := vault.AppRole{RoleID: "role", SecretID: secrets.NewSecret(v.SecretID)}
	c := open(t, v, role, vault.Options{})
	want(t, c, "closed#token", "", "refuses secret/data/closed (403: 1 error occurred: * permission denied): give the token a policy", false)
	if v.Logins() != 1 {
		t.Errorf("%d logins for a token that was just made", v.Logins())
	}
	want(t, c, "app#token", "value", "", false)

	role.SecretID = secrets.NewSecret("hidden-wrong-id")
	want(t, open(t, v, role, vault.Options{}), "app#token", "", "does not accept the login by AppRole: the role id or the secret id is wrong, has ended or was used up", false)
	want(t, open(t, v, vault.Token(secrets.NewSecret("hidden-token")), vault.Options{}), "app#token", "", "does not accept the token: it has ended or was revoked", false)

	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	f := open(t, v, vault.TokenFile(path), vault.Options{})
	want(t, f, "app#token", "", path, false)
	for _, in := range []string{"", "hidden token"} {
		write(t, path, in)
		want(t, f, "app#token", "", "the token", false)
	}
	write(t, path, testvault.Root+"\n")
	want(t, f, "app#token", "value", "", false)

	write(t, path, "hidden-wrong-id")
	role.SecretID, role.SecretIDFile = secrets.Secret{}, path
	s := open(t, v, role, vault.Options{})
	want(t, s, "app#token", "", "secret id is wrong", false)
	write(t, path, v.SecretID+"\n")
	want(t, s, "app#token", "value", "", false)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Servers in a state in which they serve nothing say so, and none of them
// looks like a missing secret.
func TestStates(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.Put("secret/app", map[string]any{"token": "value"})
	c := open(t, v, root, vault.Options{})
	want(t, c, "app#token", "value", "", false)
	for code, fault := range map[int]string{
		503: "does not serve: it is sealed (503): run its command operator unseal",
		429: "does not serve: it is a standby that forwards nothing (429)",
		473: "does not serve: it is a performance standby that does not reach the active node (473)",
	} {
		v.Health(code)
		want(t, c, "app#token", "", fault, false)
	}
	v.Health(501)
	want(t, c, "app#token", "", "server is not yet initialized", false)
	v.Health(472)
	want(t, c, "app#token", "", "DR secondary mode", false)
	v.Health(200)
	want(t, c, "app#token", "value", "", false)

	// What a server between answers, by itself.
	for code, fault := range map[int]string{
		429: "limits the rate of requests (429", 472: "for disaster recovery", 473: "performance standby", 502: "with 502", 503: "with 503", 404: "nothing at this path", 200: "not the JSON of Vault's API",
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/health"):
			case strings.HasSuffix(r.URL.Path, "/lookup-self"):
				fmt.Fprint(w, `{"data":{"ttl":0}}`)
			default:
				w.WriteHeader(code)
				fmt.Fprint(w, "<html>hidden</html>")
			}
		}))
		path := filepath.Join(t.TempDir(), "ca.pem")
		write(t, path, certificate(s))
		c, err := vault.New(s.URL+"/behind/a/proxy/", root, &vault.Options{CAFile: path})
		if err != nil {
			t.Fatal(err)
		}
		want(t, c, "app#token", "", fault, code == 404)
		_ = c.Close()
		s.Close()
	}
}

// A standby sends clients to the active node: over TLS alone, and not in a
// circle.
func TestRedirect(t *testing.T) {
	t.Parallel()
	active, standby := testvault.New(), testvault.New()
	active.Put("secret/app", map[string]any{"token": "value"})
	address, _ := active.Start(t)
	standby.Redirect(address)
	c := open(t, standby, root, vault.Options{}) // both have the certificate of package httptest
	want(t, c, "app#token", "value", "", false)
	standby.Redirect("http://127.0.0.2:1")
	want(t, c, "app#token", "", "127.0.0.2:1 is to be reached without TLS", false)
	self, ca := standby.Start(t)
	standby.Redirect(self)
	loop, err := vault.New(self, root, &vault.Options{CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	want(t, loop, "app#token", "", "redirects in a circle", false)
}

func TestConnection(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	address, ca := v.Start(t)
	c, err := vault.New(address, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want(t, c, "app#token", "", "certificate signed by unknown authority: name the file of its authority (CAFile)", false)
	named, err := vault.New(address, root, &vault.Options{CAFile: ca, ServerName: "other.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	want(t, named, "app#token", "", "other.test", false)

	block := make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer s.Close()
	defer close(block)
	slow, err := vault.New(s.URL, root, &vault.Options{CAFile: ca, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	want(t, slow, "app#token", "", "it did not answer within 50ms", false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.Resolve(ctx, "app#token"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
	want(t, slow, "app#token", "", "is closed", false)
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "ca.pem")
	write(t, broken, "nothing")
	const good = "https://vault.test:8200"
	for _, c := range []struct {
		address string
		auth    vault.Auth
		o       vault.Options
		want    string
	}{
		{"vault.test", root, vault.Options{}, "no URL"},
		{"ftp://vault.test", root, vault.Options{}, "no URL"},
		{"https://u:hidden@vault.test", root, vault.Options{}, "more than"},
		{"http://vault.test", root, vault.Options{AllowHTTP: true}, "without TLS, so that everybody"},
		{"http://127.0.0.1:8200", root, vault.Options{}, "AllowHTTP"},
		{good, nil, vault.Options{}, "no way to log in"},
		{good, vault.Token(secrets.NewSecret("a\nb")), vault.Options{}, "the token holds"},
		{good, vault.TokenFile(""), vault.Options{}, "path of the token's file"},
		{good, vault.AppRole{}, vault.Options{}, "no RoleID"},
		{good, vault.AppRole{RoleID: "r", SecretID: secrets.NewSecret("hidden"), SecretIDFile: "f"}, vault.Options{}, "leave one out"},
		{good, vault.AppRole{RoleID: "r", Mount: "a//b"}, vault.Options{}, "AppRole: Mount"},
		{good, root, vault.Options{Engine: "kv3"}, "no Engine"},
		{good, root, vault.Options{Engine: "dynamic", Mount: "x"}, "whole path"},
		{good, root, vault.Options{Mount: "a//b"}, "Mount"},
		{good, root, vault.Options{Namespace: "a\nb"}, "Namespace"},
		{good, root, vault.Options{Timeout: -1}, "Timeout"},
		{good, root, vault.Options{CAFile: broken}, "no certificate"},
		{good, root, vault.Options{CAFile: filepath.Join(dir, "none")}, "CAFile"},
	} {
		_, err := vault.New(c.address, c.auth, &c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s %+v: %v", c.address, c.o, err)
		}
	}
	for _, address := range []string{"http://localhost:1", "http://[::1]:1", "http://127.9.9.9"} {
		if _, err := vault.New(address, root, &vault.Options{AllowHTTP: true}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Many ask at once: one login serves them all.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	v := testvault.New()
	v.RoleID, v.SecretID = "role", "secret"
	c := open(t, v, vault.AppRole{RoleID: "role", SecretID: secrets.NewSecret("secret")}, vault.Options{Engine: "dynamic"})
	var all sync.WaitGroup
	var mu sync.Mutex
	var got []string
	for range 20 {
		all.Go(func() {
			s, err := c.Resolve(t.Context(), "database/creds/app#password")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			got = append(got, s.Reveal())
			mu.Unlock()
		})
	}
	all.Wait()
	if slices.Sort(got); len(slices.Compact(got)) != 1 || v.Logins() != 1 {
		t.Errorf("%q by %d logins", got, v.Logins())
	}
}
