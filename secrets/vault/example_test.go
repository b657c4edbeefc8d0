package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-mcp/gatehouse/internal/testvault"
	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/vault"
)

func ExampleNew() {
	server := testvault.New() // stands for a development server on this machine
	server.Put("secret/team/github", map[string]any{"token": "open sesame"})
	s := httptest.NewServer(http.Handler(server))
	defer s.Close()

	c, err := vault.New(s.URL, vault.Token(secrets.NewSecret(testvault.Root)), &vault.Options{AllowHTTP: true})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	token, err := c.Resolve(context.Background(), "team/github#token")
	fmt.Println(token, token.Reveal(), err)
	// Output: [redacted] open sesame <nil>
}

func ExampleToken() {
	_, err := vault.New("https://vault.example.com", vault.Token(secrets.NewSecret("")), nil)
	fmt.Println(err)
	// Output: the token is empty
}

func ExampleTokenFile() {
	c, err := vault.New("https://vault.example.com:8200", vault.TokenFile("/run/vault-agent/token"), &vault.Options{Namespace: "team"})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Close())
	// Output: <nil>
}
