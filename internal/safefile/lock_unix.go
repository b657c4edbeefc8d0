//go:build unix

package safefile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
)

// lockPace is how often a held lock is tried again.
const lockPace = 20 * time.Millisecond

// lock takes the lock of a file and returns what gives it back.
func lock(ctx context.Context, path string) (func(), error) {
	for {
		f, err := filelock.Take(path, false)
		if err == nil {
			// Removed while it is held: who waits at it sees that, and makes it anew.
			return func() { _ = os.Remove(path); _ = f.Close() }, nil
		}
		if !errors.Is(err, filelock.ErrHeld) {
			return nil, err
		}
		t := time.NewTimer(lockPace)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

// keepReaders gives a new file to the owner of the old one. Only if that works
// the group may go on reading.
func keepReaders(f *os.File, old fs.FileInfo) {
	st, ok := old.Sys().(*syscall.Stat_t)
	if ok && f.Chown(int(st.Uid), int(st.Gid)) == nil {
		_ = f.Chmod(0o600 | old.Mode().Perm()&0o040)
	}
}
