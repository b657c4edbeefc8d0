package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// New makes a namespace and brings its loopback up.
func New() (*NS, error) {
	var f *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace (it needs CAP_SYS_ADMIN): %w", err)
		}
		var err error
		if f, err = current(); err != nil {
			return fmt.Errorf("opening the new network namespace: %w", err)
		}
		if err := loopback(); err != nil {
			_ = f.Close()
			return fmt.Errorf("bringing up the loopback of the new network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hold(f), nil
}

// Open opens an existing namespace, such as /proc/PID/ns/net.
func Open(path string) (*NS, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening network namespace %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := check(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return hold(f), nil
}

// FromFile returns the namespace that f is a descriptor of. It duplicates
// the descriptor: f stays the caller's.
func FromFile(f *os.File) (*NS, error) {
	if f == nil {
		return nil, errors.New("no network namespace: the descriptor is nil")
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicating the descriptor of network namespace %s: %w", f.Name(), err)
	}
	dup := os.NewFile(uintptr(fd), f.Name())
	if err := check(dup); err != nil {
		_ = dup.Close()
		return nil, err
	}
	return hold(dup), nil
}

// check refuses what is not a network namespace.
func check(f *os.File) error {
	kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		return fmt.Errorf("%s is not a namespace: %w", f.Name(), err)
	}
	if kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s is a namespace, but not one of the network", f.Name())
	}
	return nil
}

// Do runs f on a thread inside the namespace and returns its error. Only f's
// own goroutine is inside: goroutines that it starts are not. f must not lock
// or unlock its thread.
func (ns *NS) Do(f func() error) error {
	return onThread(func() error {
		raw, err := ns.f.SyscallConn()
		if err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		// Control keeps the descriptor from being closed, and its number
		// from being given to another file, meanwhile.
		enter := func(fd uintptr) { err = unix.Setns(int(fd), unix.CLONE_NEWNET) }
		if e := raw.Control(enter); e != nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("entering a network namespace (it needs CAP_SYS_ADMIN): %w", err)
		}
		return f()
	})
}

// Listen listens inside the namespace. addr is an IP address with a port.
func (ns *NS) Listen(network, addr string) (l net.Listener, err error) {
	if err := literal(addr); err != nil {
		return nil, fmt.Errorf("listening inside a network namespace: %w", err)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets do not tell where a redirected connection was to go
	err = ns.Do(func() error {
		l, err = lc.Listen(context.Background(), network, addr)
		return err
	})
	return l, err
}

// ListenPacket is Listen for datagrams.
func (ns *NS) ListenPacket(network, addr string) (c net.PacketConn, err error) {
	if err := literal(addr); err != nil {
		return nil, fmt.Errorf("listening inside a network namespace: %w", err)
	}
	var lc net.ListenConfig
	err = ns.Do(func() error {
		c, err = lc.ListenPacket(context.Background(), network, addr)
		return err
	})
	return c, err
}

// onThread runs f on a thread that f may take to another network namespace.
// The thread returns to its own afterwards; where it cannot, it ends.
func onThread(f func() error) error {
	var (
		err      error
		panicked any
		returned bool
		done     = make(chan struct{})
	)
	var run func()
	run = func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread would be kept for ever in place of ending, and
			// it is what /proc/PID/ns/net shows. While it is held here, the
			// next goroutine runs on another one.
			next := make(chan struct{})
			go func() { defer close(next); run() }()
			<-next
			runtime.UnlockOSThread()
			return
		}
		defer close(done)
		home, e := current()
		if e != nil {
			runtime.UnlockOSThread()
			err, returned = fmt.Errorf("opening this thread's network namespace (is /proc mounted?): %w", e), true
			return
		}
		defer func() {
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			_ = home.Close()
		}()
		defer func() {
			if !returned {
				panicked = recover()
			}
		}()
		err = f()
		returned = true
	}
	go run()
	<-done
	switch {
	case returned:
		return err
	case panicked != nil:
		panic(panicked)
	default:
		return errors.New("the function called runtime.Goexit inside a network namespace")
	}
}

// current opens the namespace of this thread.
func current() (*os.File, error) {
	name := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// loopback brings lo of this thread's namespace up.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req)
}
