package inject

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// How often it is looked whether the secrets of files were rotated: now and
// then, and when one ends, but not all the time.
const (
	refreshTime     = time.Minute
	shortestRefresh = 5 * time.Second
	resolveTime     = 30 * time.Second
)

// Refresh has the files rewritten whose secrets were rotated, until ctx ends. n
// counts the file among [Set.Files]. A secret that cannot be resolved stays as
// it was; that, and a file that cannot be rewritten, is told.
func (s *Set) Refresh(ctx context.Context, rewrite func(n int, f File) error) {
	files := map[int]File{}
	for n, f := range s.files {
		if f.Secret && len(f.use.Value.Refs()) > 0 {
			files[n] = f
		}
	}
	for len(files) > 0 {
		wait := refreshTime
		for _, f := range files {
			if end := f.Content.Secret().Expires(); !end.IsZero() {
				wait = min(wait, max(time.Until(end), shortestRefresh))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		for n, f := range files {
			next, err := f.again(ctx)
			if err == nil && next.Content.Reveal() != f.Content.Reveal() {
				err = rewrite(n, next)
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.tell.tell(runtime.Injection{
					Server: s.server, Secret: f.use.Name, Target: f.Path, Reason: fmt.Sprintf("the file stays as it was: %v", err),
				})
				continue
			}
			files[n] = next
		}
	}
}

// again is the file with the secret as it is now.
func (f File) again(ctx context.Context) (File, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	v, found, err := f.use.Resolve(ctx)
	switch {
	case err != nil:
		return f, err
	case found && len(v.Reveal()) > largest:
		return f, fmt.Errorf("secret %s has more than %d bytes", f.use.Name, largest)
	case found:
		f.Content = v
	}
	return f, nil
}
