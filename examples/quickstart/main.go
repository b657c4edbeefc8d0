// Command quickstart serves a gateway with three small servers behind one URL,
// without any configuration: two inside this program, and one that is
// confined, in a container where containerd is there, else in a sandbox:
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
	"github.com/gatehouse-mcp/gatehouse/runtime/sandbox"
)

// port is where clients find the gateway, unless it is taken.
const port = "8811"

func main() {
	sandbox.Init() // this process may be the inside of a sandbox
	if len(os.Args) == 2 && os.Args[1] == peekArg {
		if err := servePeek(); err != nil {
			fmt.Fprintln(os.Stderr, "peek:", err)
			os.Exit(1)
		}
		return
	}
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
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	servers := []gateway.Server{
		{Name: "clock", Launcher: inproc.New(newClock(time.Now), nil)},
		// One for all, so that every client finds the same notes.
		{Name: "notes", Launcher: inproc.New(newNotes(), nil), Instance: gateway.Shared},
	}
	how, why := "", ""
	cage, err := confine(ctx, log)
	if err == nil {
		defer cage.close()
		servers = append(servers, cage.server)
		how, why = cage.how, cage.why
	} else {
		fmt.Fprintf(stderr, "The third server, \"peek\", is left out, since nothing can confine it here:\n%v\n\n", err)
	}
	gw, err := gateway.New(&gateway.Options{
		Servers:      servers,
		Instructions: "A clock, a place for notes, and a look at the inside of a confinement.",
		Logger:       log,
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
	hello(stdout, how, why, "http://"+l.Addr().String()+"/mcp")

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

// hello says what is served, and what confines it.
func hello(w io.Writer, how, why, url string) {
	fmt.Fprintf(w, "The gateway serves these MCP servers at\n\n    %s\n\n", url)
	fmt.Fprintf(w, "    clock  in this program, which confines nothing\n    notes  in this program, which confines nothing\n")
	if how != "" {
		fmt.Fprintf(w, "    peek   confined: %s\n           since %s\n", how, why)
	}
	fmt.Fprintf(w, `
Paste this into the configuration of an MCP client:

    {"mcpServers": {"gatehouse": {"type": "http", "url": "%[1]s"}}}

or look at it with the MCP Inspector:

    npx @modelcontextprotocol/inspector --cli %[1]s --transport http --method tools/list
`, url)
	if how != "" {
		fmt.Fprintf(w, `
and ask "peek" what it sees of this machine:

    npx @modelcontextprotocol/inspector --cli %[1]s --transport http --method tools/call --tool-name peek__look --tool-arg folder=/root
`, url)
	}
	fmt.Fprint(w, "\nCtrl-C ends it.\n")
}
