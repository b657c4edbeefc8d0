package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/file"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	f, err := file.New(filepath.Join(dir, ".env"), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Set(ctx, "TOKEN", secrets.NewSecret("open sesame")))
	s, err := f.Resolve(ctx, "TOKEN")
	fmt.Println(s, s.Reveal(), err)
	fmt.Println(f.List(ctx))
	// Output:
	// <nil>
	// [redacted] open sesame <nil>
	// [TOKEN] <nil>
}

func ExampleNewFolder() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "account.json"), []byte(`{"key": "open sesame"}`), 0o444); err != nil {
		panic(err)
	}

	d, err := file.NewFolder(dir)
	if err != nil {
		panic(err)
	}
	s, err := d.Resolve(context.Background(), "account.json#key")
	fmt.Println(s, s.Reveal(), err)
	// Output: [redacted] open sesame <nil>
}
