package gateway_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/gateway"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// open makes a gateway that ends with the test.
func open(t *testing.T, o *gateway.Options) *gateway.Gateway {
	t.Helper()
	gw, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gw.Close() })
	return gw
}

// peer is a client of either era for tests.
type peer struct {
	t    *testing.T
	conn transport.Conn
	caps string
	// modern clients put this into every request.
	modern bool
	level  string

	answer func(ctx context.Context, m *transport.Message) (string, error)

	mu    sync.Mutex
	notes []*transport.Message
	came  chan struct{}
	ids   atomic.Int64
}

const allCaps = `{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{"listChanged":true}}`

// legacyClient opens a session of the legacy era.
func legacyClient(t *testing.T, gw *gateway.Gateway, caps string, answer func(context.Context, *transport.Message) (string, error)) *peer {
	t.Helper()
	p := newPeer(t, gw, caps, answer)
	res := p.must("initialize", `{"protocolVersion":"2025-11-25","capabilities":`+caps+`,"clientInfo":{"name":"test","version":"1"}}`)
	if v, _ := rawjson.Get(json.RawMessage(res), "protocolVersion"); string(v) != `"2025-11-25"` {
		t.Fatalf("initialize: %s", res)
	}
	if err := p.conn.Notify(t.Context(), &transport.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// modernClient is a client of the modern era.
func modernClient(t *testing.T, gw *gateway.Gateway, caps string) *peer {
	t.Helper()
	p := newPeer(t, gw, caps, nil)
	p.modern = true
	return p
}

func newPeer(t *testing.T, gw *gateway.Gateway, caps string, answer func(context.Context, *transport.Message) (string, error)) *peer {
	t.Helper()
	conn, err := gw.Connect(transport.Principal{})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn, caps: caps, answer: answer, came: make(chan struct{}, 1)}
	conn.Listen(transport.ReceiverFunc(p.receive))
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

func (p *peer) receive(ctx context.Context, m *transport.Message) (*transport.Message, error) {
	if m.IsNotification() {
		p.mu.Lock()
		p.notes = append(p.notes, m)
		p.mu.Unlock()
		select {
		case p.came <- struct{}{}:
		default:
		}
		return nil, nil
	}
	if p.answer == nil {
		return nil, transport.Errorf(transport.CodeMethodNotFound, "no")
	}
	res, err := p.answer(ctx, m)
	if err != nil {
		return nil, err
	}
	return m.Reply(json.RawMessage(res)), nil
}

// params lays the client's _meta over params.
func (p *peer) params(params string) json.RawMessage {
	raw := json.RawMessage(params)
	if !p.modern {
		return raw
	}
	raw = rawjson.Set(raw, json.RawMessage(`"2026-07-28"`), "_meta", "io.modelcontextprotocol/protocolVersion")
	raw = rawjson.Set(raw, json.RawMessage(`{"name":"test","version":"1"}`), "_meta", "io.modelcontextprotocol/clientInfo")
	raw = rawjson.Set(raw, json.RawMessage(p.caps), "_meta", "io.modelcontextprotocol/clientCapabilities")
	if p.level != "" {
		raw = rawjson.Set(raw, rawjson.Quote(p.level), "_meta", "io.modelcontextprotocol/logLevel")
	}
	return raw
}

// call makes a request.
func (p *peer) call(ctx context.Context, method, params string) (*transport.Message, error) {
	id := json.RawMessage(strconv.FormatInt(p.ids.Add(1), 10))
	return p.conn.Call(ctx, &transport.Message{ID: id, Method: method, Params: p.params(params)}, transport.ReceiverFunc(p.receive))
}

// must makes a request that has to succeed and returns its result.
func (p *peer) must(method, params string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	m, err := p.call(ctx, method, params)
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	if m.Error != nil {
		p.t.Fatalf("%s: %s", method, m.Error)
	}
	return string(m.Result)
}

// fails makes a request that has to end with a JSON-RPC error and returns it.
func (p *peer) fails(method, params string) *transport.RPCError {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	m, err := p.call(ctx, method, params)
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	if m.Error == nil {
		p.t.Fatalf("%s succeeded: %s", method, m.Result)
	}
	return transport.ParseRPCError(m.Error)
}

// note waits for a notification that ok accepts.
func (p *peer) note(ok func(*transport.Message) bool) *transport.Message {
	p.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		for i, m := range p.notes {
			if ok(m) {
				p.notes = append(p.notes[:i:i], p.notes[i+1:]...)
				p.mu.Unlock()
				return m
			}
		}
		p.mu.Unlock()
		select {
		case <-p.came:
		case <-limit:
			p.t.Fatal("the notification did not come")
		}
	}
}

func method(name string) func(*transport.Message) bool {
	return func(m *transport.Message) bool { return m.Method == name }
}

// get returns the decoded string or raw value at a path of a result.
func get(result string, path ...string) string {
	v, ok := rawjson.Get(json.RawMessage(result), path...)
	if !ok {
		return ""
	}
	if s, ok := rawjson.String(v); ok {
		return s
	}
	return string(v)
}

// textOf returns the first text of a tool's result.
func textOf(result string) string {
	content, _ := rawjson.Get(json.RawMessage(result), "content")
	s := ""
	rawjson.Each(content, func(_, v []byte) bool {
		s = get(string(v), "text")
		return false
	})
	return s
}

// names lists the names in a list result.
func names(result, member string) []string {
	items, _ := rawjson.Get(json.RawMessage(result), member)
	out := []string{}
	rawjson.Each(items, func(_, v []byte) bool {
		out = append(out, get(string(v), "name"))
		return true
	})
	return out
}
