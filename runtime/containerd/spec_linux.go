package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// Bounds of a container that are no limits of a Spec.
const (
	shmSize   = 16 << 20
	cpuPeriod = 100_000 // µs
	minQuota  = 1_000   // µs; the kernel takes no less
)

// annotationGroup has the shim of runc share a process.
const annotationGroup = "io.containerd.runc.v2.group"

// plan is all that a container's OCI spec is made of. Making it touches
// nothing.
type plan struct {
	id, namespace string
	spec          runtime.Spec
	class         Class
	image         imagespec.ImageConfig
	user          user
	dir           string            // in which it starts
	env           map[string]string // beside those of the image and the Spec
	secrets       map[string]string // the environment of secrets
	core          uint64            // bytes of a core dump
	mounts        []specs.Mount     // after those that every container has
	netns         string
	cgroup        string
	oomScore      int
	group         string // of shims that share a process
}

// ociSpec makes the spec.
func (p plan) ociSpec() (*specs.Spec, error) {
	args, err := arguments(p.spec, p.image)
	if err != nil {
		return nil, err
	}
	ctx := namespaces.WithNamespace(context.Background(), p.namespace)
	s, err := oci.GenerateSpecWithPlatform(ctx, nil, "linux/"+goruntime.GOARCH, &containers.Container{ID: p.id})
	if err != nil {
		return nil, fmt.Errorf("making the default spec: %w", err)
	}
	l := p.spec.Limits.OrDefault()

	s.Hostname = word(p.spec.Name, 63)
	s.Root.Readonly = !p.spec.WritableRoot
	files := uint64(l.Files)
	s.Process.Args = args
	s.Process.Env = environment(p)
	s.Process.Cwd = p.dir
	s.Process.User = specs.User{UID: p.user.uid, GID: p.user.gid, AdditionalGids: p.user.more}
	s.Process.Capabilities = &specs.LinuxCapabilities{}
	s.Process.NoNewPrivileges = true
	s.Process.OOMScoreAdj = &p.oomScore
	s.Process.Rlimits = []specs.POSIXRlimit{
		{Type: "RLIMIT_CORE", Soft: p.core, Hard: p.core},
		{Type: "RLIMIT_NOFILE", Soft: files, Hard: files},
	}

	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/run" })
	for i, m := range s.Mounts {
		switch m.Destination {
		case "/dev": // root, where it was asked for, could write to it otherwise
			s.Mounts[i].Options = []string{"ro", "nosuid", "strictatime", "mode=755", "size=65536k"}
		case "/dev/shm":
			s.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "mode=1777", size(min(shmSize, l.Memory))}
		}
	}
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: "/tmp", Type: "tmpfs", Source: "tmpfs",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", size(l.Tmp)},
	})
	s.Mounts = append(s.Mounts, p.mounts...)

	quota := max(int64(l.CPUs*cpuPeriod), minQuota)
	period := uint64(cpuPeriod)
	memory, swap := l.Memory, l.Memory // memory and swap together
	s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &memory, Swap: &swap}
	s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &l.PIDs}
	s.Linux.CgroupsPath = p.cgroup
	for i, ns := range s.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			s.Linux.Namespaces[i].Path = p.netns
		}
	}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	if p.class.UserKernel {
		s.Version = "1.0.2" // the newest that runsc takes
	} else {
		s.Linux.Seccomp = seccomp.DefaultProfile(s)
		s.Linux.Seccomp.Architectures = []specs.Arch{nativeArch()} // each more takes milliseconds to compile
	}
	if p.group != "" {
		s.Annotations = map[string]string{annotationGroup: p.group}
	}
	return s, nil
}

func size(bytes int64) string { return "size=" + strconv.FormatInt(bytes, 10) }

func nativeArch() specs.Arch {
	if goruntime.GOARCH == "arm64" {
		return specs.ArchAARCH64
	}
	return specs.ArchX86_64
}

// arguments are those of the program: a Command replaces all that the image
// says, Args alone replace what the image passes to its entrypoint.
func arguments(spec runtime.Spec, c imagespec.ImageConfig) ([]string, error) {
	if len(spec.Command) > 0 {
		if spec.Command[0] == "" {
			return nil, errors.New("the command is empty")
		}
		return slices.Concat(spec.Command, spec.Args), nil
	}
	tail := c.Cmd
	if len(spec.Args) > 0 {
		tail = spec.Args
	}
	args := slices.Concat(c.Entrypoint, tail)
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("the image names no program to run; give a command")
	}
	return args, nil
}

// environment is the image's, then the driver's own, then the Spec's.
func environment(p plan) []string {
	env := map[string]string{"PATH": DefaultPath}
	if !p.user.own {
		env["HOME"] = "/tmp" // the only place that this user can write to
	}
	for _, kv := range p.image.Env {
		if name, v, ok := strings.Cut(kv, "="); ok {
			env[name] = v
		}
	}
	maps.Copy(env, p.env)
	for name, v := range p.spec.Env {
		env[name] = v.Reveal()
	}
	maps.Copy(env, p.secrets)
	list := make([]string, 0, len(env))
	for name, v := range env {
		list = append(list, name+"="+v)
	}
	slices.Sort(list)
	return list
}
