//go:build unix

package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/gatehouse-mcp/gatehouse/internal/filelock"
)

// Owner is a gateway that lives. Its fields do not change.
type Owner struct {
	ID    string // random, 32 hex digits
	Boot  string // of the machine; empty where the system does not tell
	State string // the state folder: absolute, clean, without symbolic links

	// Process identifies the process, as [Gone] wants it; empty where the
	// system does not tell.
	Process string

	once sync.Once
	file *os.File
}

// Hold makes this process an owner, until [Owner.Release] or its end. The
// state folder and its folder "owners" are made when they are missing, for this
// user alone. Those that are there must belong to this user or to root, and be
// closed to others: nobody else may write to the one, or open the other.
func Hold(state string) (*Owner, error) {
	state, err := locate(state)
	if err != nil {
		return nil, err
	}
	o := &Owner{ID: newID(), Boot: boot(), State: state, Process: process()}
	if o.file, err = filelock.Take(filepath.Join(state, folder, o.ID), true); err != nil {
		return nil, fmt.Errorf("holding the lock of a gateway in %s: %w", filepath.Join(state, folder), err)
	}
	return o, nil
}

// locate makes a state folder ready, and returns its one name.
func locate(state string) (string, error) {
	if state == "" {
		return "", errors.New("no state folder is given")
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return "", fmt.Errorf("state folder %s: %w", state, err)
	}
	owners := filepath.Join(state, folder)
	if err := os.MkdirAll(owners, 0o700); err != nil {
		return "", fmt.Errorf("making the state folder: %w", err)
	}
	if state, err = filepath.EvalSymlinks(state); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	owners = filepath.Join(state, folder)
	for _, dir := range []string{state, owners} {
		if err := Private(dir); err != nil {
			return "", err
		}
	}
	st, err := os.Lstat(owners)
	if err != nil {
		return "", err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be opened by others (mode %#o): run chmod 700 on it", owners, st.Mode().Perm())
	}
	return state, nil
}

// Release ends the ownership: what still carries the id counts as left by a
// dead gateway from then on. It is idempotent.
func (o *Owner) Release() {
	o.once.Do(func() {
		_ = os.Remove(o.file.Name()) // while the lock is held: nobody else removes it
		_ = o.file.Close()
	})
}

// Abandon ends the ownership as [Owner.Release] does, when something that
// carries the id is left: the lock file stays as a proof for [Gone], until a
// [Sweep]. It is idempotent.
func (o *Owner) Abandon() {
	o.once.Do(func() { _ = o.file.Close() })
}

// Dead reports whether the owner of this id, made by [Hold] on the same state
// folder, does not live any more: it belongs to another boot of the machine,
// or nobody holds its lock. What cannot be told, such as an id that Hold never
// made, is not dead.
func Dead(state, id, bootID string) bool {
	if !valid(id) {
		return false
	}
	if here := boot(); here != "" && bootID != "" && here != bootID {
		return true
	}
	free, missing := unlocked(state, id)
	return free || missing
}

// Gone is a [Dead] that does not take a missing lock file for a proof, since
// somebody may have cleaned it away: the process of the owner, as its
// [Owner.Process] tells, must have ended as well. It is for what would be a
// loss if its owner lived.
func Gone(state, id, bootID, process string) bool {
	if !valid(id) {
		return false
	}
	if here := boot(); here != "" && bootID != "" && here != bootID {
		return true
	}
	free, missing := unlocked(state, id)
	return free || missing && ended(process)
}

// unlocked tells whether nobody holds the lock of an owner, or whether there
// is none. Neither is true when it cannot be told.
func unlocked(state, id string) (free, missing bool) {
	f, err := os.OpenFile(filepath.Join(state, folder, id), os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist) && isFolder(state)
	}
	defer f.Close()
	return filelock.Free(f), false
}

// isFolder guards against a state folder that is not there, such as one on a
// disk that is not mounted: that tells nothing of anybody.
func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// Sweep removes the lock files of dead owners. Whoever removes what the dead
// have left does that first: without its file an owner counts as dead as well.
func Sweep(state string) error {
	dir := filepath.Join(state, folder)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping locks of gateways: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !valid(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if err := filelock.Remove(filepath.Join(dir, e.Name())); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
