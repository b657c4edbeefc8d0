// Command quickstart serves a gateway with two small servers behind one URL,
// without any configuration:
//
//	go run ./examples/quickstart
//
// It prints the URL and what to paste into a client, and ends on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/runtime/inproc"
)

// port is where clients find the gateway, unless it is taken.
const port = "8811"

func main() {
	listen := flag.String("listen", "", "serve at `HOST:PORT` instead of 127.0.0.1:"+port)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen string, stdout, stderr io.Writer) error {
	gw, err := gateway.New(&gateway.Options{
		Servers: []gateway.Server{
			{Name: "clock", Launcher: inproc.New(newClock(time.Now), nil)},
			// One for all, so that every client finds the same notes.
			{Name: "notes", Launcher: inproc.New(newNotes(), nil), Instance: gateway.Shared},
		},
		Instructions: "A clock and a place for notes.",
		Logger:       slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	defer gw.Close()

	l, err := open(listen, stderr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	gw.Register(mux)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	hello(stdout, "http://"+l.Addr().String()+"/mcp")

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(gw.Shutdown(drain), srv.Shutdown(drain))
	<-served
	return err
}

// open listens. When the usual port is taken it takes a free one.
func open(listen string, stderr io.Writer) (net.Listener, error) {
	if listen != "" {
		return net.Listen("tcp", listen)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if errors.Is(err, syscall.EADDRINUSE) {
		fmt.Fprintf(stderr, "Port %s is taken; another one is used.\n", port)
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

func hello(w io.Writer, url string) {
	fmt.Fprintf(w, `The gateway serves two MCP servers, "clock" and "notes", at

    %[1]s

They run inside this program: nothing confines them.

Paste this into the configuration of an MCP client:

    {"mcpServers": {"gatehouse": {"type": "http", "url": "%[1]s"}}}

or look at it with the MCP Inspector:

    npx @modelcontextprotocol/inspector --cli %[1]s --transport http --method tools/list

Ctrl-C ends it.
`, url)
}
