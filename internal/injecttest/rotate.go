package injecttest

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

// RunRotation has a server read a file while its secret is rotated. start starts
// the probe with more in its Spec.
func RunRotation(t *testing.T, start func(change func(*runtime.Spec)) runtime.Instance) {
	const file = "/run/secrets/rotated"
	var now atomic.Value
	now.Store("the-first-value")
	i := start(func(spec *runtime.Spec) {
		spec.Secrets = append(spec.Secrets, runtime.SecretUse{
			Name: "rotated", Value: secrets.Template("${ROTATED}"), File: file,
			Source: secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
				return secrets.NewSecret(now.Load().(string)).Until(time.Now()), nil
			}),
		})
	})
	for _, value := range []string{"the-first-value", "a-second-value-that-is-longer-" + strings.Repeat("x", 9000), "the-third-one"} {
		now.Store(value)
		var got string
		for end := time.Now().Add(30 * time.Second); got != value && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if err := json.Unmarshal([]byte(ask(t, i, "probe/read", file)), &got); err != nil {
				t.Fatal(err)
			}
		}
		if got != value {
			t.Fatalf("the file holds %.40q, want %.40q", got, value)
		}
	}
	ask(t, i, "probe/stderr", "it has the-third-one")
	if err := i.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := <-i.Wait(); strings.Contains(e.String(), "the-third-one") || !strings.Contains(strings.Join(e.Stderr, ""), "it has") {
		t.Errorf("the exit says %s %q", e, e.Stderr)
	}
}
