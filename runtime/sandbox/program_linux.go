package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/hostmount"
	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// maxLinks is how many symbolic links may lead to a program.
const maxLinks = 40

// program finds the file of a command, as the server will see it, and what
// must be shown of the host beside the system and the mounts for that.
func (h host) program(name, dir, searchPath string, mounts []shown) (exec string, more []shown, err error) {
	candidates := []string{name}
	switch {
	case !strings.Contains(name, "/"):
		candidates = nil
		for _, d := range strings.Split(searchPath, ":") {
			if path.IsAbs(d) { // the working directory is not searched
				candidates = append(candidates, path.Join(d, name))
			}
		}
	case !path.IsAbs(name):
		if dir == "" {
			return "", nil, fmt.Errorf("the command %s is relative; write an absolute path, or say the dir that it is relative to", name)
		}
		candidates[0] = path.Join(dir, name)
	}
	var unfit error
	for _, c := range candidates {
		exec, more, err = h.locate(path.Clean(c), mounts)
		if err == nil {
			return exec, more, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			unfit = cmp.Or(unfit, err)
		}
	}
	switch {
	case unfit != nil:
		return "", nil, unfit
	case strings.Contains(name, "/"):
		return "", nil, err
	}
	return "", nil, fmt.Errorf("no such command in the PATH %q: %w", searchPath, fs.ErrNotExist)
}

// mounted is the place of the host that a path inside of a mount shows.
func mounted(mounts []shown, p string) (string, bool) {
	if n := slices.IndexFunc(mounts, func(s shown) bool { return s.target == p }); n >= 0 {
		return mounts[n].source, true
	}
	m, ok := holder(mounts, p)
	return path.Join(m.source, strings.TrimPrefix(p, m.target)), ok
}

// locate looks at one place where a program may be.
func (h host) locate(p string, mounts []shown) (string, []shown, error) {
	if at, ok := mounted(mounts, p); ok {
		s, err := h.lstat(at)
		if err == nil && s.Mode()&fs.ModeSymlink == 0 { // where a link leads to inside, the kernel finds
			err = executable(p, s)
		}
		return p, nil, err
	}
	s, err := h.stat(p)
	if err != nil {
		return "", nil, err
	}
	if err := executable(p, s); err != nil {
		return "", nil, err
	}
	var more []shown
	exec := ""
	for n := 0; ; n++ {
		folder, err := h.real(path.Dir(p))
		if err != nil {
			return "", nil, err
		}
		p = path.Join(folder, path.Base(p))
		exec = cmp.Or(exec, p)
		if last := len(more) - 1; last >= 0 && more[last].link != "" {
			more[last].link = p // without the links on the way, which are not shown
		}
		if m, ok := holder(mounts, p); ok && m.source != m.target {
			return "", nil, fmt.Errorf("the program %s is hidden by the mount at %s; choose another target", p, m.target)
		} else if !ok && !inSystem(p) {
			one, err := h.show(p)
			if err != nil {
				return "", nil, err
			}
			if !slices.Contains(more, one) {
				more = append(more, one)
			}
		}
		s, err := h.lstat(p)
		if err != nil {
			return "", nil, err
		}
		if s.Mode()&fs.ModeSymlink == 0 {
			return exec, more, nil
		}
		if n == maxLinks {
			return "", nil, fmt.Errorf("%s: %w", exec, unix.ELOOP)
		}
		to, err := os.Readlink(h.root + p)
		if err != nil {
			return "", nil, err
		}
		if !path.IsAbs(to) {
			to = path.Join(folder, to)
		}
		p = path.Clean(to)
	}
}

func executable(p string, s fs.FileInfo) error {
	switch {
	case s.IsDir():
		return fmt.Errorf("%s is a directory", p)
	case s.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable: %w", p, fs.ErrPermission)
	}
	return nil
}

// show decides what is shown for a program outside of the system and of the
// mounts: its folder, or itself alone, where many things lie side by side,
// the folder is a sensitive one, or nothing more is to be seen.
func (h host) show(p string) (shown, error) {
	at := path.Dir(p)
	if h.private != "" && below(p, h.private) {
		return shown{}, fmt.Errorf("the program %s lies in the state folder of the gateway; move it, for example below /usr/local or /opt", p)
	}
	file := h.alone && !installed(at) || shared(at) || h.private != "" && below(h.private, at)
	if !file {
		if f, err := hostmount.Open(runtime.Mount{Source: h.root + at, Target: at}); err == nil {
			_ = f.Close()
		} else {
			file = true
		}
	}
	if file {
		at = p
		s, err := h.lstat(p)
		if err != nil {
			return shown{}, err
		}
		if s.Mode()&fs.ModeSymlink != 0 {
			if why := runtime.Sensitive(p); why != "" {
				return shown{}, unshowable(errors.New(why))
			}
			return shown{target: p, link: p}, nil // the caller knows where it leads
		}
		if !s.Mode().IsRegular() {
			return shown{}, fmt.Errorf("the program %s is no regular file", p)
		}
	}
	f, err := hostmount.Open(runtime.Mount{Source: h.root + at, Target: at})
	if err != nil {
		return shown{}, unshowable(err)
	}
	defer f.Close()
	s := shown{target: at, source: at, file: file}
	s.dev, s.inode, err = identity(f)
	return s, err
}

func unshowable(err error) error {
	return fmt.Errorf("the program cannot be shown: %w; move the program, for example below /usr/local or /opt, or mount its folder in the server's mounts", err)
}

// shared are folders in which things of many lie.
func shared(folder string) bool {
	up := path.Dir(folder)
	return folder == "/" || up == "/" || up == "/home" || slices.Contains([]string{"/var/tmp", "/var/lib", "/nix/store"}, folder)
}

// installed tells whether a folder is that of a program that was installed
// into a folder of its own.
func installed(folder string) bool {
	return slices.ContainsFunc([]string{"/opt", "/nix/store", "/snap"}, func(f string) bool { return folder != f && below(folder, f) })
}

// identity is what tells an open file from every other.
func identity(f *os.File) (dev, inode uint64, err error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return 0, 0, err
	}
	return uint64(s.Dev), s.Ino, nil
}
