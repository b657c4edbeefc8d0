package sandbox

import (
	"encoding/binary"
	"fmt"
	goruntime "runtime"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// What a system call that is not allowed gets.
const (
	permit = seccomp.ActionAllow
	refuse = seccomp.ActionErrno | seccomp.Action(unix.EPERM)
	absent = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
)

// filterFor returns the filter for this program's architecture, in the form
// that the kernel takes.
func filterFor(goarch string) ([]byte, error) {
	var of *arch.Info
	switch goarch {
	case "amd64":
		of = arch.X86_64
	case "arm64":
		of = arch.AARCH64
	default:
		return nil, fmt.Errorf("a filter of system calls %w: the sandbox knows those of amd64 and arm64, not of %s", runtime.ErrCannotEnforce, goarch)
	}
	program, err := assemble(of)
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 8*len(raw))
	for _, r := range raw {
		out = binary.NativeEndian.AppendUint16(out, r.Op)
		out = append(out, r.Jt, r.Jf)
		out = binary.NativeEndian.AppendUint32(out, r.K)
	}
	return out, nil
}

// nativeFilter is filterFor this machine.
func nativeFilter() ([]byte, error) { return filterFor(goruntime.GOARCH) }

// span is a run of numbers that are all allowed.
type span struct{ first, last uint32 }

// spans groups the numbers of the allowed calls.
func spans(of *arch.Info) []span {
	var numbers []uint32
	for _, name := range allowed {
		if n, ok := of.SyscallNames[name]; ok {
			numbers = append(numbers, uint32(n))
		}
	}
	slices.Sort(numbers)
	var all []span
	for _, n := range slices.Compact(numbers) {
		if last := len(all) - 1; last >= 0 && all[last].last+1 == n {
			all[last].last = n
		} else {
			all = append(all, span{n, n})
		}
	}
	return all
}

// assemble makes the program. Only what is listed is allowed; a call that is
// newer than the list shows as absent, so that programs fall back.
func assemble(of *arch.Info) ([]bpf.Instruction, error) {
	highest := 0
	for n := range of.SyscallNumbers {
		highest = max(highest, n)
	}
	p := seccomp.NewProgram()
	newer := p.NewLabel()
	known := p.NewLabel()
	// A call of the x32 kind has a number far above.
	p.JmpIf(bpf.JumpGreaterThan, uint32(highest), newer, known)
	p.SetLabel(newer)
	p.Ret(absent)
	p.SetLabel(known)

	conditional(&p, of, "clone", func(yes, no seccomp.Label) {
		p.LdLo(0)
		p.JmpIf(bpf.JumpBitsSet, unix.CLONE_NEWNS|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC|unix.CLONE_NEWUSER|
			unix.CLONE_NEWPID|unix.CLONE_NEWNET|unix.CLONE_NEWCGROUP, no, yes)
	})
	conditional(&p, of, "socket", func(yes, no seccomp.Label) {
		netlink, internet := p.NewLabel(), p.NewLabel()
		p.LdLo(0)
		p.JmpIfTrue(bpf.JumpEqual, unix.AF_UNIX, yes)
		p.JmpIfTrue(bpf.JumpEqual, unix.AF_NETLINK, netlink)
		p.JmpIfTrue(bpf.JumpEqual, unix.AF_INET, internet)
		p.JmpIf(bpf.JumpEqual, unix.AF_INET6, internet, no)
		p.SetLabel(netlink) // what getifaddrs(3) asks, and nothing of the firewall
		p.LdLo(2)
		p.JmpIf(bpf.JumpEqual, unix.NETLINK_ROUTE, yes, no)
		p.SetLabel(internet) // streams and datagrams, nothing raw
		p.LdLo(1)
		p.JmpIfTrue(bpf.JumpBitsSet, otherTypes, no)
		stream := p.NewLabel()
		p.JmpIf(bpf.JumpBitsSet, streamBit, stream, yes)
		p.SetLabel(stream)
		p.JmpIf(bpf.JumpBitsSet, datagramBit, no, yes)
	})
	conditional(&p, of, "socketpair", func(yes, no seccomp.Label) {
		p.LdLo(0)
		p.JmpIf(bpf.JumpEqual, unix.AF_UNIX, yes, no)
	})
	conditional(&p, of, "ioctl", func(yes, no seccomp.Label) {
		p.LdLo(1) // the kernel looks at 32 bits of it as well
		p.JmpIfTrue(bpf.JumpEqual, tiocsti, no)
		p.JmpIf(bpf.JumpEqual, tioclinux, no, yes)
	})
	conditional(&p, of, "personality", func(yes, no seccomp.Label) {
		p.LdLo(0)
		for _, value := range personalities[1:] {
			p.JmpIfTrue(bpf.JumpEqual, value, yes)
		}
		p.JmpIf(bpf.JumpEqual, personalities[0], yes, no)
	})
	for _, m := range modes {
		conditional(&p, of, m.name, func(yes, no seccomp.Label) {
			if m.flags > 0 { // without them the mode is whatever the register held
				made := p.NewLabel()
				p.LdLo(m.flags)
				p.JmpIf(bpf.JumpBitsSet, makingFlags, made, yes)
				p.SetLabel(made)
			}
			p.LdLo(m.mode)
			p.JmpIf(bpf.JumpBitsSet, unix.S_ISUID|unix.S_ISGID, no, yes)
		})
	}
	for _, name := range indirect {
		if n, ok := of.SyscallNames[name]; ok {
			hit, miss := p.NewLabel(), p.NewLabel()
			p.JmpIf(bpf.JumpEqual, uint32(n), hit, miss)
			p.SetLabel(hit)
			p.Ret(absent)
			p.SetLabel(miss)
		}
	}
	yes, no := p.NewLabel(), p.NewLabel()
	search(&p, spans(of), yes, no)
	p.SetLabel(yes)
	p.Ret(permit)
	p.SetLabel(no)
	p.Ret(refuse)
	body, err := p.Assemble()
	if err != nil {
		return nil, fmt.Errorf("assembling the filter of system calls: %w", err)
	}
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 4}, // struct seccomp_data: the architecture
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(of.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(refuse)},
		bpf.LoadAbsolute{Off: 0, Size: 4}, // the number
	}
	return append(head, body...), nil
}

// conditional decides one call by its arguments, where the architecture has
// it.
func conditional(p *seccomp.Program, of *arch.Info, name string, decide func(yes, no seccomp.Label)) {
	n, ok := of.SyscallNames[name]
	if !ok {
		return
	}
	hit, miss := p.NewLabel(), p.NewLabel()
	p.JmpIf(bpf.JumpEqual, uint32(n), hit, miss)
	p.SetLabel(hit)
	yes, no := p.NewLabel(), p.NewLabel()
	decide(yes, no)
	p.SetLabel(yes)
	p.Ret(permit)
	p.SetLabel(no)
	p.Ret(refuse)
	p.SetLabel(miss)
}

// search looks for the number among sorted spans, by halves.
func search(p *seccomp.Program, all []span, yes, no seccomp.Label) {
	if len(all) == 1 {
		p.JmpIfTrue(bpf.JumpLessThan, all[0].first, no)
		p.JmpIf(bpf.JumpGreaterThan, all[0].last, no, yes)
		return
	}
	half := len(all) / 2
	upper, lower := p.NewLabel(), p.NewLabel()
	p.JmpIf(bpf.JumpGreaterOrEqual, all[half].first, upper, lower)
	p.SetLabel(lower)
	search(p, all[:half], yes, no)
	p.SetLabel(upper)
	search(p, all[half:], yes, no)
}
