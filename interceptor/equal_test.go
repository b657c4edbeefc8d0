package interceptor

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// TestEqual compares with reflect.DeepEqual over pairs of all sorts of values.
func TestEqual(t *testing.T) {
	t.Parallel()
	one, two, other := 1.0, 2.0, 1.0
	type hidden struct {
		a any
		b []byte
		n int
	}
	values := []any{
		nil, true, false, "", "a", 1.0, 2.0, 1, int64(1), uint(1), json.Number("1"), json.RawMessage("1"), json.RawMessage(nil),
		[]any{}, []any(nil), []any{1.0}, []any{nil}, []any{"a", "b"}, []any{hidden{n: 1}}, []any{hidden{n: 2}, 1.0}, []any{hidden{n: 2}, 2.0},
		map[string]any{}, map[string]any(nil), map[string]any{"a": nil}, map[string]any{"b": nil}, map[string]any{"a": 1.0},
		map[string]any{"a": hidden{n: 1}, "b": 1.0}, map[string]any{"a": hidden{n: 1}, "b": 2.0}, map[string]any{"a": hidden{n: 2}, "b": 1.0},
		map[string]int{"a": 1}, map[string]int{"a": 2}, map[string]string(nil), map[string]string{},
		&one, &two, &other, (*float64)(nil), [2]int{1, 2}, [2]int{1, 3},
		hidden{}, hidden{a: "x"}, hidden{a: []any{"x"}}, hidden{b: []byte("x")}, hidden{n: 1},
		mcp.CallToolParams{Name: "a"}, mcp.CallToolParams{Name: "a", Arguments: map[string]any{"x": 1.0}},
		mcp.CallToolParams{Name: "a", Meta: &mcp.Meta{ProgressToken: "x"}}, mcp.CallToolParams{Name: "a", Meta: &mcp.Meta{ProgressToken: 1.0}},
		mcp.CallToolResult{}, mcp.CallToolResult{Content: []mcp.Content{mcp.TextContent{Type: "text", Text: "a"}}},
		mcp.CallToolResult{Content: []mcp.Content{mcp.TextContent{Type: "text", Text: "b"}}},
		mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Type: "text", Text: "b"}}},
		mcp.CallToolResult{Content: []mcp.Content{OpaqueContent{Raw: json.RawMessage(`{"type":"x"}`)}}},
		mcp.CallToolResult{Content: []mcp.Content{OpaqueContent{Raw: json.RawMessage(`{"type":"y"}`)}}},
	}
	for i, a := range values {
		for j, b := range values {
			got := equal(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem(), 0)
			if want := reflect.DeepEqual(a, b); got != want {
				t.Errorf("%d %#v and %d %#v: equal is %v, want %v", i, a, j, b, got, want)
			}
		}
	}
	// What holds itself ends, too.
	a, b := map[string]any{}, map[string]any{}
	a["a"], b["a"] = a, b
	if equal(reflect.ValueOf(a), reflect.ValueOf(b), 0) {
		t.Error("two values without an end are equal")
	}
}
