package interceptor

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/internal/rawjson"
)

// OpaqueContent is a content item of a type that this library does not know.
// It is encoded as it came.
type OpaqueContent struct {
	mcp.Content // nil; makes it a Content
	Raw         json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (o OpaqueContent) MarshalJSON() ([]byte, error) { return o.Raw, nil }

// OpaqueResource is a resource's content that is neither text nor blob. It is
// encoded as it came.
type OpaqueResource struct {
	mcp.ResourceContents // nil; makes it a ResourceContents
	Raw                  json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (o OpaqueResource) MarshalJSON() ([]byte, error) { return o.Raw, nil }

var (
	_ mcp.Content          = OpaqueContent{}
	_ mcp.ResourceContents = OpaqueResource{}
)

// decode is the decoder of types whose fields encoding/json knows to fill.
func decode[T any](raw json.RawMessage) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, err
	}
	return v, nil
}

// exact decodes any JSON value. Numbers are float64 as with encoding/json,
// but those that a float64 does not hold exactly are json.Number.
func exact(raw json.RawMessage) any {
	if len(raw) <= smallValue {
		return exactSmall(raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil { // CheckFold has refused it before
		return nil
	}
	return settle(v)
}

// settle makes float64 of the numbers that one holds exactly.
func settle(v any) any {
	switch x := v.(type) {
	case json.Number:
		return number(x.String())
	case map[string]any:
		for k, e := range x {
			x[k] = settle(e)
		}
	case []any:
		for i, e := range x {
			x[i] = settle(e)
		}
	}
	return v
}

// smallValue is up to which size exactSmall is used: it is faster, but looks
// at a value once for each level that it is nested in.
const smallValue = 32 << 10

func exactSmall(raw json.RawMessage) any {
	switch rawjson.KindOf(raw) {
	case rawjson.Object:
		m := map[string]any{}
		rawjson.Each(raw, func(k, v []byte) bool {
			m[loose(k)] = exactSmall(v)
			return true
		})
		return m
	case rawjson.Array:
		a := []any{}
		rawjson.Each(raw, func(_, v []byte) bool {
			a = append(a, exactSmall(v))
			return true
		})
		return a
	case rawjson.Str:
		return loose(raw)
	case rawjson.Number:
		return number(string(bytes.TrimSpace(raw)))
	case rawjson.Bool:
		return bytes.TrimSpace(raw)[0] == 't'
	}
	return nil
}

// loose decodes a string as encoding/json does: half of a surrogate pair
// becomes U+FFFD.
func loose(raw []byte) string {
	if s, ok := rawjson.String(raw); ok {
		return s
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func number(s string) any {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) >= 1<<53 && !strings.ContainsAny(s, ".eE") {
		return json.Number(s)
	}
	return f
}

// meta decodes a _meta object.
func meta(raw json.RawMessage) (*mcp.Meta, error) {
	switch rawjson.KindOf(raw) {
	case rawjson.Null:
		return nil, nil
	case rawjson.Object:
	default:
		return nil, &json.UnmarshalTypeError{Value: rawjson.KindOf(raw).String(), Type: reflect.TypeFor[map[string]any](), Field: "_meta"}
	}
	m := &mcp.Meta{AdditionalFields: map[string]any{}}
	rawjson.Each(raw, func(k, v []byte) bool {
		if key := loose(k); key == "progressToken" {
			m.ProgressToken = exact(v)
		} else {
			m.AdditionalFields[key] = exact(v)
		}
		return true
	})
	return m, nil
}

// decodeToolParams leaves RawArguments empty, which mcp-go would prefer over
// what was edited in Arguments.
func decodeToolParams(raw json.RawMessage) (*mcp.CallToolParams, error) {
	p := &mcp.CallToolParams{}
	rounds := false
	err := members(raw, func(key string, v []byte) (err error) {
		switch key {
		case "name":
			return text(&p.Name, key, v)
		case "arguments":
			p.Arguments = exact(v)
		case "_meta":
			p.Meta, err = meta(v)
		case "task":
			return json.Unmarshal(v, &p.Task)
		case "inputResponses", "requestState":
			rounds = true
		}
		return err
	})
	if rounds {
		p.MultiRoundTripParams = roundTripParams(raw)
	}
	return p, err
}

// members calls f for each member of an object, until it fails. Keys match
// byte for byte, unlike with encoding/json.
func members(raw json.RawMessage, f func(key string, v []byte) error) error {
	var err error
	whole := rawjson.Each(raw, func(k, v []byte) bool {
		if k == nil {
			err = errNoObject
			return false
		}
		if key, ok := rawjson.String(k); ok {
			err = f(key, v)
		}
		return err == nil
	})
	if err == nil && !whole {
		err = errNoObject
	}
	return err
}

var errNoObject = errors.New("not an object")

// text decodes a string.
func text(to *string, key string, v []byte) error {
	if s, ok := rawjson.String(v); ok {
		*to = s
		return nil
	}
	if err := json.Unmarshal(v, to); err != nil { // half of a surrogate pair passes here
		return &json.UnmarshalTypeError{Value: rawjson.KindOf(v).String(), Type: reflect.TypeFor[string](), Field: key}
	}
	return nil
}

// roundTripParams and roundTripResult read the members of multi round-trip
// requests as far as mcp-go knows them: what it does not know is not in the
// view, so that it stays in the message.
func roundTripParams(raw json.RawMessage) (p mcp.MultiRoundTripParams) {
	if json.Unmarshal(raw, &p) != nil {
		return mcp.MultiRoundTripParams{}
	}
	return p
}

func roundTripResult(raw json.RawMessage) (r mcp.MultiRoundTripResult) {
	if json.Unmarshal(raw, &r) != nil {
		return mcp.MultiRoundTripResult{}
	}
	return r
}

func decodeToolResult(raw json.RawMessage) (*mcp.CallToolResult, error) {
	r := &mcp.CallToolResult{}
	rounds := false
	err := members(raw, func(key string, v []byte) (err error) {
		switch key {
		case "_meta":
			r.Meta, err = meta(v)
		case "resultType":
			return text((*string)(&r.ResultType), key, v)
		case "isError":
			return json.Unmarshal(v, &r.IsError)
		case "structuredContent":
			r.StructuredContent = exact(v)
		case "content":
			switch rawjson.KindOf(v) {
			case rawjson.Array:
			case rawjson.Null:
				return nil
			default:
				return &json.UnmarshalTypeError{Value: rawjson.KindOf(v).String(), Type: reflect.TypeFor[[]any](), Field: key}
			}
			r.Content = []mcp.Content{}
			rawjson.Each(v, func(_, item []byte) bool {
				r.Content = append(r.Content, content(item))
				return true
			})
		case "inputRequests", "requestState":
			rounds = true
		}
		return err
	})
	if rounds {
		r.MultiRoundTripResult = roundTripResult(raw)
	}
	return r, err
}

// content decodes a content item; one that mcp-go cannot read is opaque.
func content(raw json.RawMessage) mcp.Content {
	if t, ok := plainText(raw); ok {
		return t
	}
	if c, err := mcp.UnmarshalContent(raw); err == nil {
		return c
	}
	return OpaqueContent{Raw: raw}
}

// plainText decodes the most common item, a text without more than that.
func plainText(raw json.RawMessage) (mcp.TextContent, bool) {
	t := mcp.TextContent{Type: mcp.ContentTypeText}
	typed, plain := false, true
	rawjson.Each(raw, func(k, v []byte) bool {
		switch {
		case rawjson.KeyIs(k, "type"):
			typed = string(v) == `"text"`
			plain = typed
		case rawjson.KeyIs(k, "text"):
			t.Text, plain = rawjson.String(v)
		default:
			plain = false
		}
		return plain
	})
	return t, plain && typed
}

func decodePrompt(raw json.RawMessage) (*mcp.GetPromptResult, error) {
	var w struct {
		mcp.Result
		Description string `json:"description"`
		Messages    []struct {
			Role    mcp.Role        `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, err
	}
	r := &mcp.GetPromptResult{Result: w.Result, Description: w.Description, MultiRoundTripResult: roundTripResult(raw)}
	if w.Messages != nil {
		r.Messages = make([]mcp.PromptMessage, len(w.Messages))
		for i, m := range w.Messages {
			r.Messages[i] = mcp.PromptMessage{Role: m.Role, Content: content(m.Content)}
		}
	}
	return r, nil
}

func decodeContents(raw json.RawMessage) (*mcp.ReadResourceResult, error) {
	var w struct {
		mcp.CacheableResult
		Contents []json.RawMessage `json:"contents"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, err
	}
	r := &mcp.ReadResourceResult{CacheableResult: w.CacheableResult, MultiRoundTripResult: roundTripResult(raw)}
	if w.Contents != nil {
		r.Contents = make([]mcp.ResourceContents, len(w.Contents))
		for i, item := range w.Contents {
			r.Contents[i] = resource(item)
		}
	}
	return r, nil
}

func resource(raw json.RawMessage) mcp.ResourceContents {
	if v, ok := rawjson.Get(raw, "text"); ok && rawjson.KindOf(v) == rawjson.Str {
		var t mcp.TextResourceContents
		if json.Unmarshal(raw, &t) == nil {
			return t
		}
	}
	if v, ok := rawjson.Get(raw, "blob"); ok && rawjson.KindOf(v) == rawjson.Str {
		var b mcp.BlobResourceContents
		if json.Unmarshal(raw, &b) == nil {
			return b
		}
	}
	return OpaqueResource{Raw: raw}
}

// decodeComplete takes a reference of an unknown type as a map.
func decodeComplete(raw json.RawMessage) (*mcp.CompleteParams, error) {
	if p, err := decode[mcp.CompleteParams](raw); err == nil {
		return p, nil
	}
	var w struct {
		Ref      any                  `json:"ref"`
		Argument mcp.CompleteArgument `json:"argument"`
		Context  mcp.CompleteContext  `json:"context"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, err
	}
	return &mcp.CompleteParams{Ref: w.Ref, Argument: w.Argument, Context: w.Context}, nil
}

func decodeSampling(raw json.RawMessage) (*mcp.CreateMessageParams, error) {
	p, err := decode[mcp.CreateMessageParams](raw)
	if err != nil {
		return nil, err
	}
	for i := range p.Messages {
		p.Messages[i].Content = sampled(p.Messages[i].Content)
	}
	return p, nil
}

func decodeSample(raw json.RawMessage) (*mcp.CreateMessageResult, error) {
	r, err := decode[mcp.CreateMessageResult](raw)
	if err != nil {
		return nil, err
	}
	r.Content = sampled(r.Content)
	return r, nil
}

// sampled makes content items of a sampling message's content where mcp-go
// knows them, and leaves maps where it does not.
func sampled(v any) any {
	if c, err := mcp.ParseSamplingContent(v); err == nil {
		return c
	}
	return v
}
