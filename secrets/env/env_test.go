package env_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/env"
)

func Example() {
	variables := map[string]string{"APP_TOKEN": "open sesame"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok } // or os.LookupEnv

	p := env.New(lookup, &env.Options{Prefix: "APP_"})
	s, err := p.Resolve(context.Background(), "TOKEN")
	fmt.Println(s, len(s.Reveal()), err)
	_, err = p.Resolve(context.Background(), "KEY")
	fmt.Println(err)
	// Output:
	// [redacted] 11 <nil>
	// the environment variable APP_KEY is not set: secret not found
}

func TestResolve(t *testing.T) {
	t.Setenv("GATEHOUSE_ENV_TEST", "")
	p := env.New(func(name string) (string, bool) { return "", name == "EMPTY" }, nil)
	if s, err := p.Resolve(t.Context(), "EMPTY"); err != nil || s.Reveal() != "" {
		t.Errorf("an empty variable: %v", err)
	}
	// The process's own environment is not looked at.
	if _, err := p.Resolve(t.Context(), "GATEHOUSE_ENV_TEST"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
}
