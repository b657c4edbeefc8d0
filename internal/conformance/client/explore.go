package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/gatehouse-mcp/gatehouse/internal/paramheader"
	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// tool is a tool that may be called.
type tool struct {
	name    string
	schema  json.RawMessage
	headers *paramheader.Spec
}

// explore lists and calls all that the server has.
func (s *scenario) explore(ctx context.Context) error {
	tools, err := s.tools(ctx)
	if err != nil {
		return err
	}
	if calls, ok := rawjson.Get(s.context, "toolCalls"); ok {
		err = s.named(ctx, tools, calls)
	} else {
		err = s.all(ctx, tools)
	}
	return errors.Join(err,
		s.each(ctx, "resources", "resources/list", "resources/read", "uri"),
		s.each(ctx, "prompts", "prompts/list", "prompts/get", "name"))
}

// tools lists the tools, without those whose header annotations are invalid.
func (s *scenario) tools(ctx context.Context) ([]tool, error) {
	result, err := s.call(ctx, "tools/list", json.RawMessage("{}"), nil)
	if err != nil {
		return nil, err
	}
	list, _ := rawjson.Get(result, "tools")
	var out []tool
	rawjson.Each(list, func(_, raw []byte) bool {
		v, _ := rawjson.Get(raw, "name")
		name, ok := rawjson.String(v)
		schema, _ := rawjson.Get(raw, "inputSchema")
		spec, err := paramheader.Compile(schema)
		switch {
		case !ok:
		case err != nil:
			fmt.Fprintf(os.Stderr, "tool %s is left out: %v\n", name, err)
		default:
			out = append(out, tool{name, schema, spec})
		}
		return true
	})
	return out, nil
}

// named makes the calls that the scenario's context asks for.
func (s *scenario) named(ctx context.Context, tools []tool, calls json.RawMessage) (err error) {
	rawjson.Each(calls, func(_, raw []byte) bool {
		v, _ := rawjson.Get(raw, "name")
		name, _ := rawjson.String(v)
		args, _ := rawjson.Get(raw, "arguments")
		for _, t := range tools {
			if t.name == name {
				err = errors.Join(err, s.callTool(ctx, t, args))
			}
		}
		return true
	})
	return err
}

// all calls every tool with arguments made from its schema. A tool with an
// argument called schema gets the first tool's, to send back what was
// received.
func (s *scenario) all(ctx context.Context, tools []tool) (err error) {
	for _, t := range tools {
		args := example(t.schema)
		if _, ok := rawjson.Get(args, "schema"); ok {
			args = rawjson.Set(args, tools[0].schema, "schema")
		}
		err = errors.Join(err, s.callTool(ctx, t, args))
	}
	return err
}

func (s *scenario) callTool(ctx context.Context, t tool, args json.RawMessage) error {
	params := rawjson.Set(nil, rawjson.Quote(t.name), "name")
	params = rawjson.Set(params, args, "arguments")
	var h http.Header
	if t.headers != nil && s.peer.Era == transport.Modern {
		h = t.headers.Headers(args)
	}
	_, err := s.call(ctx, "tools/call", params, h)
	return err
}

// each lists what a capability offers and gets every item.
func (s *scenario) each(ctx context.Context, capability, list, get, key string) error {
	if _, ok := rawjson.Get(s.peer.Capabilities, capability); !ok {
		return nil
	}
	result, err := s.call(ctx, list, json.RawMessage("{}"), nil)
	if err != nil {
		return err
	}
	items, _ := rawjson.Get(result, capability)
	rawjson.Each(items, func(_, raw []byte) bool {
		if v, ok := rawjson.Get(raw, key); ok {
			_, e := s.call(ctx, get, rawjson.Set(nil, v, key), nil)
			err = errors.Join(err, e)
		}
		return true
	})
	return err
}

// maxRounds bounds how often a server may ask for input during one call.
const maxRounds = 10

// call makes a request and gives the server the input that it asks for.
func (s *scenario) call(ctx context.Context, method string, params json.RawMessage, h http.Header) (json.RawMessage, error) {
	again := params
	for range maxRounds {
		m := &transport.Message{ID: json.RawMessage(`"call"`), Method: method, Params: again, Header: h}
		if s.peer.Era == transport.Modern {
			m.Params = transport.ModernMeta(m.Params, s.peer.Version, clientInfo, capabilities)
		}
		reply, err := s.conn.Call(ctx, m, transport.ReceiverFunc(answer))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		if reply.Error != nil { // an answer like any other: some scenarios list what they do not serve
			fmt.Fprintf(os.Stderr, "%s: %v\n", method, transport.ParseRPCError(reply.Error))
			return nil, nil
		}
		kind, _ := rawjson.Get(reply.Result, "resultType")
		if !bytes.Equal(kind, []byte(`"input_required"`)) {
			return reply.Result, nil
		}
		if again, err = respond(ctx, params, reply.Result); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
	}
	return nil, fmt.Errorf("%s: the server asks for input without end", method)
}

// respond makes the params of the retry after an input_required.
func respond(ctx context.Context, params, result json.RawMessage) (json.RawMessage, error) {
	responses := json.RawMessage("{}")
	asks, _ := rawjson.Get(result, "inputRequests")
	var err error
	rawjson.Each(asks, func(key, raw []byte) bool {
		name, _ := rawjson.String(key)
		method, _ := rawjson.Get(raw, "method")
		m := &transport.Message{ID: json.RawMessage("0")}
		m.Method, _ = rawjson.String(method)
		m.Params, _ = rawjson.Get(raw, "params")
		var reply *transport.Message
		if reply, err = answer(ctx, m); err == nil {
			responses = rawjson.Set(responses, reply.Result, name)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	params = rawjson.Set(params, responses, "inputResponses")
	if state, ok := rawjson.Get(result, "requestState"); ok {
		params = rawjson.Set(params, state, "requestState")
	}
	return params, nil
}
