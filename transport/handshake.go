package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// HandshakeOptions configures [Handshake]. The zero value is legal: an
// unnamed client without capabilities that prefers the modern era.
type HandshakeOptions struct {
	// ClientInfo is the Implementation object that names the client, and
	// Capabilities what it can do.
	ClientInfo   json.RawMessage
	Capabilities json.RawMessage

	// Prefer is the era that is tried first [Modern]. What is known of the
	// server from an earlier handshake belongs here: it saves the probe.
	Prefer Era

	// Only forbids the other era.
	Only bool

	// ProbeTimeout is how long a server may be silent to server/discover
	// before it counts as legacy [5 s]. It is not used when Only is set.
	ProbeTimeout time.Duration
}

// DefaultProbeTimeout is the default of HandshakeOptions.ProbeTimeout.
const DefaultProbeTimeout = 5 * time.Second

// Peer is what a handshake told about a server. The raw parts are as the
// server sent them.
type Peer struct {
	Era          Era
	Version      string          // the revision to speak
	Supported    []string        // every revision that the server named
	Capabilities json.RawMessage // an object, {} when the server told none
	ServerInfo   json.RawMessage // nil when absent
	Instructions json.RawMessage // a JSON string; nil when absent
	Result       json.RawMessage // the whole result of initialize or server/discover
}

// Handshake finds out what the server behind c speaks, and greets it: with
// server/discover in the modern era, with initialize and
// notifications/initialized in the legacy one. It is done once, before any
// other call on c, after Listen.
//
// The rules are those of the 2026-07-28 revision (versioning, and the
// backward compatibility sections of stdio and Streamable HTTP): a discover
// result or one of the modern error codes makes a server modern, and then it
// is never sent an initialize as long as it names a modern revision;
// any other error and silence make it legacy. A server that refuses the
// client (HTTP 401, 403), or that cannot be reached, is an error in either
// case. A JSON-RPC error of the server is returned as an [*RPCError].
func Handshake(ctx context.Context, c Conn, o HandshakeOptions) (*Peer, error) {
	if o.ProbeTimeout <= 0 {
		o.ProbeTimeout = DefaultProbeTimeout
	}
	if o.Capabilities == nil {
		o.Capabilities = json.RawMessage("{}")
	}
	h := &handshake{c: c, o: o}
	p, err := h.run(ctx)
	if err != nil {
		return nil, err
	}
	if v, ok := c.(Versioned); ok {
		v.SetProtocolVersion(p.Version)
	}
	if p.Era == Legacy {
		if err := c.Notify(ctx, &Message{Method: "notifications/initialized"}); err != nil {
			return nil, fmt.Errorf("sending notifications/initialized: %w", err)
		}
	}
	return p, nil
}

type handshake struct {
	c Conn
	o HandshakeOptions
}

// otherEraError says that the server did not answer as one of the era that
// was tried, for the reason given.
type otherEraError struct {
	era   Era
	cause error
}

func (e *otherEraError) Error() string {
	return fmt.Sprintf("the server does not speak a %s revision of the protocol: %v", e.era, e.cause)
}

func (e *otherEraError) Unwrap() error { return e.cause }

func (h *handshake) run(ctx context.Context) (*Peer, error) {
	first, second := h.modern, h.legacy
	if h.o.Prefer == Legacy {
		first, second = second, first
	}
	p, err := first(ctx)
	var other *otherEraError
	if err == nil || h.o.Only || !errors.As(err, &other) {
		return p, err
	}
	p, err2 := second(ctx)
	switch {
	case err2 == nil:
		return p, nil
	case errors.As(err2, new(*otherEraError)):
		// Neither: the era that was preferred has the better explanation,
		// except that a legacy server never knows server/discover.
		if h.o.Prefer == Legacy {
			return nil, err
		}
	}
	return nil, err2
}

// modern tries server/discover.
func (h *handshake) modern(ctx context.Context) (*Peer, error) {
	version, retried := VersionModern, false
	for {
		reply, err := h.discover(ctx, version)
		if err != nil {
			return nil, err
		}
		if reply.Error == nil {
			return h.discovered(version, reply.Result)
		}
		e := ParseRPCError(reply.Error)
		switch e.Code {
		case CodeUnsupportedVersion:
			next, err := choose(e)
			if err != nil {
				return nil, err
			}
			if retried {
				return nil, fmt.Errorf("server/discover: the server names %s as supported and refuses it: %w", next, e)
			}
			version, retried = next, true
		case CodeHeaderMismatch, CodeMissingCapability:
			return nil, fmt.Errorf("server/discover: %w", e)
		default:
			return nil, &otherEraError{Modern, e}
		}
	}
}

func (h *handshake) discover(ctx context.Context, version string) (*Message, error) {
	probe := ctx
	if !h.o.Only {
		var cancel context.CancelFunc
		probe, cancel = context.WithTimeout(ctx, h.o.ProbeTimeout)
		defer cancel()
	}
	reply, err := h.c.Call(probe, &Message{
		ID:     json.RawMessage("1"),
		Method: "server/discover",
		Params: ModernMeta(nil, version, h.o.ClientInfo, h.o.Capabilities),
	}, nil)
	if err == nil {
		return reply, nil
	}
	var t *Error
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case probe.Err() != nil:
		return nil, &otherEraError{Modern, fmt.Errorf("no answer to server/discover within %s", h.o.ProbeTimeout)}
	case errors.As(err, &t) && t.Status != http.StatusUnauthorized && t.Status != http.StatusForbidden && (t.Status != 0 || t.Sent) && !errors.Is(err, ErrClosed):
		return nil, &otherEraError{Modern, err}
	}
	return nil, fmt.Errorf("server/discover: %w", err)
}

// discovered reads a DiscoverResult.
func (h *handshake) discovered(version string, result json.RawMessage) (*Peer, error) {
	list, ok := rawjson.Get(result, "supportedVersions")
	if !ok || rawjson.KindOf(list) != rawjson.Array {
		// Some legacy servers answer any request with an empty result.
		return nil, &otherEraError{Modern, errors.New("the result of server/discover has no supportedVersions")}
	}
	p := &Peer{Era: Modern, Version: version, Supported: stringList(list), Result: result}
	if !slices.Contains(p.Supported, version) {
		v, err := common(p.Supported)
		if err != nil {
			return nil, err
		}
		p.Version = v
	}
	if err := p.read(result); err != nil {
		return nil, fmt.Errorf("server/discover: %w", err)
	}
	if info, ok := rawjson.Get(result, "_meta", MetaServerInfo); ok {
		p.ServerInfo = info
	}
	return p, nil
}

// legacy tries initialize.
func (h *handshake) legacy(ctx context.Context) (*Peer, error) {
	info := h.o.ClientInfo
	if info == nil {
		info = json.RawMessage(`{"name":"","version":""}`)
	}
	params := append([]byte(nil), `{"protocolVersion":"`+VersionLegacy+`","capabilities":`...)
	params = append(params, h.o.Capabilities...)
	params = append(params, `,"clientInfo":`...)
	params = append(params, info...)
	params = append(params, '}')
	reply, err := h.c.Call(ctx, &Message{ID: json.RawMessage("0"), Method: "initialize", Params: params}, nil)
	if err != nil {
		err = fmt.Errorf("initialize: %w", err)
		var t *Error
		if errors.As(err, &t) && (t.Status == http.StatusBadRequest || t.Status == http.StatusNotFound || t.Status == http.StatusMethodNotAllowed) {
			return nil, &otherEraError{Legacy, err}
		}
		return nil, err
	}
	if reply.Error != nil {
		e := ParseRPCError(reply.Error)
		if modernOnly(e) {
			return nil, &otherEraError{Legacy, e}
		}
		return nil, fmt.Errorf("initialize: %w", e)
	}
	v, _ := rawjson.Get(reply.Result, "protocolVersion")
	version, ok := rawjson.String(v)
	switch {
	case !ok:
		return nil, errors.New("initialize: the result has no protocolVersion")
	case !slices.Contains(LegacyVersions, version):
		return nil, fmt.Errorf("initialize: the server chose revision %q; this client speaks %s", version, strings.Join(LegacyVersions, ", "))
	}
	p := &Peer{Era: Legacy, Version: version, Supported: []string{version}, Result: reply.Result}
	if err := p.read(reply.Result); err != nil {
		return nil, fmt.Errorf("initialize: %w", err)
	}
	return p, nil
}

// modernOnly reports whether an error to initialize looks like that of a
// server without legacy revisions.
func modernOnly(e *RPCError) bool {
	switch e.Code {
	case CodeUnsupportedVersion, CodeHeaderMismatch, CodeMissingCapability, CodeMethodNotFound, CodeInvalidParams, CodeInvalidRequest:
		return true
	}
	for _, v := range ModernVersions {
		if strings.Contains(e.Message, v) || strings.Contains(string(e.Data), v) {
			return true
		}
	}
	return false
}

// read takes what both results have in common.
func (p *Peer) read(result json.RawMessage) error {
	p.Capabilities = json.RawMessage("{}")
	if v, ok := rawjson.Get(result, "capabilities"); ok {
		if rawjson.KindOf(v) != rawjson.Object {
			return errors.New("the capabilities of the server are not an object")
		}
		p.Capabilities = v
	}
	if v, ok := rawjson.Get(result, "serverInfo"); ok && rawjson.KindOf(v) == rawjson.Object {
		p.ServerInfo = v
	}
	if v, ok := rawjson.Get(result, "instructions"); ok && rawjson.KindOf(v) == rawjson.Str {
		p.Instructions = v
	}
	return nil
}

// choose picks a revision from the data of a -32022.
func choose(e *RPCError) (string, error) {
	list, _ := rawjson.Get(e.Data, "supported")
	supported := stringList(list)
	if len(supported) == 0 {
		return "", fmt.Errorf("server/discover: the server refuses revision %s and names no other: %w", VersionModern, e)
	}
	return common(supported)
}

// common returns the newest modern revision that both sides speak.
func common(supported []string) (string, error) {
	for _, v := range ModernVersions {
		if slices.Contains(supported, v) {
			return v, nil
		}
	}
	err := fmt.Errorf("the server supports %s", strings.Join(supported, ", "))
	for _, v := range LegacyVersions {
		if slices.Contains(supported, v) {
			return "", &otherEraError{Modern, err}
		}
	}
	return "", fmt.Errorf("no revision of the protocol in common: %w, this client %s and %s",
		err, strings.Join(ModernVersions, ", "), strings.Join(LegacyVersions, ", "))
}

// stringList reads an array of strings and skips what is none. It keeps at
// most 64.
func stringList(list json.RawMessage) (out []string) {
	if rawjson.KindOf(list) != rawjson.Array {
		return nil
	}
	rawjson.Each(list, func(_, v []byte) bool {
		if s, ok := rawjson.String(v); ok {
			out = append(out, s)
		}
		return len(out) < 64
	})
	return out
}
