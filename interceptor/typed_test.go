package interceptor_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// answer is a handler that answers with raw JSON and keeps what it was sent.
func answer(raw string, got *string) interceptor.Handler {
	return func(_ context.Context, c *interceptor.Call) (*interceptor.Result, error) {
		if got != nil {
			*got = string(c.Params)
		}
		return &interceptor.Result{Raw: json.RawMessage(raw)}, nil
	}
}

func call(params string) *interceptor.Call {
	return &interceptor.Call{Method: "tools/call", Name: "s__t", Original: "t", Server: "s", Params: json.RawMessage(params)}
}

// odd is all that a typed view does not know or would spell in another way.
const oddParams = `{ "name":"t","arguments":{"n":9007199254740993,"f":1.10,"big":1e400,"u":"\u0041\ud800","deep":[{"a":[ ]}]},"vendor":[ ],"_meta":{"progressToken":12345678901234567890,"x":{}}}`
const oddResult = `{"content":[{"type":"vendor/hologram","depth":12345678901234567890},{"type":"text","text":"a","annotations":{"vendor":1.0},"_meta":{"k":1e2}},{"type":"text","text":"b"}],"structuredContent":[1.0,-0,1E+2],"isError":false,"vendor":{"b":1,"a":2}}`

func TestTypedViewsChangeNothingThatWasNotEdited(t *testing.T) {
	t.Parallel()
	var got string
	h := interceptor.Wrap(answer(oddResult, &got),
		interceptor.Before(interceptor.ToolsCall, func(context.Context, *interceptor.Call, *mcp.CallToolParams) error { return nil }),
		interceptor.After(interceptor.ToolsCall, func(context.Context, *interceptor.Call, *mcp.CallToolResult) error { return nil }),
		interceptor.Around(interceptor.ToolsCall, func(ctx context.Context, _ *interceptor.Call, p *mcp.CallToolParams, next func(context.Context, *mcp.CallToolParams) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
			return next(ctx, p)
		}))
	res, err := h(t.Context(), call(oddParams))
	if err != nil {
		t.Fatal(err)
	}
	if got != oddParams {
		t.Errorf("params became\n%s", got)
	}
	if string(res.Raw) != oddResult {
		t.Errorf("the result became\n%s", res.Raw)
	}
}

func TestTypedEditsAreLaidOverTheOriginal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		params func(*mcp.CallToolParams)
		result func(*mcp.CallToolResult)
		want   string
	}{
		"an argument": {
			params: func(p *mcp.CallToolParams) { p.Arguments.(map[string]any)["f"] = 2 },
			want:   strings.Replace(oddParams, "1.10", "2", 1),
		},
		"an argument more": {
			params: func(p *mcp.CallToolParams) { p.Arguments.(map[string]any)["new"] = "plain" },
			want:   strings.Replace(oddParams, `"deep":[{"a":[ ]}]}`, `"deep":[{"a":[ ]}],"new":"plain"}`, 1),
		},
		"an argument less": {
			params: func(p *mcp.CallToolParams) { delete(p.Arguments.(map[string]any), "u") },
			want:   strings.Replace(oddParams, `"u":"\u0041\ud800",`, "", 1),
		},
		"a text": {
			result: func(r *mcp.CallToolResult) {
				x := r.Content[1].(mcp.TextContent)
				x.Text = "z"
				r.Content[1] = x
			},
			want: strings.Replace(oddResult, `"text":"a"`, `"text":"z"`, 1),
		},
		"an item less": {
			result: func(r *mcp.CallToolResult) { r.Content = append(r.Content[:1:1], r.Content[2]) },
			want:   strings.Replace(oddResult, `{"type":"text","text":"a","annotations":{"vendor":1.0},"_meta":{"k":1e2}},`, "", 1),
		},
		"an item more": {
			result: func(r *mcp.CallToolResult) { r.Content = append(r.Content, mcp.NewTextContent("c")) },
			want:   strings.Replace(oddResult, `{"type":"text","text":"b"}]`, `{"type":"text","text":"b"},{"type":"text","text":"c"}]`, 1),
		},
		"an error": {
			result: func(r *mcp.CallToolResult) { r.IsError = true },
			want:   strings.Replace(oddResult, `"isError":false`, `"isError":true`, 1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			h := interceptor.Wrap(answer(oddResult, &got),
				interceptor.Before(interceptor.ToolsCall, func(_ context.Context, _ *interceptor.Call, p *mcp.CallToolParams) error {
					if tc.params != nil {
						tc.params(p)
					}
					return nil
				}),
				interceptor.After(interceptor.ToolsCall, func(_ context.Context, _ *interceptor.Call, r *mcp.CallToolResult) error {
					if tc.result != nil {
						tc.result(r)
					}
					return nil
				}))
			res, err := h(t.Context(), call(oddParams))
			if err != nil {
				t.Fatal(err)
			}
			if tc.params != nil && got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if tc.result != nil && string(res.Raw) != tc.want {
				t.Errorf("got  %s\nwant %s", res.Raw, tc.want)
			}
		})
	}
}

func TestTypedViewOfTools(t *testing.T) {
	t.Parallel()
	const list = `{"tools":[{"name":"a","inputSchema":{"$schema":"x","type":"object","allOf":[{"x-v":1.0}]},"v":[1,2.50]},{"name":"b","inputSchema":{}},{"name":"c","outputSchema":{"type":"array","items":{}}}],"nextCursor":"n"}`
	h := interceptor.Wrap(answer(list, nil), interceptor.After(interceptor.ToolsList, func(_ context.Context, _ *interceptor.Call, r *mcp.ListToolsResult) error {
		r.Tools[0].Description = "new"
		r.Tools = append(r.Tools[:1], r.Tools[2])
		return nil
	}))
	res, err := h(t.Context(), &interceptor.Call{Method: "tools/list"})
	if err != nil {
		t.Fatal(err)
	}
	// Elements that were both edited and moved are encoded anew; c was not edited.
	if !strings.Contains(string(res.Raw), `{"name":"c","outputSchema":{"type":"array","items":{}}}],"nextCursor":"n"}`) ||
		!strings.Contains(string(res.Raw), `"description":"new"`) || strings.Contains(string(res.Raw), `"b"`) {
		t.Errorf("got %s", res.Raw)
	}
}

func TestTypedViewsDenyWhatCanBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	nothing := interceptor.Before(interceptor.ToolsCall, func(context.Context, *interceptor.Call, *mcp.CallToolParams) error { return nil })
	after := interceptor.After(interceptor.ToolsCall, func(context.Context, *interceptor.Call, *mcp.CallToolResult) error { return nil })
	for _, tc := range []struct{ params, result, want string }{
		{`{"name":"t","arguments":{"query":1,"Query":2}}`, `{}`, "an interceptor cannot read params of tools/call: case-variant-key: params.arguments.Query"},
		{`{"name":"t"}`, `{"content":[{"type":"text","text":"a","Text":"b"}]}`, "an interceptor cannot read result of tools/call: case-variant-key: result.content[0].Text"},
		{`{"name":1}`, `{}`, "an interceptor cannot read params of tools/call: name is a number where the protocol has a string"},
		{`{"name":"t"}`, `{"content":"x"}`, "an interceptor cannot read result of tools/call: content is a string where the protocol has a slice"},
	} {
		_, err := interceptor.Wrap(answer(tc.result, nil), nothing, after)(t.Context(), call(tc.params))
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.params, err, tc.want)
		}
	}
}

func TestAroundAnswersAndFails(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	h := interceptor.Wrap(func(context.Context, *interceptor.Call) (*interceptor.Result, error) { return nil, boom },
		interceptor.Around(interceptor.ToolsCall, func(ctx context.Context, c *interceptor.Call, p *mcp.CallToolParams, next func(context.Context, *mcp.CallToolParams) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
			r, err := next(ctx, p)
			if err != nil && c.Name == "rescue" {
				return mcp.NewToolResultError("rescued"), nil
			}
			return r, err
		}))
	if _, err := h(t.Context(), call(`{"name":"t"}`)); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	c := call(`{"name":"t"}`)
	c.Name = "rescue"
	res, err := h(t.Context(), c)
	if err != nil || string(res.Raw) != `{"content":[{"type":"text","text":"rescued"}],"isError":true}` {
		t.Errorf("got %v %v", res, err)
	}
}

// Every method's view must decode and encode the plainest message unchanged.
func TestEveryMethodKeepsItsMessage(t *testing.T) {
	t.Parallel()
	const raw = `{"vendor":1.0,"_meta":{"x":1e2}}`
	var got string
	keep(t, interceptor.Initialize, raw, &got)
	keep(t, interceptor.Discover, raw, &got)
	keep(t, interceptor.Ping, raw, &got)
	keep(t, interceptor.ToolsList, raw, &got)
	keep(t, interceptor.PromptsList, raw, &got)
	keep(t, interceptor.PromptsGet, raw, &got)
	keep(t, interceptor.ResourcesList, raw, &got)
	keep(t, interceptor.ResourceTemplates, raw, &got)
	keep(t, interceptor.ResourcesRead, raw, &got)
	keep(t, interceptor.ResourcesSubscribe, raw, &got)
	keep(t, interceptor.ResourcesUnsubscribe, raw, &got)
	keep(t, interceptor.Complete, `{"ref":{"type":"ref/vendor","x":1.0}}`, &got)
	keep(t, interceptor.SetLevel, raw, &got)
	keep(t, interceptor.Listen, raw, &got)
	keep(t, interceptor.TasksGet, raw, &got)
	keep(t, interceptor.TasksList, raw, &got)
	keep(t, interceptor.TasksResult, raw, &got)
	keep(t, interceptor.TasksCancel, raw, &got)
	keep(t, interceptor.TasksUpdate, raw, &got)
	keep(t, interceptor.Elicit, raw, &got)
	keep(t, interceptor.Sample, `{"messages":[{"role":"user","content":{"type":"vendor","x":1.0}}]}`, &got)
	keep(t, interceptor.RootsList, raw, &got)
	keep(t, interceptor.Progress, `{"progressToken":9007199254740993,"progress":0.10}`, &got)
	keep(t, interceptor.LogMessage, raw, &got)
	keep(t, interceptor.Cancelled, `{"requestId":9007199254740993}`, &got)
	keep(t, interceptor.ResourceUpdated, raw, &got)
	keep(t, interceptor.TaskStatus, raw, &got)
	keep(t, interceptor.Tasks, raw, &got)
	keep(t, interceptor.SubscriptionsAcknowledged, raw, &got)
	keep(t, interceptor.ElicitationCompleted, raw, &got)
	keep(t, interceptor.ToolsChanged, raw, &got)
}

func keep[P, R any](t *testing.T, m interceptor.Method[P, R], raw string, got *string) {
	t.Helper()
	ran := 0
	h := interceptor.Wrap(answer(`{"vendor":[1.0]}`, got),
		interceptor.Before(m, func(context.Context, *interceptor.Call, *P) error { ran++; return nil }),
		interceptor.After(m, func(context.Context, *interceptor.Call, *R) error { ran++; return nil }))
	for _, d := range []interceptor.Direction{interceptor.FromClient, interceptor.FromServer} {
		res, err := h(t.Context(), &interceptor.Call{Method: m.Name(), Direction: d, Params: json.RawMessage(raw)})
		if err != nil || *got != raw || string(res.Raw) != `{"vendor":[1.0]}` {
			t.Errorf("%s from the %s: %s %v %v", m.Name(), d, *got, res, err)
		}
	}
	if ran < 2 {
		t.Errorf("%s: the view was made %d times", m.Name(), ran)
	}
}

func TestDenial(t *testing.T) {
	t.Parallel()
	err := interceptor.Denyf("not %s", "now")
	var r *transport.RPCError
	if !errors.As(err, &r) || r.Code != transport.CodeDenied || r.Message != "not now" {
		t.Errorf("got %v", r)
	}
	var d *interceptor.Denial
	if !errors.As(err, &d) || string(d.ToolResult()) != `{"content":[{"type":"text","text":"not now"}],"isError":true}` {
		t.Errorf("got %s", d.ToolResult())
	}
}

// Large and small values are decoded in two ways, to the same result.
func TestLargeArgumentsReadLikeSmallOnes(t *testing.T) {
	t.Parallel()
	const args = `{"n":9007199254740993,"f":1.10,"big":1e400,"u":"A\ud800","deep":[{"a":[null,true]}]`
	var seen []any
	h := interceptor.Wrap(answer(`{}`, nil), interceptor.Before(interceptor.ToolsCall, func(_ context.Context, _ *interceptor.Call, p *mcp.CallToolParams) error {
		m := p.Arguments.(map[string]any)
		delete(m, "pad")
		seen = append(seen, m)
		return nil
	}))
	for _, pad := range []string{"x", strings.Repeat("x", 64<<10)} {
		if _, err := h(t.Context(), call(`{"name":"t","arguments":`+args+`,"pad":"`+pad+`"}}`)); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"n": json.Number("9007199254740993"), "f": 1.1, "big": json.Number("1e400"), "u": "A\ufffd", "deep": []any{map[string]any{"a": []any{nil, true}}}}
	for _, got := range seen {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %#v\nwant %#v", got, want)
		}
	}
}
