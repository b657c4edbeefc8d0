package sandbox

import (
	"fmt"
	"os"

	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// volume opens the folder of a volume, which it makes and gives to the user
// of the server.
func (r *Runtime) volume(spec runtime.Spec, m runtime.Mount, uid, gid int) (*os.File, string, error) {
	p := volume.Path(r.owner.State, spec.Name, spec.Owner, m.Volume)
	f, err := volume.Open(r.owner.State, p, volume.Give{UID: uid, GID: gid, Keep: !r.root})
	if err != nil {
		return nil, "", fmt.Errorf("mount of volume %s at %s: %w", m.Volume, m.Target, err)
	}
	return f, p, nil
}
