package main

import (
	"context"
	"encoding/json"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// answer is a user who agrees to everything: forms are accepted with their
// defaults, a model says hello, there are no roots.
func answer(_ context.Context, m *transport.Message) (*transport.Message, error) {
	if m.ID == nil {
		return nil, nil
	}
	switch m.Method {
	case "ping":
		return m.Reply(json.RawMessage("{}")), nil
	case "roots/list":
		return m.Reply(json.RawMessage(`{"roots":[]}`)), nil
	case "sampling/createMessage":
		return m.Reply(json.RawMessage(`{"role":"assistant","model":"none","content":{"type":"text","text":"hello"}}`)), nil
	case "elicitation/create":
		schema, _ := rawjson.Get(m.Params, "requestedSchema")
		return m.Reply(rawjson.Set(json.RawMessage(`{"action":"accept"}`), example(schema), "content")), nil
	}
	return nil, transport.Errorf(transport.CodeMethodNotFound, "%s is not known", m.Method)
}

// example makes an object that fits a schema of an object: each property has
// its default, else the simplest value of its type.
func example(schema json.RawMessage) json.RawMessage {
	out := json.RawMessage("{}")
	properties, _ := rawjson.Get(schema, "properties")
	rawjson.Each(properties, func(key, p []byte) bool {
		if name, ok := rawjson.String(key); ok {
			out = rawjson.Set(out, exampleValue(p), name)
		}
		return true
	})
	return out
}

func exampleValue(schema json.RawMessage) json.RawMessage {
	if v, ok := rawjson.Get(schema, "default"); ok {
		return v
	}
	if list, ok := rawjson.Get(schema, "enum"); ok {
		var first json.RawMessage
		rawjson.Each(list, func(_, v []byte) bool { first = v; return false })
		if first != nil {
			return first
		}
	}
	v, _ := rawjson.Get(schema, "type")
	switch kind, _ := rawjson.String(v); kind {
	case "number", "integer":
		return json.RawMessage("1")
	case "boolean":
		return json.RawMessage("true")
	case "array":
		return json.RawMessage("[]")
	case "object":
		return example(schema)
	case "null":
		return json.RawMessage("null")
	}
	return json.RawMessage(`"x"`)
}
