//go:build e2e && linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
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
	runc      *runcoptions.Options
	folder    string // for FIFOs
	hosts     string // a file for /etc/hosts
	oomScore  int
	n         atomic.Int64
}

// openBare finds the image of a namespace that holds no other.
func openBare(ctx context.Context, address, namespace, folder string, runc *runcoptions.Options) (_ *bare, err error) {
	b := &bare{namespace: namespace, runc: runc, folder: folder, hosts: filepath.Join(folder, "hosts")}
	if err := os.WriteFile(b.hosts, []byte("127.0.0.1 localhost cell\n::1 localhost cell\n"), 0o644); err != nil {
		return nil, err
	}
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return nil, err
	}
	mine, err := strconv.Atoi(strings.TrimSpace(string(score)))
	if err != nil {
		return nil, err
	}
	b.oomScore = min(mine+500, 1000)
	if b.client, err = client.New(address); err != nil {
		return nil, err
	}
	images, err := b.client.ListImages(b.within(ctx))
	if err == nil && len(images) != 1 {
		err = fmt.Errorf("containerd has %d images in the namespace %s, and not one", len(images), namespace)
	}
	if err != nil {
		_ = b.client.Close()
		return nil, err
	}
	b.image = images[0]
	return b, nil
}

func (b *bare) within(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, b.namespace)
}

// spec is that of runtime/containerd, made by hand.
func (b *bare) spec(id, netns string) []oci.SpecOpts {
	const memory = 2 << 30
	arch := specs.ArchX86_64
	if goruntime.GOARCH == "arm64" {
		arch = specs.ArchAARCH64
	}
	return []oci.SpecOpts{
		oci.WithProcessArgs("/server"), oci.WithProcessCwd("/"), oci.WithDefaultPathEnv, oci.WithEnv([]string{"HOME=/tmp"}),
		oci.WithHostname("cell"), oci.WithUIDGID(65532, 65532), oci.WithRootFSReadonly(),
		oci.WithNoNewPrivileges,
		oci.WithMemoryLimit(memory), oci.WithMemorySwap(memory), oci.WithPidsLimit(256), oci.WithCPUCFS(100_000, 100_000),
		oci.WithCgroup("/gatehouse-bench-" + id), oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.CgroupNamespace}),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: netns}),
		oci.WithRlimit(&specs.POSIXRlimit{Type: "RLIMIT_CORE"}),
		oci.WithRlimit(&specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 1024}),
		oci.WithoutRunMount, oci.WithoutMounts("/dev/shm"),
		oci.WithMounts([]specs.Mount{
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=16777216"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
			{Destination: "/etc/hosts", Type: "bind", Source: b.hosts, Options: []string{"rbind", "rprivate", "nosuid", "nodev", "rro"}},
		}),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
			s.Process.OOMScoreAdj = &b.oomScore
			s.Process.Capabilities = &specs.LinuxCapabilities{}
			s.Process.User.AdditionalGids = nil
			return nil
		},
		seccomp.WithDefaultProfile(),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
			s.Linux.Seccomp.Architectures = []specs.Arch{arch}
			return nil
		},
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
		client.WithNewSpec(t.spec(id, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), t.network.Fd()))...),
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

// same fails when the spec of the bare client is another than that of a
// container of the driver, but for what differs from container to container.
func (b *bare) same(ctx context.Context) error {
	ctx = b.within(ctx)
	all, err := b.client.Containers(ctx)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("containerd has %d containers, and not one", len(all))
	}
	theirs, err := all[0].Spec(ctx)
	if err != nil {
		return err
	}
	ours, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: "compare"}, b.spec("compare", "")...)
	if err != nil {
		return err
	}
	for _, s := range []*oci.Spec{theirs, ours} {
		s.Linux.CgroupsPath = ""
		for i := range s.Linux.Namespaces {
			s.Linux.Namespaces[i].Path = ""
		}
		for i := range s.Mounts {
			if s.Mounts[i].Type == "bind" {
				s.Mounts[i].Source = ""
			}
		}
		slices.Sort(s.Process.Env)
		slices.SortFunc(s.Process.Rlimits, func(x, y specs.POSIXRlimit) int { return cmp.Compare(x.Type, y.Type) })
		slices.SortFunc(s.Linux.Namespaces, func(x, y specs.LinuxNamespace) int { return cmp.Compare(x.Type, y.Type) })
		slices.SortFunc(s.Mounts, func(x, y specs.Mount) int { return cmp.Compare(x.Destination, y.Destination) })
	}
	return differ("spec", reflect.ValueOf(*theirs), reflect.ValueOf(*ours))
}
