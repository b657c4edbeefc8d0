package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// step is one thing that process 1 does to build the root of a server.
type step struct {
	Kind   kind
	Target string // inside
	Source string `json:",omitempty"` // of the host; what a link says; the content of a file

	// Of a bind. Dev and Inode, unless both are 0, are those that were
	// checked: what is found at Source must be the same.
	File     bool   `json:",omitempty"`
	Writable bool   `json:",omitempty"`
	Present  bool   `json:",omitempty"` // the target is there, and is not made
	Dev      uint64 `json:",omitempty"`
	Inode    uint64 `json:",omitempty"`

	Size int64 `json:",omitempty"` // of a tmpfs

	Content []byte `json:",omitempty"` // of a secret; never shown
}

type kind string

const (
	makeFolder kind = "folder"
	makeLink   kind = "link"
	makeFile   kind = "file"
	cover      kind = "cover" // a made file in the place of one that is there
	alias      kind = "alias" // a made file, over one that is there
	bind       kind = "bind"
	disk       kind = "disk" // the file system of a device
	device     kind = "device"
	tmpfs      kind = "tmpfs"
	secret     kind = "secret" // a file that the server alone reads
	procfs     kind = "proc"
	terminals  kind = "terminals"
)

// String shows a step in a line.
func (s step) String() string {
	out := fmt.Sprintf("%-9s %s", s.Kind, s.Target)
	switch s.Kind {
	case makeLink:
		out += " -> " + s.Source
	case bind, disk, device, alias:
		out += " = " + s.Source
		if s.Writable {
			out += " (writable)"
		}
	case tmpfs:
		out += fmt.Sprintf(" of %d KiB", s.Size>>10)
	}
	return out
}

// shmSize bounds /dev/shm, in bytes.
const shmSize = 16 << 20

// host looks at the file system of this machine; a test has one below another
// folder.
type host struct {
	root    string
	image   bool   // the server sees an image in the place of the system
	private string // a folder that is not shown with a program
	alone   bool   // programs are shown without their folders
}

func (h host) lstat(p string) (fs.FileInfo, error) { return os.Lstat(h.root + p) }
func (h host) stat(p string) (fs.FileInfo, error)  { return os.Stat(h.root + p) }

// real is p without symbolic links.
func (h host) real(p string) (string, error) {
	r, err := filepath.EvalSymlinks(h.root + p)
	return strings.TrimPrefix(r, h.root), err
}

// systemFolders are shown whole, and systemFiles where they are there.
var (
	systemFolders = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
	systemFiles   = []string{
		"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
		"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/cert.pem", "/etc/ca-certificates", "/etc/pki/tls/certs",
		"/etc/pki/ca-trust/extracted", "/etc/crypto-policies/back-ends", "/etc/mime.types", "/etc/protocols", "/etc/services",
	}
	devices = []string{"null", "zero", "full", "random", "urandom", "tty"}
)

// inSystem tells whether a path without links is shown with the system.
func inSystem(p string) bool {
	return slices.ContainsFunc(systemFolders, func(f string) bool { return below(p, f) })
}

// below tells whether p is folder or lies below it.
func below(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// system plans what every server sees of the system.
func (h host) system() ([]step, error) {
	var steps []step
	for _, f := range systemFolders {
		s, err := h.lstat(f)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case s.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(h.root + f)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step{Kind: makeLink, Target: f, Source: to})
		case s.IsDir():
			steps = append(steps, step{Kind: bind, Target: f, Source: f})
		}
	}
	for _, f := range systemFiles {
		to, err := h.real(f)
		if err != nil {
			continue // it is not there, or a link to nowhere
		}
		s, err := h.stat(to)
		switch {
		case err != nil || !s.IsDir() && !s.Mode().IsRegular():
		case inSystem(to):
			steps = append(steps, step{Kind: makeLink, Target: f, Source: to})
		default:
			steps = append(steps, step{Kind: bind, Target: f, Source: to, File: !s.IsDir()})
		}
	}
	return steps, nil
}

// files are those of /etc that are made up.
func files(uid, gid int) []step {
	file := func(name, format string, args ...any) step {
		return step{Kind: makeFile, Target: "/etc/" + name, Source: fmt.Sprintf(format, args...)}
	}
	passwd, group := "root:x:0:0:root:/:/usr/sbin/nologin\n", "root:x:0:\n"
	if uid != 0 {
		passwd += fmt.Sprintf("%s:x:%d:%d::/tmp:/bin/sh\n", hostname, uid, gid)
	}
	if gid != 0 {
		group += fmt.Sprintf("%s:x:%d:\n", hostname, gid)
	}
	return []step{
		file("passwd", "%s", passwd),
		file("group", "%s", group),
		file("hosts", "127.0.0.1 localhost %s\n::1 localhost %[1]s\n", hostname),
		file("hostname", "%s\n", hostname),
		file("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"),
		{Kind: makeFile, Target: resolvConf, Source: "# no network\n"},
	}
}

// resolvConf says whom to ask for names; it depends on the network.
const resolvConf = "/etc/resolv.conf"

// hostname is the name of the machine inside, and of the user.
const hostname = "sandbox"

// kernel plans /tmp, /proc and /dev.
func kernel(tmp int64) []step {
	steps := []step{
		{Kind: tmpfs, Target: "/tmp", Size: tmp},
		{Kind: procfs, Target: "/proc"},
	}
	for _, d := range devices {
		steps = append(steps, step{Kind: device, Target: "/dev/" + d, Source: "/dev/" + d})
	}
	return append(steps,
		step{Kind: makeLink, Target: "/dev/fd", Source: "/proc/self/fd"},
		step{Kind: makeLink, Target: "/dev/stdin", Source: "/proc/self/fd/0"},
		step{Kind: makeLink, Target: "/dev/stdout", Source: "/proc/self/fd/1"},
		step{Kind: makeLink, Target: "/dev/stderr", Source: "/proc/self/fd/2"},
		step{Kind: makeLink, Target: "/dev/ptmx", Source: "pts/ptmx"},
		step{Kind: terminals, Target: "/dev/pts"},
		step{Kind: tmpfs, Target: "/dev/shm", Size: min(tmp, shmSize)},
	)
}

// shown is what a server sees of the host beside the system: a mount, a
// volume, its program or the folder of that.
type shown struct {
	target     string
	source     string
	link       string // made, in the place of a source: where it leads
	file       bool
	writable   bool
	dev, inode uint64
	device     string // that has it as its file system; source is for us alone then
}

// binds plans what is shown. What lies in another is mounted after it, and
// must be there.
func (h host) binds(all []shown) ([]step, error) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b shown) int { return strings.Compare(a.target, b.target) })
	var steps []step
	for i, s := range all {
		if s.link != "" {
			steps = append(steps, step{Kind: makeLink, Target: s.target, Source: s.link})
			continue
		}
		st := step{
			Kind: bind, Target: s.target, Source: s.source, File: s.file,
			Writable: s.writable, Dev: s.dev, Inode: s.inode,
		}
		if s.device != "" {
			st.Kind, st.Source = disk, s.device
		}
		outer, ok := holder(all[:i], s.target)
		if ok || !h.image && inSystem(s.target) {
			st.Present = true
			at := s.target
			if ok {
				at = path.Join(outer.source, strings.TrimPrefix(s.target, outer.target))
			}
			if there, err := h.stat(at); err != nil || there.IsDir() == s.file {
				kind := "folder"
				if s.file {
					kind = "file"
				}
				if outer.device != "" {
					return nil, fmt.Errorf("mount at %s: it lies in the volume at %s, which has no such %s; have the server make it there, or choose another target", s.target, outer.target, kind)
				}
				return nil, fmt.Errorf("mount at %s: it lies in something that is shown of the host, and %s is no %s there; make it, or choose another target", s.target, at, kind)
			}
		}
		steps = append(steps, st)
	}
	return steps, nil
}

// holder is the innermost of all in which a path lies.
func holder(all []shown, p string) (shown, bool) {
	var best shown
	for _, s := range all {
		if below(p, s.target) && len(s.target) > len(best.target) && s.target != p {
			best = s
		}
	}
	return best, best.target != ""
}

// user reads a Spec's user.
func user(spec runtime.Spec) (uid, gid int, err error) {
	text := cmp.Or(spec.User, runtime.DefaultUser)
	u, g, both := strings.Cut(text, ":")
	if !both {
		g = u
	}
	if uid, err = number(u); err == nil {
		gid, err = number(g)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("sandbox: user %q: write it as UID or UID:GID, in numbers", text)
	}
	return uid, gid, nil
}

func number(s string) (int, error) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 1<<31 {
			return 0, fs.ErrInvalid
		}
		n = 10*n + int(c-'0')
	}
	if s == "" || n >= 1<<32-1 {
		return 0, fs.ErrInvalid
	}
	return n, nil
}
