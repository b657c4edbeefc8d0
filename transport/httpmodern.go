package transport

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// modernStatus is the HTTP status of a JSON-RPC error in the modern era.
func modernStatus(raw json.RawMessage) int {
	switch ParseRPCError(raw).Code {
	case CodeMethodNotFound:
		return http.StatusNotFound
	case CodeInvalidParams, CodeHeaderMismatch, CodeMissingCapability, CodeUnsupportedVersion, CodeParse, CodeInvalidRequest:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// serveModern serves a POST of the modern era. version is what params._meta
// says, nil when it says nothing.
func (ex *frontExchange) serveModern(m *Message, version json.RawMessage) {
	ex.modern = true
	if m.IsResponse() {
		ex.refuse(http.StatusBadRequest, nil, CodeInvalidRequest, "a client sends no responses in revision %s: retry the request with inputResponses", VersionModern)
		return
	}
	if e := ex.checkModern(m, version); e != nil {
		ex.refuseError(http.StatusBadRequest, m.ID, e)
		return
	}
	if err := ex.h.begin(&ex.p, 1); err != nil {
		_ = ex.answer(m.ID, nil, err) // a client that has gone gets no answer
		return
	}
	defer ex.h.done(&ex.p, 1)
	m.Header = mcpHeader(ex.r.Header)
	c := &ex.call
	ex.bind(ex.r.Context(), c, m.ID)
	ex.open(nil)
	defer c.cancel()
	reply, err := ex.stateless(m)
	if m.IsNotification() {
		if t := (*Error)(nil); errors.As(err, &t) && t.Status >= 400 {
			_ = ex.answer(nil, nil, err) // a client that has gone gets no answer
			return
		}
		ex.accepted()
		return
	}
	_ = ex.answer(m.ID, reply, err)
}

func (ex *frontExchange) stateless(m *Message) (reply *Message, err error) {
	defer ex.h.contain(m.Method, &err)
	return ex.h.host.Stateless(&ex.call, ex, ex.p, ex.r, m)
}

// checkModern compares the headers with the body (2026-07-28, Streamable HTTP,
// Server Validation) and looks for what every request must say of itself.
func (ex *frontExchange) checkModern(m *Message, version json.RawMessage) *RPCError {
	h := ex.r.Header
	hv, present, ok := one(h, "Mcp-Protocol-Version")
	if !ok || !plainHeader(hv) {
		return Errorf(CodeHeaderMismatch, "the header MCP-Protocol-Version stands more than once or holds an invalid character")
	}
	if version == nil && m.IsNotification() {
		version = rawjson.Quote(hv)
	}
	v, isText := rawjson.String(version)
	switch {
	case version == nil:
		return Errorf(CodeInvalidParams, "params._meta lacks %q", MetaVersion)
	case !isText:
		return Errorf(CodeInvalidParams, "params._meta[%q] is not a string", MetaVersion)
	case !present && m.IsRequest():
		return Errorf(CodeHeaderMismatch, "the header MCP-Protocol-Version is missing; it must repeat %q of params._meta", MetaVersion)
	case present && hv != v:
		return Errorf(CodeHeaderMismatch, "header mismatch: MCP-Protocol-Version is %q, params._meta says %q", cut(hv), cut(v))
	case !slices.Contains(ModernVersions, v):
		return ex.h.unsupported(v)
	}
	if e := checkMethodHeader(h, m); e != nil {
		return e
	}
	if m.IsNotification() {
		return nil
	}
	if e := checkNameHeader(h, m); e != nil {
		return e
	}
	if caps, ok := rawjson.Get(m.Params, "_meta", MetaCapabilities); !ok || rawjson.KindOf(caps) != rawjson.Object {
		return Errorf(CodeInvalidParams, "params._meta lacks the object %q", MetaCapabilities)
	}
	return nil
}

func checkMethodHeader(h http.Header, m *Message) *RPCError {
	method, present, ok := one(h, "Mcp-Method")
	switch {
	case !ok || !plainHeader(method):
		return Errorf(CodeHeaderMismatch, "the header Mcp-Method stands more than once or holds an invalid character")
	case !present && m.IsRequest():
		return Errorf(CodeHeaderMismatch, "the header Mcp-Method is missing; it must repeat the method of the body")
	case present && method != m.Method:
		return Errorf(CodeHeaderMismatch, "header mismatch: Mcp-Method is %q, the body's method %q", cut(method), cut(m.Method))
	}
	return nil
}

// checkNameHeader checks Mcp-Name. It is required where the specification says
// so, and compared wherever the body has what it repeats.
func checkNameHeader(h http.Header, m *Message) *RPCError {
	key, required := "", true
	switch m.Method {
	case "tools/call", "prompts/get":
		key = "name"
	case "resources/read":
		key = "uri"
	default:
		if !strings.HasPrefix(m.Method, "tasks/") {
			return nil
		}
		key, required = "taskId", false
	}
	value, present, ok := one(h, "Mcp-Name")
	if !ok || !plainHeader(value) {
		return Errorf(CodeHeaderMismatch, "the header Mcp-Name stands more than once or holds an invalid character")
	}
	raw, inBody := rawjson.Get(m.Params, key)
	if !present {
		if required && inBody {
			return Errorf(CodeHeaderMismatch, "the header Mcp-Name is missing; it must repeat params.%s", key)
		}
		return nil // without either, the host says what is missing
	}
	name, ok := DecodeHeaderValue(value)
	if !ok {
		return Errorf(CodeHeaderMismatch, "the header Mcp-Name is not the base64 that it is marked as")
	}
	if body, ok := rawjson.String(raw); !inBody || !ok || body != name {
		return Errorf(CodeHeaderMismatch, "header mismatch: Mcp-Name is %q, which params.%s is not", cut(name), key)
	}
	return nil
}

// plainHeader reports whether a header value is visible ASCII, spaces and
// tabs.
func plainHeader(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\t' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}

// mcpHeader takes the Mcp-* headers, but for the session id, which means
// nothing in the modern era.
func mcpHeader(h http.Header) http.Header {
	out := make(http.Header, 4)
	for k, v := range h {
		if strings.HasPrefix(k, "Mcp-") && k != "Mcp-Session-Id" {
			out[k] = v
		}
	}
	return out
}
