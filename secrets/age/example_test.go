package age_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	filippo "filippo.io/age"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/age"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	key := filepath.Join(dir, "key.txt")
	id, err := filippo.GenerateX25519Identity() // as age-keygen does
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(key, []byte(id.String()), 0o600); err != nil {
		panic(err)
	}
	ctx := context.Background()

	f, err := age.New(filepath.Join(dir, "prod.env.age"), key, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Set(ctx, "TOKEN", secrets.NewSecret("open sesame")))
	s, err := f.Resolve(ctx, "TOKEN")
	fmt.Println(s, s.Reveal(), err)
	// Output:
	// <nil>
	// [redacted] open sesame <nil>
}
