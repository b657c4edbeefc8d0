package stderrtail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/secrets"
)

func TestTail(t *testing.T) {
	t.Parallel()
	v, err := secrets.Template("Bearer ${TOKEN}").Resolve(t.Context(), secrets.ProviderFunc(
		func(context.Context, secrets.Ref) (secrets.Secret, error) { return secrets.NewSecret("abc"), nil }))
	if err != nil {
		t.Fatal(err)
	}
	var logged []string
	tail := New(map[string]secrets.Value{"A": v, "B": secrets.Plain("long-enough"), "C": secrets.Plain("short")},
		func(line string) { logged = append(logged, line) })
	var in strings.Builder
	for n := range 30 {
		fmt.Fprintf(&in, "line %d\r\n\n", n)
	}
	in.WriteString("abc long-enough short\n" + strings.Repeat("x", 100_000) + "\nend without a newline \xff")
	tail.Read(strings.NewReader(in.String()))
	got := tail.Last()
	if len(got) != keptLines || len(logged) != 33 {
		t.Fatalf("%d lines kept, %d logged", len(got), len(logged))
	}
	last := got[keptLines-4:]
	if last[0] != "line 29" || strings.Contains(last[1], "abc") || strings.Contains(last[1], "long-enough") || !strings.HasSuffix(last[1], " short") {
		t.Errorf("got %q", last)
	}
	if len(last[2]) > keptBytes+len("…") || last[3] != "end without a newline \uFFFD" {
		t.Errorf("the long line has %d bytes, the last is %q", len(last[2]), last[3])
	}
	if !slices.Equal(got, logged[len(logged)-keptLines:]) {
		t.Error("what was logged is not what was kept")
	}
}
