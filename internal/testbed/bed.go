//go:build e2e && linux

package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bed is an installed test bed, seen from its own mount namespace.
type Bed struct {
	Cache string // the folder that install.sh filled
}

// programs are what must be there.
var programs = []string{"containerd", "containerd-shim-runc-v2", "runc", "runsc", "runsc-shim", "node"}

// Enter moves the test binary into a mount namespace of its own, by executing
// it once more, and finds the test bed in a cache folder; empty: .cache/testbed
// of the module. A program that is missing is an error.
func Enter(cache string) (*Bed, error) {
	inside, err := entered()
	if err != nil {
		return nil, err
	}
	if !inside {
		return nil, fmt.Errorf("entering a mount namespace (it needs root): %w", enter())
	}
	if cache == "" {
		root, err := moduleRoot()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(root, ".cache", "testbed")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return nil, err
	}
	sweep()
	b := &Bed{Cache: cache}
	var errs []error
	for _, p := range programs {
		if _, err := os.Stat(b.Program(p)); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the test bed is not installed in %s: run `make testbed`, or set GATEHOUSE_CACHE\n%w", cache, err)
	}
	return b, nil
}

// Program is the path of an installed program.
func (b *Bed) Program(name string) string { return filepath.Join(b.Cache, "bin", name) }

// Modules is the folder of the installed npm packages.
func (b *Bed) Modules() string { return filepath.Join(b.Cache, "npm", "node_modules") }

// Leave ends what is left in the mount namespace when all tests have run, and
// returns an error that names it.
func (b *Bed) Leave() error {
	var errs []error
	for pid, command := range processes(func(pid int) bool { return pid != os.Getpid() }) {
		errs = append(errs, fmt.Errorf("left running, and killed now: %d %s", pid, command))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return errors.Join(errs...)
}

// entered tells whether this process is in another mount namespace than the
// one that started it, which only enter does.
func entered() (bool, error) {
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false, err
	}
	parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err != nil {
		return false, err
	}
	return mine != parents, nil
}

// enter returns only with an error.
func enter() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // it is the thread that execs
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	args, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		return err
	}
	argv := strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
	return syscall.Exec(self, argv, (&exec.Cmd{}).Environ())
}

// moduleRoot is the folder with go.mod, seen from the package under test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod above the working directory")
}

// processes lists the processes of this mount namespace and of those made
// from it that match, with their command lines.
func processes(match func(pid int) bool) map[int]string {
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	found := map[int]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		ns, err := os.Readlink("/proc/" + e.Name() + "/ns/mnt")
		if err != nil || ns != mine || !match(pid) {
			continue
		}
		command, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || len(command) == 0 { // gone, or a zombie
			continue
		}
		found[pid] = strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
	}
	return found
}
