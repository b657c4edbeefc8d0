package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/coredump"
)

// oomScore is what the server's chance to be killed first, when the machine
// has no memory left, is raised to.
const oomScore = 500

// inside is the whole life of process 1.
func inside() {
	// The kernel ends the sandbox with the thread of the gateway that started
	// it; that is told to the threads of this process that asked, so that one
	// of them must stay.
	runtime.LockOSThread()
	// It has little to do, and its threads count as the server's.
	runtime.GOMAXPROCS(1)
	closeInherited()
	// Caught and dropped rather than ignored, which the server would inherit.
	signal.Notify(make(chan os.Signal, 1))
	orders := os.NewFile(orderFile, "orders")
	reports := json.NewEncoder(os.NewFile(reportFile, "reports"))
	if err := prepare(); err != nil {
		_ = reports.Encode(report{Error: err.Error()})
		return
	}
	if reports.Encode(report{Ready: true}) != nil {
		return // the gateway is gone
	}
	var o order
	in := json.NewDecoder(orders)
	if in.Decode(&o) != nil {
		return // the gateway is gone
	}
	pid, err := o.execute()
	if err != nil {
		_ = reports.Encode(report{Error: err.Error()})
		return
	}
	// The pipes are the server's own: they must end when it does.
	silence()
	_ = reports.Encode(report{Started: true})
	files := o.files
	o = order{}
	debug.FreeOSMemory()
	go func() {
		for {
			var t telling
			switch err := in.Decode(&t); {
			case err != nil:
				syscall.Exit(1) // the gateway is gone
			case t.Ask:
				_ = unix.Kill(-pid, unix.SIGTERM)
			case t.File > 0:
				_ = t.rewrite(files)
			}
		}
	}()
	for {
		var s unix.WaitStatus
		done, err := unix.Wait4(-1, &s, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return
		case done == pid && (s.Exited() || s.Signaled()):
			r := report{Ended: true, Code: s.ExitStatus()}
			if s.Signaled() {
				r.Signal = int(s.Signal())
			}
			_ = reports.Encode(r)
			return // and everybody ends with process 1
		}
	}
}

// prepare does what needs no order.
func prepare() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(oomScore)), 0); err != nil {
		return fmt.Errorf("raising the score for the out-of-memory killer: %w", err)
	}
	if err := coredump.Empty("self"); err != nil {
		return fmt.Errorf("leaving its memory out of core dumps: %w", err)
	}
	// From here on nobody else can look into this process, and it itself
	// cannot write to its own /proc.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("bringing up the loopback: %w", err)
	}
	return nil
}

// execute builds the sandbox and starts the server in it.
func (o *order) execute() (pid int, err error) {
	if o.files, err = buildRoot(o.Steps, o.UID, o.GID); err != nil {
		return 0, fmt.Errorf("building the root: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return 0, fmt.Errorf("setting the host name: %w", err)
	}
	if err := unix.Setdomainname(nil); err != nil {
		return 0, fmt.Errorf("setting the domain name: %w", err)
	}
	unix.Umask(0o022)
	if err := limitProcess(o.Files, o.Core); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread that confines itself is never used for anything else:
		// it ends with this goroutine.
		runtime.LockOSThread()
		pid, err = o.launch()
	}()
	<-done
	if err != nil {
		return 0, err
	}
	// Another user, another chance for the kernel to forget these.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, err
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return 0, err
	}
	return pid, dropCapabilities()
}

// launch takes every right from this thread and starts the server from it.
// Capabilities, Landlock and the filter of system calls are a thread's own,
// and pass on to what it starts.
func (o *order) launch() (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return 0, fmt.Errorf("making a namespace of control groups: %w", err)
	}
	if err := dropBounds(); err != nil {
		return 0, err
	}
	if o.Root {
		if err := becomeUser(o.UID, o.GID); err != nil {
			return 0, err
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // the change of user allowed it again
		return 0, err
	}
	if err := dropCapabilities(); err != nil {
		return 0, err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("forbidding new privileges: %w", err)
	}
	if o.Landlock {
		if err := landlock(o.Writable); err != nil {
			return 0, err
		}
	}
	if err := filterCalls(o.Filter); err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(o.Path, o.Argv, &syscall.ProcAttr{
		Dir: o.Dir, Env: o.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, o.refusal(err)
	}
	return pid, nil
}

// closeInherited closes what the gateway, or code in another language in it,
// has left open by mistake. What this program itself has opened is closed on
// exec.
func closeInherited() {
	open, _ := os.ReadDir("/proc/self/fd") // where it cannot be read, nothing passes on to the server all the same
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= reportFile {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	_ = unix.CloseRange(reportFile+1, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	syscall.CloseOnExec(orderFile)
	syscall.CloseOnExec(reportFile)
}

// silence gives process 1 other standard files than the server's.
func silence() {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	for fd := range 3 {
		if err == nil {
			err = unix.Dup3(null, fd, 0)
		}
		if err != nil {
			_ = unix.Close(fd)
		}
	}
	_ = unix.Close(null)
}

// loopback brings lo up.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}
