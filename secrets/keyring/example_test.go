//go:build !e2e

package keyring_test

import (
	"context"
	"fmt"

	zalando "github.com/zalando/go-keyring"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/keyring"
)

func ExampleNew() {
	zalando.MockInit() // a keyring in memory instead of that of the system
	ctx := context.Background()

	k, err := keyring.New("gatehouse", nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(k.Set(ctx, "TOKEN", secrets.NewSecret("open sesame")))
	s, err := k.Resolve(ctx, "TOKEN")
	fmt.Println(s, s.Reveal(), err)
	fmt.Println(k.Remove(ctx, "TOKEN"))
	// Output:
	// <nil>
	// [redacted] open sesame <nil>
	// <nil>
}
