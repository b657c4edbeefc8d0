//go:build e2e && linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"syscall"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bare starts containers with containerd's client and nothing else.
type bare struct {
	client    *client.Client
	namespace string
	image     client.Image
	model     []byte // the spec of a container of the driver
	runc      *runcoptions.Options
	folder    string // for FIFOs
	n         atomic.Int64
}

// openBare copies the one container that there is in a namespace: its image
// and its spec.
func openBare(ctx context.Context, address, namespace, folder string, runc *runcoptions.Options) (_ *bare, err error) {
	b := &bare{namespace: namespace, runc: runc, folder: folder}
	if b.client, err = client.New(address); err != nil {
		return nil, err
	}
	if err := b.copy(b.within(ctx)); err != nil {
		_ = b.client.Close()
		return nil, fmt.Errorf("copying a container of the driver: %w", err)
	}
	return b, nil
}

func (b *bare) copy(ctx context.Context) error {
	all, err := b.client.Containers(ctx)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("there are %d, and not one", len(all))
	}
	if b.image, err = all[0].Image(ctx); err != nil {
		return err
	}
	s, err := all[0].Spec(ctx)
	if err != nil {
		return err
	}
	if s.Linux.Seccomp == nil || len(s.Linux.Seccomp.Architectures) != 1 {
		return errors.New("it has no filter of system calls for one architecture")
	}
	for i, m := range s.Mounts {
		if m.Type != "bind" {
			continue
		}
		content, err := os.ReadFile(m.Source) // it goes with the container
		if err != nil {
			return err
		}
		s.Mounts[i].Source = filepath.Join(b.folder, fmt.Sprintf("mount-%d", i))
		if err := os.WriteFile(s.Mounts[i].Source, content, 0o644); err != nil {
			return err
		}
	}
	b.model, err = json.Marshal(s)
	return err
}

func (b *bare) within(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, b.namespace)
}

// spec makes that of one container.
func (b *bare) spec(id, netns string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		*s = oci.Spec{}
		if err := json.Unmarshal(b.model, s); err != nil {
			return err
		}
		s.Linux.CgroupsPath = "/gatehouse-bench-" + id
		for i, ns := range s.Linux.Namespaces {
			if ns.Type == specs.NetworkNamespace {
				s.Linux.Namespaces[i].Path = netns
			}
		}
		return nil
	}
}

// way is the yardstick.
func (b *bare) way() *way {
	return &way{name: asBare, prepare: func() (func(context.Context) (server, error), error) {
		ns, err := newNetwork()
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (server, error) {
			t := &task{bare: b, network: ns}
			if err := t.start(b.within(ctx)); err != nil {
				return nil, errors.Join(err, t.stop(ctx))
			}
			return t, nil
		}, nil
	}}
}

// task is a container of the bare client.
type task struct {
	*bare
	network   *os.File
	container client.Container
	task      client.Task
	exited    <-chan client.ExitStatus
	io        *cio.DirectIO
	in        io.Writer
	out       *bufio.Reader
}

func (t *task) start(ctx context.Context) (err error) {
	id := fmt.Sprintf("bare-%d", t.n.Add(1))
	t.container, err = t.client.NewContainer(ctx, id,
		client.WithNewSnapshot(id, t.image),
		client.WithNewSpec(t.spec(id, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), t.network.Fd()))),
		client.WithRuntime("io.containerd.runc.v2", t.runc))
	if err != nil {
		return err
	}
	t.task, err = t.container.NewTask(ctx, func(id string) (cio.IO, error) {
		fifos, err := cio.NewFIFOSetInDir(t.folder, id, false)
		if err != nil {
			return nil, err
		}
		t.io, err = cio.NewDirectIO(context.WithoutCancel(ctx), fifos)
		return t.io, err
	})
	if err != nil {
		return err
	}
	if t.exited, err = t.task.Wait(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := t.task.Start(ctx); err != nil {
		return err
	}
	t.in, t.out = t.io.Stdin, bufio.NewReader(t.io.Stdout)
	return t.call("initialize", handshake)
}

func (t *task) call(method, params string) error {
	m := `{"jsonrpc":"2.0","id":1,"method":"` + method + `"`
	if params != "" {
		m += `,"params":` + params
	}
	if _, err := io.WriteString(t.in, m+"}\n"); err != nil {
		return err
	}
	line, err := t.out.ReadSlice('\n')
	if err == nil && !strings.Contains(string(line), `"result"`) {
		err = fmt.Errorf("%s: %s", method, line)
	}
	return err
}

func (t *task) ping(context.Context) error { return t.call("ping", "") }

// stop ends the server by the end of its input, as the driver does.
func (t *task) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(t.within(context.WithoutCancel(ctx)), patience)
	defer cancel()
	var errs []error
	if t.exited != nil {
		_ = t.io.Stdin.Close()
		if t.task.CloseIO(ctx, client.WithStdinCloser) != nil {
			errs = append(errs, t.task.Kill(ctx, syscall.SIGKILL))
		}
		select {
		case <-t.exited:
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
	}
	if t.task != nil {
		_, err := t.task.Delete(ctx, client.WithProcessKill)
		errs = append(errs, err)
	}
	if t.container != nil {
		errs = append(errs, t.container.Delete(ctx, client.WithSnapshotCleanup))
	}
	return errors.Join(append(errs, t.network.Close())...)
}

// newNetwork makes a network namespace with its loopback up.
func newNetwork() (*os.File, error) {
	type made struct {
		f   *os.File
		err error
	}
	ready := make(chan made)
	go func() {
		goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
		f, err := func() (*os.File, error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return nil, os.NewSyscallError("unshare", err)
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return nil, err
			}
			if err := netlink.LinkSetUp(lo); err != nil {
				return nil, err
			}
			return os.Open("/proc/thread-self/ns/net")
		}()
		ready <- made{f, err}
	}()
	m := <-ready
	return m.f, m.err
}
