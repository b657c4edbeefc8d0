package sandbox

import (
	"context"
	"fmt"
	"os"

	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// volume opens a volume, which it makes and gives to the user of the server.
// Source is where this process finds it while the file is open, and device
// what process 1 is to mount instead, where the volume has a size.
func (r *Runtime) volume(ctx context.Context, spec runtime.Spec, m runtime.Mount, uid, gid int) (f *os.File, source, device string, err error) {
	p := volume.Path(r.owner.State, spec.Name, spec.Owner, m.Volume)
	to := volume.Give{UID: uid, GID: gid, Keep: !r.root}
	if m.Size == 0 {
		source = p
		f, err = volume.Open(r.owner.State, p, to)
	} else {
		var v *volume.Sized
		if v, err = volume.OpenSized(ctx, r.owner.State, p, m.Size, to); err == nil {
			f, source, device = v.Root, fmt.Sprintf("/proc/self/fd/%d", v.Root.Fd()), v.Device
		}
	}
	if err != nil {
		return nil, "", "", fmt.Errorf("mount of volume %s at %s: %w", m.Volume, m.Target, err)
	}
	return f, source, device, nil
}
