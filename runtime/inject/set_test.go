package inject

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// vault is a provider whose secrets change.
type vault struct {
	mu     sync.Mutex
	values map[string]string
}

func (v *vault) set(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if value == "" {
		delete(v.values, name)
		return
	}
	v.values[name] = value
}

// Resolve implements [secrets.Provider].
func (v *vault) Resolve(_ context.Context, r secrets.Ref) (secrets.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.values[string(r)]
	if !ok {
		return secrets.Secret{}, fmt.Errorf("the vault at vault.internal: %w", secrets.ErrNotFound)
	}
	return secrets.NewSecret(s), nil
}

// world is a Set with a host that answers, and the hooks around it.
type world struct {
	*Set
	t    *testing.T
	v    *vault
	hook egress.Hooks
	host http.HandlerFunc

	mu   sync.Mutex
	told []runtime.Injection
}

func newWorld(t *testing.T, uses ...runtime.SecretUse) *world {
	t.Helper()
	w := &world{t: t, v: &vault{values: map[string]string{"TOKEN": "s3cr3t-value-of-it", "OTHER": "another-secret-one"}}}
	for i := range uses {
		uses[i].Source = w.v
	}
	spec := runtime.Spec{Name: "test", Secrets: uses, Network: runtime.Network{Allow: []string{"api.example:*", "*.wild.example:443", "other.example:*"}}}
	if err := Check(spec); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), spec, func(i runtime.Injection) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, i)
	})
	if err != nil {
		t.Fatal(err)
	}
	var a egress.Attachment
	s.Attach(&a)
	w.Set, w.hook = s, a.Hooks
	return w
}

func (w *world) events() []runtime.Injection {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// do sends a request through the hooks.
func (w *world) do(method, to, body string, header ...string) (*http.Response, error) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, to, strings.NewReader(body))
	if r.URL.Port() == "" {
		r.URL.Host += map[string]string{"https": ":443", "http": ":80"}[r.URL.Scheme]
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	if err := w.hook.Request(r); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	w.host(rec, r)
	resp := rec.Result()
	resp.Request = r
	if err := w.hook.Response(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// sent is what the host gets of a request.
func (w *world) sent(method, to, body string, header ...string) string {
	w.t.Helper()
	var got string
	w.host = func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength >= 0 && r.ContentLength != int64(len(b)) {
			w.t.Errorf("a body of %d bytes, said to have %d: %v", len(b), r.ContentLength, err)
		}
		got = fmt.Sprintf("%s?%s %s %s", r.URL.Path, r.URL.RawQuery, r.Header, b)
	}
	if _, err := w.do(method, to, body, header...); err != nil {
		w.t.Fatalf("%s %s: %v", method, to, err)
	}
	return got
}

func use(hosts ...runtime.SecretHost) runtime.SecretUse {
	return runtime.SecretUse{Name: "token", Value: secrets.Template("${TOKEN}"), Env: "TOKEN", Hosts: hosts}
}

const value = "s3cr3t-value-of-it"

func TestPlaces(t *testing.T) {
	t.Parallel()
	basicOf := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const form = "application/x-www-form-urlencoded"
	for name, tt := range map[string]struct {
		host    runtime.SecretHost
		value   string // of the secret, if it is another one
		method  string
		to      string // P is the placeholder in these
		body    string
		header  []string
		want    string // what arrives; empty: no value does
		because string // why not
	}{
		"the header Authorization":      {to: "https://api.example/x", header: []string{"Authorization", "Bearer P"}, want: "Bearer " + value},
		"another scheme":                {to: "https://api.example/x", header: []string{"Authorization", "token P"}, want: "[token " + value + "]"},
		"another header":                {host: runtime.SecretHost{Header: "x-api-key"}, to: "https://api.example/x", header: []string{"X-Api-Key", "P"}, want: "X-Api-Key:[" + value + "]"},
		"a port of its own":             {host: runtime.SecretHost{Host: "api.example:8443"}, to: "https://api.example:8443/", header: []string{"Authorization", "P"}, want: value},
		"a suffix":                      {host: runtime.SecretHost{Host: "*.wild.example"}, to: "https://a.wild.example/", header: []string{"Authorization", "P"}, want: value},
		"the password":                  {host: runtime.SecretHost{Basic: true}, to: "https://api.example/", header: []string{"Authorization", basicOf("me:P")}, want: basicOf("me:" + value)},
		"the user name":                 {host: runtime.SecretHost{Basic: true}, to: "https://api.example/", header: []string{"Authorization", basicOf("P:")}, want: basicOf(value + ":")},
		"a parameter":                   {host: runtime.SecretHost{Query: "key"}, value: "a+b/c=d&e fg", to: "https://api.example/x?a=1;2&key=P&z=%zz", want: "?a=1;2&key=" + url.QueryEscape("a+b/c=d&e fg") + "&z=%zz"},
		"a field":                       {host: runtime.SecretHost{Form: "client_secret"}, value: "a+b/c=d&e fg", method: "POST", to: "https://api.example/x", body: "client_id=1&client_secret=P&x=", header: []string{"Content-Type", form + "; charset=utf-8"}, want: "client_id=1&client_secret=" + url.QueryEscape("a+b/c=d&e fg") + "&x="},
		"a method and a path":           {host: runtime.SecretHost{Methods: []string{"GET"}, Paths: []string{"/repos/*", "/user"}}, to: "https://api.example/repos/a", header: []string{"Authorization", "P"}, want: value},
		"the other path":                {host: runtime.SecretHost{Paths: []string{"/repos/*", "/user"}}, to: "https://api.example/user", header: []string{"Authorization", "P"}, want: value},
		"another host":                  {to: "http://other.example/", header: []string{"Authorization", "P"}, because: "not bound to this host"},
		"a host below":                  {to: "http://x.api.example/", header: []string{"Authorization", "P"}, because: "not bound to this host"},
		"the suffix itself":             {host: runtime.SecretHost{Host: "*.wild.example"}, to: "http://wild.example/", header: []string{"Authorization", "P"}, because: "not bound to this host"},
		"another port":                  {to: "https://api.example:8443/", header: []string{"Authorization", "P"}, because: "not bound to this host"},
		"without TLS":                   {to: "http://api.example:443/", header: []string{"Authorization", "P"}, because: "not sent over TLS"},
		"another place: a header":       {to: "https://api.example/", header: []string{"X-Leak", "P"}, because: "where the binding does not have it"},
		"another place: the query":      {to: "https://api.example/?q=P", because: "where the binding does not have it"},
		"another place: the path":       {to: "https://api.example/P", because: "where the binding does not have it"},
		"another place: the password":   {to: "https://api.example/", header: []string{"Authorization", basicOf("me:P")}, because: "where the binding does not have it"},
		"another place: the body":       {method: "POST", to: "https://api.example/", body: "P"},
		"another parameter":             {host: runtime.SecretHost{Query: "key"}, to: "https://api.example/x?k=P", because: "where the binding does not have it"},
		"a parameter's name":            {host: runtime.SecretHost{Query: "key"}, to: "https://api.example/x?P=key", because: "where the binding does not have it"},
		"a form of another type":        {host: runtime.SecretHost{Form: "a"}, method: "POST", to: "https://api.example/x", body: "a=P", header: []string{"Content-Type", "text/plain"}},
		"a form that is encoded":        {host: runtime.SecretHost{Form: "a"}, method: "POST", to: "https://api.example/x", body: "a=P", header: []string{"Content-Type", form, "Content-Encoding", "gzip"}},
		"a form that is too long":       {host: runtime.SecretHost{Form: "a"}, method: "POST", to: "https://api.example/x", body: "a=P&b=" + strings.Repeat("x", maxForm), header: []string{"Content-Type", form}},
		"another method":                {host: runtime.SecretHost{Methods: []string{"GET"}}, method: "POST", to: "https://api.example/", header: []string{"Authorization", "P"}, because: "does not allow the method POST"},
		"another method by a header":    {host: runtime.SecretHost{Methods: []string{"GET"}}, to: "https://api.example/", header: []string{"Authorization", "P", "X-HTTP-Method-Override", "DELETE"}, because: "names another"},
		"a method by an underscore":     {host: runtime.SecretHost{Methods: []string{"GET"}}, to: "https://api.example/", header: []string{"Authorization", "P", "X_HTTP_Method_Override", "DELETE"}, because: "names another"},
		"a method by a parameter":       {host: runtime.SecretHost{Methods: []string{"GET"}}, to: "https://api.example/?_method=DELETE", header: []string{"Authorization", "P"}, because: "names another"},
		"a form of two types":           {host: runtime.SecretHost{Form: "a"}, method: "POST", to: "https://api.example/x", body: "{}&a=P", header: []string{"Content-Type", form, "Content-Type", "text/plain"}},
		"a field and another":           {host: runtime.SecretHost{Form: "a"}, method: "POST", to: "https://api.example/x", body: "text=P", header: []string{"Content-Type", form}, because: "where the binding does not have it"},
		"too often":                     {to: "https://api.example/", header: []string{"Authorization", strings.Repeat("P ", mostPuts+1)}, because: "where the binding does not have it"},
		"a field too often":             {host: runtime.SecretHost{Query: "k"}, to: "https://api.example/?k=" + strings.Repeat("P", mostPuts+1), because: "where the binding does not have it"},
		"another path":                  {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/gists", header: []string{"Authorization", "P"}, because: "does not allow this path"},
		"a path with dots":              {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/repos/../gists", header: []string{"Authorization", "P"}, because: "in different ways"},
		"a path with dots for some":     {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/repos/..;/gists", header: []string{"Authorization", "P"}, because: "in different ways"},
		"a path with dots in disguise":  {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/repos/%2e%2E/gists", header: []string{"Authorization", "P"}, because: "in different ways"},
		"a path with slashes in it":     {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/repos/..%2fgists", header: []string{"Authorization", "P"}, because: "in different ways"},
		"a path in a header":            {host: runtime.SecretHost{Paths: []string{"/repos/*"}}, to: "https://api.example/repos/a", header: []string{"Authorization", "P", "X-Original-URL", "/gists"}, because: "in different ways"},
		"a binding of a form, a header": {host: runtime.SecretHost{Form: "a"}, to: "https://api.example/", header: []string{"Authorization", "P"}, because: "where the binding does not have it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.host.Host == "" {
				tt.host.Host = "api.example"
			}
			w := newWorld(t, use(tt.host))
			secret := value
			if tt.value != "" {
				secret = tt.value
				w.v.set("TOKEN", secret)
			}
			p := w.Env()["TOKEN"]
			for i, h := range tt.header {
				if scheme, rest, ok := strings.Cut(h, "Basic "); ok && scheme == "" {
					b, _ := base64.StdEncoding.DecodeString(rest)
					h = basicOf(strings.ReplaceAll(string(b), "P", p))
				} else if i%2 == 1 {
					h = strings.ReplaceAll(h, "P", p)
				}
				tt.header[i] = h
			}
			method := tt.method
			if method == "" {
				method = "GET"
			}
			got := w.sent(method, strings.ReplaceAll(tt.to, "P", p), strings.ReplaceAll(tt.body, "P", p), tt.header...)
			events := w.events()
			if tt.want != "" {
				if !strings.Contains(got, tt.want) || strings.Contains(got, p) {
					t.Errorf("it got %.300s, want %s", got, tt.want)
				}
				if len(events) != 1 || !events[0].Injected || events[0].Secret != "token" || events[0].Server != "test" || events[0].Count != 1 {
					t.Errorf("told: %+v", events)
				}
				return
			}
			for name, encode := range encoders {
				if strings.Contains(got, encode("", secret, "")) {
					t.Fatalf("%s: it got %.300s", name, got)
				}
			}
			switch {
			case tt.because == "" && len(events) != 0:
				t.Errorf("told: %+v", events)
			case tt.because != "" && (len(events) != 1 || events[0].Injected || !strings.Contains(events[0].Reason, tt.because)):
				t.Errorf("told: %+v, want %s", events, tt.because)
			}
		})
	}
}

// TestRotation: the values before are looked for as well, and without a value
// nothing is sent.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, use(runtime.SecretHost{Host: "api.example"}))
	p := w.Env()["TOKEN"]
	all := []string{value}
	for n := range 5 {
		next := fmt.Sprintf("value-number-%d", n)
		w.v.set("TOKEN", next)
		all = append(all, next)
		if got := w.sent("GET", "https://api.example/", "", "Authorization", p); !strings.Contains(got, next) {
			t.Errorf("it got %s, want %s", got, next)
		}
	}
	w.host = func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, strings.Join(all, " ")) }
	resp, err := w.do("GET", "https://api.example/", "")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != strings.TrimSpace(strings.Repeat(p+" ", len(all))) {
		t.Errorf("got %q", b)
	}
	for _, bad := range []string{"", "short", "with\nlines in it"} {
		w.v.set("TOKEN", bad)
		_, err := w.do("GET", "https://api.example/", "", "Authorization", p)
		if err == nil || !strings.Contains(err.Error(), "secret token cannot be used now") || strings.Contains(err.Error(), "vault.internal") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	told := fmt.Sprint(w.events())
	for _, want := range []string{"vault.internal", "fewer than 8 bytes", "a character that is not allowed"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
	for _, v := range append(all, "short") {
		if v != "short" && strings.Contains(told, v) {
			t.Errorf("%s is told: %s", v, told)
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		runtime.SecretUse{Name: "env", Value: secrets.Template("${TOKEN}"), Env: "A"},
		runtime.SecretUse{Name: "file", Value: secrets.Template("${TOKEN}"), Env: "B_FILE", File: "/run/secrets/b"},
		runtime.SecretUse{Name: "bound", Value: secrets.Template("${TOKEN}"), Env: "C", File: "/run/secrets/c", Placeholder: "ghp_{36}", Hosts: []runtime.SecretHost{{Host: "api.example"}}},
		runtime.SecretUse{Name: "absent", Value: secrets.Template("${NONE}"), Env: "D", Optional: true},
		runtime.SecretUse{Name: "absent file", Value: secrets.Template("${NONE}"), Env: "E", File: "/e", Optional: true},
		runtime.SecretUse{Name: "absent bound", Value: secrets.Template("${NONE}"), Env: "F", Optional: true, Hosts: []runtime.SecretHost{{Host: "api.example"}}},
	)
	env, files := w.Env(), w.Files()
	if env["A"] != value || env["B_FILE"] != "/run/secrets/b" || !strings.HasPrefix(env["C"], "ghp_") || len(env["C"]) != 40 || len(env) != 3 {
		t.Errorf("the environment is %v", env)
	}
	if len(files) != 2 || files[0].Content.Reveal() != value || !files[0].Secret || files[1].Content.Reveal() != env["C"] || files[1].Secret {
		t.Errorf("the files are %+v", files)
	}
	if h := w.Hidden(); len(h) != 1 || h["/run/secrets/b"].Reveal() != value {
		t.Errorf("hidden: %v", h)
	}
	var none egress.Attachment
	newWorld(t).Attach(&none)
	if none.Terminate != nil || none.Hooks.Request != nil {
		t.Error("a Set without bound secrets has hooks")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	host := func(h runtime.SecretHost) []runtime.SecretHost { return []runtime.SecretHost{h} }
	v := secrets.Template("${TOKEN}")
	for want, u := range map[string]runtime.SecretUse{
		"secrets[0] has no name":               {Value: v, Env: "A"},
		"name an env or a file":                {Name: "x", Value: v},
		"no name of an environment variable":   {Name: "x", Value: v, Env: "A=B"},
		"A is set twice":                       {Name: "x", Value: v, Env: "A"},
		`"run/x" is no absolute path`:          {Name: "x", Value: v, File: "run/x"},
		`"/run/../x" is no absolute path`:      {Name: "x", Value: v, File: "/run/../x"},
		"lies in /proc":                        {Name: "x", Value: v, File: "/proc/x"},
		"in each other's way":                  {Name: "x", Value: v, File: "/data/x"},
		"for secrets with hosts":               {Name: "x", Value: v, Env: "B", Placeholder: "ghp_{36}"},
		"22 to 128":                            {Name: "x", Value: v, Env: "B", Placeholder: "ghp_{8}", Hosts: host(runtime.SecretHost{Host: "api.example"})},
		"up to 64 letters":                     {Name: "x", Value: v, Env: "B", Placeholder: "a b", Hosts: host(runtime.SecretHost{Host: "api.example"})},
		`network: {allow: ["api.evil:443"]}`:   {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "API.evil"})},
		`network: {allow: ["*.example:443"]}`:  {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "*.example"})},
		`network: {allow: ["api.example:80"]}`: {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example:80"})},
		"and to one port":                      {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "10.0.0.1"})},
		"*: ":                                  {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "*"})},
		"exclude each other":                   {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Basic: true, Query: "k"})},
		`in the header "host"`:                 {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Header: "host"})},
		`in the header "a b"`:                  {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Header: "a b"})},
		`"get" is no method`:                   {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Methods: []string{"get"}})},
		`"x" is no path`:                       {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Paths: []string{"x"}})},
		`"/a/*/b" is no path`:                  {Name: "x", Value: v, Env: "B", Hosts: host(runtime.SecretHost{Host: "api.example", Paths: []string{"/a/*/b"}})},
	} {
		spec := runtime.Spec{
			Env: map[string]secrets.Value{"A": secrets.Plain("1")}, Secrets: []runtime.SecretUse{u},
			Mounts: []runtime.Mount{{Source: "/srv", Target: "/data"}}, Network: runtime.Network{Allow: []string{"api.example:443"}},
		}
		if err := Check(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNewFaults(t *testing.T) {
	t.Parallel()
	v := &vault{values: map[string]string{"SHORT": "1234567", "LINES": "two\nlines of it", "LONG": strings.Repeat("x", longest+1), "LARGE": strings.Repeat("x", largest+1)}}
	bound := []runtime.SecretHost{{Host: "api.example"}}
	for want, u := range map[string]runtime.SecretUse{
		"secret x is missing: set it in one of the gateway's sources of secrets, or make it optional: NONE": {Value: secrets.Template("${NONE}"), Env: "A", Hosts: bound},
		"fewer than 8 bytes":               {Value: secrets.Template("${SHORT}"), Env: "A", Hosts: bound},
		"or a part of it, has fewer than":  {Value: secrets.Template("Bearer ${SHORT}"), Env: "A", Hosts: bound},
		"cannot stand in the header Autho": {Value: secrets.Template("${LINES}"), Env: "A", Hosts: bound},
		"more than 4096 bytes":             {Value: secrets.Template("${LONG}"), Env: "A", Hosts: bound},
		"more than 1048576 bytes":          {Value: secrets.Template("${LARGE}"), File: "/x"},
	} {
		u.Name, u.Source = "x", v
		_, err := New(t.Context(), runtime.Spec{Secrets: []runtime.SecretUse{u}}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "1234567") || strings.Contains(err.Error(), "lines") && strings.Contains(err.Error(), "two") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestTeller tells what is alike once a second.
func TestTeller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []runtime.Injection
		tell := newTeller(func(i runtime.Injection) { told = append(told, i) })
		for range 3 {
			for range 100 {
				tell.tell(runtime.Injection{Secret: "a", Injected: true})
				tell.tell(runtime.Injection{Secret: "b", Reason: "x"})
			}
			time.Sleep(repeatTime)
		}
		if len(told) != 6 || told[0].Count != 1 || told[2].Count != 100 || told[5].Count != 100 {
			t.Errorf("told: %+v", told)
		}
		for n := range 2 * maxKept {
			tell.tell(runtime.Injection{Target: fmt.Sprint(n)})
		}
		if len(tell.last) > maxKept {
			t.Errorf("%d are kept", len(tell.last))
		}
	})
}

// TestPathsReadDifferently: no path that servers may read as another is allowed
// by one that narrows the requests.
func TestPathsReadDifferently(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"/a/../b", "/a/./b", "/a//b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/..%2fb", "/a/..%5cb", `/a/..\b`, "/a/%252e%252e/b",
		"/a/..;x/b", "/a/..%3bx/b", "/a/...%20/b", "/a/..%20/b", "/a/%c0%ae%c0%ae/b", "/a/%EF%BC%8E%EF%BC%8E/b",
		"/a/%E2%80%A5/b", "/a/.%09./b", "/a/.%0d%0a./b", "/a/%00", "/a/%zz", "/a/%7f", "/a/..", "/a/.",
	} {
		if !unclear(p) {
			t.Errorf("%s is clear", p)
		}
	}
	for _, p := range []string{"/", "/a/b", "/a/b/", "/repos/x/y.git", "/a/.well-known/x", "/a/..b", "/a;v=1/b", "/a/%C3%BC", "/a%20b", "/a:b@c"} {
		if unclear(p) {
			t.Errorf("%s is unclear", p)
		}
	}
}
