package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/gateway/admin"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// fake is a gateway with one server.
type fake struct {
	mu        sync.Mutex
	restarted []string
}

func (f *fake) Status() gateway.Status {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return gateway.Status{
		ID: "id", Name: "gatehouse", Version: "v1", Started: began, Calls: 7, InFlight: 1,
		Servers: []gateway.ServerStatus{
			{Name: "files", Prefix: "files", Scope: gateway.PerSession, State: gateway.Running, Era: "legacy", Protocol: "2025-11-25", Kind: "plain process", Calls: 5,
				Instances: []gateway.InstanceStatus{{ID: "i1", Server: "files", State: gateway.Running, Principal: "ada", Session: "s1", Started: began, Calls: 5,
					Refused: []runtime.Refusal{{Target: "x.example:443", Reason: "not on the list", Allow: "x.example:443"}}}}},
			{Name: "docs", Scope: gateway.Shared, State: gateway.Failed, Error: "connection refused"},
		},
		Sessions: []gateway.SessionStatus{{ID: "s1", Principal: "ada", Client: interceptor.Client{Name: "editor", Version: "2", ProtocolVersion: "2025-11-25"}, Era: "legacy", Opened: began, LastUsed: began, Calls: 5}},
		Findings: []gateway.Finding{{Time: began, Server: "files", Method: "tools/call", Name: "read", Session: "s1", Subject: "ada", Direction: "results", Rule: "password", Path: "$.content[0].text", Severity: "high", Action: "redact"}},
		Found:    3,
	}
}

func (f *fake) Usage(context.Context) map[string]runtime.Usage {
	return map[string]runtime.Usage{"i1": {CPU: 1500 * time.Millisecond, Memory: 5 << 20, PIDs: 7}}
}

func (f *fake) Restart(_ context.Context, server string) error {
	if server != "files" {
		return transport.Errorf(transport.CodeInvalidParams, "there is no server %q", server)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restarted = append(f.restarted, server)
	return nil
}

// request sends a request to h and returns the answer's code and body.
func request(h http.Handler, method, path string, header ...string) (int, string) {
	r := httptest.NewRequest(method, "http://gateway"+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestStatus(t *testing.T) {
	t.Parallel()
	h := admin.New(&fake{}, admin.AllowAll, &admin.Options{Describe: func(st *admin.Status) {
		st.PID, st.URL, st.Servers[0].Confined = 42, "http://127.0.0.1:8811/mcp", "no"
	}})
	code, body := request(h, "GET", "/v1/status")
	const want = `{"id":"id","name":"gatehouse","version":"v1","pid":42,"url":"http://127.0.0.1:8811/mcp","started":"2026-01-02T03:04:05Z","calls":7,"inFlight":1,` +
		`"servers":[{"name":"files","prefix":"files","instance":"session","state":"running","era":"legacy","protocol":"2025-11-25","kind":"plain process","confined":"no","by":"plain process","calls":5,` +
		`"instances":[{"id":"i1","server":"files","state":"running","principal":"ada","session":"s1","started":"2026-01-02T03:04:05Z","calls":5,` +
		`"usage":{"cpuSeconds":1.5,"memory":5242880,"pids":7},"refused":["the connection to x.example:443 was refused: not on the list; to allow it: network: {allow: [\"x.example:443\"]}"]}]},` +
		`{"name":"docs","instance":"shared","state":"failed","error":"connection refused","calls":0,"instances":[]}],` +
		`"sessions":[{"id":"s1","principal":"ada","client":"editor 2","protocol":"2025-11-25","era":"legacy","opened":"2026-01-02T03:04:05Z","lastUsed":"2026-01-02T03:04:05Z","calls":5}],` +
		`"findings":[{"time":"2026-01-02T03:04:05Z","server":"files","method":"tools/call","name":"read","session":"s1","principal":"ada","direction":"results","rule":"password","path":"$.content[0].text","severity":"high","action":"redact"}],"found":3}`
	if code != 200 || body != want {
		t.Errorf("%d\n got: %s\nwant: %s", code, body, want)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	var did []string
	all := &admin.Options{
		Feed:   admin.NewFeed(gateway.Events{}),
		Reload: func(context.Context) error { did = append(did, "reload"); return errors.New("line 3 is bad") },
		Drain:  func() { did = append(did, "drain") },
	}
	for _, tc := range []struct {
		o            *admin.Options
		method, path string
		code         int
		body         string
	}{
		{all, "POST", "/v1/servers/files/restart", 200, `{}`},
		{all, "POST", "/v1/servers/none/restart", 409, `{"error":"there is no server \"none\""}`},
		{all, "POST", "/v1/reload", 409, `{"error":"line 3 is bad"}`},
		{all, "POST", "/v1/drain", 202, `{}`},
		{all, "GET", "/v1/none", 404, `{"error":"GET /v1/none is not offered here"}`},
		{all, "GET", "/v1/drain", 404, `{"error":"GET /v1/drain is not offered here"}`},
		{nil, "POST", "/v1/reload", 404, `{"error":"POST /v1/reload is not offered here"}`},
		{nil, "POST", "/v1/drain", 404, `{"error":"POST /v1/drain is not offered here"}`},
		{nil, "GET", "/v1/events", 404, `{"error":"GET /v1/events is not offered here"}`},
		{nil, "GET", "/v1/servers/files/restart", 404, `{"error":"GET /v1/servers/files/restart is not offered here"}`},
	} {
		code, body := request(admin.New(&fake{}, admin.AllowAll, tc.o), tc.method, tc.path)
		if code != tc.code || body != tc.body {
			t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, code, body, tc.code, tc.body)
		}
	}
	if !slices.Equal(did, []string{"reload", "drain"}) {
		t.Errorf("it did %v", did)
	}
}

// TestAuthorize asks for every action as somebody who may read alone, and as
// somebody who is not known.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	gw := &fake{}
	var asked, audited []string
	h := admin.New(gw, func(p transport.Principal, a admin.Action) error {
		asked = append(asked, fmt.Sprint(p, " ", a.Verb, a.Server))
		if a.Verb != admin.ReadStatus {
			return errors.New("you may only look")
		}
		return nil
	}, &admin.Options{
		Authenticator: transport.AuthenticatorFunc(func(r *http.Request) (transport.Principal, error) {
			if r.Header.Get("Authorization") == "" {
				return transport.Principal{}, &transport.Error{Status: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}}
			}
			return transport.Principal{Subject: "ada"}, nil
		}),
		Feed:   admin.NewFeed(gateway.Events{}),
		Reload: func(context.Context) error { t.Error("reloaded"); return nil },
		Drain:  func() { t.Error("drained") },
		Audit: func(p transport.Principal, a admin.Action, err error) {
			audited = append(audited, fmt.Sprint(p, " ", a.Verb, a.Server, " ", err))
		},
	})
	requests := []struct{ method, path string }{
		{"GET", "/v1/status"}, {"GET", "/v1/events"}, {"POST", "/v1/servers/files/restart"}, {"POST", "/v1/reload"}, {"POST", "/v1/drain"},
	}
	for i, r := range requests {
		code, body := request(h, r.method, r.path, "Authorization", "Bearer x")
		if i == 0 && code != 200 || i > 0 && (code != 403 || body != `{"error":"you may only look"}`) {
			t.Errorf("%s %s: %d %s", r.method, r.path, code, body)
		}
	}
	if want := []string{"ada status", "ada events", "ada restartfiles", "ada reload", "ada drain"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q, want %q", asked, want)
	}
	if want := []string{"ada status <nil>", "ada events you may only look", "ada restartfiles you may only look", "ada reload you may only look", "ada drain you may only look"}; !slices.Equal(audited, want) {
		t.Errorf("audited %q, want %q", audited, want)
	}
	asked = nil
	for _, r := range requests {
		if code, body := request(h, r.method, r.path); code != 401 || body != `{"error":"who is asking is not known"}` {
			t.Errorf("a stranger: %s %s: %d %s", r.method, r.path, code, body)
		}
	}
	if len(asked) > 0 || len(gw.restarted) > 0 {
		t.Errorf("a stranger got to %q, %q", asked, gw.restarted)
	}
}

// TestPagesCannotAct refuses what a page in a browser sends.
func TestPagesCannotAct(t *testing.T) {
	t.Parallel()
	gw := &fake{}
	h := admin.New(gw, admin.AllowAll, nil)
	if code, _ := request(h, "POST", "/v1/servers/files/restart", "Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("a request of another origin is answered with %d", code)
	}
	if len(gw.restarted) > 0 {
		t.Error("a request of another origin acted")
	}
}

func TestNewNeedsAuthorize(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a handler that nobody guards was made")
		}
	}()
	admin.New(&fake{}, nil, nil)
}

func ExampleNew() {
	feed := admin.NewFeed(gateway.Events{})
	gw, err := gateway.New(&gateway.Options{Name: "house", Events: feed.Events()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gw.Close()
	look := func(_ transport.Principal, a admin.Action) error {
		if a.Verb != admin.ReadStatus {
			return errors.New("looking is all that is allowed")
		}
		return nil
	}
	srv := httptest.NewServer(admin.New(gw, look, &admin.Options{Feed: feed}))
	defer srv.Close()

	resp, err := srv.Client().Get(srv.URL + "/v1/status")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var st admin.Status
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(st.Name, st.Calls)

	resp, err = srv.Client().Post(srv.URL+"/v1/servers/files/restart", "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(resp.Status, " ", string(body))
	// Output:
	// house 0
	// 403 Forbidden {"error":"looking is all that is allowed"}
}
