package transport

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// Limits bounds a message before and while it is parsed. Zero means the
// default, in brackets.
type Limits struct {
	Body  int64 // bytes of one message or HTTP body [16 MiB]
	Depth int   // nesting of arrays and objects [200]
}

// The defaults of [Limits].
const (
	DefaultBody  = 16 << 20
	DefaultDepth = 200
)

// WithDefaults fills in the defaults.
func (l Limits) WithDefaults() Limits {
	if l.Body <= 0 {
		l.Body = DefaultBody
	}
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	return l
}

// Parse splits one JSON-RPC message. The message keeps b.
//
// The envelope and, at every depth, params are refused when a key stands
// twice, when the text is not UTF-8, or when an escape is no character; the
// envelope, params and the protocol's own keys of _meta also when a key
// equals a known one but for its case. A result or an error is only checked
// to be well nested: whoever reads it checks what it reads. The error is an
// [*RPCError] with [CodeParse], [CodeInvalidRequest], [CodeInvalidParams] or
// [CodeLimit] whose text names the rule or the limit, and the place.
//
// When the error is not nil the returned Message is nil, unless the id could
// be read: then it holds the id alone, for the reply.
func Parse(b []byte, l Limits) (*Message, error) {
	l = l.WithDefaults()
	if int64(len(b)) > l.Body {
		return nil, limited("body", "the message is longer than the limit of %d bytes", l.Body)
	}
	env, err := rawjson.Split(b, l.Depth)
	if err != nil {
		return idOnly(env.ID), rpcError(err)
	}
	if env.Extra != nil {
		if err := checkExtra(env.Extra); err != nil {
			return idOnly(env.ID), err
		}
	}
	m := &Message{ID: env.ID, Params: env.Params, Result: env.Result, Error: env.Error, Extra: env.Extra}
	if env.Method != nil {
		s, ok := rawjson.String(env.Method)
		if !ok || s == "" {
			return idOnly(env.ID), Errorf(CodeInvalidRequest, "method is not a string")
		}
		m.Method = s
	}
	switch {
	case m.Method != "" && (m.Result != nil || m.Error != nil):
		return idOnly(env.ID), Errorf(CodeInvalidRequest, "a message with method has no result or error")
	case m.Method == "" && m.Result == nil && m.Error == nil:
		return idOnly(env.ID), Errorf(CodeInvalidRequest, "the message has neither method nor result nor error")
	case m.Result != nil && m.Error != nil:
		return idOnly(env.ID), Errorf(CodeInvalidRequest, "the message has both result and error")
	case m.Method != "" && m.ID != nil && m.ID[0] == 'n':
		return nil, Errorf(CodeInvalidRequest, "the id of a request is null")
	case m.Method == "" && m.ID == nil:
		return nil, Errorf(CodeInvalidRequest, "a response without id")
	}
	if m.Params != nil {
		if m.Params[0] != '{' {
			return idOnly(env.ID), Errorf(CodeInvalidParams, "params is not an object")
		}
		if err := rawjson.CheckParams(m.Params, l.Depth); err != nil {
			return idOnly(env.ID), rpcError(err)
		}
	}
	return m, nil
}

// checkExtra applies the rules of the envelope to the members that JSON-RPC
// does not know, at every depth: nobody here reads them, but somebody may
// where they are passed on to. They are rare, so that time does not matter.
func checkExtra(extra json.RawMessage) error {
	obj := append(append(append(make([]byte, 0, len(extra)+2), '{'), extra...), '}')
	if _, err := rawjson.Canonical(obj); err != nil {
		return rpcError(err)
	}
	if rule := inexact(obj); rule != "" {
		return Errorf(CodeInvalidRequest, "%s: a member of the envelope that JSON-RPC does not know holds it; drop the member", rule)
	}
	return nil
}

// inexact returns the rule that a text or number in v breaks because two
// readers could take it for different ones; empty when there is none.
func inexact(v []byte) (rule rawjson.Rule) {
	text := func(v []byte) bool {
		s, ok := rawjson.String(v)
		return ok && strings.IndexByte(s, 0) < 0
	}
	switch rawjson.KindOf(v) {
	case rawjson.Str:
		if !text(v) {
			return rawjson.RuleText
		}
	case rawjson.Number:
		if _, err := strconv.ParseFloat(string(v), 64); err != nil {
			return rawjson.RuleNumber
		}
	case rawjson.Array, rawjson.Object:
		rawjson.Each(v, func(key, value []byte) bool {
			if key != nil && !text(key) {
				rule = rawjson.RuleText
			} else {
				rule = inexact(value)
			}
			return rule == ""
		})
	}
	return rule
}

func idOnly(id json.RawMessage) *Message {
	if id == nil {
		return nil
	}
	return &Message{ID: id}
}

// rpcError turns a fault that rawjson found into what a peer sees.
func rpcError(err error) error {
	var f *rawjson.Fault
	if !errors.As(err, &f) {
		return Errorf(CodeParse, "%s", err.Error())
	}
	switch f.Rule {
	case rawjson.RuleSyntax:
		return Errorf(CodeParse, "%s", f.Error())
	case rawjson.RuleDepth:
		return &RPCError{Code: CodeLimit, Message: f.Error(), Data: json.RawMessage(`{"limit":"depth"}`)}
	}
	return Errorf(CodeInvalidRequest, "%s", f.Error())
}

// Batch splits a JSON-RPC batch into its messages. It reports false when b
// is no array.
func Batch(b []byte) ([]json.RawMessage, bool) {
	if rawjson.KindOf(b) != rawjson.Array {
		return nil, false
	}
	var out []json.RawMessage
	rawjson.Each(b, func(_, v []byte) bool { out = append(out, v); return true })
	return out, true
}

// maxBatch bounds the messages of a batch that a client sends.
const maxBatch = 100

// batchOf is Batch for a well-formed array, with the bound.
func batchOf(b []byte) ([]json.RawMessage, *RPCError) {
	var out []json.RawMessage
	rawjson.Each(b, func(_, v []byte) bool {
		out = append(out, v)
		return len(out) <= maxBatch
	})
	switch {
	case len(out) == 0:
		return nil, Errorf(CodeInvalidRequest, "the batch is empty")
	case len(out) > maxBatch:
		return nil, limited("batch", "the batch has more than %d messages", maxBatch)
	}
	return out, nil
}
