package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/internal/volume"
)

// Paths of /proc that tell too much or change the machine, as the runtimes of
// containers have them by default.
var (
	masked = []string{
		"acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "scsi",
		"sched_debug", "timer_list", "timer_stats",
	}
	readOnly = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

// terminalCount bounds the terminals of a server.
const terminalCount = 64

// root is the root of a server under construction.
type root struct {
	fd   int // of the tmpfs
	proc int // of the new /proc, before it has its place

	uid, gid int        // of the server
	secrets  []*os.File // of the steps so far
}

// buildRoot builds the root and makes it that of this process. It is called
// in a mount namespace of its own, of which nothing reaches the host, and
// returns the files of secrets.
func buildRoot(steps []step, uid, gid int) (secrets []*os.File, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("cutting the mounts off from the host's: %w", err)
	}
	unix.Umask(0)
	r := root{uid: uid, gid: gid}
	// The kernel gives a new /proc only to who sees the old one.
	if r.proc, err = hostmount.New("proc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC); err != nil {
		return nil, fmt.Errorf("mounting /proc: %w", err)
	}
	if r.fd, err = hostmount.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, "mode", "755", "size", "4m", "nr_inodes", "4096"); err != nil {
		return nil, fmt.Errorf("mounting the root: %w", err)
	}
	// It needs a place until it is the root; nothing of /proc is mounted.
	if err := unix.MoveMount(r.fd, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return nil, fmt.Errorf("placing the root: %w", err)
	}
	for _, s := range steps {
		if err := r.take(s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Target, err)
		}
	}
	if err := setattr(r.fd, "", unix.AT_EMPTY_PATH, unix.MOUNT_ATTR_RDONLY); err != nil {
		return nil, fmt.Errorf("making the root read-only: %w", err)
	}
	if err := unix.Fchdir(r.fd); err != nil {
		return nil, err
	}
	// The old root ends up on top of the new one, see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return nil, fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("leaving the old root: %w", err)
	}
	_ = unix.Close(r.fd)
	return r.secrets, unix.Chdir("/")
}

// take takes one step.
func (r *root) take(s step) error {
	switch s.Kind {
	case makeFolder:
		fd, err := r.folder(s.Target)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	case makeLink:
		return r.in(s.Target, func(dir int, name string) error { return unix.Symlinkat(s.Source, dir, name) })
	case makeFile:
		return r.file(s.Target, s.Source)
	case cover:
		return r.cover(s)
	case alias:
		return r.alias(s)
	case disk:
		return r.disk(s)
	case bind:
		return r.bind(s, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	case device:
		s.File, s.Writable = true, true
		return r.bind(s, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	case tmpfs:
		inodes := max(s.Size>>12, 64)
		fd, err := hostmount.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
			"mode", "1777", "size", strconv.FormatInt(s.Size, 10), "nr_inodes", strconv.FormatInt(inodes, 10))
		if err != nil {
			return err
		}
		return r.place(fd, s)
	case secret:
		return r.secret(s)
	case terminals:
		fd, err := hostmount.New("devpts", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC,
			"newinstance", "", "ptmxmode", "0666", "mode", "0620", "max", strconv.Itoa(terminalCount))
		if err != nil {
			return err
		}
		return r.place(fd, s)
	case procfs:
		if err := r.place(r.proc, s); err != nil {
			return err
		}
		return r.coverProc(s.Target)
	}
	return fmt.Errorf("a step of the unknown kind %q", s.Kind)
}

// coverProc hides parts of /proc.
func (r *root) coverProc(at string) error {
	for _, name := range readOnly {
		s := step{Target: path.Join(at, name), Present: true}
		fd, err := r.clone(s.Target)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := setattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
		if err := r.place(fd, s); err != nil {
			return err
		}
	}
	for _, name := range masked {
		s := step{Target: path.Join(at, name), Present: true}
		target, err := r.open(s.Target)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		err = unix.Fstat(target, &st)
		_ = unix.Close(target)
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			null := step{Target: s.Target, Source: "/dev/null", Present: true, File: true}
			if err := r.bind(null, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
				return err
			}
			continue
		}
		fd, err := hostmount.New("tmpfs", unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, "mode", "555", "size", "4k")
		if err != nil {
			return err
		}
		if err := r.place(fd, s); err != nil {
			return err
		}
	}
	return nil
}

// within resolves a path of the root without any link.
func within(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

func (r *root) open(p string) (int, error) {
	return within(r.fd, strings.TrimPrefix(p, "/"), unix.O_PATH)
}

// clone opens what is at a path of the root as a mount of its own.
func (r *root) clone(p string) (int, error) {
	fd, err := r.open(p)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
}

// folder opens a folder of the root, which it makes with its parents.
func (r *root) folder(p string) (int, error) {
	at, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for _, name := range strings.Split(strings.Trim(p, "/"), "/") {
		if name == "" {
			continue
		}
		next, err := within(at, name, unix.O_PATH|unix.O_DIRECTORY)
		if err == unix.ENOENT {
			if err = unix.Mkdirat(at, name, 0o755); err == nil {
				next, err = within(at, name, unix.O_PATH|unix.O_DIRECTORY)
			}
		}
		_ = unix.Close(at)
		if err != nil {
			return -1, &fs.PathError{Op: "making a folder", Path: p, Err: err}
		}
		at = next
	}
	return at, nil
}

// in calls f with the folder of a path, which is made, and the last name.
func (r *root) in(p string, f func(dir int, name string) error) error {
	dir, err := r.folder(path.Dir(p))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return f(dir, path.Base(p))
}

// file makes a file that everybody can read.
func (r *root) file(p, content string) error {
	return r.in(p, func(dir int, name string) error {
		fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), p)
		_, err = f.WriteString(content)
		return errors.Join(err, f.Close())
	})
}

// cover mounts a made file over one that is there. The file has no name by
// the end, and until then one that nothing in an image has.
func (r *root) cover(s step) error {
	name := ".cover-" + rand.Text()
	if err := r.file("/"+name, s.Source); err != nil {
		return err
	}
	if err := r.alias(step{Target: s.Target, Source: "/" + name}); err != nil {
		return err
	}
	return unix.Unlinkat(r.fd, name, 0)
}

// alias mounts a file of the root over one that is there.
func (r *root) alias(s step) error {
	fd, err := r.clone(s.Source)
	if err != nil {
		return err
	}
	if err := setattr(fd, "", unix.AT_EMPTY_PATH, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
		_ = unix.Close(fd)
		return err
	}
	s.Present = true
	return r.place(fd, s)
}

// bind shows something of the host.
func (r *root) bind(s step, attributes uint64) error {
	from, err := absolute(s.Source)
	if err != nil {
		return &fs.PathError{Op: "opening", Path: s.Source, Err: err}
	}
	defer unix.Close(from)
	if s.Dev != 0 || s.Inode != 0 {
		var st unix.Stat_t
		if err := unix.Fstat(from, &st); err != nil {
			return err
		}
		if uint64(st.Dev) != s.Dev || st.Ino != s.Inode {
			return fmt.Errorf("%s was replaced after it was checked", s.Source)
		}
	}
	fd, err := unix.OpenTree(from, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return os.NewSyscallError("open_tree", err)
	}
	if !s.Writable {
		attributes |= unix.MOUNT_ATTR_RDONLY
	}
	if err := setattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attributes); err != nil {
		_ = unix.Close(fd)
		return err
	}
	return r.place(fd, s)
}

// disk shows the file system of a device, which must be the one that was
// checked.
func (r *root) disk(s step) error {
	fd, err := hostmount.New(volume.Kind, volume.Attributes, "source", s.Source)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (uint64(st.Dev) != s.Dev || st.Ino != s.Inode) {
		err = fmt.Errorf("%s was replaced after it was checked", s.Source)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	return r.place(fd, s)
}

// absolute opens a path of the host without following any link.
func absolute(p string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, p, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// place gives a new mount its place, which it makes unless it is present.
func (r *root) place(fd int, s step) error {
	defer unix.Close(fd)
	var target int
	var err error
	switch {
	case s.Present:
		target, err = r.open(s.Target)
	case s.File:
		if err = r.file(s.Target, ""); err == nil || errors.Is(err, fs.ErrExist) {
			target, err = r.open(s.Target)
		}
	default:
		target, err = r.folder(s.Target)
	}
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return os.NewSyscallError("move_mount", unix.MoveMount(fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

func setattr(fd int, p string, flags uint, set uint64) error {
	return os.NewSyscallError("mount_setattr", unix.MountSetattr(fd, p, flags, &unix.MountAttr{Attr_set: set}))
}
