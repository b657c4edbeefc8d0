package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errEmpty is what a masked file or folder shows.
var errEmpty = errors.New("it is empty")

func read(a arguments) (string, error) {
	s, err := os.Stat(a["path"])
	if err != nil {
		return "", err
	}
	if s.IsDir() {
		entries, err := os.ReadDir(a["path"])
		if err != nil {
			return "", err
		}
		if len(entries) == 0 {
			return "", errEmpty
		}
		names := make([]string, 0, len(entries))
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return fmt.Sprintf("a folder with %s", strings.Join(names, " ")), nil
	}
	fd, err := unix.Open(a["path"], unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "", errEmpty
	}
	return fmt.Sprintf("%d bytes: %q", n, b[:n]), nil
}

func readlink(a arguments) (string, error) {
	to, err := os.Readlink(a["path"])
	return "it leads to " + to, err
}

func find(a arguments) (string, error) {
	found, seen := "", 0
	_ = filepath.WalkDir(a["from"], func(p string, d fs.DirEntry, err error) error {
		seen++
		switch {
		case err != nil:
			return nil
		case strings.Contains(d.Name(), a["name"]):
			found = p
			return fs.SkipAll
		case d.IsDir() && (p == "/proc" || p == "/sys"):
			return fs.SkipDir
		}
		return nil
	})
	if found == "" {
		return "", fmt.Errorf("nothing of that name among %d files", seen)
	}
	return "found " + found, nil
}

// inProcesses looks for a text in a file of every process.
func inProcesses(file, want string) (string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	seen, read := 0, 0
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" || e.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		seen++
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), file))
		if err != nil {
			continue
		}
		read++
		// Who asks has it on its own command line, after its own name.
		if bytes.Contains(b, []byte(want)) && !bytes.Contains(b, []byte("\x00attempt\x00")) {
			return fmt.Sprintf("found in process %s", e.Name()), nil
		}
	}
	return "", fmt.Errorf("not in the %d of %d processes that can be read", read, seen)
}

func environ(a arguments) (string, error)   { return inProcesses("environ", a["want"]) }
func processes(a arguments) (string, error) { return inProcesses("cmdline", a["want"]) }

// write makes a file, or writes to one that is there what is in it.
func write(a arguments) (string, error) {
	f, err := os.OpenFile(a["path"], os.O_WRONLY|os.O_CREATE|unix.O_NOCTTY|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return "", err
	}
	say := a["say"]
	if say == "" {
		say = "0"
	}
	_, err = f.WriteString(say)
	return "written", errors.Join(err, f.Close())
}

func overwrite(a arguments) (string, error) {
	f, err := os.OpenFile(a["path"], os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	return "it could be written to", f.Close()
}

func chmod(a arguments) (string, error) {
	s, err := os.Stat(a["path"])
	if err == nil {
		err = os.Chmod(a["path"], s.Mode())
	}
	return "changed", err
}

// handle is how a process with CAP_DAC_READ_SEARCH leaves every mount
// namespace: a file handle of the host's file system, by which any inode of it
// can be opened, its root having number 2.
func handle(a arguments) (string, error) {
	at, err := unix.Open(a["path"], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(at)
	h, _, err := unix.NameToHandleAt(at, "", unix.AT_EMPTY_PATH)
	if err != nil {
		h = unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0})
	}
	fd, err := unix.OpenByHandleAt(at, h, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	return "opened", unix.Close(fd)
}

// copySelf puts this program somewhere else.
func copySelf(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

func execute(a arguments) (string, error) {
	p := filepath.Join(a["dir"], "copy")
	if err := copySelf(p); err != nil {
		return "", err
	}
	defer os.Remove(p)
	out, err := exec.Command(p, "identity").CombinedOutput()
	return string(out), err
}

func symlink(a arguments) (string, error) {
	return "made", os.Symlink(a["to"], a["path"])
}

// swap exchanges two names as fast as it can, so that whoever looks at one of
// them twice sees two things.
func swap(a arguments) (string, error) {
	end := time.Now().Add(time.Duration(a.number("seconds")) * time.Second)
	from, err := syscall.BytePtrFromString(a["a"])
	if err != nil {
		return "", err
	}
	to, err := syscall.BytePtrFromString(a["b"])
	if err != nil {
		return "", err
	}
	at := unix.AT_FDCWD
	n := 0
	for ; time.Now().Before(end); n++ {
		_, _, e := unix.Syscall6(unix.SYS_RENAMEAT2, uintptr(at), uintptr(unsafe.Pointer(from)), uintptr(at), uintptr(unsafe.Pointer(to)), unix.RENAME_EXCHANGE, 0)
		if e != 0 {
			return "", e
		}
		if n%7 == 0 { // odd, so that neither of the two is there for longer
			time.Sleep(50 * time.Microsecond)
		}
	}
	return fmt.Sprintf("exchanged %d times", n), nil
}
