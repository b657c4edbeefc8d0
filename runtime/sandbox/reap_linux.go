package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/cgroup"
	"github.com/gatehouse-mcp/gatehouse/internal/owner"
)

// runFolder is where each owner notes what it makes, below the state folder.
const runFolder = "sandbox"

// note is what an owner leaves for those who clean up behind it.
type note struct {
	Boot   string
	Groups []string // folders of control groups
}

// run is the folder of an owner.
func (r *Runtime) run(id string) string { return filepath.Join(r.owner.State, runFolder, id) }

// note writes down what will have to be removed if this process is killed.
func (r *Runtime) note() error {
	dir := r.run(r.owner.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(note{Boot: r.owner.Boot, Groups: r.groups.Folders(r.name)})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "note.json"), data, 0o600)
}

// Reap implements [runtime.Reaper]: it removes the control groups and notes
// of dead gateways. Their processes have ended with them; what should still
// be in such a group is killed.
func (r *Runtime) Reap(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.owner.State, runFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox: looking for what dead gateways left: %w", err)
	}
	var removed []string
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		dead, err := r.reap(ctx, e.Name())
		for _, what := range dead {
			removed = append(removed, what)
			if f := r.o.Events.Removed; f != nil {
				f(what)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sandbox: removing what the dead gateway %s left: %w", e.Name(), err))
		}
	}
	return removed, errors.Join(append(errs, owner.Sweep(r.owner.State))...)
}

// reap removes what one owner left, if it is dead.
func (r *Runtime) reap(ctx context.Context, id string) (removed []string, err error) {
	if id == r.owner.ID {
		return nil, nil
	}
	var n note
	data, err := os.ReadFile(filepath.Join(r.run(id), "note.json"))
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	if err != nil {
		n = note{} // a gateway that was killed while it wrote has made nothing yet
	}
	if !owner.Dead(r.owner.State, id, n.Boot) {
		return nil, nil
	}
	folders := n.Groups[:0]
	for _, f := range n.Groups {
		// The note is a file that others may have changed.
		if filepath.IsAbs(f) && filepath.Clean(f) == f && strings.HasSuffix(f, "/"+groupName(r.owner.State, id)) {
			folders = append(folders, f)
		}
	}
	for _, f := range folders {
		if _, err := os.Stat(f); err == nil {
			removed = append(removed, "control group "+f)
		}
	}
	if err := r.sweep(ctx, folders); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.run(id)); err != nil {
		return removed, err
	}
	return append(removed, "notes of the dead gateway "+id), nil
}

// sweep removes folders of control groups, and their parents if those are
// empty then.
func (r *Runtime) sweep(ctx context.Context, folders []string) error {
	var errs []error
	for _, f := range folders {
		if err := cgroup.Sweep(ctx, f); err != nil {
			errs = append(errs, err)
			continue
		}
		_ = unix.Rmdir(filepath.Dir(f)) // other gateways of this state folder may be in it
	}
	return errors.Join(errs...)
}
