package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Paths of the fixed server: the same tools, listed in short or with so many
// more that the list has manyTools.
const (
	pathFew  = "/mcp"
	pathMany = "/many"
)

const (
	manyTools = 1000
	bigText   = 64 << 10     // bytes of text in the reply of the tool big
	bigEnd    = "END-OF-BIG" // its last bytes
	maxBody   = 1 << 20      // bytes of a request that the fixed server reads
	maxDepth  = 100
)

// modernVersion and legacyVersion are the revisions that the bench speaks.
const (
	modernVersion = "2026-07-28"
	legacyVersion = "2025-11-25"
)

// fixedServer is a fast MCP server of both eras whose answers are ready
// before the question. It decodes as little as it can, so that what it costs
// bends the figures little.
type fixedServer struct {
	few, many       []byte // results of tools/list, legacy
	fewNew, manyNew []byte // modern
	big, bigNew     []byte
	initialize      []byte
	discover        []byte
	protocolVersion []byte // the key that makes a request modern

	sessions sync.Map // session id to true
	buffers  sync.Pool
}

func newFixedServer() *fixedServer {
	const info = `"serverInfo":{"name":"bench-server","version":"1.0.0"}`
	const meta = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench-server","version":"1.0.0"}}`
	few, many := toolList(10), toolList(manyTools)
	modernList := func(tools string) []byte {
		return []byte(`{"resultType":"complete","tools":` + tools + `,"ttlMs":300000,"cacheScope":"public",` + meta + `}`)
	}
	content := `"content":[{"type":"text","text":"` + strings.Repeat("0123456789abcdef", (bigText-len(bigEnd))/16) + bigEnd + `"}]`
	return &fixedServer{
		few: []byte(`{"tools":` + few + `}`), many: []byte(`{"tools":` + many + `}`),
		fewNew: modernList(few), manyNew: modernList(many),
		big: []byte(`{` + content + `}`), bigNew: []byte(`{"resultType":"complete",` + content + `}`),
		initialize:      []byte(`{"protocolVersion":"` + legacyVersion + `","capabilities":{"tools":{}},` + info + `}`),
		discover:        []byte(`{"resultType":"complete","supportedVersions":["` + modernVersion + `"],"capabilities":{"tools":{}},"ttlMs":300000,"cacheScope":"public",` + meta + `}`),
		buffers:         sync.Pool{New: func() any { return new(bytes.Buffer) }},
		protocolVersion: []byte(`"io.modelcontextprotocol/protocolVersion"`),
	}
}

// toolList is the JSON array of n tools, among them echo and big.
func toolList(n int) string {
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf("tool_%04d", i)
		switch i {
		case 0:
			name = "echo"
		case 1:
			name = "big"
		}
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"name":%q,"title":"Tool %d","description":"The %s tool of the bench server takes a text and some options and answers with a text.","inputSchema":{"type":"object","properties":{"text":{"type":"string","description":"the text to use"},"limit":{"type":"integer","minimum":1,"maximum":100},"options":{"type":"object","properties":{"verbose":{"type":"boolean"},"path":{"type":"string"}}}}}}`, name, i, name)
	}
	b.WriteByte(']')
	return b.String()
}

// answer appends the reply to msg to out: nothing to a notification.
func (s *fixedServer) answer(out, msg []byte, many bool) (reply []byte, method string) {
	env, err := rawjson.Split(msg, maxDepth)
	if err != nil {
		return fmt.Appendf(out, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":%q}}`, err.Error()), ""
	}
	if len(env.Method) < 2 {
		return out, ""
	}
	method = string(env.Method[1 : len(env.Method)-1])
	if env.ID == nil {
		return out, method
	}
	modern := bytes.Contains(env.Params, s.protocolVersion)
	out = append(out, `{"jsonrpc":"2.0","id":`...)
	out = append(out, env.ID...)
	result := func(legacy, latest []byte) {
		out = append(out, `,"result":`...)
		if modern {
			legacy = latest
		}
		out = append(append(out, legacy...), '}')
	}
	switch method {
	case "tools/call":
		name, _ := rawjson.Get(env.Params, "name")
		switch string(name) {
		case `"echo"`:
			text, ok := rawjson.Get(env.Params, "arguments", "text")
			if !ok {
				text = []byte(`""`)
			}
			out = append(out, `,"result":{`...)
			if modern {
				out = append(out, `"resultType":"complete",`...)
			}
			out = append(out, `"content":[{"type":"text","text":`...)
			out = append(out, text...)
			out = append(out, `}]}}`...)
		case `"big"`:
			result(s.big, s.bigNew)
		default:
			out = append(out, `,"error":{"code":-32602,"message":"unknown tool"}}`...)
		}
	case "tools/list":
		if many {
			result(s.many, s.manyNew)
		} else {
			result(s.few, s.fewNew)
		}
	case "initialize":
		result(s.initialize, s.initialize)
	case "server/discover":
		result(s.discover, s.discover)
	case "ping":
		result([]byte(`{}`), []byte(`{}`))
	default:
		out = append(out, `,"error":{"code":-32601,"message":"method not found"}}`...)
	}
	return out, method
}

// ServeHTTP is the server over Streamable HTTP: JSON replies, no streams.
func (s *fixedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodDelete:
		s.sessions.Delete(r.Header.Get("Mcp-Session-Id"))
		w.WriteHeader(http.StatusOK)
		return
	default:
		w.Header().Set("Allow", "POST, DELETE")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	in, out := s.buffers.Get().(*bytes.Buffer), s.buffers.Get().(*bytes.Buffer)
	defer s.buffers.Put(in)
	defer s.buffers.Put(out)
	in.Reset()
	out.Reset()
	if _, err := in.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	reply, method := s.answer(out.AvailableBuffer(), in.Bytes(), r.URL.Path == pathMany)
	out.Write(reply)
	h := w.Header()
	switch {
	case method == "initialize":
		id := rand.Text()
		s.sessions.Store(id, true)
		h.Set("Mcp-Session-Id", id)
	case r.Header.Get("Mcp-Protocol-Version") == modernVersion:
	default:
		if _, ok := s.sessions.Load(r.Header.Get("Mcp-Session-Id")); !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
	}
	if out.Len() == 0 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(out.Len())}
	_, _ = w.Write(out.Bytes())
}

// serveStdio is the server on a pipe, one message a line, until in ends.
func (s *fixedServer) serveStdio(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, maxBody), bufio.NewWriterSize(out, 1<<17)
	var reply []byte
	for {
		line, err := r.ReadSlice('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if reply, _ = s.answer(reply[:0], line, false); len(reply) > 0 {
				_, _ = w.Write(append(reply, '\n'))
			}
		}
		if err != nil || r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
	}
}

// serverRole serves HTTP as the process that the other roles stand before.
func serverRole([]string) (http.Handler, func(), error) {
	mux := http.NewServeMux()
	s := newFixedServer()
	mux.Handle(pathFew, s)
	mux.Handle(pathMany, s)
	return mux, func() {}, nil
}
