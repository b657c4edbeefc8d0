//go:build unix

package command_test

import (
	"context"
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/secrets/command"
)

func ExampleNew() {
	// echo stands for a program such as op: []string{"op", "read", "op://{path}/{field}"}
	p, err := command.New([]string{"echo", "the {field} of {path}"}, nil)
	if err != nil {
		panic(err)
	}
	s, err := p.Resolve(context.Background(), "team/github#token")
	fmt.Println(s, s.Reveal(), err)
	// Output: [redacted] the token of team/github <nil>
}

func ExampleNewDocker() {
	h, err := command.NewDocker("no-such-keychain", nil)
	if err != nil {
		panic(err)
	}
	_, err = h.Resolve(context.Background(), "registry.example.com")
	fmt.Println(err)
	// Output: docker-credential-no-such-keychain: it is not there: install it, or write its whole path (PATH is "/usr/local/bin:/usr/bin:/bin")
}
