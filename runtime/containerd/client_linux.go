package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Bounds of talking to containerd.
const (
	connectWait   = 3 * time.Second        // for a daemon that has just come back
	reconnectWait = time.Second            // until a connection is tried again, and for the attempt
	retryEvery    = 100 * time.Millisecond // while it is away
)

// within puts a call into the namespace.
func (r *Runtime) within(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, r.o.Namespace)
}

// away says that containerd does not answer.
func (r *Runtime) away(err error) error {
	return fmt.Errorf("containerd at %s does not answer; start it, or check the address: %w", r.o.Address, err)
}

// typed makes an error of a service one of errdefs; those of the client's
// stores are so already.
func typed(err error) error {
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsAlreadyExists(err) || errdefs.IsUnavailable(err) {
		return err
	}
	return errgrpc.ToNative(err)
}

// native makes an error of a service one of errdefs, and says where containerd
// was looked for when it is gone.
func (r *Runtime) native(err error) error {
	err = typed(err)
	if errdefs.IsUnavailable(err) {
		return r.away(err)
	}
	return err
}

// place is where containerd runs, as seen from here.
type place struct {
	pids   bool // it sees our processes by the same numbers
	mounts bool // it has the same mounts
}

// ready returns when containerd answers. It takes no more than a connection
// when it did before.
func (r *Runtime) ready(ctx context.Context) (place, error) {
	p, err := r.look(ctx)
	if err != nil {
		r.sound.Store(false)
		return place{}, r.away(err)
	}
	if r.sound.Load() {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for {
		_, err := r.client.Version(ctx)
		if err == nil {
			r.sound.Store(true)
			return p, nil
		}
		if !errdefs.IsUnavailable(typed(err)) || !sleep(ctx, retryEvery) {
			return place{}, r.away(err)
		}
	}
}

// look asks the kernel who listens on the socket.
func (r *Runtime) look(ctx context.Context) (place, error) {
	d := net.Dialer{Timeout: connectWait}
	c, err := d.DialContext(ctx, "unix", r.o.Address)
	if err != nil {
		return place{}, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return place{}, err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return place{}, err
	}
	if failed != nil {
		return place{}, failed
	}
	return place{pids: same(peer.Pid, "pid"), mounts: same(peer.Pid, "mnt")}, nil
}

// same tells whether a process has the same namespace as this one.
func same(pid int32, kind string) bool {
	theirs, err1 := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/ns/" + kind)
	ours, err2 := os.Readlink("/proc/self/ns/" + kind)
	return err1 == nil && err2 == nil && theirs == ours
}

// suits says whether a network namespace can be handed over: that is done as
// a path below /proc. It needs no more for mounts, which are compared after.
func (p place) suits() error {
	if !p.pids {
		return fmt.Errorf("a network namespace %w: containerd does not run in the gateway's PID namespace; run both on the host, or both in one container", runtime.ErrCannotEnforce)
	}
	return nil
}

// sleep waits, and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect makes the client, which connects when it is first used.
func (r *Runtime) connect() error {
	// The timeout bounds, too, how long the client waits before it tries again
	// what was refused. To hurry it (ResetConnectBackoff) is no way: as of gRPC
	// 1.83 that reads a map which others write, and ends the program.
	c, err := containerd.New(r.o.Address, containerd.WithTimeout(reconnectWait))
	if err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	r.client = c
	return nil
}

var errClosed = errors.New("containerd: the runtime is closed")
