//go:build e2e && linux

package containerd

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/transport"
)

func BenchmarkCold(b *testing.B) {
	d := bed.Containerd(b)
	r := newRuntime(b, d, nil)
	spec := probe(b)
	i, err := r.Start(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	_ = i.Stop(b.Context())
	var started, replied, stopped time.Duration
	for b.Loop() {
		t0 := time.Now()
		i, err := r.Start(b.Context(), spec)
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := i.Conn().Call(b.Context(), &transport.Message{ID: json.RawMessage("1"), Method: "ping"}, nil); err != nil {
			b.Fatal(err)
		}
		t2 := time.Now()
		if err := i.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		started += t1.Sub(t0)
		replied += t2.Sub(t1)
		stopped += time.Since(t2)
	}
	n := float64(b.N) * float64(time.Millisecond)
	b.ReportMetric(float64(started)/n, "ms/start")
	b.ReportMetric(float64(replied)/n, "ms/reply")
	b.ReportMetric(float64(stopped)/n, "ms/stop")
}
