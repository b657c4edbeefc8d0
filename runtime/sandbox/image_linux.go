package sandbox

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/runtime"
)

// imageFolder is where images are unpacked, below the state folder.
const imageFolder = "images"

// image is an unpacked image.
type image struct {
	root   string // a folder of the host
	config v1.Config
	held   *os.File // keeps it from being pruned
}

// image returns the image of a Spec, which it unpacks if nobody has done so
// before. The caller closes what is held of it.
func (r *Runtime) image(ctx context.Context, name string) (*image, error) {
	at, err := parsePlace(name)
	if err != nil {
		return nil, err
	}
	c, err := openLayout(at)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	// The configuration names the content of every layer.
	root := filepath.Join(r.owner.State, imageFolder, c.manifest.Config.Digest.Hex)
	img := &image{root: root, config: c.config.Config}
	select {
	case r.unpacking <- struct{}{}: // one at a time
		defer func() { <-r.unpacking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if img.held, err = hold(root); err == nil {
		return img, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	p := progress{tell: r.o.Events.Pull, ctx: ctx, pull: runtime.Pull{Image: name}}
	for _, l := range c.manifest.Layers {
		p.pull.Total += l.Size
	}
	p.report()
	if err = r.unpack(root, c, &p); err == nil {
		img.held, err = hold(root)
	}
	p.pull.Ended, p.pull.Err = true, err
	p.report()
	if err != nil {
		return nil, fmt.Errorf("image %s: unpacking it: %w", name, err)
	}
	return img, nil
}

// unpack unpacks an image beside its place and moves it there.
func (r *Runtime) unpack(root string, c *content, p *progress) (err error) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it never fails
	tmp := filepath.Join(r.run(r.owner.ID), "unpack-"+hex.EncodeToString(random))
	if err := errors.Join(os.MkdirAll(filepath.Dir(root), 0o700), os.Mkdir(tmp, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fd, err := absolute(tmp)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	u := unpacker{fd: fd, owners: r.root}
	for n, l := range c.manifest.Layers {
		if err := u.blob(c, l.Digest, c.config.RootFS.DiffIDs[n], p); err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
	}
	if err := placeholders(fd); err != nil {
		return err
	}
	err = os.Rename(tmp, root)
	if errors.Is(err, fs.ErrExist) {
		return nil // another gateway was faster
	}
	return err
}

// blob unpacks a layer, and fails if its content has not the digest that the
// configuration names.
func (u *unpacker) blob(c *content, digest, diffID v1.Hash, p *progress) error {
	if err := c.regular(digest); err != nil {
		return err
	}
	l, err := c.image.LayerByDigest(digest)
	if err != nil {
		return err
	}
	in, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer in.Close()
	if diffID.Algorithm != "sha256" {
		return fmt.Errorf("its digest %s is of an unknown kind", diffID)
	}
	sum := sha256.New()
	all := io.TeeReader(io.LimitReader(in, 2*maxImageSize), io.MultiWriter(sum, p))
	if err := u.layer(all); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, all); err != nil { // what follows the archive
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != diffID.Hex {
		return fmt.Errorf("its content has the digest %s, not %s", got, diffID.Hex)
	}
	size, err := l.Size()
	p.before += size
	p.pull.Done = p.before
	p.report()
	return err
}

// progress tells of an image that is unpacked, and stops when its context has
// ended.
type progress struct {
	tell   func(runtime.Pull)
	ctx    context.Context
	pull   runtime.Pull
	before int64 // bytes of the layers that are done
}

func (p *progress) Write(b []byte) (int, error) { return len(b), p.ctx.Err() }

func (p *progress) report() {
	if p.tell != nil {
		p.tell(p.pull)
	}
}

// made are the files of /etc that are made up even for an image.
var made = []string{resolvConf, "/etc/hosts", "/etc/hostname"}

// placeholders makes what files are mounted over, in an image that has /etc.
func placeholders(root int) error {
	etc, err := rooted(root, "/etc", unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(etc)
	for _, name := range made {
		name = path.Base(name)
		if err := remove(etc, name); err != nil {
			return err
		}
		fd, err := unix.Openat(etc, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		_ = unix.Close(fd)
	}
	return nil
}

// shown is what a server sees of the image: everything at its top, but what
// the sandbox has itself.
func (i *image) shown() (all []shown, links []step, err error) {
	entries, err := os.ReadDir(i.root)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		at := "/" + e.Name()
		source := filepath.Join(i.root, e.Name())
		switch {
		case slices.Contains([]string{"/proc", "/dev", "/sys", "/tmp"}, at):
		case e.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(source)
			if err != nil {
				return nil, nil, err
			}
			links = append(links, step{Kind: makeLink, Target: at, Source: to})
		case e.IsDir(), e.Type().IsRegular():
			all = append(all, shown{target: at, source: source, file: !e.IsDir()})
		}
	}
	return all, links, nil
}

// open opens a path as the server will see it.
func (i *image) open(p string, flags uint64) (int, error) {
	root, err := absolute(i.root)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	return rooted(root, p, flags)
}

// program finds the file of a command in the image or in a mount.
func (i *image) program(name, dir, searchPath string, mounts []shown) (string, error) {
	candidates := []string{path.Join(dir, name)}
	if path.IsAbs(name) {
		candidates[0] = path.Clean(name)
	}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, d := range strings.Split(searchPath, ":") {
			if path.IsAbs(d) {
				candidates = append(candidates, path.Join(d, name))
			}
		}
	}
	var h host
	var unfit error
	for _, c := range candidates {
		if _, ok := mounted(mounts, c); ok {
			if _, _, err := h.locate(c, mounts); err == nil {
				return c, nil
			}
			continue
		}
		fd, err := i.open(c, unix.O_PATH)
		if err != nil {
			continue
		}
		var s unix.Stat_t
		err = unix.Fstat(fd, &s)
		_ = unix.Close(fd)
		switch {
		case err != nil:
		case s.Mode&unix.S_IFMT == unix.S_IFDIR:
			err = fmt.Errorf("%s is a directory", c)
		case s.Mode&0o111 == 0:
			err = fmt.Errorf("%s is not executable: %w", c, fs.ErrPermission)
		default:
			return c, nil
		}
		unfit = cmp.Or(unfit, err)
	}
	if unfit != nil {
		return "", unfit
	}
	return "", fmt.Errorf("the image has no program %s (PATH %q): %w", name, searchPath, fs.ErrNotExist)
}

// arguments are the command of a server: the Spec's; without one the image's,
// where Args alone replace what the image passes to its entrypoint.
func (i *image) arguments(spec runtime.Spec) ([]string, error) {
	if len(spec.Command) > 0 {
		return slices.Concat(spec.Command, spec.Args), nil
	}
	rest := i.config.Cmd
	if len(spec.Args) > 0 {
		rest = spec.Args
	}
	argv := slices.Concat(i.config.Entrypoint, rest)
	if len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("the image names no program to run; give a command")
	}
	return argv, nil
}

// user is the user of a server: the Spec's, else the image's own if that is
// not root, else the default. Nor has an image's own user root's group: it
// gets the group of its own number in the place of that.
func (i *image) user(spec runtime.Spec) (uid, gid int, err error) {
	if spec.User != "" || i.config.User == "" {
		return user(spec)
	}
	name, group, grouped := strings.Cut(i.config.User, ":")
	uid, gid, err = i.lookup(name)
	if err == nil && grouped {
		if gid, err = number(group); err != nil {
			gid, err = i.entry("/etc/group", group, 2)
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("the image's user %q: %w; give a user in numbers", i.config.User, err)
	}
	if uid == 0 {
		return user(spec)
	}
	return uid, cmp.Or(gid, uid), nil
}

// lookup finds a user of the image, and its group.
func (i *image) lookup(name string) (uid, gid int, err error) {
	if uid, err = number(name); err == nil {
		if gid, err = i.entry("/etc/passwd", name, 3); err != nil {
			gid = uid
		}
		return uid, gid, nil
	}
	if uid, err = i.entry("/etc/passwd", name, 2); err != nil {
		return 0, 0, err
	}
	gid, err = i.entry("/etc/passwd", name, 3)
	return uid, gid, err
}

// entry reads a number from the line of a name, or of a number, in one of the
// image's files of users.
func (i *image) entry(file, name string, field int) (int, error) {
	fd, err := i.open(file, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return 0, &fs.PathError{Op: "open", Path: file, Err: err}
	}
	f := os.NewFile(uintptr(fd), file)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMetadata))
	if err != nil {
		return 0, err
	}
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		fields := strings.Split(sc.Text(), ":")
		if len(fields) > field && (fields[0] == name || fields[2] == name) {
			return number(fields[field])
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, strconv.Quote(name))
}
