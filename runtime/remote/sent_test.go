package remote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/remote"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// TestRotation: each request has the secrets as they are then, and they go to
// the origin of the URL alone.
func TestRotation(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/mcp" && r.Header.Get("X-Move") == "here":
			http.Redirect(w, r, "/moved?b=2", http.StatusTemporaryRedirect)
			return
		case r.URL.Path == "/mcp" && r.Header.Get("X-Move") == "there":
			http.Redirect(w, r, other.URL+"/?key=1", http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"got":%q}}`, r.Header.Get("Authorization")+" "+r.URL.String())
	}))
	defer srv.Close()
	var token atomic.Value
	vault := secrets.ProviderFunc(func(_ context.Context, r secrets.Ref) (secrets.Secret, error) {
		if v := token.Load().(string); v != "" {
			return secrets.NewSecret(v), nil
		}
		return secrets.Secret{}, secrets.ErrNotFound
	})
	call := func(move string) (string, error) {
		token.Store("one")
		inst, err := remote.New(srv.URL+"/mcp?a=1;2", &remote.Options{
			Headers: map[string]secrets.Value{"authorization": secrets.Template("Bearer ${TOKEN}"), "X-Move": secrets.Plain(move)},
			Query:   map[string]secrets.Value{"key": secrets.Template("${TOKEN}&x")},
		}).Launch(t.Context(), runtime.Key{Server: "x", Secrets: vault})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = inst.Stop(t.Context()) }()
		token.Store("two")
		m := &transport.Message{ID: json.RawMessage("1"), Method: "ping"}
		reply, err := inst.Conn().Call(t.Context(), m, nil)
		if err != nil {
			return "", err
		}
		token.Store("")
		if _, err := inst.Conn().Call(t.Context(), m, nil); err == nil || !strings.Contains(err.Error(), "TOKEN: secret not found") {
			t.Errorf("without the secret: %v", err)
		}
		return string(reply.Result), nil
	}
	for move, want := range map[string]string{
		"":     "Bearer two /mcp?a=1;2&key=two%26x",
		"here": "Bearer two /moved?b=2&key=two%26x",
	} {
		if got, err := call(move); err != nil || !strings.Contains(strings.ReplaceAll(got, `\u0026`, "&"), want) {
			t.Errorf("%q: got %s, %v, want %s", move, got, err, want)
		}
	}
	if _, err := call("there"); err == nil || !strings.Contains(err.Error(), "another origin") || strings.Contains(err.Error(), "two") {
		t.Errorf("got %v", err)
	}
	if elsewhere.Load() != 0 {
		t.Error("another origin was asked")
	}
	token.Store("")
	for name, o := range map[string]*remote.Options{
		"resolving header Authorization": {Headers: map[string]secrets.Value{"Authorization": secrets.Template("${TOKEN}")}},
		"resolving query parameter key":  {Query: map[string]secrets.Value{"key": secrets.Template("${TOKEN}")}},
	} {
		if _, err := remote.New(srv.URL, o).Launch(t.Context(), runtime.Key{Secrets: vault}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	a, b := &remote.Options{Query: map[string]secrets.Value{"key": secrets.Plain("hidden-one")}}, &remote.Options{Query: map[string]secrets.Value{"key": secrets.Plain("hidden-two")}}
	if x, y := remote.New(srv.URL, a).Definition(), remote.New(srv.URL, b).Definition(); x == y || strings.Contains(x+y, "hidden") {
		t.Errorf("the definitions are %s and %s", x, y)
	}
}
