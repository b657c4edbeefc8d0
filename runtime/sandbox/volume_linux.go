package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// plainName is a server's name that can be that of a folder as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// volumePath is the folder of a volume: by server, owner and name.
func volumePath(state string, spec runtime.Spec, name string) string {
	server := spec.Name
	if !plainName.MatchString(server) {
		server = "=" + digest(server)
	}
	who := "shared"
	if spec.Owner != "" {
		who = "=" + digest(spec.Owner)
	}
	return filepath.Join(state, "volumes", server, who, name)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// volume opens the folder of a volume, which it makes and gives to the user
// of the server.
func (r *Runtime) volume(spec runtime.Spec, m runtime.Mount, uid, gid int) (*os.File, string, error) {
	p := volumePath(r.owner.State, spec, m.Volume)
	f, err := openVolume(p, uid, gid, r.root)
	if err != nil {
		return nil, "", fmt.Errorf("mount of volume %s at %s: %w", m.Volume, m.Target, err)
	}
	return f, p, nil
}

func openVolume(p string, uid, gid int, root bool) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(p, 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	fd, err := absolute(p)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: p, Err: err}
	}
	f := os.NewFile(uintptr(fd), p)
	var s unix.Stat_t
	if err = unix.Fstat(fd, &s); err == nil && s.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = fmt.Errorf("%s is no folder", p)
	}
	if err == nil && root && (int(s.Uid) != uid || int(s.Gid) != gid) {
		err = unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
