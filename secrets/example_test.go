package secrets_test

import (
	"context"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func ExampleTemplate() {
	provider := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.NewSecret("open sesame"), nil
	})
	v := secrets.Template("Bearer ${TOKEN}")
	r, err := v.Resolve(context.Background(), provider)
	fmt.Println(v.Refs(), r, len(r.Reveal()), err)
	// Output: [TOKEN] Bearer ${TOKEN} 18 <nil>
}

func ExampleChain() {
	mine := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.Secret{}, secrets.ErrNotFound
	})
	team := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.NewSecret("shared"), nil
	})
	s, err := secrets.Chain(mine, team).Resolve(context.Background(), "TOKEN")
	fmt.Println(s, s.Reveal(), err)
	// Output: [redacted] shared <nil>
}

func ExampleNewCache() {
	n := 0
	slow := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		n++
		return secrets.NewSecret("value"), nil
	})
	c := secrets.NewCache(slow, nil)
	for range 3 {
		_, _ = c.Resolve(context.Background(), "TOKEN")
	}
	fmt.Println("asked", n, "time")
	// Output: asked 1 time
}
