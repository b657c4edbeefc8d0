package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// supportedModern reports whether a version of the modern era is spoken here.
func supportedModern(v string) bool { return v == transport.VersionModern }

func unsupportedVersion(v string) error {
	e := transport.Errorf(transport.CodeUnsupportedVersion, "unsupported protocol version %q", v)
	b := append([]byte(nil), `{"supported":[`...)
	for i, s := range supportedVersions() {
		if i > 0 {
			b = append(b, ',')
		}
		b = rawjson.AppendString(b, s)
	}
	b = append(b, `],"requested":`...)
	b = rawjson.AppendString(b, v)
	e.Data = append(b, '}')
	return e
}

// supportedVersions lists what is spoken here, the newest first.
func supportedVersions() []string {
	return append([]string{transport.VersionModern}, transport.LegacyVersions...)
}

// runInitialize answers initialize without waiting for any server.
func runInitialize(_ context.Context, r *request, c *interceptor.Call) (*interceptor.Result, error) {
	f := readFields(c.Params)
	version := text(f.protocolVersion)
	if version == "" {
		return nil, transport.Errorf(transport.CodeInvalidParams, "params.protocolVersion is not a string")
	}
	if !slices.Contains(transport.LegacyVersions, version) {
		version = mcp.NegotiateLegacyVersion(version)
	}
	cl := r.g.clients.get(transport.Legacy, version, f.client, f.capabilities)
	s := r.sess
	s.mu.Lock()
	if s.ready {
		s.mu.Unlock()
		return nil, transport.Errorf(transport.CodeInvalidRequest, "the session is initialized already")
	}
	s.client, s.ready = cl, true
	close(s.greeted)
	s.mu.Unlock()
	r.client = cl
	r.g.sessionEvent(SessionEvent{ID: s.label(), Principal: s.principal, Client: cl.Client, Open: true})

	res := rawjson.Set(nil, rawjson.Quote(version), "protocolVersion")
	res = rawjson.Set(res, r.g.capabilities(r.snap, transport.Legacy), "capabilities")
	res = rawjson.Set(res, r.g.identity, "serverInfo")
	if text := r.g.instructions(r.snap); text != "" {
		res = rawjson.Set(res, rawjson.Quote(text), "instructions")
	}
	return &interceptor.Result{Raw: res}, nil
}

// runDiscover answers server/discover without waiting for any server.
func runDiscover(_ context.Context, r *request, _ *interceptor.Call) (*interceptor.Result, error) {
	versions := json.RawMessage("[")
	for i, v := range supportedVersions() {
		if i > 0 {
			versions = append(versions, ',')
		}
		versions = rawjson.AppendString(versions, v)
	}
	res := json.RawMessage(`{"resultType":"complete"}`)
	res = rawjson.Set(res, append(versions, ']'), "supportedVersions")
	res = rawjson.Set(res, r.g.capabilities(r.snap, transport.Modern), "capabilities")
	res = rawjson.Set(res, r.g.identity, "serverInfo")
	if text := r.g.instructions(r.snap); text != "" {
		res = rawjson.Set(res, rawjson.Quote(text), "instructions")
	}
	res = rawjson.Set(res, json.RawMessage("0"), "ttlMs")
	res = rawjson.Set(res, json.RawMessage(`"private"`), "cacheScope")
	res = rawjson.Set(res, r.g.identity, "_meta", metaServer)
	return &interceptor.Result{Raw: res}, nil
}

// capabilities merges what the servers announced at their last handshake.
// While one of them was never started, all that the gateway can carry is
// announced.
func (g *Gateway) capabilities(snap *snapshot, era transport.Era) json.RawMessage {
	all := json.RawMessage(`{"completions":{},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true},"logging":{}}`)
	out := json.RawMessage("{}")
	for _, srv := range snap.servers {
		p := srv.lastPeer()
		if p == nil {
			out = merge(out, all)
			continue
		}
		rawjson.Each(p.Capabilities, func(key, v []byte) bool {
			name, ok := rawjson.String(key)
			if !ok {
				return true
			}
			switch name {
			case "tools", "prompts", "resources", "completions", "logging":
				v, _ = rawjson.Get(all, name)
			case "tasks":
				if era != transport.Legacy || p.Era != era {
					return true
				}
			case "extensions":
				if p.Era != era { // an extension cannot be honoured across eras
					return true
				}
			case "experimental":
				if len(snap.servers) > 1 || p.Era != era {
					return true
				}
			default:
				if len(snap.servers) > 1 {
					return true
				}
			}
			out = merge(out, rawjson.Set(nil, v, name))
			return true
		})
	}
	return out
}

// merge lays the members of b over a, objects within objects.
func merge(a, b json.RawMessage) json.RawMessage {
	rawjson.Each(b, func(key, v []byte) bool {
		name, ok := rawjson.String(key)
		if !ok {
			return true
		}
		if have, ok := rawjson.Get(a, name); ok && rawjson.KindOf(have) == rawjson.Object && rawjson.KindOf(v) == rawjson.Object {
			v = merge(have, v)
		}
		a = rawjson.Set(a, v, name)
		return true
	})
	return a
}

// instructions puts the servers' instructions together, each under its name.
func (g *Gateway) instructions(snap *snapshot) string {
	var b strings.Builder
	b.WriteString(snap.opts.Instructions)
	for _, srv := range snap.servers {
		p := srv.lastPeer()
		if p == nil {
			continue
		}
		own := text(p.Instructions)
		if own == "" {
			continue
		}
		if len(snap.servers) == 1 && b.Len() == 0 {
			return own
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString("# " + srv.Name + "\n\n" + own)
	}
	return b.String()
}
