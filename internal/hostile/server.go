package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
)

// tool is one attack. What it returns is what succeeded, or why it did not.
type tool struct {
	about string
	run   func(a arguments) (string, error)
	here  bool // in the server itself, not in a process of its own
}

// arguments are those of a call, all of them texts.
type arguments map[string]string

// number is an argument that is one; 0 where it is missing.
func (a arguments) number(name string) int {
	n, _ := strconv.Atoi(a[name])
	return n
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ProtocolVersion string    `json:"protocolVersion"`
		Name            string    `json:"name"`
		Arguments       arguments `json:"arguments"`
	} `json:"params"`
}

// server speaks on a pair of streams. Its calls run side by side, so that it
// answers pings during an attack.
type server struct {
	mu  sync.Mutex
	out io.Writer
}

func serve(in io.Reader, out io.Writer) {
	s := &server{out: out}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line, &m) != nil || m.ID == nil {
			continue
		}
		if m.Method == "tools/call" && m.Params.Name == "deaf" {
			s.reply(&m, text("it reads no more", nil), "")
			select {}
		}
		go func() {
			result, fault := answer(&m)
			s.reply(&m, result, fault)
		}()
	}
}

func (s *server) reply(m *message, result any, fault string) {
	b := encode(m, result, fault)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.out.Write(append(b, '\n'))
}

func encode(m *message, result any, fault string) []byte {
	reply := map[string]any{"jsonrpc": "2.0", "id": m.ID}
	if fault != "" {
		reply["error"] = map[string]any{"code": -32601, "message": fault}
	} else {
		reply["result"] = result
	}
	b, err := json.Marshal(reply)
	if err != nil {
		panic(err)
	}
	return b
}

func answer(m *message) (result any, fault string) {
	switch m.Method {
	case "initialize":
		return map[string]any{
			"protocolVersion": m.Params.ProtocolVersion,
			"capabilities":    map[string]any{"tools": map[string]any{}},
			"serverInfo":      map[string]string{"name": "hostile", "version": "1"},
		}, ""
	case "ping":
		return map[string]any{}, ""
	case "tools/list":
		return map[string]any{"tools": list()}, ""
	case "tools/call":
		t, ok := tools()[m.Params.Name]
		if !ok {
			return nil, fmt.Sprintf("there is no tool %q", m.Params.Name)
		}
		if t.here {
			return text(t.run(m.Params.Arguments)), ""
		}
		return text(attempt(m.Params.Name, m.Params.Arguments)), ""
	}
	return nil, "unknown method"
}

func list() []any {
	all := tools()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []any
	for _, name := range names {
		out = append(out, map[string]any{"name": name, "description": all[name].about, "inputSchema": map[string]any{"type": "object"}})
	}
	return out
}

// text is the result of a tool.
func text(s string, err error) any {
	if err != nil {
		s = err.Error()
	}
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": s}}, "isError": err != nil}
}

// listen is the same server on a port of loopback.
func listen(port string) error {
	http.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m message
		if r.Method != http.MethodPost || err != nil || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if m.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		result, fault := answer(&m)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(encode(&m, result, fault))
	})
	fmt.Fprintln(os.Stderr, "listening on port", port)
	return http.ListenAndServe("127.0.0.1:"+port, nil)
}
