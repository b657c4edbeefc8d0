package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// firstLine bounds what is read of a script to find its interpreter; the
// kernel reads as much.
const firstLine = 256

// refusal says why the kernel did not start the server, and what to do. It is
// asked as the user of the server, inside.
func (o *order) refusal(err error) error {
	s, serr := os.Stat(o.Dir)
	switch {
	case serr != nil:
		return fmt.Errorf("the working directory %s cannot be entered inside: %w; mount it, or choose another", o.Dir, serr)
	case !s.IsDir():
		return fmt.Errorf("the working directory %s is none inside; choose another", o.Dir)
	}
	exec := &os.PathError{Op: "exec", Path: o.Path, Err: err}
	switch {
	case errors.Is(err, unix.EACCES):
		if why := o.barrier(); why != "" {
			return fmt.Errorf("%w: %s", exec, why)
		}
	case errors.Is(err, unix.ENOENT):
		if _, err := os.Stat(o.Path); err == nil {
			what := "what loads its libraries"
			if name := interpreter(o.Path); name != "" {
				what = "its interpreter " + name
			}
			return fmt.Errorf("%w: the program is there, but %s is not shown inside; mount the folder of that", exec, what)
		}
	}
	return exec
}

// barrier finds what the user may not enter or execute on the way to the
// working directory and the program; empty when there is nothing of the kind.
func (o *order) barrier() string {
	if why := o.closed(o.Dir); why != "" {
		return why
	}
	p := o.Path
	for range maxLinks {
		if why := o.closed(path.Dir(p)); why != "" {
			return why
		}
		to, err := os.Readlink(p)
		if err != nil {
			break
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(p), to)
		}
		p = to
	}
	if unix.Access(p, unix.X_OK) == unix.EACCES {
		return fmt.Sprintf("user %d may not execute %s%s; allow it to others (chmod o+rx), or set another user", o.UID, p, mode(p))
	}
	return ""
}

// closed finds the outermost folder on the way to one that the user may not
// enter.
func (o *order) closed(folder string) string {
	at := "/"
	for _, name := range strings.Split(strings.Trim(folder, "/"), "/") {
		at = path.Join(at, name)
		if unix.Access(at, unix.X_OK) == unix.EACCES {
			return fmt.Sprintf("user %d cannot enter %s%s; open it to others (chmod o+x), move what is in it, or set another user", o.UID, at, mode(at))
		}
	}
	return ""
}

// mode shows who has which rights of a file.
func mode(p string) string {
	var s unix.Stat_t
	if err := unix.Stat(p, &s); err != nil {
		return ""
	}
	return fmt.Sprintf(" (mode %04o, of user %d, group %d)", s.Mode&0o7777, s.Uid, s.Gid)
}

// interpreter is what the first line of a script names.
func interpreter(p string) string {
	f, err := os.Open(p)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, firstLine))
	line, _, _ := bytes.Cut(head, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("#!"))
	if fields := bytes.Fields(rest); ok && len(fields) > 0 {
		return string(fields[0])
	}
	return ""
}
