package inject_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func ExampleNew() {
	vault := secrets.ProviderFunc(func(context.Context, secrets.Ref) (secrets.Secret, error) {
		return secrets.NewSecret("the-real-value"), nil
	})
	set, err := inject.New(context.Background(), runtime.Spec{
		Name:    "github",
		Network: runtime.Network{Allow: []string{"api.github.com:443"}},
		Secrets: []runtime.SecretUse{{
			Name: "token", Value: secrets.Template("${GITHUB_TOKEN}"), Env: "GITHUB_TOKEN", Source: vault,
			Hosts: []runtime.SecretHost{{Host: "api.github.com"}},
		}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	placeholder := set.Env()["GITHUB_TOKEN"]
	fmt.Println(strings.HasPrefix(placeholder, "ghplaceholder_"), len(placeholder))

	// The gate of the instance's network calls the hooks.
	var a egress.Attachment
	set.Attach(&a)
	req, err := http.NewRequest("GET", "https://api.github.com:443/user", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+placeholder)
	if err := a.Hooks.Request(req); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Terminate, req.Header.Get("Authorization"))
	// Output:
	// true 46
	// [api.github.com:443] Bearer the-real-value
}
