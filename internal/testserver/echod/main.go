// Command echod is a tiny legacy MCP server on stdio for fault tests: it
// echoes, sleeps, asks, and dies when told to. It reads one message a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string `json:"name"`
		Arguments struct {
			Text string `json:"text"`
		} `json:"arguments"`
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

var (
	mu  sync.Mutex
	out = bufio.NewWriter(os.Stdout)
)

func send(format string, args ...any) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintf(out, format+"\n", args...)
	_ = out.Flush()
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal([]byte(line), &m) != nil || m.ID == nil || m.Method == "" {
			continue
		}
		switch m.Method {
		case "initialize":
			send(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echod","version":"1"}}}`, m.ID)
		case "tools/list":
			send(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}},{"name":"slow","inputSchema":{"type":"object"}},{"name":"die","inputSchema":{"type":"object"}}]}}`, m.ID)
		case "tools/call":
			go call(m)
		default:
			send(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
		}
	}
}

func call(m message) {
	text, _ := json.Marshal(m.Params.Arguments.Text)
	switch m.Params.Name {
	case "die":
		fmt.Fprintln(os.Stderr, "told to die")
		os.Exit(3)
	case "slow":
		for i := range 3 {
			if m.Params.Meta.Token != nil {
				send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"message":%s}}`, m.Params.Meta.Token, i, text)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	if strings.HasPrefix(m.Params.Name, "x") {
		send(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"unknown tool"}}`, m.ID)
		return
	}
	send(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]}}`, m.ID, text)
}
