//go:build unix

package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
)

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := filelock.Take(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filelock.Take(path, false); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a lock that is held: %v", err)
	}
	asking, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if filelock.Free(asking) {
		t.Error("a lock that is held is free")
	}
	if err := filelock.Remove(path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a lock that is held was removed: %v", err)
	}
	_ = held.Close()
	if !filelock.Free(asking) {
		t.Error("a lock that was given back is not free")
	}
	_ = asking.Close()
	for range 2 { // what is not there needs no removal
		if err := filelock.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock that nobody holds is still there: %v", err)
	}
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := filelock.Take(path, true); err == nil {
		t.Error("a link was taken for a lock")
	}
}

// TestTakeWaits: who waits gets the lock of the file that is there then, also
// when the one that it waited at was removed.
func TestTakeWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := filelock.Take(path, false)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		f, err := filelock.Take(path, true)
		if err == nil {
			here, err1 := f.Stat()
			there, err2 := os.Stat(path)
			if err1 != nil || err2 != nil || !os.SameFile(here, there) {
				err = errors.New("it holds a file that is not there")
			}
			_ = f.Close()
		}
		got <- err
	}()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
