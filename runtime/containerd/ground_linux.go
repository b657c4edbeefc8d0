package containerd

import (
	"context"
	"fmt"
	"path"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// ground is what an image decides of a server, beside its program.
type ground struct {
	user user
	dir  directory
}

// directory is the working directory of a server.
type directory struct {
	path  string // as the runtime is told
	mount int    // of Spec.Mounts, in which it lies; -1: none
	rest  string // of the path, below the target of that mount
}

// ground looks up in an image who a server runs as and where, once.
func (r *Runtime) ground(ctx context.Context, img *image, spec runtime.Spec) (g ground, err error) {
	g.dir = directory{path: workingDirectory(spec, img.config), mount: -1}
	if spec.User != "" {
		g.user.uid, g.user.gid, err = parseUser(spec.User)
	} else {
		g.user, err = standardUser()
	}
	if err != nil {
		return ground{}, err
	}
	named := spec.User == "" && img.config.User != ""
	lies := g.dir.path != "/" && len(spec.Mounts) > 0
	if !named && !lies {
		return g, nil
	}
	select {
	case img.looking <- struct{}{}:
		defer func() { <-img.looking }()
	case <-ctx.Done():
		return ground{}, ctx.Err()
	}
	key := directoryKey(g.dir.path, spec.Mounts)
	known, found := img.dirs[key]
	if named && img.own == nil || lies && !found {
		err := r.inspect(ctx, img, func(root int) (err error) {
			if named && img.own == nil {
				u, err := imageUser(root, img.config.User)
				if err != nil {
					return err
				}
				img.own = &u
			}
			if lies && !found {
				if known, err = locate(root, g.dir.path, spec.Mounts); err != nil {
					return err
				}
				img.dirs[key] = known
			}
			return nil
		})
		if err != nil {
			return ground{}, err
		}
	}
	if named {
		g.user = *img.own
	}
	if lies {
		g.dir = known
	}
	return g, nil
}

func directoryKey(dir string, mounts []runtime.Mount) string {
	all := []string{dir}
	for _, m := range mounts {
		all = append(all, m.Target)
	}
	return strings.Join(all, "\x00")
}

// locate finds in which mount a directory lies, by the paths that both have
// behind the image's symbolic links.
func locate(root int, dir string, mounts []runtime.Mount) (directory, error) {
	at, err := resolveIn(root, dir)
	if err != nil {
		return directory{}, fmt.Errorf("the working directory %s: %w", dir, err)
	}
	d, longest := directory{path: dir, mount: -1}, ""
	for n, m := range mounts {
		target, err := resolveIn(root, m.Target)
		if err != nil {
			return directory{}, fmt.Errorf("mount at %s: %w", m.Target, err)
		}
		if inside(at, target) && len(target) > len(longest) {
			d.mount, d.rest, longest = n, strings.TrimPrefix(at[len(target):], "/"), target
		}
	}
	return d, nil
}

// inside tells whether a path is a folder or lies in it.
func inside(p, folder string) bool {
	return p == folder || folder == "/" || strings.HasPrefix(p, folder+"/")
}

// holds fails unless a working directory that lies in a mount is there: the
// runtime would make it, as root, in a folder of the host.
func (m *mounts) holds(d directory) error {
	if d.mount < 0 || d.rest == "" {
		return nil
	}
	in := m.list[d.mount]
	fail := func(err error) error {
		return fmt.Errorf("the working directory %s is not in what is mounted at %s: make it there (a symbolic link does not do), or give another dir: %w", d.path, in.Destination, err)
	}
	top, err := m.top(in)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(top)
	fd, err := unix.Openat2(top, path.Clean(d.rest), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return fail(err)
	}
	return unix.Close(fd)
}

// top opens the folder that a mount shows.
func (m *mounts) top(in specs.Mount) (int, error) {
	for _, s := range m.sources {
		if s.mount.Target == in.Destination && s.mount.Size > 0 { // its source is a device
			return unix.FcntlInt(s.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		}
	}
	return unix.Openat2(unix.AT_FDCWD, in.Source, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
}

func workingDirectory(spec runtime.Spec, c imagespec.ImageConfig) string {
	dir := c.WorkingDir
	if spec.Dir != "" {
		dir = spec.Dir
	}
	return path.Join("/", dir)
}
