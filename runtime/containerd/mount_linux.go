package containerd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// mounts are those of a Spec. Until the container runs, a descriptor holds
// what was checked of each source, so that what is mounted can be compared.
type mounts struct {
	list    []specs.Mount
	sources []hostSource
}

type hostSource struct {
	mount runtime.Mount
	file  *os.File
}

func (m *mounts) close() {
	for _, s := range m.sources {
		_ = s.file.Close()
	}
	m.sources = nil
}

// bind shows what is at a path, with what is mounted below it.
func bind(source, target string, writable bool, class Class) specs.Mount {
	mode := "rw"
	if !writable {
		mode = "rro" // for what is mounted below, too
		if class.UserKernel {
			mode = "ro" // such a kernel sees one mount
		}
	}
	return specs.Mount{
		Destination: target, Type: "bind", Source: source,
		Options: []string{"rbind", "rprivate", "nosuid", "nodev", mode},
	}
}

// mounts opens the sources and volumes of the Spec.
func (i *instance) mounts(ctx context.Context, u user) (_ *mounts, err error) {
	r, spec, class := i.r, i.spec, i.class
	m := &mounts{}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	for _, want := range spec.Mounts {
		if want.Volume == "" {
			f, err := hostmount.Open(want)
			if err != nil {
				return nil, err
			}
			if !want.Force && overlap(filepath.Clean(want.Source), r.owner.State) {
				_ = f.Close()
				return nil, fmt.Errorf("mount of %s at %s: it shows the state folder of the gateway, %s; force: true allows it", want.Source, want.Target, r.owner.State)
			}
			m.sources = append(m.sources, hostSource{want, f})
			m.list = append(m.list, bind(want.Source, want.Target, want.Writable, class))
			continue
		}
		if err := i.volume(ctx, m, want, u); err != nil {
			return nil, fmt.Errorf("mount of volume %s at %s: %w", want.Volume, want.Target, err)
		}
	}
	return m, nil
}

// volume opens a volume. One with a size is mounted from its device, which
// whoever makes the container finds wherever it sees the host's /dev. A kernel
// in user space has no such mounts, and gets a place of the host.
func (i *instance) volume(ctx context.Context, m *mounts, want runtime.Mount, u user) error {
	state := i.r.owner.State
	p := volume.Path(state, i.spec.Name, i.spec.Owner, want.Volume)
	to := volume.Give{UID: int(u.uid), GID: int(u.gid)}
	if want.Size == 0 {
		f, err := volume.Open(state, p, to)
		if err != nil {
			return err
		}
		m.list = append(m.list, bind(p, want.Target, true, i.class))
		return f.Close()
	}
	v, err := volume.OpenSized(ctx, state, p, want.Size, to)
	if err != nil {
		return err
	}
	m.sources = append(m.sources, hostSource{want, v.Root})
	if !i.class.UserKernel {
		m.list = append(m.list, specs.Mount{
			Destination: want.Target, Type: volume.Kind, Source: v.Device, Options: []string{"nosuid", "nodev", "rw"},
		})
		return nil
	}
	i.placed = true
	place, err := v.Place(i.placeName())
	if err != nil {
		return err
	}
	m.list = append(m.list, bind(place, want.Target, true, i.class))
	return nil
}

// placeName is what places of volumes for an instance are called. It begins with
// the owner, for the reaper.
func (i *instance) placeName() string { return i.r.owner.ID + "." + i.id }

// overlap tells whether one of two folders lies in the other.
func overlap(a, b string) bool {
	return inside(a, b) || inside(b, a)
}

// verify fails unless what is mounted in a container is what was checked: the
// runtime mounts by name, and somebody could have put something else there.
// Nothing of the server runs yet. roots are the roots of the processes that
// were made for it.
func (m *mounts) verify(roots []string) error {
	for _, s := range m.sources {
		var want unix.Stat_t
		if err := unix.Fstat(int(s.file.Fd()), &want); err != nil {
			return os.NewSyscallError("fstat", err)
		}
		ok := slices.ContainsFunc(roots, func(root string) bool {
			got, err := statIn(root, s.mount.Target)
			return err == nil && got.Dev == want.Dev && got.Ino == want.Ino && got.Mode&unix.S_IFMT == want.Mode&unix.S_IFMT
		})
		if !ok {
			return fmt.Errorf("mount of %s at %s %w: what is mounted there could not be seen to be what was checked; it was moved meanwhile, containerd sees other mounts, or the runtime class hides what it mounts", cmp.Or(s.mount.Source, "volume "+s.mount.Volume), s.mount.Target, runtime.ErrCannotEnforce)
		}
	}
	return nil
}

// statIn looks at a path inside of a root, whatever links lie on the way.
func statIn(root, path string) (s unix.Stat_t, err error) {
	r, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s, err
	}
	defer unix.Close(r)
	f, err := unix.Openat2(r, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return s, err
	}
	defer unix.Close(f)
	return s, unix.Fstat(f, &s)
}

// roots are the roots of the processes that a runtime has made for a container
// that does not run yet: its first process, or those of a kernel in user space,
// of which one holds the files.
func (i *instance) roots() []string {
	roots := []string{fmt.Sprintf("/proc/%d/root", i.pid)}
	if !i.class.UserKernel {
		return roots
	}
	seen := map[string]bool{}
	for _, pattern := range []string{cgroupMount, cgroupMount + "/*"} {
		files, _ := filepath.Glob(pattern + cgroup(i.r.owner.ID) + "/" + i.id + "/cgroup.procs")
		for _, file := range files {
			b, _ := os.ReadFile(file)
			for _, pid := range strings.Fields(string(b)) {
				if !seen[pid] {
					seen[pid] = true
					roots = append(roots, "/proc/"+pid+"/root", "/proc/"+pid+"/root/root")
				}
			}
		}
	}
	return roots
}

// pipes are the ends of a server's standard streams that are ours, and the
// paths by which its shim finds the others.
type pipes struct {
	in, out, err *os.File
	paths        [3]string // the first is empty without an input
}

// newPipes makes FIFOs in a folder and opens them, which does not wait for
// the shim.
func newPipes(dir string, input bool) (_ *pipes, err error) {
	p := &pipes{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for n, f := range []struct {
		name string
		to   **os.File
		how  int
	}{
		// Who opens a FIFO for writing alone must wait for its reader.
		{"in", &p.in, unix.O_RDWR}, {"out", &p.out, unix.O_RDONLY}, {"err", &p.err, unix.O_RDONLY},
	} {
		if f.name == "in" && !input {
			continue
		}
		path := filepath.Join(dir, f.name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
		}
		if *f.to, err = os.OpenFile(path, f.how|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			return nil, err
		}
		p.paths[n] = path
	}
	return p, nil
}

func (p *pipes) close() {
	for _, f := range []*os.File{p.in, p.out, p.err} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// write makes a small file for a mount of the driver's own.
func write(dir, name, content string) (string, error) {
	path := filepath.Join(dir, name)
	err := os.WriteFile(path, []byte(content), 0o644)
	if err == nil {
		err = os.Chmod(path, 0o644) // whatever the umask is: the server reads it
	}
	if err != nil {
		return "", fmt.Errorf("writing for a server: %w", err)
	}
	return path, nil
}
