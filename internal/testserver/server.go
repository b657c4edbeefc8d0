// Package testserver is a programmable MCP server in memory, of either era,
// for tests: it does exactly what it is told, also what no real server does.
//
//	srv := testserver.New("files", transport.Legacy)
//	srv.Tool("echo", func(ctx context.Context, c *testserver.Call) (string, error) {
//		return testserver.Text("hi"), nil
//	})
//	gateway.Server{Name: "files", Launcher: srv}
package testserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/runtime"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// Server makes instances of itself. Its exported fields are set before it is
// first used.
type Server struct {
	Name string
	Eras []transport.Era // what it speaks

	Capabilities string // raw JSON; default: tools, prompts, resources, logging, completions
	Instructions string

	// Streams makes it count as a server whose connection tells which call a
	// request belongs to; false: it is like a pipe.
	Streams bool

	// BeforeStart runs in each launch; its error is the launch's.
	BeforeStart func(ctx context.Context, k runtime.Key) error

	Starts atomic.Int64
	Calls  atomic.Int64

	mu       sync.Mutex
	tools    map[string]Handler
	order    []string
	defs     map[string]string
	methods  map[string]Handler
	lists    map[string]func(cursor string) string
	live     map[*Instance]bool
	lastKeys []runtime.Key
}

// Handler answers one request with a raw result.
type Handler func(ctx context.Context, c *Call) (string, error)

// Call is one request to the server.
type Call struct {
	*transport.Message
	Instance *Instance
	Era      transport.Era
}

// New makes a server that speaks these eras.
func New(name string, eras ...transport.Era) *Server {
	return &Server{
		Name: name, Eras: eras,
		Capabilities: `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"logging":{},"completions":{}}`,
		tools:        map[string]Handler{}, defs: map[string]string{}, methods: map[string]Handler{},
		lists: map[string]func(string) string{}, live: map[*Instance]bool{},
	}
}

// Text is a tool's result of one text.
func Text(s string) string {
	return `{"content":[{"type":"text","text":` + string(rawjson.Quote(s)) + `}]}`
}

// Tool adds or replaces a tool.
func (s *Server) Tool(name string, h Handler) *Server {
	return s.ToolDef(name, `{"name":`+string(rawjson.Quote(name))+`,"inputSchema":{"type":"object"}}`, h)
}

// ToolDef adds a tool with its raw definition.
func (s *Server) ToolDef(name, def string, h Handler) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tools[name] == nil {
		s.order = append(s.order, name)
	}
	s.tools[name], s.defs[name] = h, def
	return s
}

// Method answers a method of its own or overrides one.
func (s *Server) Method(name string, h Handler) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.methods[name] = h
	return s
}

// List sets what a list method answers: the raw result of each page.
func (s *Server) List(method string, page func(cursor string) string) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[method] = page
	return s
}

// Live returns the instances that run.
func (s *Server) Live() []*Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Instance, 0, len(s.live))
	for i := range s.live {
		out = append(out, i)
	}
	return out
}

// Keys returns the keys of all launches.
func (s *Server) Keys() []runtime.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]runtime.Key(nil), s.lastKeys...)
}

// Instance is one running copy.
type Instance struct {
	srv    *Server
	Number int64
	client transport.Conn // the gateway's end
	conn   transport.Conn // the server's end
	exit   chan runtime.Exit
	once   sync.Once

	mu    sync.Mutex
	Info  json.RawMessage // clientInfo of the handshake
	Caps  json.RawMessage
	Era   transport.Era
	Level string
	subs  map[string]bool
	lists []listen
}

type listen struct {
	ctx context.Context
	id  json.RawMessage
}

var _ runtime.Launcher = (*Server)(nil)
var _ runtime.Instance = (*Instance)(nil)

// Launch implements [runtime.Launcher].
func (s *Server) Launch(ctx context.Context, k runtime.Key) (runtime.Instance, error) {
	n := s.Starts.Add(1)
	s.mu.Lock()
	s.lastKeys = append(s.lastKeys, k)
	s.mu.Unlock()
	if s.BeforeStart != nil {
		if err := s.BeforeStart(ctx, k); err != nil {
			return nil, err
		}
	}
	i := &Instance{srv: s, Number: n, exit: make(chan runtime.Exit, 1), subs: map[string]bool{}}
	i.client, i.conn = transport.Pipe()
	s.mu.Lock()
	s.live[i] = true
	s.mu.Unlock()
	i.conn.Listen(transport.ReceiverFunc(i.receive))
	return i, nil
}

// Conn implements [runtime.Instance].
func (i *Instance) Conn() transport.Conn { return i.client }

// Wait implements [runtime.Instance].
func (i *Instance) Wait() <-chan runtime.Exit { return i.exit }

// Stop implements [runtime.Instance].
func (i *Instance) Stop(context.Context) error {
	i.end(runtime.Exit{Reason: runtime.Stopped, Code: -1})
	return nil
}

// Crash ends the instance as a server that died with these last words.
func (i *Instance) Crash(code int, stderr ...string) {
	i.end(runtime.Exit{Reason: runtime.Exited, Code: code, Stderr: stderr})
}

func (i *Instance) end(e runtime.Exit) {
	i.once.Do(func() {
		i.srv.mu.Lock()
		delete(i.srv.live, i)
		i.srv.mu.Unlock()
		i.exit <- e
		close(i.exit)
		go i.conn.Close() // a handler may be the one that crashes
		_ = i.client.Close()
	})
}

// Notify sends a notification of no call.
func (i *Instance) Notify(method, params string) error {
	return i.conn.Notify(context.Background(), &transport.Message{Method: method, Params: raw(params)})
}

// Ask sends a request of no call.
func (i *Instance) Ask(ctx context.Context, method, params string) (*transport.Message, error) {
	return i.conn.Call(ctx, &transport.Message{ID: json.RawMessage("0"), Method: method, Params: raw(params)}, nil)
}

// Notify sends a notification as part of the call.
func (c *Call) Notify(ctx context.Context, method, params string) error {
	return c.Instance.conn.Notify(ctx, &transport.Message{Method: method, Params: raw(params)})
}

// Ask sends a request to the client as part of the call.
func (c *Call) Ask(ctx context.Context, method, params string) (string, error) {
	reply, err := c.Instance.conn.Call(ctx, &transport.Message{ID: json.RawMessage("0"), Method: method, Params: raw(params)}, nil)
	if err != nil {
		return "", err
	}
	if reply.Error != nil {
		return "", transport.ParseRPCError(reply.Error)
	}
	return string(reply.Result), nil
}

// Progress reports progress under the token of the call.
func (c *Call) Progress(ctx context.Context, n int) error {
	token, ok := rawjson.Get(c.Params, "_meta", "progressToken")
	if !ok {
		return errors.New("the call has no progress token")
	}
	p := rawjson.Set(nil, token, "progressToken")
	return c.Notify(ctx, "notifications/progress", string(rawjson.Set(p, raw(strconv.Itoa(n)), "progress")))
}

// Arg returns a raw argument.
func (c *Call) Arg(name string) string {
	v, _ := rawjson.Get(c.Params, "arguments", name)
	return string(v)
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func (s *Server) speaks(e transport.Era) bool {
	for _, have := range s.Eras {
		if have == e {
			return true
		}
	}
	return false
}

func (i *Instance) receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if m.IsNotification() {
		return nil, nil
	}
	_, isModern := rawjson.Get(m.Params, "_meta", "io.modelcontextprotocol/protocolVersion")
	era := transport.Legacy
	if isModern {
		era = transport.Modern
	}
	if m.Method != "initialize" && !i.srv.speaks(era) || m.Method == "initialize" && !i.srv.speaks(transport.Legacy) {
		if i.srv.speaks(transport.Modern) {
			return nil, &transport.RPCError{Code: transport.CodeUnsupportedVersion, Message: "unsupported protocol version", Data: raw(`{"supported":["2026-07-28"],"requested":"x"}`)}
		}
		return nil, transport.Errorf(transport.CodeMethodNotFound, "method not found")
	}
	c := &Call{Message: m, Instance: i, Era: era}
	i.srv.mu.Lock()
	h := i.srv.methods[m.Method]
	page := i.srv.lists[m.Method]
	i.srv.mu.Unlock()
	var res string
	var err error
	switch {
	case h != nil:
		res, err = h(ctx, c)
	case page != nil:
		cur, _ := rawjson.Get(m.Params, "cursor")
		s, _ := rawjson.String(cur)
		res = page(s)
	default:
		res, err = i.answer(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if era == transport.Modern {
		if _, ok := rawjson.Get(raw(res), "resultType"); !ok {
			res = string(rawjson.Set(raw(res), raw(`"complete"`), "resultType"))
		}
	}
	return m.Reply(raw(res)), nil
}

func (i *Instance) answer(ctx context.Context, c *Call) (string, error) {
	s := i.srv
	switch c.Method {
	case "initialize":
		i.mu.Lock()
		i.Info, _ = rawjson.Get(c.Params, "clientInfo")
		i.Caps, _ = rawjson.Get(c.Params, "capabilities")
		i.Era = transport.Legacy
		i.mu.Unlock()
		v, _ := rawjson.Get(c.Params, "protocolVersion")
		res := fmt.Sprintf(`{"protocolVersion":%s,"capabilities":%s,"serverInfo":{"name":%q,"version":"1"}}`, v, s.Capabilities, s.Name)
		if s.Instructions != "" {
			res = string(rawjson.Set(raw(res), rawjson.Quote(s.Instructions), "instructions"))
		}
		return res, nil
	case "server/discover":
		i.mu.Lock()
		i.Era = transport.Modern
		i.mu.Unlock()
		return fmt.Sprintf(`{"supportedVersions":["2026-07-28"],"capabilities":%s,"serverInfo":{"name":%q,"version":"1"},"ttlMs":0,"cacheScope":"private"}`, s.Capabilities, s.Name), nil
	case "ping":
		return "{}", nil
	case "logging/setLevel":
		v, _ := rawjson.Get(c.Params, "level")
		i.mu.Lock()
		i.Level, _ = rawjson.String(v)
		i.mu.Unlock()
		return "{}", nil
	case "tools/list":
		s.mu.Lock()
		defer s.mu.Unlock()
		out := `{"tools":[`
		for n, name := range s.order {
			if n > 0 {
				out += ","
			}
			out += s.defs[name]
		}
		return out + "]}", nil
	case "prompts/list":
		return `{"prompts":[]}`, nil
	case "resources/list":
		return `{"resources":[]}`, nil
	case "resources/templates/list":
		return `{"resourceTemplates":[]}`, nil
	case "resources/subscribe", "resources/unsubscribe":
		v, _ := rawjson.Get(c.Params, "uri")
		uri, _ := rawjson.String(v)
		i.mu.Lock()
		i.subs[uri] = c.Method == "resources/subscribe"
		i.mu.Unlock()
		return "{}", nil
	case "subscriptions/listen":
		return i.listen(ctx, c)
	case "tools/call":
		s.Calls.Add(1)
		v, _ := rawjson.Get(c.Params, "name")
		name, _ := rawjson.String(v)
		s.mu.Lock()
		h := s.tools[name]
		s.mu.Unlock()
		if h == nil {
			return "", transport.Errorf(transport.CodeInvalidParams, "unknown tool %q", name)
		}
		return h(ctx, c)
	}
	return "", transport.Errorf(transport.CodeMethodNotFound, "method not found")
}

// Subscribed reports whether somebody is subscribed to a resource.
func (i *Instance) Subscribed(uri string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.subs[uri]
}

func (i *Instance) listen(ctx context.Context, c *Call) (string, error) {
	filter, _ := rawjson.Get(c.Params, "notifications")
	meta := rawjson.Set(nil, c.ID, "io.modelcontextprotocol/subscriptionId")
	ack := rawjson.Set(rawjson.Set(nil, meta, "_meta"), filter, "notifications")
	i.mu.Lock()
	i.lists = append(i.lists, listen{ctx, c.ID})
	if uris, ok := rawjson.Get(filter, "resourceSubscriptions"); ok {
		rawjson.Each(uris, func(_, v []byte) bool {
			uri, _ := rawjson.String(v)
			i.subs[uri] = true
			return true
		})
	}
	i.mu.Unlock()
	if err := c.Notify(ctx, "notifications/subscriptions/acknowledged", string(ack)); err != nil {
		return "", err
	}
	<-ctx.Done()
	return "", ctx.Err()
}

// NotifyListeners sends a notification on the newest open listen stream of a
// modern client.
func (i *Instance) NotifyListeners(method, params string) error {
	i.mu.Lock()
	var to *listen
	for n := range i.lists {
		if i.lists[n].ctx.Err() == nil {
			to = &i.lists[n]
		}
	}
	i.mu.Unlock()
	if to == nil {
		return errors.New("nobody listens")
	}
	p := rawjson.Set(raw(params), to.id, "_meta", "io.modelcontextprotocol/subscriptionId")
	return i.conn.Notify(to.ctx, &transport.Message{Method: method, Params: p})
}
