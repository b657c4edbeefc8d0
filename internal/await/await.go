// Package await waits, within bounds, for things that end.
package await

import (
	"context"
	"time"
)

// Within waits until ended is closed, ctx ends or d has passed, and reports
// whether ended is closed.
func Within(ctx context.Context, ended <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	case <-t.C:
	}
	select {
	case <-ended:
		return true
	default:
		return false
	}
}
