package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// clientCaps is what a client declared that it can do.
type clientCaps struct {
	raw   json.RawMessage
	class string // equal for equal declarations

	elicitForm, elicitURL bool
	sampling, roots       bool
	tasks                 bool // the modern extension
}

var noCaps = parseCaps(json.RawMessage("{}"))

func parseCaps(raw json.RawMessage) *clientCaps {
	if rawjson.KindOf(raw) != rawjson.Object {
		raw = json.RawMessage("{}")
	}
	sum := sha256.Sum256(raw)
	c := &clientCaps{raw: raw, class: hex.EncodeToString(sum[:8])}
	if e, ok := rawjson.Get(raw, "elicitation"); ok {
		_, form := rawjson.Get(e, "form")
		_, c.elicitURL = rawjson.Get(e, "url")
		c.elicitForm = form || !c.elicitURL // an empty object means form
	}
	_, c.sampling = rawjson.Get(raw, "sampling")
	_, c.roots = rawjson.Get(raw, "roots")
	_, c.tasks = rawjson.Get(raw, "extensions", tasksExtension)
	return c
}

// forServer is what a server is told of the client.
func (c *clientCaps) forServer() json.RawMessage { return c.raw }

// canAsk reports whether the client can be asked anything at all.
func (c *clientCaps) canAsk() bool {
	return c.elicitForm || c.elicitURL || c.sampling || c.roots
}

// answers reports whether the client declared to answer a request.
func (c *clientCaps) answers(method string, params json.RawMessage) bool {
	switch method {
	case "elicitation/create":
		mode, _ := rawjson.Get(params, "mode")
		if string(mode) == `"url"` {
			return c.elicitURL
		}
		return c.elicitForm
	case "sampling/createMessage":
		return c.sampling
	case "roots/list":
		return c.roots
	}
	return false
}

// client is what a client said of itself, parsed once.
type client struct {
	interceptor.Client
	era  transport.Era
	info json.RawMessage // clientInfo as it came
	caps *clientCaps
}

var unknownClient = &client{caps: noCaps}

// clientCache keeps parsed descriptions: a modern client sends its own with
// every request.
type clientCache struct {
	mu sync.Mutex
	m  map[clientKey]*client
}

type clientKey struct{ version, info, caps string }

func newClientCache() *clientCache { return &clientCache{m: make(map[clientKey]*client)} }

func (cc *clientCache) get(era transport.Era, version string, info, caps json.RawMessage) *client {
	// The conversions in the look-up do not allocate.
	cc.mu.Lock()
	c := cc.m[clientKey{version, string(info), string(caps)}]
	cc.mu.Unlock()
	if c != nil {
		return c
	}
	c = &client{era: era, caps: parseCaps(caps)}
	c.ProtocolVersion = version
	c.Capabilities = c.caps.raw
	if rawjson.KindOf(info) == rawjson.Object {
		c.info = info
		if v, ok := rawjson.Get(info, "name"); ok {
			c.Name, _ = rawjson.String(v)
		}
		if v, ok := rawjson.Get(info, "version"); ok {
			c.Version, _ = rawjson.String(v)
		}
	}
	if len(info)+len(caps) > 16<<10 { // not worth keeping
		return c
	}
	cc.mu.Lock()
	if len(cc.m) >= 1024 {
		clear(cc.m)
	}
	cc.m[clientKey{version, string(info), string(caps)}] = c
	cc.mu.Unlock()
	return c
}
