package gateway_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/testserver"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// pupil is an interceptor that writes down what it learns.
type pupil struct {
	interceptor.Func
	mu      sync.Mutex
	learned []string
}

func newPupil() *pupil {
	return &pupil{Func: func(ctx context.Context, c *interceptor.Call, next interceptor.Handler) (*interceptor.Result, error) {
		return next(ctx, c)
	}}
}

func (p *pupil) Learn(s secrets.Secret, keys ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learned = append(p.learned, s.Reveal()+" "+strings.Join(keys, ","))
}

func (p *pupil) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.learned, "; ")
}

func TestInterceptorsLearnWhatServersGet(t *testing.T) {
	t.Parallel()
	var rotated atomic.Bool
	srv := testserver.New("s", transport.Legacy).Tool("n", number)
	srv.BeforeStart = func(ctx context.Context, k runtime.Key) error {
		if _, err := k.Secrets.Resolve(ctx, "OTHER"); err == nil || !strings.Contains(err.Error(), "OTHER is not among the secrets that this server declares") {
			t.Errorf("what it did not declare: %v", err)
		}
		_, err := k.Secrets.Resolve(secrets.WithKey(ctx, "API_TOKEN"), "vault/app#token")
		return err
	}
	provider := secrets.ProviderFunc(func(_ context.Context, r secrets.Ref) (secrets.Secret, error) {
		if rotated.Load() {
			return secrets.NewSecret("second of " + string(r)), nil
		}
		return secrets.NewSecret("first of " + string(r)), nil
	})
	inner := newPupil()
	o := &gateway.Options{
		Secrets:      provider,
		Servers:      []gateway.Server{{Name: "s", Launcher: srv, Instance: gateway.PerCall, Secrets: []secrets.Ref{"vault/app#token"}}},
		Interceptors: []interceptor.Interceptor{interceptor.When(interceptor.Selector{Servers: []string{"none"}}, inner)},
	}
	gw := open(t, o)
	p := connect(t, gw, "ann")
	start := func(want string) {
		t.Helper()
		p.must("tools/call", `{"name":"s__n"}`)
		if got := inner.all(); got != want {
			t.Errorf("it learned %s", got)
		}
	}
	start("first of vault/app#token token,API_TOKEN")
	start("first of vault/app#token token,API_TOKEN")
	rotated.Store(true)
	want := "first of vault/app#token token,API_TOKEN; second of vault/app#token token,API_TOKEN"
	start(want)

	late := newPupil()
	o.Interceptors = slices.Concat(o.Interceptors, []interceptor.Interceptor{late})
	if err := gw.Reload(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := late.all(); !strings.HasPrefix(got, "second of vault/app#token token,API_TOKEN") {
		t.Errorf("an interceptor that came with a reload learned %q", got)
	}
}
