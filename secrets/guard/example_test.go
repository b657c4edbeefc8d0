package guard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
)

func ExampleNew() {
	g, err := guard.New(nil)
	if err != nil {
		panic(err)
	}
	server := func(context.Context, *interceptor.Call) (*interceptor.Result, error) {
		leak := "postgres://app:" + "Xk29sv7Qm3pL@db.internal:5432/app"
		return &interceptor.Result{Raw: json.RawMessage(`{"content":[{"type":"text","text":"` + leak + `"}]}`)}, nil
	}
	c := &interceptor.Call{Method: "tools/call", Server: "s", Original: "t", Params: json.RawMessage(`{"name":"t"}`)}
	res, err := interceptor.Wrap(server, g)(context.Background(), c)
	fmt.Println(strings.Contains(string(res.Raw), "[redacted:"), err)
	// Output: true <nil>
}
