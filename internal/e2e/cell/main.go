// Command cell is a small MCP server on standard input and output that the
// end-to-end tests put into containers and sandboxes: it does on request what
// a confined server may or may not do, and says how it went.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"
)

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ProtocolVersion string            `json:"protocolVersion"`
		Name            string            `json:"name"`
		Arguments       map[string]string `json:"arguments"`
	} `json:"params"`
}

var began = time.Now()

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var m message
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		result, fault := answer(&m)
		reply := map[string]any{"jsonrpc": "2.0", "id": m.ID}
		if fault != "" {
			reply["error"] = map[string]any{"code": -32601, "message": fault}
		} else {
			reply["result"] = result
		}
		b, err := json.Marshal(reply)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = os.Stdout.Write(append(b, '\n'))
	}
}

func answer(m *message) (result any, fault string) {
	switch m.Method {
	case "initialize":
		return map[string]any{
			"protocolVersion": m.Params.ProtocolVersion,
			"capabilities":    map[string]any{"tools": map[string]any{}},
			"serverInfo":      map[string]string{"name": "cell", "version": "1"},
		}, ""
	case "ping":
		return map[string]any{}, ""
	case "tools/list":
		var tools []any
		for _, name := range []string{"pid", "dial", "read", "env", "stderr", "fail", "crash"} {
			tools = append(tools, map[string]any{"name": name, "inputSchema": map[string]any{"type": "object"}})
		}
		return map[string]any{"tools": tools}, ""
	case "tools/call":
		text, err := call(m.Params.Name, m.Params.Arguments)
		if err != nil {
			text = err.Error()
		}
		return map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}, "isError": err != nil}, ""
	}
	return nil, "unknown method"
}

func call(tool string, args map[string]string) (string, error) {
	switch tool {
	case "pid": // and what tells two instances apart
		return fmt.Sprintf("%d since %d", os.Getpid(), began.UnixNano()), nil
	case "dial":
		c, err := net.DialTimeout("tcp", args["address"], 5*time.Second)
		if err != nil {
			return "", err
		}
		_ = c.Close()
		return "connected", nil
	case "read":
		b, err := os.ReadFile(args["path"])
		return string(b), err
	case "env":
		return os.Getenv(args["name"]), nil
	case "stderr": // what a careless server prints
		fmt.Fprintln(os.Stderr, args["text"]+os.Getenv(args["name"]))
		return "printed", nil
	case "fail":
		return "", fmt.Errorf("cannot log in with %s", os.Getenv(args["name"]))
	case "crash": // with all it knows on standard error, and a core file if it may
		debug.SetTraceback("crash")
		panic("crashing with " + os.Getenv(args["name"]))
	}
	return "", fmt.Errorf("there is no tool %q", tool)
}
