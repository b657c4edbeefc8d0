package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-mcp/gatehouse/internal/secretfile"
	"github.com/gatehouse-mcp/gatehouse/runtime/inject"
)

// planSecrets plans the files of secrets.
func (o *order) planSecrets(img *image) error {
	for _, f := range o.set.Files() {
		s := step{Kind: secret, Target: f.Path, File: true, Content: []byte(f.Content.Reveal())}
		for _, b := range o.Steps {
			if b.Kind == bind && below(f.Path, b.Target) {
				s.Present = true
			}
		}
		if s.Present {
			open := openBundle
			if img != nil {
				open = img.openBundle
			}
			there, _, err := open(f.Path)
			if err != nil {
				return fmt.Errorf("the file %s of a secret lies in a folder that is read-only, and is not there; choose another place, such as below /run: %w", f.Path, err)
			}
			_ = there.Close()
		}
		o.Steps = append(o.Steps, s)
	}
	return nil
}

// hidden is where the file system of a secret has its place while it is built,
// and above where the root has its own then.
const (
	hidden = ".gatehouse-secret"
	above  = "/proc"
)

// secret shows a file in memory that the server's user alone can read. Its file
// system has no other place.
func (r *root) secret(s step) (err error) {
	fd, file, err := secretfile.New(s.Content, r.uid, r.gid)
	if err != nil {
		return err
	}
	r.secrets = append(r.secrets, file)
	inside, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) // place closes the other one
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	defer unix.Close(inside)
	if err := r.place(fd, step{Target: "/" + hidden}); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, unix.Unmount(above+"/"+hidden, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW),
			unix.Unlinkat(r.fd, hidden, unix.AT_REMOVEDIR))
	}()
	own, err := secretfile.Clone(inside)
	if err != nil {
		return err
	}
	return r.place(own, s)
}

// rewrite has process 1 rewrite the file of a secret that was rotated.
func (i *instance) rewrite(n int, f inject.File) error {
	i.stderr.Hide(f.Content)
	return i.say(telling{File: n + 1, Content: []byte(f.Content.Reveal())})
}

// rewrite does so.
func (t telling) rewrite(files []*os.File) error {
	defer clear(t.Content)
	if t.File > len(files) {
		return errors.New("there is no such file")
	}
	return secretfile.Rewrite(files[t.File-1], t.Content)
}
