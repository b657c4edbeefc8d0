//go:build !race

// The race detector drops some of what a pool keeps.

package guard_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/interceptor"
	"github.com/gatehouse-mcp/gatehouse/secrets/guard"
)

func TestCleanCallsCostNoMemory(t *testing.T) {
	f := open(t, guard.Options{})
	c := call(`{"name":"s__t","arguments":{"text":"` + strings.Repeat("some text ", 100) + `"}}`)
	res := &interceptor.Result{Raw: json.RawMessage(`{"content":[{"type":"text","text":"` + strings.Repeat("some text ", 100) + `"}]}`)}
	next := func(context.Context, *interceptor.Call) (*interceptor.Result, error) { return res, nil }
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if got, err := f.Intercept(ctx, c, next); err != nil || got != res {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
