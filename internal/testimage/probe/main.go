// Command probe is the server of the images under test: the probe of the
// suite for runtimes, and a little more.
//
//	probe runtimetest-probe [MODE]   the suite's probe
//	probe init PROGRAM [ARG]...      runs a program and ends as it did
//	probe init-forever PROGRAM...    the same, and stays when it has ended
//	probe http PORT                  a minimal MCP server on loopback
//	probe serve                      the same on standard input and output
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"

	"github.com/gatehouse-mcp/gatehouse/runtime/runtimetest"
)

func main() {
	runtimetest.Main()
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "serve")
	}
	switch mode, args := os.Args[1], os.Args[2:]; {
	case mode == "init" && len(args) > 0:
		os.Exit(run(args))
	case mode == "init-forever" && len(args) > 0:
		run(args)
		select {}
	case mode == "http" && len(args) == 1:
		fail(listen(args[0]))
	case mode == "serve":
		serve()
	default:
		fail(fmt.Errorf("unknown arguments %q", os.Args[1:]))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}

// run runs a program below a process that is the first of its container, so
// that it can die of a signal it sends itself: the kernel spares the first.
func run(args []string) int {
	c := exec.Command(args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
		return exit.ExitCode()
	}
	if err != nil {
		fail(err)
	}
	return 0
}

func serve() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		if a := answer(line); a != nil {
			_, _ = os.Stdout.Write(append(a, '\n'))
		}
	}
}

func listen(port string) error {
	http.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		a := answer(b)
		if a == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(a)
	})
	return http.ListenAndServe("127.0.0.1:"+port, nil)
}

// answer answers any request with success, and notifications with nothing.
func answer(b []byte) []byte {
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct{ ProtocolVersion string }
	}
	if json.Unmarshal(b, &m) != nil || m.ID == nil || m.Method == "" {
		return nil
	}
	result := map[string]any{}
	switch m.Method {
	case "initialize":
		result["protocolVersion"] = m.Params.ProtocolVersion
		result["capabilities"] = map[string]any{}
		result["serverInfo"] = map[string]string{"name": "probe", "version": "1"}
	case "probe/pid":
		result["pid"] = os.Getpid()
	case "probe/env":
		result["env"] = os.Environ()
	}
	out, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
	if err != nil {
		return nil
	}
	return out
}
