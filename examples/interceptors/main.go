// Command interceptors shows what interceptors do: it puts a few of them
// around a small server in this process, makes some calls, and prints what
// becomes of them.
//
//	go run ./examples/interceptors
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "interceptors:", err)
		os.Exit(1)
	}
}

// run makes a gateway and some calls through it.
func run(ctx context.Context, w io.Writer) error {
	var t trial
	gw, err := gateway.New(&gateway.Options{
		Servers: []gateway.Server{
			{Name: "sql", Launcher: inproc.New(newDatabase(), nil)},
		},
		// The first is the outermost: audit sees each call first and its
		// result last, so its lines tell what the others made of it.
		Interceptors: []interceptor.Interceptor{
			audit(w),
			interceptor.When(interceptor.Selector{Servers: []string{"sql"}}, noDrop(), hideEmail()),
			interceptor.Monitor(noStar(), t.report),
		},
	})
	if err != nil {
		return err
	}
	for _, query := range []string{
		"SELECT name, email FROM people",
		"DROP TABLE people",
		"SELECT * FROM people",
	} {
		if err := ask(ctx, gw, w, query); err != nil {
			_ = gw.Close()
			return err
		}
	}
	// Close waits for what Monitor watches.
	if err := gw.Close(); err != nil {
		return err
	}
	for _, line := range t.lines() {
		fmt.Fprintln(w, line)
	}
	return nil
}

// ask makes one call as a client in this process and prints the answer.
func ask(ctx context.Context, gw *gateway.Gateway, w io.Writer, query string) error {
	client, err := gw.Connect(transport.Principal{Subject: "ada"})
	if err != nil {
		return err
	}
	defer client.Close()
	client.Listen(transport.ReceiverFunc(func(context.Context, *transport.Message) (*transport.Message, error) {
		return nil, nil // nobody asks this client anything
	}))
	if _, err := transport.Handshake(ctx, client, transport.HandshakeOptions{Prefer: transport.Legacy, Only: true}); err != nil {
		return err
	}
	params, err := json.Marshal(map[string]any{"name": "sql__query", "arguments": map[string]string{"query": query}})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "> %s\n", query)
	reply, err := client.Call(ctx, &transport.Message{Method: string(mcp.MethodToolsCall), Params: params}, nil)
	if err != nil {
		return err
	}
	var result struct {
		Content []struct{ Text string }
	}
	if reply.Error != nil {
		return transport.ParseRPCError(reply.Error)
	}
	if err := json.Unmarshal(reply.Result, &result); err != nil {
		return err
	}
	for _, c := range result.Content {
		fmt.Fprintln(w, c.Text)
	}
	return nil
}
