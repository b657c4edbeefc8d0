package containerd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	godigest "github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// progressEvery is how often the progress of a pull is told.
const progressEvery = 250 * time.Millisecond

// progress counts the bytes of an image on its way.
type progress struct {
	image string // as the Spec names it
	tell  func(runtime.Pull)

	mu   sync.Mutex
	want map[godigest.Digest]int64 // what is known of the image so far
	have map[godigest.Digest]int64
	last runtime.Pull
}

func (p *progress) begin(tell func(runtime.Pull)) {
	p.tell = tell
	p.report(runtime.Pull{Image: p.image})
}

func (p *progress) end(err error) {
	p.mu.Lock()
	done, total := p.count()
	if err == nil {
		done = total
	}
	p.mu.Unlock()
	p.report(runtime.Pull{Image: p.image, Done: done, Total: total, Ended: true, Err: err})
}

func (p *progress) report(e runtime.Pull) {
	if p.tell != nil {
		p.tell(e)
	}
}

// String says how far it is.
func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, total := p.count()
	return fmt.Sprintf("%d of %d bytes", done, total)
}

func (p *progress) count() (done, total int64) {
	for d, n := range p.want {
		total += n
		done += min(p.have[d], n)
	}
	return done, total
}

// wrap learns what an image consists of while it is pulled.
func (p *progress) wrap(h images.Handler) images.Handler {
	return images.HandlerFunc(func(ctx context.Context, d imagespec.Descriptor) ([]imagespec.Descriptor, error) {
		p.note(d, 0)
		children, err := h.Handle(ctx, d)
		if err == nil {
			p.note(d, d.Size)
			for _, c := range children {
				p.note(c, 0)
			}
		}
		return children, err
	})
}

func (p *progress) note(d imagespec.Descriptor, have int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.want == nil {
		p.want, p.have = map[godigest.Digest]int64{}, map[godigest.Digest]int64{}
	}
	p.want[d.Digest] = d.Size
	p.have[d.Digest] = max(p.have[d.Digest], have)
}

// watch tells the progress until stop is called.
func (p *progress) watch(cs content.Store, ctx context.Context) (stop func()) {
	if p.tell == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() {
		for sleep(ctx, progressEvery) {
			statuses, err := cs.ListStatuses(ctx)
			if err != nil {
				continue
			}
			p.mu.Lock()
			for _, s := range statuses {
				i := strings.LastIndex(s.Ref, "sha256:")
				if d := godigest.Digest(s.Ref[max(i, 0):]); i >= 0 && p.want[d] > 0 {
					p.have[d] = max(p.have[d], s.Offset)
				}
			}
			done, total := p.count()
			e := runtime.Pull{Image: p.image, Done: done, Total: total}
			changed := e != p.last
			p.last = e
			p.mu.Unlock()
			if changed {
				p.report(e)
			}
		}
	})
	return func() { cancel(); g.Wait() }
}
