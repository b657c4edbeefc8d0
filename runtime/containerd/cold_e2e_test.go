//go:build e2e && linux

package containerd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"

	"github.com/gatehouse-mcp/gatehouse/internal/netns"
	"github.com/gatehouse-mcp/gatehouse/transport"
)

// BenchmarkCold compares the start of a server up to its first reply with what
// a bare client of containerd takes for the same container: the same image and
// spec, direct FIFOs, in turns. It tells the medians and their ratio.
func BenchmarkCold(b *testing.B) {
	d := bed.Containerd(b)
	r := newRuntime(b, d, nil)
	spec := probe(b)
	ping := &transport.Message{ID: json.RawMessage("1"), Method: "ping"}
	ours := func() time.Duration {
		begin := time.Now()
		i, err := r.Start(b.Context(), spec)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := i.Conn().Call(b.Context(), ping, nil); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begin)
		if err := i.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		return took
	}
	ours() // brings the image
	ctx := r.within(b.Context())
	img, err := r.client.GetImage(ctx, localName("oci", mustTarget(b, spec.Image)))
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	bare := func() time.Duration {
		n++
		id := fmt.Sprintf("bare-%d", n)
		begin := time.Now()
		took, err := bareStart(ctx, b, r, img, id, begin)
		if err != nil {
			b.Fatal(err)
		}
		return took
	}
	bare()
	var a, c []time.Duration
	for b.Loop() {
		a = append(a, ours())
		c = append(c, bare())
	}
	slices.Sort(a)
	slices.Sort(c)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(a[len(a)/2]), "ms/start")
	b.ReportMetric(ms(c[len(c)/2]), "ms/bare")
	b.ReportMetric(float64(a[len(a)/2])/float64(c[len(c)/2]), "ratio")
	b.ReportMetric(ms(a[0]), "ms/start-min")
	b.ReportMetric(ms(c[0]), "ms/bare-min")
}

func bareStart(ctx context.Context, b *testing.B, r *Runtime, img containerd.Image, id string, begin time.Time) (took time.Duration, err error) {
	ns, err := netns.New()
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	p := plan{id: id, namespace: r.o.Namespace, cgroup: cgroup(r.owner.ID) + "/" + id, netns: ns.Path(), oomScore: r.oomScore, user: user{uid: 65532, gid: 65532}}
	p.spec.Command = []string{"/server"}
	s, err := p.ociSpec()
	if err != nil {
		return 0, err
	}
	c, err := r.client.NewContainer(ctx, id,
		containerd.WithNewSnapshot(id, img), containerd.WithSpec(s),
		containerd.WithRuntime("io.containerd.runc.v2", &runcoptions.Options{BinaryName: r.o.RuncBinary, Root: r.runcRoot(r.owner.ID)}))
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := c.Delete(ctx, containerd.WithSnapshotCleanup); err == nil {
			err = e
		}
	}()
	var io *cio.DirectIO
	task, err := c.NewTask(ctx, func(id string) (cio.IO, error) {
		fifos, err := cio.NewFIFOSetInDir(b.TempDir(), id, false)
		if err != nil {
			return nil, err
		}
		io, err = cio.NewDirectIO(ctx, fifos)
		return io, err
	})
	if err != nil {
		return 0, err
	}
	exited, err := task.Wait(ctx)
	if err != nil {
		return 0, err
	}
	if err := task.Start(ctx); err != nil {
		return 0, err
	}
	if _, err := io.Stdin.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n")); err != nil {
		return 0, err
	}
	if _, err := bufio.NewReader(io.Stdout).ReadBytes('\n'); err != nil {
		return 0, err
	}
	took = time.Since(begin)
	if err := task.Kill(ctx, syscall.SIGKILL); err != nil {
		return 0, err
	}
	<-exited
	_, err = task.Delete(ctx)
	return took, err
}
