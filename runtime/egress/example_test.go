package egress_test

import (
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/runtime/egress"
)

func ExampleNew() {
	p, err := egress.New(&egress.Options{
		Events: runtime.Events{Connection: func(c runtime.Connection) {
			fmt.Println(c.Server, c.Protocol, c.Target, c.Allowed)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	// For each instance: gate, err := p.Attach(ctx, namespace, egress.Attachment{…})
	fmt.Println("closed:", p.Close())
	// Output: closed: <nil>
}

func ExampleParseRule() {
	for _, entry := range []string{"API.example.com:443", "*.example.com:*", "10.0.0.0/8:5432", "example.com"} {
		r, err := egress.ParseRule(entry)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(r)
	}
	// Output:
	// api.example.com:443
	// *.example.com:*
	// 10.0.0.0/8:5432
	// allow-list entry "example.com": it is not HOST:PORT, such as api.example.com:443
}
