package scan_test

import (
	"fmt"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/secrets"
	"github.com/gatehouse-mcp/gatehouse/secrets/scan"
)

func ExampleNew() {
	s, err := scan.New(nil)
	if err != nil {
		panic(err)
	}
	message := []byte(`{"content":[{"type":"text","text":"{\"db\":{\"password\":\"Tr4il-mix!92\"}}"}]}`)
	found := s.Scan(nil, message)
	for _, f := range found {
		fmt.Println(f.Rule, "at", f.Path)
	}
	fmt.Println(string(s.Redact(message, found)))
	// Output:
	// password at $.content[0].text
	// {"content":[{"type":"text","text":"{\"db\":{\"password\":\"[redacted:password]\"}}"}]}
}

func ExampleScanner_Learn() {
	s, err := scan.New(nil)
	if err != nil {
		panic(err)
	}
	s.Learn(secrets.NewSecret("the blue one"))
	for _, f := range s.Scan(nil, []byte(`{"q":"dGhlIGJsdWUgb25l"}`)) {
		fmt.Println(f.Rule, f.Via)
	}
	// Output:
	// known-secret base64
}

func ExampleReadRules() {
	mine, err := scan.ReadRules(strings.NewReader(`
[[rules]]
id = "acme-token"
description = "Token of the ACME service"
keywords = ["acme_"]
regex = '''\b(acme_[0-9a-f]{12})\b'''
`))
	if err != nil {
		panic(err)
	}
	s, err := scan.New(&scan.Options{Rules: append(scan.Default(), mine...)})
	if err != nil {
		panic(err)
	}
	for _, f := range s.Scan(nil, []byte(`{"note":"use acme_7f03b9c21d4e"}`)) {
		fmt.Println(f.Rule, f.Path)
	}
	// Output:
	// acme-token $.note
}
